# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo's nginx: which one, and what an observer sees of its servers."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from demo.errors import DemoError
from demo.processes import hex_address
from demo.rotation import Seen

PATHS = "/usr/sbin:/usr/local/sbin:/sbin:/opt/homebrew/bin"
ESTABLISHED = "01"
SERVER = re.compile(r"^\s*server\s+([\d.]+):(\d+)\b([^;]*);", re.M)


def binary(path: str) -> str:
    """Where nginx is. ``path``: the reader's PATH, which often lacks sbin."""
    found = shutil.which("nginx", path=f"{path}:{PATHS}")
    if not found:
        raise DemoError(
            "BALANCER=nginx needs nginx, which is neither in PATH nor in /usr/sbin; there is no "
            "trustworthy wheel of it. `apt-get install nginx-light` (or dnf, apk: nginx) brings "
            "it; nothing of its service is used. Or take BALANCER=haproxy, which needs nothing."
        )
    return found


class Nginx(NamedTuple):
    """What an observer can see. nginx has no live state to ask: its file says who is taken out
    (it is read within a second), and the kernel whom it is connected to.
    """

    conf: Path
    # Where it connects from (proxy_bind). Nobody else does, so nobody else is counted.
    source: str
    # By name: address and port.
    servers: dict[str, tuple[str, int]]

    def look(self) -> dict[str, Seen]:
        """Each server now. OSError when the file is not there."""
        return parse(
            self.conf.read_text(), Path("/proc/net/tcp").read_text(), self.source, self.servers
        )


def parse(
    conf: str, table: str, source: str, servers: dict[str, tuple[str, int]]
) -> dict[str, Seen]:
    """Reads the configuration and a /proc/net/tcp. nginx checks nobody, so each is called up."""
    down = {
        (host, int(port)) for host, port, rest in SERVER.findall(conf) if "down" in rest.split()
    }
    present = {(host, int(port)) for host, port, _rest in SERVER.findall(conf)}
    peers = connected(table.splitlines()[1:], source)
    return {
        name: Seen(True, int(place in down), peers.count(hex_address(*place)))
        for name, place in servers.items()
        if place in present
    }


def connected(lines: Sequence[str], source: str) -> list[str]:
    """Whom established connections from this address go to, once for each."""
    mine = hex_address(source, 0).partition(":")[0]
    rows = [line.split()[1:4] for line in lines if len(line.split()) > 3]
    return [
        remote
        for local, remote, state in rows
        if state == ESTABLISHED and local.partition(":")[0] == mine
    ]
