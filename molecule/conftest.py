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
ASK = "import sys; from urllib.request import urlopen as u; print(u(sys.argv[1]).read().decode())"


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
    def supervised_pid(self) -> int:
        return int(self.sh("env PATH=/opt/supervisor/bin:$PATH supervisorctl pid app"))

    @property
    def live_release(self) -> PurePosixPath:
        """Where `venv` leads to."""
        return PurePosixPath(self.sh("readlink -f %s", str(HOME / "venv")))

    @property
    def releases(self) -> list[str]:
        return self.sh("ls %s", str(HOME / "releases")).split()

    def record(self, release: str) -> dict[str, Any]:
        return json.loads(self.sh("cat %s", str(HOME / "releases" / release / "release.json")))


class Balancer:
    """HAProxy's own word, and its log."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def servers(self) -> dict[str, dict[str, str]]:
        stat = self.host.check_output("echo show stat | socat - /run/haproxy/admin.sock")
        rows = csv.DictReader(stat.removeprefix("# ").splitlines())
        return {
            row["svname"]: row
            for row in rows
            if row["pxname"] == "app" and row["svname"] != "BACKEND"
        }

    def drains(self) -> list[str]:
        """The servers in the order in which they were taken out, ever since HAProxy started."""
        log = self.host.check_output("cat /var/log/haproxy.log")
        return re.findall(r"^Server app/(\S+) enters drain state", log, re.MULTILINE)


@pytest.fixture
def server(host: Host) -> Server:
    return Server(host)


@pytest.fixture
def inventory(request: pytest.FixtureRequest) -> str:
    """The inventory that testinfra was given."""
    return request.config.getoption("--ansible-inventory")


@pytest.fixture
def balancer(inventory: str) -> Balancer:
    return Balancer(testinfra.get_host("ansible://lb1", ansible_inventory=inventory))
