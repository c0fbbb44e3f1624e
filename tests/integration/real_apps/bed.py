"""A fleet of two servers that runs an application nobody here wrote, behind a real HAProxy."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pwd
import shlex
import shutil
import string
import subprocess
import sys
import threading
import time
import xmlrpc.client
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from supervisor.xmlrpc import SupervisorTransport

from demo import fleet as fleets
from demo import processes, pythons
from demo.rotation import Admin, Seen

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
SERVERS = {"web1": 11, "web2": 12}
PORT, FRONT_PORT = 8000, 8080

HAPROXY = """
global
    stats socket $sockets/haproxy.sock mode 600 level admin
defaults
    mode http
    option http-server-close
    retries 0
    timeout connect 5s
    timeout queue 10s
    timeout client 60s
    timeout server 60s
    timeout check 20s
$applications"""

APPLICATION = """
frontend front-$name
    bind $network.10:$port
    default_backend $name
backend $name
    balance roundrobin
    option httpchk
    http-check send meth GET uri $health ver HTTP/1.1 hdr Host $check_host
    http-check expect status $status
    # Within `inter` a check must have connected, TLS and all: on a busy machine that takes a while.
    default-server check inter 2s fastinter 500ms downinter 500ms fall 3 rise 2 weight 100$tls
"""

PROGRAM = """
[program:$name]
command=$command
directory=$directory
environment=$environment
$user
startsecs=7
autorestart=true
stopsignal=TERM
stopasgroup=false
killasgroup=true
stopwaitsecs=35
stdout_logfile=$logs/$name.log
redirect_stderr=true
"""


class App(NamedTuple):
    """One application, in the shape in which people run it.

    In every text ``{home}`` is its directory, ``{venv}`` the live virtualenv, ``{address}`` and
    ``{port}`` where it listens, ``{front}`` the balancer's address, ``{python}`` what it starts on.
    """

    name: str
    packages: Sequence[str]
    command: str
    # A minor version, or the path of an interpreter.
    python: str = "3.10"
    gunicorn: str = "20.1.0"
    stages: Sequence[Mapping[str, Any]] = (
        {"gunicorn": "21.2.0"},
        {"gunicorn": "23.0.0", "python": "3.11"},
    )
    # What its clients ask for, and what its health page is; all of them answer 200 but where said.
    ask: str = "/"
    health: str = "/"
    health_status: int = 200
    health_host: str = "localhost"
    tls: bool = False
    # The Unix socket on which it listens, rather than at its address.
    socket: str = ""
    files: Mapping[str, str] = {}
    # Commands that make what it needs, once on each server before it starts.
    prepare: Sequence[str] = ()
    environment: Mapping[str, str] = {}
    # Further programs of the same virtualenv: name and command.
    beside: Mapping[str, str] = {}
    directory: str = "app"
    user: str = ""
    # What the operator sets.
    inputs: Mapping[str, Any] = {}


class Ended(NamedTuple):
    """How an ansible command ended, and all that it printed."""

    code: int
    text: str

    @property
    def words(self) -> str:
        """The output with line breaks folded, for messages that are wrapped."""
        return " ".join(self.text.replace("\\n", " ").split())


@dataclasses.dataclass
class Rotation:
    """How often it was looked, and which servers were ever out."""

    count: int = 0
    out: set[str] = dataclasses.field(default_factory=set)


class Bed:
    """Applications on two servers; ``root`` is all that they own."""

    def __init__(self, root: Path, *apps: App) -> None:
        self.root = root
        self.apps = apps
        self.network = _free_network(len(apps))
        self.sockets = fleets.socket_directory(root)
        self._environment = fleets.clean_environment()

    # -- places ----------------------------------------------------------------------------------

    def home(self, app: App, server: str) -> Path:
        return self.root / server / app.name / app.directory

    def _words(self, app: App, server: str) -> dict[str, str]:
        home = self.home(app, server)
        return {
            "home": str(home),
            "venv": f"{home}/venv",
            "address": f"{self.network}.{SERVERS[server]}",
            "port": str(PORT + self.apps.index(app)),
            "python": app.python,
            "front": f"{self.network}.10",
        }

    def front(self, app: App) -> str:
        return f"http://{self.network}.10:{FRONT_PORT + self.apps.index(app)}"

    def supervisor_socket(self, server: str) -> Path:
        return self.sockets / f"{server}.sock"

    def versions(self, app: App, server: str) -> tuple[str, str]:
        """gunicorn and Python of the release that the link names."""
        code = "import gunicorn, sys; print(gunicorn.__version__, '%d.%d' % sys.version_info[:2])"
        python = self.home(app, server) / "venv/bin/python"
        done = subprocess.run(
            [python, "-I", "-c", code], capture_output=True, text=True, check=True
        )
        gunicorn, version = done.stdout.split()
        return gunicorn, version

    def programs(self, server: str) -> dict[str, tuple[str, int]]:
        """State and pid of each program of a server, as its supervisord says."""
        socket = f"unix://{self.supervisor_socket(server)}"
        with contextlib.closing(SupervisorTransport(None, None, socket)) as transport:
            proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
            answer: Any = proxy.supervisor.getAllProcessInfo()
        return {each["name"]: (each["statename"], each["pid"]) for each in answer}

    def footprint(self, app: App, server: str) -> tuple[object, ...]:
        """What no run that is not about an application may change: its programs and its files."""
        home = self.home(app, server)
        programs = self.programs(server)
        live = home / "venv"
        return (
            *(programs[name] for name in (app.name, *app.beside)),
            os.readlink(live) if live.is_symlink() else live.stat().st_ino,
            # Not what is in them: a running application writes its bytecode.
            tuple(sorted(os.listdir(home))),
            tuple(sorted(os.listdir(home / "releases"))) if (home / "releases").exists() else (),
        )

    @contextlib.contextmanager
    def rotation(self, app: App) -> Iterator[Rotation]:
        """Look all the while whether a server of the application is out of rotation."""
        found = Rotation()
        stop = threading.Event()

        def look() -> None:
            while not stop.wait(0.1):
                with contextlib.suppress(OSError):
                    seen = self._look(app)
                    found.count += 1
                    found.out |= {name for name, each in seen.items() if not each.in_rotation}

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            stop.set()
            thread.join(10)

    # -- up and down -----------------------------------------------------------------------------

    def up(self) -> None:
        fleets.make_socket_directory(self.sockets)
        for server in SERVERS:
            (self.root / server).mkdir(parents=True)
            for app in self.apps:
                self._install(app, server)
            self._supervisord(
                server,
                "".join(
                    self._program(app, server, name, command)
                    for app in self.apps
                    for name, command in {app.name: app.command, **app.beside}.items()
                ),
            )
        balancer = self.root / "lb1"
        balancer.mkdir()
        (balancer / "haproxy.cfg").write_text(self._haproxy())
        self._supervisord(
            "lb1",
            f"\n[program:haproxy]\ncommand={fleets.haproxy()} -W -db -f {balancer}/haproxy.cfg\n"
            f"autorestart=true\nstdout_logfile={balancer}/haproxy.log\nredirect_stderr=true\n",
        )
        (self.root / "traffic").mkdir()
        self._wait_until_up()

    def down(self) -> None:
        processes.end_fleet(self.root)
        with contextlib.suppress(OSError):
            shutil.rmtree(self.sockets)

    def _install(self, app: App, server: str) -> None:
        home = self.home(app, server)
        home.mkdir(parents=True)
        words = self._words(app, server)
        venv = words["venv"]
        self._run([python_of(app.python), "-m", "venv", "--without-pip", venv])
        wanted = [f"gunicorn=={app.gunicorn}", "setuptools<81", *app.packages]
        self._run(
            [str(BIN / "uv"), "pip", "install", "--quiet", "--no-config", "--link-mode", "copy"]
            + ["--python", f"{venv}/bin/python", *wanted]
        )
        for name, text in app.files.items():
            path = home / _filled(name, words)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_filled(text, words))
        environment = {name: _filled(text, words) for name, text in app.environment.items()}
        for command in app.prepare:
            self._run(shlex.split(_filled(command, words)), cwd=home, more=environment)
        if app.user:
            entry = pwd.getpwnam(app.user)
            # The releases are root's; what it writes itself is the application's.
            home.chmod(0o755)
            for path in home.iterdir():
                if path.name != "venv":
                    self._run(["chown", "-R", f"{entry.pw_uid}:{entry.pw_gid}", str(path)])

    def _program(self, app: App, server: str, name: str, command: str) -> str:
        words = self._words(app, server)
        environment = ",".join(
            f'{key}="{_filled(text, words)}"' for key, text in app.environment.items()
        )
        return string.Template(PROGRAM).substitute(
            name=name,
            command=_filled(command, words),
            directory=words["home"],
            environment=environment,
            user=f"user={app.user}" if app.user else "",
            logs=self.root / server,
        )

    def _supervisord(self, server: str, programs: str) -> None:
        home = self.root / server
        host = fleets.Host(server, "", home, self.supervisor_socket(server))
        (home / "supervisord.conf").write_text(
            fleets.template(
                "supervisord.conf",
                name=server,
                home=home,
                socket=host.supervisor_socket,
                user="user=root\n" if os.getuid() == 0 else "",
                program=programs,
            )
        )
        fleets.start_supervisor(host, self._environment)

    def _haproxy(self) -> str:
        applications = ""
        for number, app in enumerate(self.apps):
            applications += string.Template(APPLICATION).substitute(
                name=app.name,
                network=self.network,
                port=FRONT_PORT + number,
                health=app.health,
                check_host=app.health_host,
                status=app.health_status,
                tls=" ssl verify none" if app.tls else "",
            )
            for server, last in SERVERS.items():
                at = f"{self.network}.{last}:{PORT + number}"
                if app.socket:
                    at = f"unix@{_filled(app.socket, self._words(app, server))}"
                applications += f"    server {server} {at}\n"
        return string.Template(HAPROXY).substitute(sockets=self.sockets, applications=applications)

    def _run(
        self,
        command: Sequence[str],
        cwd: Path | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        done = subprocess.run(
            list(command),
            cwd=cwd,
            env={**os.environ, **(more or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"[-4000:]

    def _wait_until_up(self, patience: float = 300.0) -> None:
        deadline = time.monotonic() + patience
        while True:
            with contextlib.suppress(OSError):
                up = [server.up for app in self.apps for server in self._look(app).values()]
                states = {state for name in SERVERS for state, _pid in self.programs(name).values()}
                if len(up) == len(SERVERS) * len(self.apps) and all(up) and states == {"RUNNING"}:
                    return
            if time.monotonic() > deadline:
                logs = sorted(self.root.glob("*/*.log"))
                tails = "\n".join(f"{path}:\n{fleets.tail(path, 30)}" for path in logs)
                raise AssertionError(f"the applications did not come up:\n{tails}")
            time.sleep(0.2)

    def _look(self, app: App) -> Mapping[str, Seen]:
        return Admin(str(self.sockets / "haproxy.sock"), app.name).look()

    # -- what an operator does -------------------------------------------------------------------

    def inventory(self, app: App) -> Path:
        hosts = {
            server: {
                "app_home": str(self.home(app, server)),
                "service_supervisor_url": f"unix://{self.supervisor_socket(server)}",
                "app_health_url": self._health_url(app, words),
            }
            for server in SERVERS
            for words in [self._words(app, server)]
        }
        everybody = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "app_program": app.name,
            "load_balancer_socket": str(self.sockets / "haproxy.sock"),
            "load_balancer_backends": [app.name],
            "load_balancer_lease_directory": str(self.root / "lb1/leases"),
            "rollout_lock_directory": str(self.root / "lb1/locks"),
            "rollout_fleet": app.name,
            "rollout_stages": [dict(stage) for stage in app.stages],
            "gate_soak": 5,
            "gate_interval": 1,
            **app.inputs,
        }
        path = self.root / f"{app.name}.json"
        path.write_text(
            json.dumps(
                {
                    "all": {
                        "vars": everybody,
                        "children": {
                            "lb": {"hosts": {"lb1": {}}},
                            "web": {"hosts": hosts},
                        },
                    }
                }
            )
        )
        return path

    def _health_url(self, app: App, words: Mapping[str, str]) -> str:
        if app.socket:
            return f"unix:{_filled(app.socket, words)}:{app.health}"
        scheme = "https" if app.tls else "http"
        return f"{scheme}://{words['address']}:{words['port']}{app.health}"

    def playbook(self, app: App, name: str, *arguments: str, **inputs: Any) -> Ended:
        return self.ended(self.start(app, name, *arguments, **inputs))

    def start(self, app: App, name: str, *arguments: str, **inputs: Any) -> subprocess.Popen[str]:
        """Begin to run a playbook of the checkout; ``inputs`` are extra variables."""
        command = [str(BIN / "ansible-playbook"), "-i", str(self.inventory(app)), name, *arguments]
        if inputs:
            command += ["-e", json.dumps(inputs)]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ended(self, run: subprocess.Popen[str], patience: float = 3000.0) -> Ended:
        """Wait for a run; one that takes too long is ended, and fails the test."""
        try:
            text = run.communicate(timeout=patience)[0]
        except subprocess.TimeoutExpired:
            run.terminate()
            text = run.communicate(timeout=60)[0]
            raise AssertionError(f"not done within {patience:g} s:\n{text[-6000:]}") from None
        return Ended(run.returncode, text)

    @contextlib.contextmanager
    def traffic(self, app: App, rate: float = 20.0) -> Iterator[dict[str, Any]]:
        """Requests all the while; the dictionary holds ``sent`` and ``failed`` when it is over."""
        out = self.root / "traffic" / app.name
        command = [sys.executable, str(ROOT / "demo/traffic.py"), self.front(app)]
        command += ["--out", str(out), "--seconds", "1800", "--rate", f"{rate:g}"]
        command += ["--quick", app.ask, "--slow-share", "0"]
        seen: dict[str, Any] = {}
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as client:
            try:
                yield seen
            finally:
                client.terminate()
                client.wait(60)
        seen.update(json.loads(out.with_suffix(".json").read_text()))


def python_of(version: str) -> str:
    """An interpreter of that minor version, as the product finds it; a path is itself."""
    if version.startswith("/"):
        return version
    found = pythons.find_python.find_python(version, [], None, str(BIN / "uv"))
    if found.interpreter is None:
        raise pythons.DemoError(f"Python {version} is not on this machine: {found}")
    return found.interpreter.executable


def _filled(text: str, words: Mapping[str, str]) -> str:
    for name, word in words.items():
        text = text.replace("{" + name + "}", word)
    return text


def _free_network(applications: int) -> str:
    for third in range(1, 250):
        network = f"127.75.{(os.getpid() + third) % 250}"
        places = [(f"{network}.10", FRONT_PORT + number) for number in range(applications)]
        places += [
            (f"{network}.{last}", PORT + number)
            for last in SERVERS.values()
            for number in range(applications)
        ]
        if not any(processes.port_problem(*place) for place in places):
            return network
    raise AssertionError("no free loopback network")
