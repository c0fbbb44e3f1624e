# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Applications in homes of their own, real Pythons, real installers, modules as Ansible runs "
"them."""

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.find_python import (
    find_python,
    find_uv,
)

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = ROOT / ".collections"
MODULES = ROOT / "plugins" / "modules"
# Loaded machines boot a gunicorn in 10 s.
PATIENCE = 60

APP = """
import json, os, sys
from flask import Flask
import gunicorn
here = os.path.dirname(os.path.abspath(__file__))
exec(open(os.path.join(here, "trouble.py")).read())
app = Flask(__name__)

@app.route("/healthz")
def healthz():
    return health()

@app.route("/version")
def version():
    return json.dumps({"gunicorn": gunicorn.__version__, "python": sys.version.split()[0],
                       "environ": dict(os.environ), "argv": sys.argv, "prefix": sys.prefix})
"""
NO_TROUBLE = "health = lambda: 'ok'\n"

# Runs a module just as Ansible does on a host, apart from the packing.
DRIVER = """
import contextlib, json, os, runpy, sys
args = json.load(open(sys.argv[2]))
check = args.pop("_check", False)
diff = args.pop("_diff", True)
args.update(_ansible_check_mode=check, _ansible_diff=diff, _ansible_remote_tmp="/tmp")
from ansible.module_utils import basic
try:
    from ansible.module_utils.testing import patch_module_args
except ImportError:
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": args}).encode()
    patch_module_args = lambda args: contextlib.nullcontext()
with patch_module_args(args):
    runpy.run_path(sys.argv[1], run_name="__main__")
"""


def missing(reason):
    """Skip on a developer's machine; in CI, leaving something out is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail("CI must have it: " + reason)
    pytest.skip(reason)


@functools.cache
def _python(version, anybody):
    user = None
    if anybody and os.geteuid() == 0:
        from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import User

        user = User(65534, 65534, (65534,))
    found = find_python(version, [], user, find_uv())
    return found.interpreter.executable if found.interpreter else None


def python(version, anybody=False):
    """A real Python of this machine; ``anybody``: one that not only root can run."""
    path = _python(version, anybody)
    if path is None:
        missing(f"no Python {version} on this machine")
    return path


def uv():
    return find_uv() or missing("no uv on this machine")


@functools.cache
def certificates():
    """Whom this machine trusts, as it tells pip; None for the usual authorities."""
    asked = [sys.executable, "-m", "pip", "config", "list"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    found = re.search(r"^(?:global|:env:)\.cert='(.+)'$", told, re.MULTILINE)
    return found and found.group(1)


def installer_environment():
    """This machine's pip configuration is none of the tests' business, but for whom it trusts."""
    env = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PIP_", "UV_", "PYTHON", "ANSIBLE", "VIRTUAL_ENV"))
        or key == "PIP_DEFAULT_TIMEOUT"
    }
    if certificates():
        env["PIP_CERT"] = certificates()
        env.setdefault("SSL_CERT_FILE", certificates())
    env["PIP_CONFIG_FILE"] = os.devnull
    env["UV_HTTP_RETRIES"] = "1"
    env["PIP_RETRIES"] = "1"
    return env


class Outcome(NamedTuple):
    failed: bool
    result: dict
    output: str

    @property
    def msg(self):
        return self.result.get("msg", "")


def command(module, arguments, directory):
    """The command that runs a module, its arguments in a file, as nobody may see them."""
    file = Path(directory) / f"args-{time.monotonic_ns()}.json"
    file.touch(0o600)
    file.write_text(json.dumps(arguments))
    return [sys.executable, "-c", DRIVER, str(MODULES / f"{module}.py"), str(file)]


def environment(extra=None):
    env = dict(installer_environment(), PYTHONPATH=str(COLLECTIONS), PYTHONDONTWRITEBYTECODE="1")
    return dict(env, **(extra or {}))


def run_module(module, arguments, directory, env=None, umask=None):
    """Run a module to its end."""
    done = subprocess.run(
        command(module, arguments, directory),
        env=environment(env),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=600,
        preexec_fn=(lambda: os.umask(umask)) if umask is not None else None,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, f"no result from {module}:\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    result = json.loads(lines[-1])
    return Outcome(bool(result.get("failed")), result, done.stdout + done.stderr)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(what, why="it did not come about", patience=PATIENCE):
    """Poll until true, within bounds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        value = what()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(why)


