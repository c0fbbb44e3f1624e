# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo fleet that the cases break: made once, copied back as it was before each of them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import SupervisorTransport

from demo import fleet as fleets
from demo import processes, pythons
from demo.fleet import BALANCER, SERVERS, Fleet
from demo.processes import Process
from demo.rotation import Observer, Seen
from tests.chaos.playbook import PATIENCE, Run
from tests.chaos.wrong import LeftOut, Wrong

ROOT = Path(__file__).resolve().parents[2]
# The kinds of fleet (tests/chaos/beds.py).
HAPROXY, NGINX, PROBE = "supervisord+haproxy", "systemd+nginx", "supervisord+probe"
EVERY = (HAPROXY, NGINX, PROBE)
# Those whose balancer is ours to talk to.
OURS = (HAPROXY, NGINX)
CACHE = ROOT / ".demo" / "cache"
OLD, MIDDLE, NEW = "20.0.1", "21.2.0", "23.0.0"
# One stage on the Python in place is enough for most cases; watching long is not what is tested.
INPUTS: dict[str, Any] = {
    "rollout_stages": [{"gunicorn": MIDDLE}],
    "gate_soak": 1,
    "gate_interval": 1,
}
RATE = 30.0
SLOWEST_ROLLBACK = 60.0
# Until HAProxy or the gate has taken the broken server out; generous, for a busy machine.
LONGEST_LOSS = 60.0
REQUEST = re.compile(
    r" (?P<backend>\S+)/(?P<server>\S+) [-\d/+]+ (?P<status>-?\d+) \+?\d+ \S+ \S+ (?P<state>\S{4}) "
)


def wait_for(what: str, true: Callable[[], object], patience: float = 60.0) -> None:
    deadline = time.monotonic() + patience
    while not true():
        if time.monotonic() > deadline:
            raise Wrong(f"{what}: not within {patience:g} s")
        time.sleep(0.05)


def free_network() -> str:
    for third in range(1, 250):
        network = f"127.77.{(os.getpid() + third) % 250}"
        places = [(f"{network}.10", 8080), (f"{network}.11", 8000), (f"{network}.12", 8000)]
        if not any(processes.port_problem(*place) for place in places):
            return network
    raise Wrong("no free loopback network")


