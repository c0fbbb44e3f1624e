# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the scenarios' tests look at the fleet: from outside, without any code of the collection."""

from __future__ import annotations

import csv
import json
import re
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

HOME = PurePosixPath("/srv/app")
PID_BY = {
    "supervisord": "env PATH=/opt/supervisor/bin:$PATH supervisorctl pid app",
    "systemd": "systemctl show --value --property=MainPID app.service",
}
ASK = "import sys; from urllib.request import urlopen as u; print(u(sys.argv[1]).read().decode())"


def variables(host: Host) -> dict[str, Any]:
    """What the inventory says about a host; nothing is rendered."""
    return host.ansible.get_variables()


class Server:
    """A web server as its own /proc, files and HTTP answers show it."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.name: str = host.backend.get_hostname()

    def sh(self, command: str, *words: str) -> str:
        return self.host.check_output(command, *words)

    def ask(self, path: str) -> str:
        """Ask the application itself, past the balancer."""
        return self.sh("python3 -c %s %s", ASK, f"http://127.0.0.1:8000{path}")

    @cached_property
    def version(self) -> dict[str, Any]:
        return json.loads(self.ask("/version"))

    @cached_property
    def processes(self) -> dict[int, tuple[int, str]]:
        """pid → (parent, command line) of everything that runs from the app's home."""
        listed = self.sh("ps -ww -eo pid=,ppid=,args=").splitlines()
        rows = (line.split(None, 2) for line in listed)
        return {
            int(pid): (int(parent), args)
            for pid, parent, args in rows
            if str(HOME) in args and "gunicorn" in args
        }

    @property
    def managed_pid(self) -> int:
        """The process that the service manager takes for the application."""
        return int(self.sh(PID_BY[variables(self.host)["service_manager"]]))

    @property
    def by_socket(self) -> bool:
        """Whether process 1 holds the listener."""
        return self.host.file("/etc/systemd/system/app.socket").exists

    @property
    def live_release(self) -> PurePosixPath:
        """Where `venv` leads to."""
        return PurePosixPath(self.sh("readlink -f %s", str(HOME / "venv")))

    @property
    def releases(self) -> list[str]:
        return self.sh("ls %s", str(HOME / "releases")).split()

    def record(self, release: str) -> dict[str, Any]:
        return json.loads(self.sh("cat %s", str(HOME / "releases" / release / "release.json")))


class HAProxy:
    """HAProxy's own word, and its log."""

    log = "/var/log/haproxy.log"

    def __init__(self, host: Host) -> None:
        self.host = host

    def states(self) -> dict[str, str]:
        """Server → ``UP``, or what it is instead."""
        stat = self.host.check_output("echo show stat | socat - /run/haproxy/admin.sock")
        rows = csv.DictReader(stat.removeprefix("# ").splitlines())
        return {
            row["svname"]: row["status"]
            for row in rows
            if row["pxname"] == "app" and row["svname"] != "BACKEND"
        }

    def drains(self) -> list[str]:
        """The servers in the order in which they were taken out, ever since the host started."""
        log = self.host.check_output("cat %s", self.log)
        return re.findall(r"^Server app/(\S+) enters drain state", log, re.MULTILINE)


class Nginx(HAProxy):
    """What nginx is configured for, who answers it, and what was seen of its file meanwhile."""

    log = "/var/log/fleet-watch.log"

    def states(self) -> dict[str, str]:
        conf = self.host.check_output("nginx -T 2>/dev/null")
        lines = re.findall(r"^ *server (web\d+):8000(.*?);", conf, re.MULTILINE)
        return {name: self._state(name, more) for name, more in lines}

    def _state(self, name: str, more: str) -> str:
        if more.strip():
            return more.strip()
        asked = self.host.run("python3 -c %s %s", ASK, f"http://{name}:8000/healthz")
        return "UP" if asked.rc == 0 else "DOWN"


@pytest.fixture
def server(host: Host) -> Server:
    return Server(host)


@pytest.fixture
def inventory(request: pytest.FixtureRequest) -> str:
    """The inventory that testinfra was given."""
    return request.config.getoption("--ansible-inventory")


@pytest.fixture
def balancer(inventory: str) -> HAProxy:
    host = testinfra.get_host("ansible://lb1", ansible_inventory=inventory)
    return {"haproxy": HAProxy, "nginx": Nginx}[variables(host)["load_balancer_provider"]](host)
