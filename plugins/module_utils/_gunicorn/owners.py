# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who looks after a process: this supervisord, another one, or systemd.

That a process is below a living manager is proof; that it is in the control group of a unit is
none, since what a unit has left behind stays there. systemd itself says which process a unit is.
"""

import os
import re
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Process,
    Reader,
    descendants,
    gunicorn_arguments,
    invocation,
    shown,
)

Run = Callable[[List[str]], Optional[str]]
# They look after what is below them, and start it anew.
MANAGERS = ("supervisord", "circusd", "runsv", "s6-supervise", "supervise", "perpd")
_MODULES = ("supervisor.supervisord", "supervisor", "circus.circusd")
_UNIT = re.compile(r"^\d+:(?:name=systemd)?:(?:.*/)?([\w@.:\\-]{1,200}\.service)(?:/.*)?$", re.M)
MAX_BESIDE = 20


class Beside(NamedTuple):
    """Another program that runs from the same virtualenv."""

    program: str
    process: Process
    gunicorn: bool
    command: str


class Owners:
    """Tells who looks after a process. ``programs``: those of this supervisord, by pid."""

    def __init__(
        self, reader: Reader, supervisor_pid: int, programs: Dict[int, str], run: Run
    ) -> None:
        self.reader = reader
        self.supervisor_pid = supervisor_pid
        self._programs = programs
        self._run = run
        self._mains: Dict[str, int] = {}

    def owner(self, table: Dict[int, Process], process: Process) -> Optional[str]:
        """Who looks after it, in words that an operator can go on with; None if nobody does."""
        pid = process.pid
        above = []
        while pid in table and pid not in above:
            if pid in self._programs:
                return self._programs[pid]
            above.append(pid)
            parent = table.get(table[pid].ppid)
            if parent and parent.pid != self.supervisor_pid and _manages(parent):
                # No pids: on a thousand hosts it is the same program.
                what = os.path.basename(_name(table[pid])) or "a program"
                return f"{what} of another {os.path.basename(_name(parent))}"
            pid = table[pid].ppid
        if self.supervisor_pid in above:
            # Below this supervisord and none of its other programs: left by USR2, for example.
            return None
        return self._unit(process.pid, above)

    def _unit(self, pid: int, above: List[int]) -> Optional[str]:
        """The unit of systemd whose main process this is, or is below."""
        match = _UNIT.search(self.reader.text(f"/proc/{pid}/cgroup", 1 << 14))
        if not match:
            return None
        unit = match.group(1)
        if unit not in self._mains:
            said = self._run(["systemctl", "show", "--property=MainPID", "--", unit]) or ""
            main = re.search(r"^MainPID=(\d+)$", said, re.M)
            self._mains[unit] = int(main.group(1)) if main else 0
        main_pid = self._mains[unit]
        return f"{unit} of systemd" if main_pid in above else None


def _name(process: Process) -> str:
    found = invocation(process.cmdline)
    if found:
        return found.script or ("supervisord" if found.module in _MODULES else "")
    return process.cmdline[0] if process.cmdline else ""


def _manages(process: Process) -> bool:
    return os.path.basename(_name(process)) in MANAGERS


def find_beside(
    owners: Owners, table: Dict[int, Process], own: Iterable[int], lives: Callable[[Process], bool]
) -> Tuple[List[Beside], List[Process]]:
    """The other programs that run from the virtualenv, each once; ``own`` is what is ours.

    And what nobody looks after, a daemon, a shell or a job, without what that has started.
    """
    mine = set(own)
    found: Dict[str, Beside] = {}
    loose: Dict[int, Process] = {}
    for process in sorted(table.values()):
        if process.pid in mine or not lives(process):
            continue
        owner = owners.owner(table, process)
        if owner is None:
            loose[process.pid] = process
            continue
        if owner in found:
            continue
        command = " ".join(shown(process.cmdline))[:200]
        gunicorn = any(
            gunicorn_arguments(table[pid].cmdline) is not None
            for pid in descendants(table, process.pid)
        )
        found[owner] = Beside(owner, process, gunicorn, command)
    below = {pid for top in loose for pid in descendants(table, top) if pid != top}
    alone = [each for pid, each in sorted(loose.items()) if pid not in below]
    return [found[name] for name in sorted(found)][:MAX_BESIDE], alone[:MAX_BESIDE]
