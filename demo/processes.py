# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes of the demo: whose they are, who has a port, and how to end them by pid."""

import contextlib
import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    pid: int
    argv: tuple[str, ...]

    def __str__(self) -> str:
        text = " ".join(self.argv)
        return f"pid {self.pid} ({text[:117] + '...' if len(text) > 120 else text})"


def role(argv: Sequence[str], root: str, cwd: str = "") -> str | None:
    """What a process does for the demo fleet in ``root``, or None for everybody else's.

    Judged by program and by path, so that a reader's ``tail -f .demo/web1/app.log`` is left alone.
    nginx writes over its command line, and its workers name no path: theirs is where they are.
    """
    under = root.rstrip("/") + "/"
    title = " ".join(argv)
    if title.startswith("nginx: master process ") and f" {under}lb1/nginx.conf" in title:
        return "nginx"
    if title.startswith("nginx: worker process") and f"{cwd}/" == f"{under}lb1/":
        return "nginx"
    head = [os.path.basename(part) for part in argv[:3]]
    inside = [part for part in argv if part.startswith(under)]
    if not inside:
        return None
    if "supervisord" in head[:2] and any(part.endswith("/supervisord.conf") for part in inside):
        return "supervisord"
    if head[:1] == ["nginx"] and any(part.endswith("/lb1/nginx.conf") for part in inside):
        return "nginx"
    if head[:1] == ["haproxy"] and any(part.endswith("/haproxy.cfg") for part in inside):
        return "haproxy"
    if "traffic.py" in head[:3]:
        return "traffic"
    # python <home>/app/venv/bin/gunicorn ..., whatever the venv is called by now
    if "gunicorn" in head[:3] and any("/app/" in part[len(under) - 1 :] for part in inside[:2]):
        return "gunicorn"
    return None


def read(pid: int, proc: Path = Path("/proc")) -> Process | None:
    """The process, or None when it is gone, a zombie, or not ours to look at."""
    try:
        raw = (proc / str(pid) / "cmdline").read_bytes()
        state = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
        owner = (proc / str(pid)).stat().st_uid
    except (OSError, IndexError):
        return None
    if not raw or state in "ZX" or owner != os.getuid():
        return None
    return Process(
        pid, tuple(part.decode(errors="replace") for part in raw.rstrip(b"\0").split(b"\0"))
    )


def of_fleet(root: Path, proc: Path = Path("/proc")) -> dict[str, list[Process]]:
    """The living processes of the fleet in ``root``, by role."""
    found: dict[str, list[Process]] = {}
    for name in os.listdir(proc):
        process = read(int(name), proc) if name.isdigit() else None
        kind = role(process.argv, str(root), directory(proc / name)) if process else None
        if process and kind and process.pid != os.getpid():
            found.setdefault(kind, []).append(process)
    return found


def directory(process: Path) -> str:
    """Where a process is, or nothing when it is gone."""
    with contextlib.suppress(OSError):
        return os.readlink(process / "cwd")
    return ""


def end(
    wanted: Iterable[Process],
    sig: int,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Process]:
    """Signal each process and wait until it is gone; returns those that are not.

    A pid is signalled only while it still has the command line it was found with.
    """
    left = list(wanted)
    for process in left:
        if read(process.pid) == process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, sig)
    deadline = clock() + seconds
    while True:
        left = [process for process in left if read(process.pid) == process]
        if not left or clock() >= deadline:
            return left
        sleep(0.05)


ROLES = ("traffic", "supervisord", "haproxy", "nginx", "gunicorn")


def end_fleet(root: Path, roles: Sequence[str] = ROLES, patience: float = 45.0) -> dict[str, int]:
    """End what runs for the fleet in ``root``: how many of each role there were.

    The clients first, then the supervisors, who stop their programs in order. What survives them
    (their orphans, after a kill -9) is ended itself.
    """
    ended = {}
    for kind in roles:
        present = of_fleet(root).get(kind, [])
        if present:
            ended[kind] = len(present)
            left = end(present, signal.SIGTERM, patience)
            end(left, signal.SIGKILL, 5.0)
    return ended


def hex_address(address: str, port: int) -> str:
    """An IPv4 socket address as /proc/net/tcp spells it on a little-endian machine."""
    packed = socket.inet_aton(address)
    return f"{int.from_bytes(packed, sys.byteorder):08X}:{port:04X}"


def listening_inodes(table: str, address: str, port: int) -> set[str]:
    """Socket inodes that listen on this address, or on every address, in a /proc/net/tcp{,6}."""
    exact, wanted_port = hex_address(address, port), f":{port:04X}"
    inodes = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != "0A":
            continue
        host = fields[1].rpartition(":")[0]
        if fields[1] == exact or (fields[1].endswith(wanted_port) and not host.strip("0")):
            inodes.add(fields[9])
    return inodes


def listeners(address: str, port: int) -> list[Process]:
    """Who listens there, as far as this user may see."""
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            inodes |= listening_inodes(Path(table).read_text(), address, port)
    wanted = {f"socket:[{inode}]" for inode in inodes}
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            for handle in os.scandir(f"/proc/{name}/fd"):
                if os.readlink(handle.path) in wanted:
                    process = read(int(name)) or Process(int(name), ("?",))
                    found.append(process)
                    break
    return found


def port_problem(address: str, port: int) -> str | None:
    """Why the fleet cannot listen there, or None. HAProxy itself would silently share the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                return f"{address}:{port} cannot be listened on: {exc.strerror}."
            who = " and ".join(map(str, listeners(address, port))) or "a process of another user"
            return f"{address}:{port} is taken by {who}."
    return None