class Bed:
    """A fleet under traffic, and the means to run playbooks on it, hurt it, and judge how it ends.

    ``broken`` and ``wrong`` are filled by the case; ``memory`` outlives it.
    """

    # Of every run on this kind of fleet: extra variables, and words before the command.
    kind_inputs: Mapping[str, Any] = {}
    through: tuple[str, ...] = ()
    # Whether a reloaded balancer knows no more who was taken out.
    forgets = True
    # Processes that are there by right, and would be taken for left behind.
    at_home = r"sshd|\bssh\b|faketime"

    def __init__(self, root: Path) -> None:
        self.fleet = Fleet(root / "fleet", free_network(), CACHE)
        self.memory: dict[str, Any] = {}
        self._template = root / "template"
        self._temporary = root / "tmp"
        self._undo: list[Callable[[], object]] = []
        self._fresh()

    def _fresh(self) -> None:
        # Further inventories of the runs, and what a host's supervisord finds in its environment.
        self.inventory: list[Path] = [*self.kind_inventory()]
        self.environment: dict[str, dict[str, str]] = {}
        self.runs: list[Run] = []
        self.wrong: list[str] = []
        self.broken: tuple[str, ...] = ()
        self.expected = False
        self.rollback: float | None = None
        self.end_state = ""
        self.sent = self.failed = self.lost = 0
        self._undo = []

    # -- before and after a case -----------------------------------------------------------------

    def make(self) -> None:
        """Once: a fleet on the old gunicorn with every release of its stages built beside it."""
        root = self.fleet.root
        root.mkdir(parents=True)
        self._temporary.mkdir()
        fleets.wheelhouse(CACHE, pythons.find().start, lambda _line: None)
        self.set_up()
        try:
            # Everything is built before the first drain.
            self.run(rollout_stages=None).reaches("Stage 1")
        finally:
            self.stop()
        for name in (BALANCER, *SERVERS):
            home = self.fleet.hosts[name].home
            for log in home.glob("*.log*"):
                log.unlink()
        for trace in ("locks", "leases"):
            shutil.rmtree(self.fleet.hosts[BALANCER].home / trace, ignore_errors=True)
        shutil.copytree(root, self._template, symlinks=True, ignore=lambda *_: ["cache", "run"])

    def set_up(self) -> None:
        """The files of the fleet, which serves then."""
        fleets.up(self.fleet, lambda _line: None)

    def kind_inventory(self) -> list[Path]:
        """What the hosts of this kind of fleet are told beside inventories/demo."""
        return []

    def close(self) -> None:
        """Nothing is left of it."""
        self.stop()

    def restore(self, prepare: Callable[[Bed], object] | None = None) -> None:
        """The fleet as it was made, up and in rotation."""
        self.rewind()
        if prepare:
            prepare(self)
        self.start()

    def rewind(self) -> None:
        """The files of the fleet as they were made; nothing of it runs."""
        self.stop()
        self._fresh()
        for name in (BALANCER, *SERVERS):
            home = self.fleet.hosts[name].home
            shutil.rmtree(home, ignore_errors=True)
            # cp: a copy of a virtualenv in Python takes three times as long.
            subprocess.run(["cp", "-a", str(self._template / name), str(home)], check=True)
        shutil.rmtree(self._temporary)
        self._temporary.mkdir()
        shutil.copy2(self._template / "fleet.json", self.fleet.state)
        fleets.make_socket_directory(self.fleet.sockets)

    def start(self) -> None:
        for name in (*SERVERS, BALANCER):
            self.start_host(name)
        wait_for("the fleet to serve", self.all_in_rotation, 180.0)

    def begin(self) -> None:
        """Traffic, and somebody who watches the balancer."""
        self._client = fleets.start_traffic(self.fleet, 1800, RATE)
        fleets.wait_for_traffic(self.fleet)
        # It asks for nothing but look().
        self.seen = Observer(cast(Any, self), SERVERS, lambda _name: None)
        self.seen.__enter__()

    def finish(self) -> None:
        """End the traffic and count what it lost, and through whom."""
        time.sleep(0.5)
        summary = fleets.stop_traffic(self._client, self.fleet)
        self.seen.__exit__()
        by_server = self.lost_by_server()
        self.sent, self.failed = summary["sent"], summary["failed"]
        if "balancer" in self.broken:
            self.lost = self.failed
        else:
            self.lost = min(self.failed, sum(by_server.get(name, 0) for name in self.broken))
        elsewhere = self.failed - self.lost
        if elsewhere:
            self.wrong.append(f"{elsewhere} requests lost: {summary['errors']} by {by_server}")
        span = (summary["last_failed"] or 0) - (summary["first_failed"] or 0)
        if self.lost and "balancer" not in self.broken and span > LONGEST_LOSS:
            self.wrong.append(f"{', '.join(self.broken)} lost requests for {span:.0f} s")
        if self.lost:
            self.end_state += f"; lost within {span:.1f} s"
        if not self.expected:
            self.wrong.append("the case expects nothing")

    def stop(self) -> None:
        """End at once whatever runs for this fleet, and undo what a case did to the machine."""
        for run in self.runs:
            run.kill()
        for _each in range(50):
            left = [process for _kind, process in self.processes()]
            if not left:
                break
            processes.end(left, signal.SIGKILL, 5.0)
        for undo in reversed(self._undo):
            undo()
        self._undo = []
        for path in self.fleet.sockets.glob("*.sock*"):
            path.unlink()

    def at_the_end(self, undo: Callable[[], object]) -> None:
        """What a case does to the machine and not to the fleet's files, it takes back by this."""
        self._undo.append(undo)

    # -- running playbooks -----------------------------------------------------------------------

    def run(self, name: str = "upgrade.yml", *arguments: str, **inputs: Any) -> Run:
        """Begin to run a playbook of the checkout. ``inputs`` are extra variables (see INPUTS);
        ``rollout_stages=None`` is all the stages of the demo."""
        given = {**INPUTS, **self.kind_inputs, **inputs}
        extra = {k: v for k, v in given.items() if v is not None}
        command = [str(Path(sys.executable).parent / "ansible-playbook"), name]
        command += ["-i", str(ROOT / "inventories/demo")]
        command += [word for path in self.inventory for word in ("-i", str(path))]
        environment = {
            **os.environ,
            "DEMO_ROOT": str(self.fleet.root),
            "TMPDIR": str(self._temporary),
            "ANSIBLE_NOCOLOR": "1",
            # What is read here is what ansible says by itself.
            "ANSIBLE_STDOUT_CALLBACK": "default",
            # Without it a task is named when it ends, and whoever waits for it comes too late.
            "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "true",
            # As over ssh (ansible.cfg): half as many processes for each task.
            "ANSIBLE_PIPELINING": "true",
            "PYTHONUNBUFFERED": "1",
            # uv brings authorities of its own; a machine may trust others.
            "UV_SYSTEM_CERTS": "1",
        }
        command = [*self.through, *command, *arguments, "-e", json.dumps(extra)]
        run = Run(command, ROOT, environment, inside=bool(self.through))
        self.runs.append(run)
        return run

    def ends(
        self, run: Run, code: int | None = None, says: str = "", patience: float = PATIENCE
    ) -> int:
        """Wait for a run and judge it: its exit code (None: any but 0), a regex of its words."""
        ended = run.wait(patience)
        if ended == 0 if code is None else ended != code:
            wanted = "a failure" if code is None else code
            self.wrong.append(f"it ended with {ended} and not with {wanted}: {run.end}")
        elif says and not re.search(says, run.words):
            self.wrong.append(f"it does not say {says!r}: {run.end}")
        return ended

    def converges(self, *arguments: str, **inputs: Any) -> None:
        """One plain run of the same command ends well."""
        self.ends(self.run("upgrade.yml", *arguments, **inputs), 0)

    # -- the hosts -------------------------------------------------------------------------------

    def home(self, name: str) -> Path:
        return self.fleet.hosts[name].app_home

    def start_host(self, name: str) -> None:
        environment = {**fleets.clean_environment(), **self.environment.get(name, {})}
        fleets.start_supervisor(self.fleet.hosts[name], environment)

    def processes(self) -> list[tuple[str, Process]]:
        """Whatever lives for this fleet, with what it is; by command line and by environment."""
        found = []
        for entry in os.listdir("/proc"):
            process = processes.read(int(entry)) if entry.isdigit() else None
            if process is None or process.pid == os.getpid():
                continue
            kind = processes.role(process.argv, str(self.fleet.root))
            if kind is None and self._belongs(process):
                kind = "other"
            if kind:
                found.append((kind, process))
        return found

    def _belongs(self, process: Process) -> bool:
        root = os.fsencode(self.fleet.root.parent) + b"/"
        with contextlib.suppress(OSError):
            if root in Path(f"/proc/{process.pid}/environ").read_bytes():
                return True
        return any(os.fsdecode(root) in word for word in process.argv)

    def of_host(self, name: str, kind: str = "") -> list[Process]:
        """The processes of one host, of one kind (supervisord, gunicorn, haproxy) or of all."""
        home = f"{self.fleet.hosts[name].home}/"
        return [
            process
            for found, process in self.processes()
            if found in (kind or ("supervisord", "gunicorn", "haproxy"))
            and any(word.startswith(home) for word in process.argv)
        ]

    def stop_supervisor(self, name: str) -> None:
        """In order: it stops its programs first."""
        left = processes.end(self.of_host(name, "supervisord"), signal.SIGTERM, 45.0)
        if left:
            raise Wrong(f"supervisord of {name} does not end")

    def kill_host(self, name: str) -> None:
        """As if its power were cut."""
        for kind in ("supervisord", "gunicorn", "haproxy"):
            processes.end(self.of_host(name, kind), signal.SIGKILL, 10.0)

    def drained(self, name: str) -> None:
        """Wait until the balancer has it out and with nothing in flight."""

        def gone() -> bool:
            seen = self.look()[name]
            return bool(seen.admin) and not seen.sessions

        wait_for(f"{name} to be drained", gone, 120.0)

    def arbiter(self, name: str) -> int:
        told = fleets.version(self.fleet, name)
        if told is None:
            raise Wrong(f"{name} does not answer")
        return int(told["arbiter_pid"])

    def append_to_app(self, name: str, code: str) -> None:
        """What workers started from here on will run."""
        with (self.home(name) / "app.py").open("a") as file:
            file.write("\n\n" + code)

    def mount(self, place: Path, options: str) -> None:
        """A file system that can be full, until the case ends. Only root may."""
        command = ["mount", "-t", "tmpfs", "-o", f"mode=755,{options}", "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LeftOut(f"nothing can be mounted here: {done.stderr.strip()}")
        self.at_the_end(lambda: subprocess.run(["umount", "-l", str(place)], check=True))

    def forget_releases(self, name: str) -> None:
        """So that a run has to build them."""
        shutil.rmtree(self.home(name) / "releases")

    # -- the balancer ----------------------------------------------------------------------------

    def look(self) -> dict[str, Seen]:
        """Each server as the balancer has it: up, taken out (by us), with so many requests."""
        return self.fleet.admin.look()

    def balancer_pid(self) -> int:
        """The process of the balancer that serves; 0 when none does."""
        with contextlib.suppress(OSError, IndexError):
            return int(self.fleet.admin.ask("show info").split("\nPid: ")[1].split()[0])
        return 0

    def reload_balancer(self) -> None:
        before = self.balancer_pid()
        with self.manager_of_balancer() as supervisor:
            master = supervisor.getProcessInfo("haproxy")["pid"]
        os.kill(master, signal.SIGUSR2)
        wait_for("HAProxy is another process", lambda: self.balancer_pid() not in (0, before))

    @contextlib.contextmanager
    def manager_of_balancer(self) -> Iterator[Any]:
        """Its supervisord."""
        url = f"unix://{self.fleet.hosts[BALANCER].supervisor_socket}"
        with contextlib.closing(SupervisorTransport(None, None, url)) as transport:
            yield xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def balancer_gone(self, seconds: float = 0.0) -> None:
        """Stop it as its service manager does, and start it again so much later."""
        with self.manager_of_balancer() as supervisor:
            supervisor.stopProcess("haproxy")
            time.sleep(seconds)
            supervisor.startProcess("haproxy")
        wait_for("HAProxy is back", self.balancer_pid)

    def all_in_rotation(self) -> bool:
        return not self.out_of_rotation() and None not in (
            fleets.version(self.fleet, name) for name in SERVERS
        )

    def out_of_rotation(self) -> list[str]:
        try:
            looked = self.look()
        except (OSError, KeyError, ValueError):
            return list(SERVERS)
        return [name for name in SERVERS if name not in looked or not looked[name].in_rotation]

    # -- judging ---------------------------------------------------------------------------------

    def check(self, holds: object, otherwise: str) -> None:
        if not holds:
            self.wrong.append(otherwise)

    def expect(
        self,
        web1: str,
        web2: str,
        out: tuple[str, ...] = (),
        broken: tuple[str, ...] = (),
        left: tuple[str, ...] = (),
        patience: float = 30.0,
    ) -> None:
        """The end of a case: who runs what, who is out of rotation, nothing left behind.

        ``broken``: the servers that the case itself broke under traffic (or "balancer"): only what
        they lost is forgiven. ``left``: globs of what may be left behind.
        """
        self.expected, self.broken = True, broken
        with contextlib.suppress(Wrong):
            wait_for("", lambda: self.out_of_rotation() == sorted(out), patience)
        self.check(self.serves(), "the fleet does not serve")
        now = self.out_of_rotation()
        self.check(now == sorted(out), f"out of rotation: {now or 'nobody'}")
        words = []
        for name, wanted in (("web1", web1), ("web2", web2)):
            told = fleets.version(self.fleet, name, 5.0) or {}
            version = told.get("gunicorn", "no answer")
            words.append(f"{name} {version}{' OUT' if name in now else ''}")
            self.check(version == wanted, f"{name}: {version}, and not {wanted}")
        codes = [str(run.wait()) for run in self.runs]
        self.end_state = f"{', '.join(words)}; exit {', '.join(codes) or '-'}"
        for path in self.left_overs():
            if not any(path.match(each) for each in left):
                self.wrong.append(f"left behind: {path}")

    def serves(self) -> bool:
        connection = http.client.HTTPConnection(self.fleet.front, timeout=10)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def left_overs(self) -> list[Path]:
        """Files and processes that no finished run may leave behind."""
        patterns = ["lb1/locks/*.lock", "lb1/leases/*.json", "web?/app/.venv*", "web?/app/.tmp*"]
        patterns += ["web?/app/releases/.build-*/*", "web?/app/releases/.tmp-*"]
        root = self.fleet.root
        found = [path.relative_to(root) for each in patterns for path in root.glob(each)]
        found += [Path("tmp") / path.name for path in self._temporary.glob("gunicorn-boot-*")]
        for kind, process in self.processes():
            words = " ".join(process.argv)
            if kind == "other" and not re.search(self.at_home, words):
                found.append(Path(f"process {process}"))
            if kind == "gunicorn" and "--check-config" in words:
                found.append(Path(f"process {process}"))
        return found

    def undrained(self, *names: str) -> None:
        """Nobody took these out. What the balancer's own checks found is not meant."""
        for name in names:
            told = [each for each in self.seen.outages(name) if each.draining + each.switching]
            self.check(not told, f"{name} was taken out of rotation {len(told)} times")

    def rolled_back(self, run: Run, name: str = "web1") -> None:
        """From the decision to go back until the host is in rotation again."""
        began = run.reaches("repair | Remember what failed").at
        ends = [each.began + each.total for each in self.seen.outages(name) if each.over]
        took = max(ends, default=0.0) - began
        if took < 0:
            self.wrong.append(f"{name} never came back into rotation")
            return
        self.rollback = took
        self.check(took < SLOWEST_ROLLBACK, f"the way back took {took:.1f} s")

    def lost_by_server(self) -> dict[str, int]:
        """Requests that HAProxy could not answer well, by the server that it had chosen."""
        lost: dict[str, int] = {}
        for log in sorted(self.fleet.hosts[BALANCER].home.glob("haproxy.log*")):
            for line in log.read_text(errors="replace").splitlines():
                found = REQUEST.search(line)
                if found and (found["status"] != "200" or not found["state"].startswith("--")):
                    lost[found["server"]] = lost.get(found["server"], 0) + 1
        return lost
