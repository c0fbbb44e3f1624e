# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What /proc says of processes and of who is connected to whom. No I/O."""

import re
import socket
import struct
from typing import NamedTuple, Optional, Set

DEAD = "ZXx"


class Process(NamedTuple):
    pid: int
    comm: str
    state: str
    parent: int
    ticks: int


def parse_process(text: str) -> Optional[Process]:
    """`/proc/PID/stat`. A name may hold anything, also `) S 1`."""
    found = re.match(r"^(\d+) \((.*)\) (\S) (.*)$", text.strip(), re.DOTALL)
    if not found:
        return None
    rest = found.group(4).split()
    try:
        return Process(
            int(found.group(1)), found.group(2), found.group(3), int(rest[0]), int(rest[18])
        )
    except (IndexError, ValueError):
        return None


def spelled(address: str) -> Set[str]:
    """`127.0.0.1:80` and `[::1]:80` as /proc/net/tcp and tcp6 write them; empty if neither."""
    found = re.match(r"^\[?([0-9A-Fa-f.:]+?)\]?:(\d{1,5})$", address)
    if not found or int(found.group(2)) > 65535:
        return set()
    host, port = found.group(1), f"{int(found.group(2)):04X}"
    try:
        if ":" not in host:
            packed = _packed(host)
            mapped = b"\0" * 10 + b"\xff\xff" + packed
            return {f"{_hexed(packed)}:{port}", f"{_hexed(mapped)}:{port}"}
        return {f"{_hexed(socket.inet_pton(socket.AF_INET6, host))}:{port}"}
    except (OSError, ValueError, struct.error):
        return set()


def _packed(host: str) -> bytes:
    parts = [int(part) for part in host.split(".")]
    if len(parts) != 4 or max(parts) > 255:
        raise ValueError(host)
    return bytes(parts)


def _hexed(packed: bytes) -> str:
    # The kernel prints words of the machine's own order.
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words)


def connected(table: str, remote: Set[str]) -> Set[str]:
    """The inodes of the sockets that are connected to one of these, of /proc/net/tcp."""
    found = set()
    for line in table.splitlines()[1:]:
        row = line.split()
        if len(row) > 9 and row[2] in remote:
            found.add(row[9])
    return found
