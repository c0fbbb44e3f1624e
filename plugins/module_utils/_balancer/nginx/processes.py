# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx's processes as this host's /proc shows them: the master, the workers that serve, those of
before a reload that still finish what they have, and to whom each is connected."""

import os
import re
import socket
from contextlib import suppress
from typing import Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.connections import (
    DEAD,
    Process,
    connected,
    parse_process,
    spelled,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

# nginx and what descends from it call themselves so.
_MASTER = re.compile(r"^\S+: master process\b")
_WORKER = re.compile(r"^\S+: worker process$")
_LEAVING = re.compile(r"^\S+: worker process is shutting down$")
_CONF = re.compile(r"(?:^|\s)-c\s*(\S+)")
_PREFIX = re.compile(r"(?:^|\s)-p\s*(\S+)")


class Away(FleetError):
    """No nginx runs, or not as it should; asking again may help."""


class Generation(NamedTuple):
    """The workers that serve. ``ticks``: when the oldest of them began; what it serves was read
    before."""

    master: int
    master_ticks: int
    ticks: int


class Workers(NamedTuple):
    """The master's children: those that serve, and those that only finish what they have."""

    master: Process
    serving: Tuple[Process, ...]
    leaving: Tuple[Process, ...]

    @property
    def generation(self) -> Generation:
        oldest = min(each.ticks for each in self.serving)
        return Generation(self.master.pid, self.master.ticks, oldest)

    @property
    def everybody(self) -> Tuple[Process, ...]:
        return self.serving + self.leaving


class Proc:
    """A /proc."""

    def __init__(self, root: str = "/proc") -> None:
        self._root = root

    def read(self, name: str) -> str:
        try:
            # Tables of connections are long: a balancer has tens of thousands.
            with open(f"{self._root}/{name}", "rb") as file:
                return file.read(64 * 1024 * 1024).decode("utf-8", "replace")
        except OSError:
            return ""

    def process(self, pid: int) -> Optional[Process]:
        """A process that lives."""
        found = parse_process(self.read(f"{pid}/stat"))
        return found if found and found.state not in DEAD else None

    def title(self, pid: int) -> str:
        return " ".join(self.read(f"{pid}/cmdline").replace("\0", " ").split())

    def program(self, pid: int) -> str:
        """The file that it was started from; empty if that is not shown, or another by now."""
        try:
            found = os.readlink(f"{self._root}/{pid}/exe")
        except OSError:
            return ""
        return found if os.access(found, os.X_OK) else ""

    def children(self, parent: int) -> List[Process]:
        try:
            names = [name for name in os.listdir(self._root) if name.isdigit()]
        except OSError:
            return []
        found = [self.process(int(name)) for name in names]
        return sorted(each for each in found if each and each.parent == parent)

    def sockets(self, pid: int) -> Optional[Set[str]]:
        """The inodes of a process' sockets; None if they are not shown to us."""
        try:
            names = os.listdir(f"{self._root}/{pid}/fd")
        except FileNotFoundError:
            return set()
        except OSError:
            return None
        found = set()
        for name in names:
            with suppress(OSError):
                link = os.readlink(f"{self._root}/{pid}/fd/{name}")
                if link.startswith("socket:["):
                    found.add(link[len("socket:[") : -1])
        return found


def workers(proc: Proc, pid_file: str, conf: str) -> Workers:
    """The nginx that runs with that configuration; an error says what runs instead."""
    try:
        with open(pid_file) as file:
            text = file.read(64).strip()
    except OSError as exc:
        raise Away(
            f"Asked for the nginx of {conf}. Its pid file {pid_file} cannot be read:"
            f" {exc.strerror}. Start nginx, or name the file that its `pid` says"
            " (load_balancer_nginx_pid_file)."
        ) from None
    pid = int(text) if text.isdigit() else 0
    master = proc.process(pid) if pid else None
    title = proc.title(pid) if master else ""
    if not master or not _MASTER.match(title):
        raise Away(
            f"Asked for the nginx of {conf}. {pid_file} says pid {text[:20] or 'nothing'}, which is"
            f" {repr(title[:60]) if title else 'no process'} and no master process of nginx. Start"
            " nginx. (In a container it has another pid here, and is not to be reached.)"
        )
    told = _CONF.search(title)
    if told and os.path.realpath(told.group(1)) != os.path.realpath(conf):
        raise FleetError(
            f"nginx (pid {pid}) runs with -c {told.group(1)}, and not with {conf}. Name the file"
            " that it reads (load_balancer_nginx_conf)."
        )
    serving, leaving = [], []
    for child in proc.children(pid):
        words = proc.title(child.pid)
        if _WORKER.match(words):
            serving.append(child)
        elif _LEAVING.match(words):
            leaving.append(child)
    if not serving:
        raise Away(
            f"nginx (pid {pid}) has no worker that serves. It is just starting, or runs without"
            " workers (`master_process off`), in which case nothing can be taken out of it."
        )
    return Workers(master, tuple(serving), tuple(leaving))


