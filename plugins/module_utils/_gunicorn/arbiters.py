# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who is who among the gunicorn processes: arbiter, workers, and those that nobody looks after."""

import os
import re
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.log_sinks import (
    WORKER_TMP,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.owners import Owners
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.snapshot import (
    Stray,
    clashes,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import MARK, TRIAL
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Listener,
    Process,
    Reader,
    descendants,
    gunicorn_arguments,
    is_master_title,
    read_environ,
    read_inodes,
    read_listeners,
    read_mapped,
    same_place,
)

# With these it says something and ends.
_ASKED = frozenset(
    ("--check-config", "--print-config", "--version", "-v", "--help", "-h"),
)
# Where the kernel says nothing of the ports that it gives to those who name none.
_SPARE_PORTS = (32768, 60999)
# Of gunicorn 25 and later: it looks after workers of its own, which serve no requests.
_DIRTY = "gunicorn: dirty"
_DIRTY_SOCKET = "/gunicorn-dirty-"


def _is_gunicorn(process: Optional[Process]) -> bool:
    return process is not None and gunicorn_arguments(process.cmdline) is not None


def _reexecuted(reader: Reader, process: Process) -> bool:
    """Was it started by USR2? Only such a one has its parent's pid in GUNICORN_PID."""
    if not _is_gunicorn(process):
        return False
    named = read_environ(reader, process.pid).get("GUNICORN_PID")
    return named == str(process.ppid)


def find_masters(reader: Reader, tree: List[Process], table: Dict[int, Process]) -> List[Process]:
    """The arbiters in a process tree, topmost first."""
    found = [
        each
        for each in tree
        if gunicorn_arguments(each.cmdline) is not None
        and (_reexecuted(reader, each) or not _is_gunicorn(table.get(each.ppid)))
    ]
    if found:
        return found
    # A program of the operator's own around gunicorn's classes: its children are forks that
    # share its listening socket.
    for each in tree:
        forks = [p for p in tree if p.ppid == each.pid and p.cmdline == each.cmdline]
        if forks:
            listening = {s.inode for s in read_listeners(reader, each.pid)}
            shared = read_inodes(reader, each.pid) & read_inodes(reader, forks[0].pid)
            if shared & listening:
                return [each]
    return []


def find_forks(reader: Reader, top: Process, table: Dict[int, Process]) -> List[Process]:
    """The forks of an arbiter, whatever they do; not one that it executed anew."""
    return [
        each
        for each in sorted(table.values())
        if each.ppid == top.pid
        and (each.cmdline == top.cmdline or _is_gunicorn(each))
        and not _reexecuted(reader, each)
    ]


def find_workers(reader: Reader, top: Process, table: Dict[int, Process]) -> List[Process]:
    """The forks of an arbiter that serve requests.

    A worker and its arbiter have a file in common, by which the one tells that it lives. What else
    an arbiter has forked, a dirty arbiter or a helper of the configuration, has none of its own,
    though it may have inherited those of workers that were there before it.
    """
    forks = [each for each in find_forks(reader, top, table) if not is_dirty_title(each.cmdline)]
    shared = _signs_of_life(reader, top.pid)
    if not shared:
        return forks
    found = []
    for each in sorted(forks, key=lambda fork: (fork.start_ticks, fork.pid)):
        own = _signs_of_life(reader, each.pid) & shared
        if own or f"/proc/{each.pid}/fd" in reader.denied:
            shared -= own
            found.append(each)
    return sorted(found)


def _signs_of_life(reader: Reader, pid: int) -> Set[str]:
    links = (reader.link(f"/proc/{pid}/fd/{name}") for name in reader.names(f"/proc/{pid}/fd"))
    return {
        link
        for link in links
        if link and WORKER_TMP.search(link[: -len(" (deleted)")] if ")" in link else link)
    }


def is_dirty_title(cmdline: Iterable[str]) -> bool:
    """Did setproctitle name this a dirty arbiter, or a worker of one?"""
    return next(iter(cmdline), "").startswith(_DIRTY)


def is_dirty(process: Process, addresses: Iterable[str]) -> bool:
    return is_dirty_title(process.cmdline) or any(_DIRTY_SOCKET in each for each in addresses)


def names_home(homes: Iterable[str], text: str) -> bool:
    """Does the text name something in the virtualenv or the releases of this home?"""
    return any(f"{home}/{place}/" in text for home in homes for place in ("venv", "releases"))


def is_ours(environ: Dict[str, str]) -> bool:
    """Does it carry the mark of a build or a trial?"""
    return bool(environ.get(MARK) or environ.get(TRIAL))


def is_passing(
    environ: Dict[str, str],
    arguments: Sequence[str],
    addresses: Sequence[str],
    serving: Sequence[str],
    ports: Tuple[int, int],
) -> bool:
    """Is it tried or asked beside the program, and gone by itself in a moment?

    A build and a trial carry a mark. The application's user could set it too, so it hides nobody
    who holds what the program serves (``serving``) and, while that is nothing, nobody who listens
    anywhere but where a trial does: on a spare port (``ports``, first and last) of the loopback.
    """
    if not is_ours(environ):
        return not addresses and not _ASKED.isdisjoint(arguments)
    if serving:
        return not any(clashes(each, serving) for each in addresses)
    return all(
        host == "127.0.0.1" and port.isdigit() and ports[0] <= int(port) <= ports[1]
        for host, dummy, port in (each.rpartition(":") for each in addresses)
    )


def spare_ports(reader: Reader) -> Tuple[int, int]:
    """The first and the last of the ports that the kernel gives to those who name none."""
    text = reader.text("/proc/sys/net/ipv4/ip_local_port_range", 4096)
    match = re.match(r"^(\d{1,5})\s+(\d{1,5})\s*$", text)
    return (int(match.group(1)), int(match.group(2))) if match else _SPARE_PORTS


class Strays:
    """Finds the gunicorn processes of one home that no arbiter under the program accounts for."""

    def __init__(
        self,
        reader: Reader,
        homes: List[str],
        manager_pid: int,
        owners: Owners,
        holds: Callable[[int], bool] = lambda _pid: False,
    ) -> None:
        self.reader = reader
        self.homes = homes
        self._manager_pid = manager_pid
        self._owners = owners
        # A service manager's own: a sandbox has another view of the files, and is no container.
        self._holds = holds

    def find(
        self,
        table: Dict[int, Process],
        top: Optional[Process],
        others: List[Process],
        listening: List[Listener],
    ) -> Tuple[List[Stray], List[Stray]]:
        """Gunicorn processes of this home whose arbiter is gone, and arbiters out of control."""
        own = set(descendants(table, top.pid)) if top else set()
        serving = self._addresses(own, listening)
        orphans, unmanaged = [], []
        for each in sorted(table.values()):
            if not _is_gunicorn(each):
                continue
            forced = each in others
            if not forced and (each.pid in own or _is_gunicorn(table.get(each.ppid))):
                continue
            if not self.lives_here(each):
                continue
            workers = find_workers(self.reader, each, table)
            addresses = self._addresses([each.pid] + [w.pid for w in workers], listening)
            if not forced and self._is_passing(each, addresses, serving):
                continue
            owner = self._owners.owner(table, each)
            dirty = is_dirty(each, addresses) and not forced
            if owner or (not dirty and (workers or forced or is_master_title(each.cmdline))):
                unmanaged.append(Stray(each, addresses, owner))
            else:
                orphans.append(Stray(each, addresses, None))
        return orphans, unmanaged

    def _addresses(self, pids: Iterable[int], listening: List[Listener]) -> List[str]:
        """Where these processes listen."""
        inodes: Set[int] = set()
        if listening:
            for pid in pids:
                inodes |= read_inodes(self.reader, pid)
        return [each.address for each in listening if each.inode in inodes]

    def _is_passing(self, process: Process, addresses: List[str], serving: List[str]) -> bool:
        return is_passing(
            read_environ(self.reader, process.pid),
            gunicorn_arguments(process.cmdline) or (),
            addresses,
            serving,
            spare_ports(self.reader),
        )

    def _is_here(self, pid: int) -> bool:
        if same_place(self.reader, pid, self._manager_pid):
            return True
        return self._holds(pid) and same_place(self.reader, pid, self._manager_pid, ("pid",))

    def starts_here(self, process: Process) -> bool:
        """Does its command line name this home's venv or releases, in this container?

        Where a title was written over it, what is mapped tells; to ask that of all takes long.
        """
        words = process.cmdline[:3]
        here = ""
        if any("venv/" in word or "releases/" in word for word in words if word[:1] != "/"):
            here = self.reader.link(f"/proc/{process.pid}/cwd") or "/"
        paths = [os.path.normpath(os.path.join(here, word)) if here else word for word in words]
        named = any(names_home(self.homes, path) for path in paths)
        if not named and words and "/" not in words[0].split(" ")[0]:
            exe = os.path.basename(self.reader.link(f"/proc/{process.pid}/exe") or "")
            mapped = read_mapped(self.reader, process.pid) if "python" in exe else set()
            named = any(names_home(self.homes, path) for path in mapped)
        return named and self._is_here(process.pid)

    def lives_here(self, process: Process) -> bool:
        """Does it run from this home's venv or releases, and in this container?"""
        if not self._is_here(process.pid):
            return False
        if any(names_home(self.homes, word) for word in process.cmdline):
            return True
        if any(names_home(self.homes, path) for path in read_mapped(self.reader, process.pid)):
            return True
        path = read_environ(self.reader, process.pid).get("PATH", "")
        return any(names_home(self.homes, entry + "/") for entry in path.split(":"))
