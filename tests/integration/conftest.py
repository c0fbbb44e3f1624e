"""A real fleet on loopback for the tests that run our playbooks, and the means to run them."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from demo import fleet as fleets
from demo import processes, pythons
from demo.errors import DemoError
from demo.fleet import Fleet
from tests.integration import selection
from tests.integration.systemd_support import Host

# Which tests run, and in which order: pytest finds its hooks by their names.
pytest_collection_modifyitems = selection.pytest_collection_modifyitems
pytest_runtest_makereport = selection.pytest_runtest_makereport
pytest_runtest_protocol = selection.pytest_runtest_protocol
pytest_sessionfinish = selection.pytest_sessionfinish

# uv brings authorities of its own; a machine may trust others, such as a mirror's.
os.environ.setdefault("UV_SYSTEM_CERTS", "1")
# Every task is shown, so that a test can see what was done and what was not.
os.environ.setdefault("ANSIBLE_STDOUT_CALLBACK", "ansible.builtin.default")
# Only where a test is about them.
os.environ.setdefault("FLEETOPS_REPORT_DIRECTORY", "")

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "inventories" / "demo"


class Run(NamedTuple):
    """How an ansible command ended, and all that it printed."""

    code: int
    text: str

    @property
    def words(self) -> str:
        """The output with line breaks folded, for messages that YAML or JSON wrapped."""
        return " ".join(self.text.replace("\\n", " ").split())


class Bed:
    """The embedded fleet, and ansible on the controller's side of it."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._runs: list[subprocess.Popen[str]] = []

    def start(
        self,
        name: str,
        *arguments: str,
        callback: str = "",
        through: Sequence[str] = (),
        **inputs: Any,
    ) -> subprocess.Popen[str]:
        """Begin to run a playbook of the checkout; ``inputs`` are extra variables.

        ``through`` is a command that runs another one, ``callback`` what shows the run.
        """
        command = [*through, str(Path(sys.executable).parent / "ansible-playbook")]
        command += [name, *arguments]
        if inputs:
            command += ["-e", json.dumps(inputs)]
        environment = {**os.environ, "DEMO_ROOT": str(self.fleet.root), "ANSIBLE_NOCOLOR": "1"}
        if callback:
            environment["ANSIBLE_STDOUT_CALLBACK"] = callback
        run = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # So that a test can kill a run with all that belongs to it.
            start_new_session=True,
        )
        self._runs.append(run)
        return run

    def end_runs(self) -> None:
        """End what a test has left: its run would hold the lock against the next test's."""
        for run in self._runs:
            if run.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(run.pid, signal.SIGKILL)
                run.communicate()
        self._runs.clear()

    @staticmethod
    def ended(run: subprocess.Popen[str]) -> Run:
        """Wait for its end."""
        text, _nothing = run.communicate(timeout=900)
        return Run(run.returncode, text)

    def playbook(self, name: str, *arguments: str, **inputs: Any) -> Run:
        """Run a playbook of the checkout to its end."""
        return self.ended(self.start(name, *arguments, **inputs))

    def home(self, host: str) -> Path:
        return Path(self.state["hosts"][host]["app_home"])

    @property
    def state(self) -> dict[str, Any]:
        return json.loads((self.fleet.root / "fleet.json").read_text())

    def record(self) -> dict[str, Any]:
        """What the fleet has been through, as the balancer's host keeps it."""
        return json.loads((self.fleet.root / "lb1/locks/app.record.json").read_text())

    def version(self, host: str) -> dict[str, Any]:
        """What the application itself says that it runs."""
        return fleets.version(self.fleet, host)

    def fingerprint(self) -> dict[str, Any]:
        """All that a refused run must leave as it was: processes, releases, links, files."""
        return {
            host: {
                "arbiter": {
                    key: value for key, value in self.version(host).items() if key != "worker_pid"
                },
                "venv": os.path.realpath(self.home(host) / "venv"),
                "is_link": (self.home(host) / "venv").is_symlink(),
                "files": _digest(self.home(host)),
                "half_built": [str(path) for path in self.home(host).glob("releases/.build-*")],
            }
            for host in ("web1", "web2")
        }


def _digest(home: Path) -> str:
    names = sorted(
        str(path.relative_to(home))
        for path in home.rglob("*")
        if not {"__pycache__", "releases"} & set(path.parts)
    )
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """A fleet on the old gunicorn, for one module of tests."""
    root = tmp_path_factory.mktemp("bed").resolve()
    fleet = Fleet(root, _free_network(), ROOT / ".demo" / "cache")
    try:
        fleets.wheelhouse(fleet.cache, pythons.find().start, print)
    except DemoError as exc:
        if os.environ.get("CI") == "true":
            pytest.fail(f"the demo's packages cannot be had: {exc}")
        pytest.skip(f"the demo's packages cannot be had: {exc}")
    fleets.up(fleet, print)
    try:
        yield Bed(fleet)
    finally:
        fleets.down(fleet, print)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A systemd of its own for the tests of a file."""
    host = Host()
    yield host
    host.close()


@pytest.fixture(autouse=True)
def _no_run_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    found = request.getfixturevalue("bed") if "bed" in request.fixturenames else None
    yield
    if isinstance(found, Bed):
        found.end_runs()


@pytest.fixture
def traffic(bed: Bed, request: pytest.FixtureRequest) -> Iterator[dict[str, int]]:
    """Requests while a test runs, ``RATE`` a second as its module says; of them no more may fail
    than the test allows."""
    client = fleets.start_traffic(bed.fleet, 1800, request.module.RATE)
    fleets.wait_for_traffic(bed.fleet)
    allowed: dict[str, int] = {"failed": 0}
    yield allowed
    summary = fleets.stop_traffic(client, bed.fleet)
    assert summary["sent"] > 100
    assert summary["failed"] <= allowed["failed"], summary


def _free_network() -> str:
    for third in range(1, 250):
        network = f"127.78.{(os.getpid() + third) % 250}"
        wanted = [(f"{network}.10", 8080), (f"{network}.11", 8000), (f"{network}.12", 8000)]
        if not any(processes.port_problem(*place) for place in wanted):
            return network
    return pytest.fail("no free loopback network")
