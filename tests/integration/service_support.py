# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real supervisord with real gunicorns in real virtualenvs, each test in a home of its own."""

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

from demo import pythons

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
OLD, NEW = "20.0.4", "23.0.0"
# Loaded machines boot a gunicorn in 10 s.
PATIENCE = 60

APP = """
import json, os, signal, sys, threading, time
import gunicorn

here = os.path.dirname(os.path.abspath(__file__))
trouble = os.path.join(here, "trouble-" + gunicorn.__version__)
if os.path.exists(trouble):
    kind, _, value = open(trouble).read().partition(":")
    if kind == "import":
        raise RuntimeError("api_key=hunter2 cannot start on this Python")
    if kind == "die":
        def die():
            time.sleep(float(value))
            os.kill(os.getppid(), signal.SIGKILL)
        threading.Thread(target=die, daemon=True).start()


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/slow/"):
        time.sleep(float(path[6:]))
    start_response(environ.get("HTTP_STATUS", "200 OK"), [("Content-Type", "application/json")])
    return [json.dumps({
        "gunicorn": gunicorn.__version__,
        "python": "%d.%d.%d" % sys.version_info[:3],
        "arbiter": os.getppid(),
        "worker": os.getpid(),
    }).encode()]
"""


def unavailable(reason):
    """Leave a test out on a poor machine; in CI that would be a hole."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def wait_for(what, timeout=PATIENCE, every=0.02):
    deadline = time.monotonic() + timeout
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {timeout} s in vain for {what}"
        time.sleep(every)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@functools.lru_cache(None)
def interpreters():
    """{"3.6": path, ...}: a CPython of each minor version that is here."""
    return {python.short: python.executable for python in pythons.every()}


def _minor(version):
    return int(version.split(".")[1])


def old_python():
    fit = [v for v in interpreters() if 6 <= _minor(v) <= 11]
    return min(fit, key=_minor) if fit else unavailable("no Python 3.6 to 3.11 for gunicorn 20.0.4")


def new_python():
    fit = [v for v in interpreters() if 7 <= _minor(v) <= 13]
    if not fit:
        unavailable("no Python 3.7 to 3.13 for gunicorn 23.0.0")
    return "3.11" if "3.11" in fit else max(fit, key=_minor)


def build_venv(path, python, *packages):
    """A virtualenv at its own real path; the packages come from uv's cache after the first time."""
    subprocess.run(
        [interpreters()[python], "-m", "venv", "--without-pip", str(path)],
        check=True,
        capture_output=True,
    )
    uv = shutil.which("uv", path=f"{BIN}:{os.environ['PATH']}")
    if not uv:
        unavailable("uv is not installed")
    # The index needs no test of ours: an unreachable one is retried a little.
    command = [uv, "pip", "install", "-q", "--python", f"{path}/bin/python", *packages]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    if said.returncode:
        unavailable(f"cannot install {packages} on Python {python}: {said.stderr[-500:]}")


