# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One look at a gunicorn under a service manager: what it really is, and what is proven about it.

Reads, never changes.
"""

import os
import re
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.arbiters import (
    Strays,
    find_masters,
    find_workers,
    is_dirty,
    is_ours,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.live_venv import (
    Venv,
    freeze,
    gunicorn_version,
    name_adopted,
    python_version,
    read_earlier,
    read_venv,
    release_id,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.log_sinks import (
    Sink,
    find_sinks,
    log_files,
    reports,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.options import (
    gunicorn_options,
    is_control,
    log_paths,
    whole_number,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.origin import (
    Pythons,
    Run,
    find_prefix,
    goes_through_venv,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.owners import (
    Beside,
    Owners,
    find_beside,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.settings import (
    Setting,
    configured,
    hiding,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.snapshot import (
    Arbiter,
    Observation,
    Stray,
    stray_report,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Listener,
    Process,
    Reader,
    read_environ,
    read_inodes,
    read_listeners,
    read_table,
    read_uid,
    same_place,
    shown,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.trust import user_name
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.coverage import (
    LINE,
    START,
    Who,
    told,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.manager import Manager

# Seconds: what is younger and belongs to nobody is mostly a job that ends by itself.
LOOSE_AGE = 10.0


class Site:
    """One program on one host, and the means to look at it."""

    def __init__(
        self,
        home: str,
        manager: Manager,
        reader: Reader,
        run: Run,
        now: Callable[[], float],
        boot_epoch: float,
        ticks: int,
    ) -> None:
        self.home = os.path.normpath(home)
        self.reader = reader
        self.manager = manager
        self._now = now
        self._boot_epoch = boot_epoch
        self._ticks = float(ticks)
        self.pythons = Pythons(reader, run)
        if reader.kind(reader.real(self.home)) != "directory":
            raise FleetError(
                f"The application's home {self.home} is no directory on this host. Set app_home"
                " (option home) to the directory that holds venv and releases."
            )
        # The same directory under its several names.
        self.homes = sorted({self.home, reader.real(self.home)})
        manager.attach(reader, self.homes)
        self.name = manager.name
        self._owners = Owners(reader, manager.pid, manager.others, run)
        self._strays = Strays(reader, self.homes, manager.pid, self._owners, manager.holds)
        self._declared: FrozenSet[str] = frozenset()

    def declare(self, others: Sequence[Manager], with_it: Optional[Manager] = None) -> None:
        """These are switched with it (app_programs): nobody need be told of them.

        ``with_it`` is the program that they are switched with, which none of them may stop.
        """
        known = [*others, with_it] if with_it else others
        self._declared = frozenset(each.told_as() for each in known)
        self.manager.together = frozenset(each.name for each in others)
        left = (each for each in self.manager.sharing if each not in self._declared)
        self.manager.sharing = tuple(left)

    # -- one look

    def observe(self, waiting: bool = False) -> Observation:
        """Look at everything; while ``waiting`` for workers, at nothing dear before there are any.

        The kernel's lists of sockets take longer to read than all the rest, and what they take
        is taken from the gunicorn that boots.
        """
        reader = self.reader
        program = self.manager.program()
        venv = read_venv(reader, self.home)
        table = read_table(reader)
        pid = program["pid"]
        self.manager.check_tree(program, table)
        tree = self.manager.tree(program, table) if pid else []
        masters = find_masters(reader, tree, table)
        top = masters[0] if masters else None
        environ = read_environ(reader, top.pid) if top else {}
        options = gunicorn_options(top.cmdline if top else (), environ, program["command"])
        workers = find_workers(reader, top, table) if top else []
        listening: List[Listener] = []
        given: List[Listener] = []
        if workers or not waiting:
            listening = read_listeners(reader, top.pid if top else self.manager.pid)
            given = self._given(top, listening)
        held = set()
        if top and (listening or given):
            for each in [top] + workers:
                held |= read_inodes(reader, each.pid)
        orphans, unmanaged = self._strays.find(table, top, masters[1:], listening)
        beside: List[Beside] = []
        loose: List[Process] = []
        if not waiting:
            beside, loose = self._beside(table, tree, orphans + unmanaged)
        return Observation(
            program,
            self._arbiter(top, venv, program, options, environ) if top else None,
            workers,
            tree,
            [
                each
                for each in listening + given
                if each.inode in held and not is_control(each.address, options)
            ],
            listening,
            orphans,
            unmanaged,
            venv,
            options,
            environ,
            tuple(each for each in tree if top and each.ppid == top.pid and each not in workers),
            tuple(beside),
            tuple(self.manager.rest(table, tree)),
            tuple(loose),
        )

    def _given(self, top: Optional[Process], listening: List[Listener]) -> List[Listener]:
        """What its manager listens on for it, where it has a network of its own."""
        pid = self.manager.pid
        if not (top and self.manager.kept()) or same_place(self.reader, top.pid, pid, ("net",)):
            return []
        known = {each.inode for each in listening}
        return [each for each in read_listeners(self.reader, pid) if each.inode not in known]

    def _beside(
        self, table: Dict[int, Process], tree: List[Process], strays: List[Stray]
    ) -> Tuple[List[Beside], List[Process]]:
        """The other programs on this virtualenv that run, and what runs there by itself."""
        own = {each.pid for each in tree}
        beside, loose = find_beside(self._owners, table, own, self.starts_here)
        # This very process may run from there, and so may the builds and trials of ours.
        known, pid = {each.process.pid for each in strays}, os.getpid()
        while pid in table and pid not in known:
            known.add(pid)
            pid = table[pid].ppid
        return beside, [
            each
            for each in loose
            if each.pid not in known
            and self._now() - self.started(each) >= LOOSE_AGE
            and not is_ours(read_environ(self.reader, each.pid))
        ]

    def _arbiter(
        self,
        top: Process,
        venv: Venv,
        program: Dict[str, Any],
        options: Dict[str, str],
        environ: Dict[str, str],
    ) -> Arbiter:
        reader = self.reader
        started = self.started(top)
        command, directory = program["command"], program["directory"]
        prefix = find_prefix(reader, self.homes, top, started, venv, command, environ, directory)
        executable = reader.link(f"/proc/{top.pid}/exe")
        uid = read_uid(reader, top.pid)
        return Arbiter(
            top.pid,
            started,
            top.start_ticks,
            reader.text("/proc/sys/kernel/random/boot_id").strip(),
            uid,
            None if uid is None else user_name(uid),
            reader.link(f"/proc/{top.pid}/cwd"),
            self.pythons.version(executable)
            or (python_version(reader, prefix) if prefix else None),
            executable,
            gunicorn_version(reader, prefix) if prefix else None,
            prefix,
            release_id(reader, self.home, prefix),
            whole_number(options.get("workers")),
            shown(top.cmdline),
        )

    def started(self, process: Process) -> float:
        """Seconds since 1970."""
        return round(self._boot_epoch + process.start_ticks / self._ticks, 2)

    # -- what follows from it

    def age(self, seen: Observation) -> float:
        """How long the generation has lived, in seconds."""
        return self._now() - seen.arbiter.started if seen.arbiter else 0.0

    def goes_through_venv(self, seen: Observation) -> bool:
        return goes_through_venv(self.reader, self.homes, seen, self.manager.environment)

    def starts_here(self, process: Process) -> bool:
        """Does it run from this home's virtualenv, by its command line or what it has mapped?"""
        return self._strays.starts_here(process)

    def runs_from(self, seen: Observation, process: Process) -> Optional[str]:
        """The real path of the virtualenv that one of its processes was started from, or None."""
        program = seen.program
        environ = read_environ(self.reader, process.pid)
        return find_prefix(
            self.reader,
            self.homes,
            process,
            self.started(process),
            seen.venv,
            program["command"],
            environ,
            program["directory"],
        )

    def deviations(self, seen: Observation) -> List[Dict[str, str]]:
        wrapped = bool(seen.arbiter and seen.arbiter.pid != seen.program["pid"])
        return self.manager.deviations(seen.program, seen.options, wrapped)

    def sharers(self, seen: Observation) -> List[str]:
        """Names of the other programs on this virtualenv, those that do not run now as well."""
        managed = [each.program for each in seen.unmanaged if each.program]
        named = {*self.manager.sharing, *managed, *(each.program for each in seen.beside)}
        return sorted(named - self._declared)

    def _helpers(self, seen: Observation) -> List[Dict[str, Any]]:
        found = []
        for each in seen.helpers:
            held = read_inodes(self.reader, each.pid)
            addresses = [one.address for one in seen.listening if one.inode in held]
            what = "dirty arbiter" if is_dirty(each, addresses) else "helper"
            found.append({"pid": each.pid, "started": self.started(each), "what": what})
        return found

    def _python(self, pid: int) -> Optional[str]:
        executable = self.reader.link(f"/proc/{pid}/exe") or ""
        match = re.search(r"/python(\d\.\d+)$", executable)
        return self.pythons.version(executable) or (match.group(1) if match else None)

    def _others(self, seen: Observation) -> List[Dict[str, Any]]:
        """Each other program on this virtualenv, and what is known of it."""
        running = {each.program: each for each in seen.beside}
        served: Dict[str, List[str]] = {}
        for stray in seen.unmanaged:
            if stray.program:
                served.setdefault(stray.program, []).extend(stray.addresses)
        known = {*self.manager.others.values(), *self.manager.sharing}
        found = []
        for name in self.sharers(seen):
            each = running.get(name)
            found.append(
                {
                    "program": name,
                    "pid": each.process.pid if each else 0,
                    "started": self.started(each.process) if each else None,
                    "python": self._python(each.process.pid) if each else None,
                    # Whether app_programs may name it.
                    "same_manager": name in known,
                    "gunicorn": name in served or bool(each and each.gunicorn),
                    "listeners": sorted(set(served.get(name, []))),
                    "command": each.command if each else "",
                }
            )
        return found

    def _alone(self, process: Process) -> Dict[str, Any]:
        uid = read_uid(self.reader, process.pid)
        return {
            "pid": process.pid,
            "user": "" if uid is None else user_name(uid),
            "started": self.started(process),
            "command": " ".join(shown(process.cmdline))[:200],
        }

    def adopted_id(self, venv: Venv) -> str:
        return name_adopted(venv.gunicorn, venv.python, freeze(self.reader, venv.path))

    def logs(self, seen: Observation) -> List[str]:
        """The files that the program and its running gunicorn write to."""
        return self._logging(seen)[1]

    def _logging(self, seen: Observation) -> Tuple[List[Sink], List[str], Optional[Setting]]:
        """Where the running gunicorn's words go, the logs among that, and what hides its start."""
        program, arbiter = seen.program, seen.arbiter
        if arbiter is None:
            return [], log_paths(program, seen.options, program["directory"]), None
        reader = self.reader
        # Where it was started, where it has gone since, and what the shell before it knew.
        here = [str(program["directory"] or ""), arbiter.cwd or "", seen.environ.get("PWD", "")]
        top = next(each for each in seen.tree if each.pid == arbiter.pid)
        settings = configured(reader, top.cmdline, seen.environ, program["command"], here)
        known = {
            name: os.path.normpath(os.path.join(arbiter.cwd or "/", setting.value))
            for name, setting in settings.items()
            if isinstance(setting.value, str) and setting.value not in ("", "-")
        }
        access = known.get("accesslog", "")
        uids = {arbiter.uid, read_uid(reader, self.manager.pid), reader.owner(self.home)}
        sinks = find_sinks(
            reader,
            top,
            seen.workers,
            seen.tree,
            self.manager.pid,
            frozenset(uid for uid in uids if uid is not None),
            access if access != known.get("errorlog") else "",
            self._told,
            self.manager.stream,
        )
        paths = log_paths(program, seen.options, arbiter.cwd, log_files(sinks))
        return sinks, paths, hiding(reader, settings, [*reversed(here[:2]), here[2]])

    def _told(self, path: str, process: Process) -> bool:
        who = Who(process.pid, self.started(process))
        return told([path], who, self._now()) in (START, LINE)

    def unread(self, seen: Observation) -> List[str]:
        """What could not be looked at because it belongs to another user."""
        pids = {str(each.pid) for each in seen.tree}
        pids |= {str(each.process.pid) for each in seen.orphans + seen.unmanaged}
        return sorted(
            path
            for path in self.reader.denied
            if not path.startswith("/proc/") or path.split("/")[2] in pids
        )[:20]

    def report(self, seen: Observation) -> Dict[str, Any]:
        """The observation as gunicorn_info returns it."""
        program = dict(seen.program)
        program["command"] = redact(program["command"]) if program["command"] else None
        venv = dict(seen.venv._asdict())
        del venv["changed"]
        venv["earlier"] = read_earlier(self.reader, self.home, seen.venv.release)
        venv["adopt_as"] = self.adopted_id(seen.venv) if seen.venv.kind == "directory" else None
        sinks, logs, hides = self._logging(seen)
        return {
            "program": program,
            "arbiter": dict(seen.arbiter._asdict()) if seen.arbiter else None,
            "age": round(self.age(seen), 1) if seen.arbiter else None,
            "workers": [{"pid": each.pid, "started": self.started(each)} for each in seen.workers],
            "listeners": sorted({each.address for each in seen.listeners}),
            "orphans": [stray_report(each) for each in seen.orphans],
            "unmanaged": [
                dict(stray_report(each), program=None)
                for each in seen.unmanaged
                if not each.program
            ],
            "helpers": self._helpers(seen),
            "beside": self._others(seen),
            "loose": [self._alone(each) for each in seen.loose],
            "venv": venv,
            "deviations": self.deviations(seen),
            "refusals": self.manager.refusals(
                seen.program, seen.arbiter.pid if seen.arbiter else 0
            ),
            "logs": logs,
            "sinks": reports(sinks),
            "log_level": dict(hides._asdict()) if hides else None,
            "unread": self.unread(seen),
        }
