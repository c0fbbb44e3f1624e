# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HAProxy's processes of before a reload, as this host's /proc shows them.

They have no socket that could be asked, and finish what they have. Whether that is a request of a
certain server is seen by their connections to it.
"""

import os
import re
from contextlib import suppress
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Set

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.connections import (
    DEAD,
    Process,
    connected,
    parse_process,
    spelled,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.balancer import (
    Elders,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.machine import boottime

# HAProxy counts its age in whole seconds, and a worker's from before its master had read the
# configuration, which takes long where that names thousands of servers.
_YOUNGER, _OLDER, _NAMED_OLDER = 2.0, 2.0, 60.0


def handed_over(arguments: Sequence[str]) -> List[int]:
    """The processes that a HAProxy was told to relieve: `-sf PID ...` and `-st PID ...`."""
    found: List[int] = []
    listening = False
    for each in arguments:
        if each in ("-sf", "-st"):
            listening = True
        elif listening and each.isdigit():
            found.append(int(each))
        else:
            listening = False
    return found


def inner_pid(status: str) -> int:
    """The pid that the process itself sees, of `/proc/PID/status`: another one in a container."""
    found = re.search(r"^NSpid:\s+(?:\d+\s+)*(\d+)\s*$", status, re.MULTILINE)
    return int(found.group(1)) if found else 0


def older(all_of_them: Dict[int, Process], me: Process, told: Sequence[int]) -> List[int]:
    """The processes that were there before `me` and do the same: siblings under one master, and
    those that it was told to relieve."""
    return sorted(
        each.pid
        for each in all_of_them.values()
        if each.pid != me.pid
        and each.comm == me.comm
        and each.state not in DEAD
        and each.ticks <= me.ticks
        and (each.pid in told or (me.parent > 1 and each.parent == me.parent))
    )


class Seen(Elders):
    """What /proc shows, and only of processes that are surely those which HAProxy tells of."""

    def __init__(
        self, local: bool, root: str = "/proc", now: Callable[[], float] = boottime
    ) -> None:
        """`local`: the socket is a file of this host; otherwise a name has to agree as well."""
        self._local = local
        self._root = root
        self._now = now
        self._elders: Dict[int, int] = {}
        self._mine: Optional[Process] = None
        self._hertz = os.sysconf("SC_CLK_TCK")

    def meet(self, pid: int, uptime: int) -> bool:
        processes = {each.pid: each for each in self._all()}
        me = self._find(processes, pid, uptime)
        if me is None:
            self._mine = None
            return False
        if self._mine and self._mine.pid != me.pid:
            self._elders[self._mine.pid] = self._mine.ticks
        told = handed_over(self._read(f"{me.pid}/cmdline").split("\0"))
        for each in older(processes, me, told):
            self._elders[each] = processes[each].ticks
        self._elders.pop(me.pid, None)
        self._mine = me
        return True

    def alive(self) -> List[int]:
        for pid in [pid for pid in self._elders if not self._lives(pid)]:
            del self._elders[pid]
        return sorted(self._elders)

    def busy(self, addresses: Sequence[str]) -> List[int]:
        wanted: Set[str] = set()
        known = True
        for address in addresses:
            spellings = spelled(address)
            known = known and bool(spellings)
            wanted |= spellings
        return sorted(pid for pid in self.alive() if not known or self._holds(pid, wanted))

    def _lives(self, pid: int) -> bool:
        found = parse_process(self._read(f"{pid}/stat"))
        return bool(found and found.state not in DEAD and found.ticks == self._elders[pid])

    def _holds(self, pid: int, remote: Set[str]) -> bool:
        """Whether it has a connection to one of those; also if that cannot be told."""
        try:
            names = os.listdir(f"{self._root}/{pid}/fd")
        except FileNotFoundError:
            return False
        except OSError:
            return True
        mine = set()
        for name in names:
            with suppress(OSError):
                mine.add(os.readlink(f"{self._root}/{pid}/fd/{name}"))
        tables = [self._read(f"{pid}/net/{name}") for name in ("tcp", "tcp6")]
        if not tables[0]:
            return self._lives(pid)
        inodes = connected(tables[0], remote) | connected(tables[1], remote)
        return any(f"socket:[{inode}]" in mine for inode in inodes)

    def _find(self, processes: Dict[int, Process], pid: int, uptime: int) -> Optional[Process]:
        """The process that answered. In a container it has another pid than here, where its own
        belongs to somebody else: only the age tells."""
        if pid in processes and self._is(processes[pid], uptime):
            return processes[pid]
        for each in processes.values():
            if self._is(each, uptime) and inner_pid(self._read(f"{each.pid}/status")) == pid:
                return each
        return None

    def _is(self, process: Process, uptime: int) -> bool:
        if process.state in DEAD:
            return False
        more = uptime - (self._now() - process.ticks / self._hertz)
        named = "haproxy" in self._read(f"{process.pid}/cmdline").lower()
        if not (named or self._local):
            return False
        return -_YOUNGER <= more <= (_NAMED_OLDER if named else _OLDER)

    def _all(self) -> Iterator[Process]:
        try:
            names = os.listdir(self._root)
        except OSError:
            return
        for name in names:
            found = parse_process(self._read(f"{name}/stat")) if name.isdigit() else None
            if found:
                yield found

    def _read(self, name: str) -> str:
        try:
            # Tables of connections are long: a balancer has tens of thousands.
            with open(f"{self._root}/{name}", "rb") as file:
                return file.read(64 * 1024 * 1024).decode("utf-8", "replace")
        except OSError:
            return ""