def get(port, path="/healthz"):
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).read().decode()
    return None


def processes_with(*needles):
    """pids of processes that have all of these in their command line or environment."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError):
                place = Path("/proc") / name
                text = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
                if all(str(needle).encode() in text for needle in needles):
                    found.append(int(name))
    return found


def make_venv(path, interpreter, *requirements):
    """A virtualenv as an operator makes it: python -m venv, then pip."""
    env = installer_environment()
    subprocess.run([interpreter, "-m", "venv", str(path)], check=True, env=env)
    pip = [str(path / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    if "3.6" in os.path.basename(interpreter):
        subprocess.run(pip + ["pip==21.3.1"], check=True, env=env, stderr=subprocess.DEVNULL)
    subprocess.run(pip + list(requirements), check=True, env=env)


class Home:
    """The directory of an application."""

    def __init__(self, path):
        self.path = Path(path)
        self.path.mkdir(mode=0o755)
        (self.path / "app.py").write_text(APP)
        self.trouble(NO_TROUBLE)
        self._started = []

    def trouble(self, code):
        (self.path / "trouble.py").write_text(code)

    @property
    def venv(self):
        return self.path / "venv"

    def releases(self):
        """What has a release's name."""
        place = self.path / "releases"
        return (
            sorted(p.name for p in place.iterdir() if p.name[0].isdigit()) if place.is_dir() else []
        )

    def left(self):
        """What of a build is left."""
        place = self.path / "releases"
        names = sorted(p.name for p in place.iterdir()) if place.is_dir() else []
        return [n for n in names if n.startswith(".") and n != ".build.lock"]

    def module(self, name="release", env=None, umask=None, **arguments):
        if name == "release":
            arguments.setdefault("home", str(self.path))
        return run_module(name, arguments, self.path.parent, env, umask)

    def good(self, name="release", **arguments):
        outcome = self.module(name, **arguments)
        assert not outcome.failed, outcome.msg
        return outcome.result

    def bad(self, name="release", **arguments):
        """A clear error, and nothing left behind."""
        before = self.releases()
        outcome = self.module(name, **arguments)
        assert outcome.failed, outcome.result
        assert outcome.msg and "Traceback" not in outcome.msg
        assert len(outcome.msg) < 4000
        assert self.releases() == before
        assert self.left() == []
        return outcome.msg

    def start(self, argv, env=None, port=None):
        """A live service; returns the arbiter's pid."""
        log = open(self.path / "live.log", "ab")  # noqa: SIM115
        process = subprocess.Popen(
            [str(word) for word in argv],
            cwd=self.path,
            env=dict(installer_environment(), PYTHONDONTWRITEBYTECODE="1", **(env or {})),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._started.append(process)
        if port:
            eventually(lambda: get(port), (self.path / "live.log").read_text)
        return process.pid

    def stop(self):
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._started = []


@contextlib.contextmanager
def home(directory, venv=None):
    """A home; ``venv`` (shared by many tests, changed by none) is linked into it."""
    place = Home(directory)
    if venv is not None:
        place.venv.symlink_to(venv)
    try:
        yield place
    finally:
        place.stop()


def remove(path):
    shutil.rmtree(path, ignore_errors=True)


def fabricate(venv, interpreter, dists):
    """A virtualenv that claims to hold packages: name -> (version, requires, direct_url)."""
    subprocess.run([interpreter, "-m", "venv", "--without-pip", str(venv)], check=True)
    site = next(Path(venv).glob("lib/python*/site-packages"))
    for name, (version, requires, origin) in dists.items():
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {r}" for r in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n")
        if origin:
            (info / "direct_url.json").write_text(json.dumps(origin))


@contextlib.contextmanager
def listening(port):
    """Somebody has the port."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("0.0.0.0", port))
        taken.listen()
        yield
