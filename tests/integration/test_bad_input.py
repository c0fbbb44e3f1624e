"""Every operator's mistake gets a clear error that names it, before anything is touched."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.rotation import Observer


@pytest.fixture(scope="module")
def requirements(bed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory on the "server" for requirements files of a test."""
    return tmp_path_factory.mktemp("requirements")


def written(directory: Path, name: str, text: str) -> str:
    path = directory / name
    path.write_text(text)
    return str(path)


def stage(gunicorn: str, python: str = "", **more: Any) -> list[dict[str, Any]]:
    return [{"gunicorn": gunicorn, **({"python": python} if python else {}), **more}]


CASES = {
    "unknown stage key": (
        {"rollout_stages": [{"gunicorn": "21.2.0", "pyhton": "3.11"}]},
        ["rollout_stages[0]", "pyhton", "gunicorn, python, requirements"],
    ),
    "version is a range": (
        {"rollout_stages": stage(">=21")},
        ["rollout_stages[0].gunicorn", ">=21", "exact version"],
    ),
    "python that gunicorn does not support": (
        {"rollout_stages": stage("23.0.0", "3.6")},
        ["gunicorn 23.0.0 needs Python 3.7", "rollout_stages[0].python"],
    ),
    "stages go down": (
        {"rollout_stages": stage("23.0.0", "3.11") + stage("21.2.0")},
        ["rollout_stages[1] goes down", "rollout_allow_downgrade"],
    ),
    "rollout_to names no stage": (
        {"rollout_to": "22.0.0"},
        ["rollout_to is '22.0.0'", "21.2.0, 23.0.0"],
    ),
    "a name that is nearly ours": (
        {"rollout_wave": [1]},
        ["rollout_wave is set, and nothing reads it", "rollout_waves"],
    ),
    "a ramp that falls": (
        {"rollout_ramp": [50, 10]},
        ["rollout_ramp", "larger than the one before"],
    ),
    "wrong type": ({"gate_soak": "a while"}, ["gate_soak"]),
    "tolerance that is no dictionary": (
        {"gate_balancer_tolerance": 5},
        ["gate_balancer_tolerance", "dict"],
    ),
    "tolerance of what is not counted": (
        {"gate_balancer_tolerance": {"http_4xx": 5}},
        ["gate_balancer_tolerance", "http_4xx", "connection_errors and http_5xx"],
    ),
    "wrong choice": (
        {"load_balancer_on_timeout": "hope"},
        ["load_balancer_on_timeout", "restore, force, fail", "hope"],
    ),
    "nobody has that Python": (
        {"rollout_stages": stage("23.0.0", "3.99")},
        ["Stage 1", "3.99", "release_python_provider"],
    ),
    "wrong program name": ({"app_program": "nosuch"}, ["nosuch"]),
    "app_home is missing": ({"app_home": "/nonexistent/app"}, ["/nonexistent/app"]),
    "no group of balancers": (
        {"load_balancer_group": "nosuch"},
        ["group nosuch", "load_balancer_group"],
    ),
    "server is not in the backend": ({"load_balancer_server": "web9"}, ["web9", "app"]),
    "backend does not exist": ({"load_balancer_backends": ["nosuch"]}, ["nosuch"]),
    "socket is absent": ({"load_balancer_socket": "/nonexistent/s"}, ["/nonexistent/s"]),
    "min_available can never hold": (
        {"rollout_min_available": "2"},
        ["rollout_min_available is 2", "can never hold", "2 in all"],
    ),
    "min_available is nonsense": ({"rollout_min_available": "most"}, ["most"]),
    "fewer releases kept than must stay": (
        {"rollout_keep_releases": 1},
        ["rollout_keep_releases is 1", "2 or more, or 0"],
    ),
    "less than no releases kept": ({"rollout_keep_releases": -1}, ["rollout_keep_releases is -1"]),
    "health is bad before the upgrade": (
        {"gate_health_status": [204]},
        ["HTTP status 200 instead of 204", "app_health_url"],
    ),
    "health URL is no URL": ({"app_health_url": "web1/healthz"}, ["web1/healthz", "http://"]),
    "log is missing": ({"gate_log_paths": ["/nonexistent/app.log"]}, ["/nonexistent/app.log"]),
    "log is a directory": ({"gate_log_paths": ["/etc"]}, ["/etc"]),
    "requirements are missing on the server": (
        {"app_requirements": "/nonexistent/requirements.txt"},
        ["/nonexistent/requirements.txt"],
    ),
    "requirements are missing on the controller": (
        {"app_requirements": "nosuch.txt"},
        ["nosuch.txt", "controller"],
    ),
    "version does not exist on the index": (
        {"rollout_stages": stage("21.99.0")},
        ["21.99.0"],
    ),
    "not enough disk": ({"release_min_free_mb": 10**9}, ["release_min_free_mb", "MiB"]),
}