def prefix(proc: Proc, pid: int) -> str:
    """What the master was started with as `-p`; empty if with nothing."""
    found = _PREFIX.search(proc.title(pid))
    return found.group(1) if found else ""


# -- to whom they are connected -------------------------------------------------------------------


class Address(NamedTuple):
    """Where a server is. ``spelled``: as /proc/net/tcp has it; ``path``: of a Unix socket."""

    text: str
    spelled: frozenset  # type: ignore[type-arg]
    path: str
    known: bool


def place_of(text: str, default_port: int = 80) -> Tuple[str, int, str]:
    """Host, port and path of a Unix socket of an upstream's `server`."""
    if text.startswith("unix:"):
        return "", 0, text[len("unix:") :].rstrip(":")
    found = re.match(r"^(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(\d{1,5}))?$", text)
    if not found:
        return text, default_port, ""
    return found.group(1).strip("[]"), int(found.group(2) or default_port), ""


def address_of(text: str, default_port: int = 80) -> Address:
    """All that a `server` may be connected to by; a name is what it is now."""
    host, port, path = place_of(text, default_port)
    if path:
        return Address(text, frozenset(), path, True)
    found: Set[str] = set()
    for each in resolved(host, port):
        found |= spelled(each)
    return Address(text, frozenset(found), "", bool(found))


def resolved(host: str, port: int) -> List[str]:
    """What a name and port are now, as `10.0.0.1:80` or `[::1]:80`; nothing if it is nothing."""
    try:
        answers = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except OSError:
        return []
    found = {str(answer[4][0]).partition("%")[0] for answer in answers}
    return sorted(f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}" for ip in found)


def busy(proc: Proc, all_of_them: Workers, addresses: Iterable[Address]) -> Dict[str, int]:
    """How many connections the workers have to each of the addresses, by its text.

    The other end of a Unix socket does not say whose it is: all that are connected to it count.
    """
    wanted = list(addresses)
    found = {each.text: 0 for each in wanted}
    mine: Set[str] = set()
    seen = True
    for process in all_of_them.everybody:
        sockets = proc.sockets(process.pid)
        seen = seen and sockets is not None
        mine |= sockets or set()
    pid = all_of_them.master.pid
    tables = [proc.read(f"{pid}/net/{name}") for name in ("tcp", "tcp6")]
    if not tables[0]:
        raise Away(f"nginx (pid {pid}) is gone, or its connections are not to be seen from here.")
    unix = proc.read(f"{pid}/net/unix") if any(each.path for each in wanted) else ""
    for each in wanted:
        if each.path:
            found[each.text] = _on_path(unix, each.path)
            continue
        inodes: Set[str] = set()
        for table in tables:
            inodes |= connected(table, set(each.spelled)) - {"0"}
        # What is not shown to us is everybody's: then each connection of this host counts.
        found[each.text] = len(inodes & mine if seen else inodes)
    return found


def _on_path(table: str, path: str) -> int:
    """Connections to a Unix socket, of /proc/net/unix: also those that nobody has accepted yet."""
    count = 0
    for line in table.splitlines()[1:]:
        row = line.split(None, 7)
        # Type 0001 is a stream; 03 is connected, 02 waits to be accepted; 01 listens.
        if len(row) > 7 and row[7] == path and row[4] == "0001" and row[5] in ("02", "03"):
            count += 1
    return count
