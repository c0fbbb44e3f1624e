# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real systemd as process 1 of a container that shows this machine's own files, read-only.

Nothing of the machine is changed: what a container writes is gone with it, but for the directory
of the test, which both see under one name.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from tests.integration.service_support import (
    BIN,
    NEW,
    OLD,
    ROOT,
    Fleet,
    module_command,
    new_python,
    old_python,
    unavailable,
    wait_for,
)

INIT = "/lib/systemd/systemd"


class Host:
    """One container with systemd 1."""

    def __init__(self, network="none"):
        why = _missing()
        if why:
            unavailable(f"no systemd in a container: {why}. Run tests/setup_containers.sh as root")
        # Neither in /tmp nor in /var/tmp, of which the container or a sandboxed unit has its own.
        self.dir = Path(tempfile.mkdtemp(prefix="fleetops-systemd-", dir="/srv"))
        self.dir.chmod(0o755)
        self.name = f"fleetops-systemd-{uuid.uuid4().hex[:8]}"
        tmpfs = [f"type=tmpfs,destination={each},notmpcopyup" for each in ("/tmp", "/run")]
        done = subprocess.run(
            ["podman", "run", "--detach", "--name", self.name, "--systemd=always",
             "--cap-add=SYS_ADMIN", "--cap-add=SYS_PTRACE", f"--network={network}", "--memory=1g",
             "--mount", tmpfs[0], "--mount", tmpfs[1], "--volume", f"{self.dir}:{self.dir}",
             # A checkout below /tmp would be hidden.
             "--volume", f"{ROOT}:{ROOT}:O", "--volume", f"{BIN.parent}:{BIN.parent}:O",
             "--rootfs", "/:O", INIT, "--unit=basic.target"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            shutil.rmtree(self.dir)
            unavailable(f"no systemd in a container: {done.stderr.strip()[-500:]}")
        try:
            wait_for(lambda: self.systemctl("is-system-running") in ("running", "degraded"), 60)
            # Other users must get at a Python in the home of root, here only.
            self.run("chmod", "a+x", "/root")
        except BaseException:
            self.close()
            raise

    def run(self, *command, variables=(), check=True, timeout=300):
        options = [f"--env={each}" for each in variables]
        done = subprocess.run(
            ["podman", "exec", *options, self.name, *map(str, command)],
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return done

    @property
    def pid(self):
        """Its process 1, as this machine numbers it."""
        words = ["podman", "inspect", "--format={{.State.Pid}}", self.name]
        return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)

    def systemctl(self, *words):
        return self.run("systemctl", *words, check=False).stdout.strip()

    def show(self, unit, name):
        return self.systemctl("show", "--value", f"--property={name}", unit)

    def write(self, path, text):
        subprocess.run(
            ["podman", "exec", "--interactive", self.name, "sh", "-c",
             'mkdir -p "$(dirname "$1")" && cat > "$1"', "sh", str(path)],
            input=text, text=True, check=True, capture_output=True,
        )  # fmt: skip

    def module(self, name, options, check=False, words=()):
        """Run a module as Ansible would, beside this systemd; ``words`` stand before it."""
        done = self.run(
            *words,
            *module_command(name, options, check),
            variables=[f"PYTHONPATH={ROOT}/.collections", f"PATH={os.environ['PATH']}"],
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        assert lines, f"no answer: {done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return json.loads(lines[-1])

    def close(self):
        command = ["podman", "rm", "--force", "--time=2", "--volumes", self.name]
        subprocess.run(command, capture_output=True, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


def _missing():
    if os.geteuid() != 0:
        return "this is not root"
    if not shutil.which("podman"):
        return "podman is not installed"
    return "" if Path(INIT).exists() else f"{INIT} is not there"


SETTINGS = "Restart=on-failure\nKillMode=mixed\nTimeoutStopSec=40\n"


class UnitFleet(Fleet):
    """A home whose gunicorn is a unit of the container's systemd. ``unit`` is its name."""

    def __init__(self, host):
        super().__init__()
        self.host = host
        # Where both see it.
        moved = host.dir / self.dir.name
        shutil.move(str(self.dir), str(moved))
        moved.chmod(0o755)
        self.dir = moved
        self.home = self.dir / "home"
        self.releases = self.home / "releases"
        self.log = self.dir / "app.err.log"
        self.unit = "app.service"
        self.units = []

    # pylint: disable-next=arguments-renamed
    def start(self, kind="notify", settings=SETTINGS, more="", unit="app.service", command="",
              section=""):  # fmt: skip
        """Write the unit and start it; ``command`` instead of the usual one."""
        usual = f"{self.home}/venv/bin/gunicorn -w 2 -b 127.0.0.1:{self.port} wsgi:app"
        path = f"/etc/systemd/system/{unit.replace('@1', '@')}"
        self.write(
            path,
            f"""
[Unit]
Description=A fleet's application
{section}
[Service]
Type={kind}
ExecStart={command or usual}
WorkingDirectory={self.home}
StandardError=append:{self.log}
{settings}{more}
""",
        )
        self.unit = unit
        self.units.append(path)
        self.host.run("systemctl", "daemon-reload")
        self.host.run("systemctl", "reset-failed")
        self.host.run("systemctl", "start", unit, check=False)
        return self

    def write(self, path, text):
        self.host.write(path, text)
        self.units.append(path)

    def options(self, **more):
        return {"home": str(self.home), "program": self.unit, "manager": "systemd", **more}

    def info(self):
        return self.host.module("gunicorn_info", self.options())

    def activate(self, release, check=False, **more):
        return self.host.module("active_release", self.switch_options(release, **more), check)

    def get(self, path="/healthz", timeout=30):
        code = (
            "import sys, urllib.request as u\n"
            f"print(u.urlopen('http://127.0.0.1:{self.port}{path}', timeout={timeout})"
            ".read().decode())"
        )
        done = self.host.run(sys.executable, "-c", code, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def pid(self):
        return int(self.host.show(self.unit, "MainPID"))

    def close(self):
        for unit in {Path(path).name for path in self.units if path.endswith(".service")}:
            pattern = unit.replace("@.", "@*.")
            self.host.systemctl("stop", pattern)
            self.host.systemctl("kill", "--signal=KILL", pattern)
        for path in self.units:
            self.host.run("rm", "-rf", path, check=False)
        self.host.systemctl("daemon-reload")
        with contextlib.suppress(OSError):
            shutil.rmtree(self.dir)


@contextlib.contextmanager
def with_both(fleet):
    """The old release, which runs when it is started, and the new one beside it."""
    try:
        fleet.old = fleet.release(OLD, old_python())
        fleet.new = fleet.release(NEW, new_python())
        fleet.link(fleet.old)
        yield fleet
    finally:
        fleet.close()


def links_to(fleet):
    return os.readlink(fleet.home / "venv")