@pytest.fixture
def untouched(bed) -> Iterator[None]:
    """Nothing may have changed behind the test, and no server left the rotation."""
    before = bed.fingerprint()
    with Observer(bed.fleet.admin, ("web1", "web2"), lambda host: None) as seen:
        yield
    assert bed.fingerprint() == before
    assert [seen.outages(host) for host in ("web1", "web2")] == [[], []]


def refused(run, words: list[str]) -> None:
    assert run.code != 0, run.text[-3000:]
    assert "Traceback" not in run.text
    for word in words:
        assert word in run.words, run.text[-3000:]


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_named_and_nothing_is_touched(bed, untouched, case):
    inputs, words = CASES[case]
    refused(bed.playbook("upgrade.yml", "-l", "web1", **inputs), words)


def test_a_hash_that_does_not_match(bed, untouched, requirements):
    lines = "\n".join(
        f"{package} --hash=sha256:{'0' * 64}" for package in ("gunicorn==21.2.0", "packaging==21.3")
    )
    path = written(requirements, "hashes.txt", lines + "\n")
    run = bed.playbook(
        "upgrade.yml",
        "-l",
        "web1",
        rollout_stages=stage("21.2.0"),
        app_requirements=path,
        release_require_hashes=True,
    )
    refused(run, ["hash"])


def test_requirements_that_conflict(bed, untouched, requirements):
    path = written(requirements, "conflict.txt", "flask==2.0.3\nwerkzeug==1.0.1\n")
    run = bed.playbook(
        "upgrade.yml", "-l", "web1", rollout_stages=stage("21.2.0"), app_requirements=path
    )
    refused(run, ["erkzeug"])


def test_a_socket_without_admin_rights(bed, untouched, tmp_path_factory):
    """A socket in front of HAProxy's that answers as one of level operator does."""
    path = tmp_path_factory.mktemp("s") / "op.sock"
    with _Operator(str(path), bed.state["balancer_socket"]):
        run = bed.playbook("upgrade.yml", "-l", "web1", load_balancer_socket=str(path))
    refused(run, ["level", "admin"])


def test_a_server_that_somebody_took_out(bed):
    """Whoever did it has a reason: a run would end with it in service."""
    before = bed.fingerprint()
    bed.fleet.admin.ask("set server app/web1 state maint")
    try:
        run = bed.playbook("upgrade.yml", "-l", "web1")
        refused(run, ["web1 is out of rotation", "app/web1", "in MAINT", "-l 'all:!web1'"])
        assert not bed.fleet.admin.look()["web1"].in_rotation
    finally:
        bed.fleet.admin.ask("set server app/web1 state ready")
    assert bed.fingerprint() == before


def test_a_limit_that_matches_no_host(bed, untouched):
    run = bed.playbook("upgrade.yml", "-l", "web9")
    refused(run, ["web9"])


def test_a_group_that_has_no_host(bed, untouched):
    """Ansible itself would end with 0, as if everything had been done."""
    run = bed.playbook("upgrade.yml", rollout_group="wep")
    refused(run, ["Nothing was done", "no host in wep"])


def test_an_inventory_variable_that_is_missing_is_named(bed, untouched, tmp_path):
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "web: {hosts: {web1: {ansible_connection: local}}}\nlb: {hosts: {lb1: {}}}\n"
    )
    run = bed.playbook("upgrade.yml", "-i", str(inventory))
    refused(run, ["app_home", "app_program", "app_health_url"])


class _Operator:
    """Relays to HAProxy's socket, and lowers the level first, as `operator` on the CLI does."""

    def __init__(self, path: str, upstream: str) -> None:
        self._upstream = upstream
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(path)
        self._server.listen(8)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> _Operator:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _address = self._server.accept()
            except OSError:
                return
            with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as upstream:
                upstream.connect(self._upstream)
                question = client.recv(65536)
                upstream.sendall(b"operator;" + question)
                answer = b""
                while chunk := upstream.recv(65536):
                    answer += chunk
                client.sendall(re.sub(rb"^\n", b"", answer, count=1))