class Fleet:
    """One host's supervisord, its program ``app`` and another program that must be left alone."""

    def __init__(self):
        # A Unix socket's path may have 107 bytes; pytest's directories are too long.
        self.dir = Path(tempfile.mkdtemp(prefix="svc-"))
        self.home = self.dir / "home"
        self.releases = self.home / "releases"
        self.releases.mkdir(parents=True)
        (self.home / "wsgi.py").write_text(APP)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/healthz"
        self.socket = self.dir / "s.sock"
        self.daemon = None
        self.seen = set()

    # -- building

    def release(self, gunicorn, python, *extra, name=None):
        name = name or f"{gunicorn}-py{python}-{'0' * 8}"
        self._fill(self.releases / name, gunicorn, python, extra)
        return name

    def directory_venv(self, gunicorn, python, *extra):
        self._fill(self.home / "venv", gunicorn, python, extra)

    def _fill(self, path, gunicorn, python, extra):
        pin = ["setuptools<81"] if gunicorn.startswith("20.") else []
        build_venv(path, python, f"gunicorn=={gunicorn}", *pin, *extra)

    def link(self, name):
        (self.home / "venv").symlink_to(f"releases/{name}")

    def script(self, text, name="run.sh"):
        path = self.home / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def trouble(self, gunicorn, kind):
        (self.home / f"trouble-{gunicorn}").write_text(kind)

    # -- supervisord

    def start(self, command=None, settings="", environment="", http="", other=True):
        args = f"-w 2 -b 127.0.0.1:{self.port} wsgi:app"
        command = (command or "{venv}/bin/gunicorn {args}").format(
            venv=self.home / "venv", args=args, home=self.home, port=self.port, dir=self.dir
        )
        include = ""
        if other:
            (self.dir / "other.conf").write_text(
                f"[program:other]\ncommand={sys.executable} -c 'import time; time.sleep(9999)'\n"
            )
            include = "[include]\nfiles=other.conf\n"
        (self.dir / "supervisord.conf").write_text(f"""
[unix_http_server]
file={self.socket}
{http}
[supervisord]
logfile={self.dir}/supervisord.log
pidfile={self.dir}/supervisord.pid
childlogdir={self.dir}
nodaemon=true
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:app]
command={command}
directory={self.home}
environment=HOME="{self.dir}"{environment}
stdout_logfile={self.dir}/app.out.log
stderr_logfile={self.dir}/app.err.log
stopwaitsecs=35
killasgroup=true
{settings}
{include}
""")
        self.daemon = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", self.dir / "supervisord.conf"],
            stdout=(self.dir / "daemon.log").open("w"), stderr=subprocess.STDOUT,
            env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"},
        )  # fmt: skip
        wait_for(self.socket.exists)
        return self

    def up(self, path="/healthz"):
        return wait_for(lambda: self.get(path))

    def get(self, path="/healthz", timeout=30):
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}{path}", timeout=timeout
            ) as r:
                return json.load(r)
        except (OSError, ValueError):
            return None

    def ctl(self, *words):
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-s", f"unix://{self.socket}"]
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def pid(self, program="app"):
        return int(self.ctl("pid", program))

    def close(self):
        """End what was started here, by pid."""
        pids = self.pids()
        if self.daemon:
            self.daemon.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.daemon.wait(5)
        for pid in pids | self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.daemon:
            self.daemon.kill()
            self.daemon.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def pids(self):
        """The processes whose working directory or command line lies in this fleet's directory."""
        found = set()
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid():
                with contextlib.suppress(OSError):
                    cwd = os.readlink(f"/proc/{entry}/cwd")
                    cmdline = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace")
                    mine = str(self.dir) + "/"
                    if (cwd + "/").startswith(mine) or mine in cmdline:
                        found.add(int(entry))
        if self.daemon:
            found.discard(self.daemon.pid)
        return found

    # -- modules

    def options(self, **more):
        known = {
            "home": str(self.home),
            "program": "app",
            "supervisor_url": f"unix://{self.socket}",
        }
        return {**known, **more}

    def info(self, **more):
        return run_module("gunicorn_info", self.options(**more))

    def activate(self, release, check=False, **more):
        return run_module("active_release", self.switch_options(release, **more), check)

    def switch_options(self, release, **more):
        options = {"url": self.url, "start_timeout": PATIENCE, "release": release}
        # Not root's own: a test leaves nothing behind on the machine.
        options["state_directory"] = str(self.dir / "state")
        return self.options(**{**options, **more})


def module_command(name, options, check=False):
    code = (
        "import json, sys\n"
        "from ansible.module_utils.testing import patch_module_args\n"
        f"from ansible_collections.fleetops.gunicorn.plugins.modules import {name} as module\n"
        "with patch_module_args(json.loads(sys.argv[1])):\n"
        "    module.main()\n"
    )
    return [sys.executable, "-c", code, json.dumps({**options, "_ansible_check_mode": check})]


def run_module(name, options, check=False):
    """Run a module as Ansible would, in a process of its own, and return its answer."""
    done = subprocess.run(
        module_command(name, options, check), capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT / ".collections")},
        check=False,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, f"no answer: {done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    return json.loads(lines[-1])
