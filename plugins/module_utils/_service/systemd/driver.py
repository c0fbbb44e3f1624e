# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One unit of a systemd, as `Manager` asks for it."""

import os
import pwd
import re
from typing import Dict, List, Optional, Set, Tuple
from uuid import uuid4

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.arbiters import names_home
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Process,
    Reader,
    read_environ,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.journal_names import (
    PROBE,
    complaint,
    path_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.manager import (
    RUNNING_STATES,
    Deviation,
    Manager,
    Mark,
    Program,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd import (
    sockets,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.gate import Gate
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.risks import (
    deviations,
    refusals,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.sandbox import (
    CREDENTIALS,
    TRIAL_UNIT,
    Sandbox,
    read_repeated,
    trial_properties,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.sandbox import (
    PROPERTIES as SANDBOX,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.show import (
    require_loaded,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.show import (
    sockets as socket_names,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.systemctl import (
    Ask,
    Systemctl,
    journal,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.target import (
    command_of,
    describe_unit,
    into_journal,
    log_paths,
    services,
    state_of,
    unit_name,
    unit_of_cgroup,
    user_of,
    why_no_journal,
    written_list,
    written_settings,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.variables import (
    coming,
)

# Where the kernel shows systemd's own tree of control groups, by the version of that.
_CGROUPS = ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")
MAX_GROUPS = 256
STANDARD = {"StandardOutput": 1, "StandardError": 2}
_CURSOR = re.compile(r"^-- cursor: (\S+)$", re.M)


class SystemdManager(Manager):
    """``wanted`` is a service, with or without ``.service``; ``user``: of this user's manager."""

    word = "systemd"
    reload = "systemctl daemon-reload"

    def __init__(self, asking: Ask, wanted: str, user: bool = False) -> None:
        self._ask = asking
        self._user = user
        self._systemctl = Systemctl(asking, user)
        self._wanted = wanted
        self._told: Dict[str, str] = {}
        self._names: Set[str] = set()
        # Why this user cannot read the journal; None: not asked yet.
        self._unreadable: Optional[str] = None
        self._sockets: List[sockets.Socket] = []
        self._gate: Optional[Gate] = None

    def attach(self, reader: Reader, homes: List[str]) -> None:
        self.reader = reader
        self._told = self._systemctl.show(unit_name(self._wanted))
        require_loaded(self._wanted, self._told)
        self.name = self._told["Id"]
        self.pid = self._manager_pid()
        known = services(self._systemctl.show_services(("Id", "MainPID", "ExecStart")))
        known = [each for each in known if not each["Id"].startswith(TRIAL_UNIT)]
        self._names = {self.name, *(each["Id"] for each in known)}
        others = [each for each in known if each["Id"] != self.name]
        self.others = {
            int(each["MainPID"]): f"{each['Id']} of systemd"
            for each in others
            if each.get("MainPID", "0") != "0"
        }
        self.sharing = tuple(
            sorted(
                f"{each['Id']} of systemd"
                for each in others
                if names_home(homes, command_of(each) or "")
            )
        )
        self.environment = self._told.get("Environment", "")
        self._sockets = self._used_sockets()
        self.activated_by = socket_names(self._told)

    def _used_sockets(self) -> List[sockets.Socket]:
        pid = int(self._told.get("MainPID") or 0)
        given = bool(pid) and "LISTEN_FDS" in read_environ(self.reader, pid)
        triggers = socket_names(self._told)
        # Of one that is down and that nothing refers to, systemd does not know until it is asked.
        own = f"{self.name[: -len('.service')]}.socket"
        found = [
            each
            for each in self._show_sockets({*triggers, own})
            if each.name in triggers or (each.loaded and self.name in each.triggers)
        ]
        return sockets.in_use(found, self._told, bool(pid), given)

    def _show_sockets(self, names: Set[str]) -> List[sockets.Socket]:
        told = self._systemctl.show_units(sorted(names), sockets.PROPERTIES)
        return sockets.read_sockets(told)

    def _manager_pid(self) -> int:
        if not self._user:
            return 1
        own = Systemctl(self._ask).show(f"user@{os.geteuid()}.service", ("MainPID",))
        return int(own.get("MainPID") or 0) or 1

    def told_as(self) -> str:
        return f"{self.name} of systemd"

    def program(self) -> Program:
        self._told = told = self._systemctl.show(self.name)
        require_loaded(self.name, told)
        pid = int(told.get("MainPID") or 0)
        if not pid and state_of(told) == "RUNNING":
            # Of Type=forking, when systemd cannot guess it.
            pid = self._oldest()
        default = "root" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        user = user_of(told, default if self._user else "root")
        return describe_unit(told, pid, user, _home_of(user), self._logs(pid))

    def _logs(self, pid: int) -> Tuple[Optional[str], Optional[str]]:
        told = self._told
        journal = "" if self._why_no_journal() else path_of(told.get("Id", ""), self._user)
        named = [name for name in STANDARD if told.get(name) in ("file", "append", "truncate")]
        if not named:
            return log_paths(told, {}, {}, journal)
        opened: Dict[str, Optional[str]] = {}
        for name in named if pid else ():
            link = self.reader.link(f"/proc/{pid}/fd/{STANDARD[name]}") or ""
            if link.startswith("/") and not link.startswith("/dev/"):
                opened[name] = link
        written = {} if len(opened) == len(named) else self._written(named)
        return log_paths(told, opened, written, journal)

    def _why_no_journal(self) -> str:
        """Why the unit's journal is not read; empty if it is, or if it writes nothing to it."""
        if not any(into_journal(self._told, name) for name in STANDARD):
            return ""
        why = why_no_journal(self._told)
        if why:
            return why
        if self._unreadable is None:
            result = self._ask(["journalctl", "--no-pager", *PROBE])
            self._unreadable = complaint(self.name, result.status, result.error)
        return self._unreadable

    def stream(self, number: int) -> Tuple[str, str]:
        name = next(name for name, fd in STANDARD.items() if fd == number)
        if not into_journal(self._told, name):
            return "", ""
        why = self._why_no_journal()
        return ("", why) if why else (path_of(self.name, self._user), "")

    def _written(self, names: List[str]) -> Dict[str, str]:
        return written_settings(self._systemctl.cat(self.name), tuple(names))

    def state(self) -> str:
        told = self._systemctl.show(self.name, ("ActiveState", "SubState", "Job"))
        if self._gate and self._gate.closed:
            # A client's start, which waits until we have let go.
            told = dict(told, Job="")
        return state_of(told)

    # -- its processes

    def _members(self) -> List[int]:
        """Whoever is in the unit's control group or in one below it."""
        group = self._told.get("ControlGroup", "")
        if not group.strip("/"):
            return []
        reader = self.reader
        places = [f"{root}{group}" for root in _CGROUPS]
        place = next((each for each in places if reader.kind(each) == "directory"), None)
        found: List[int] = []
        todo = [place] if place else []
        for each in todo:
            found += [int(pid) for pid in reader.text(f"{each}/cgroup.procs").split()]
            if len(todo) < MAX_GROUPS:
                below = [f"{each}/{name}" for name in reader.names(each)]
                todo += [path for path in below if reader.kind(path) == "directory"]
        return sorted(found)

    def _oldest(self) -> int:
        members = self._members()
        return members[0] if members else 0

    def rest(self, table: Dict[int, Process], tree: List[Process]) -> List[Process]:
        if self._told.get("KillMode") not in ("control-group", "mixed"):
            return []
        known = {each.pid for each in tree}
        return [table[pid] for pid in self._members() if pid in table and pid not in known]

    def holds(self, pid: int) -> bool:
        text = self.reader.text(f"/proc/{pid}/cgroup", 1 << 14)
        return unit_of_cgroup(text, self._names) is not None

    def check_tree(self, program: Program, table: Dict[int, Process]) -> None:
        pid = program["pid"]
        if pid and pid in table and not self.holds(pid):
            raise FleetError(
                f"systemd says that {self.name} is process {pid}, but that is not in the unit's"
                " control group here: is this run in a container, beside the systemd that was"
                " asked? Run it where systemd runs."
            )

    # -- what follows

    def deviations(
        self, program: Program, options: Dict[str, str], wrapped: bool
    ) -> List[Deviation]:
        found = deviations(self._told, program, options, wrapped, self.sharing)
        return found + sockets.deviations(self.name, self._told, self._sockets)

    def refusals(self, program: Program, arbiter: int = 0) -> List[str]:
        found = refusals(self._told, self.together)
        found += sockets.refusals(self.name, self._sockets, self._may_hold())
        meant = read_environ(self.reader, arbiter).get("LISTEN_PID", "") if arbiter else ""
        return found + sockets.not_taken(self.name, self._sockets, meant, arbiter)

    def _may_hold(self) -> bool:
        """Who may make units of his own may do anything, so no rule of polkit allows that alone."""
        return self._user or os.geteuid() == 0

    def kept(self) -> List[str]:
        return [address for each in self._sockets for address in each.addresses]

    def hold(self, seconds: float) -> None:
        # A timer or a path may start it as well.
        if (self._sockets or self._told.get("TriggeredBy")) and self._may_hold():
            self._gate = Gate(self._ask, self._user, self.name, f"{os.getpid()}-{uuid4().hex[:8]}")
            self._gate.close(seconds)

    def holds_back(self) -> bool:
        return self._gate is None or self._gate.holds()

    def let_go(self) -> None:
        if self._gate:
            self._gate.open()

    def stop(self) -> None:
        self._systemctl.order("stop", self.name)

    def start(self) -> None:
        # It may have been started too often already, by a release that died at once.
        self._systemctl.reset_failed(self.name)
        if self._sockets and self.state() not in RUNNING_STATES:
            self._start_sockets()
        self._systemctl.order("start", self.name)
        self.let_go()

    def _start_sockets(self) -> None:
        """A service that dies at once takes its sockets with it; without them gunicorn would listen
        wherever it likes. They cannot be started any more once it runs."""
        for each in self._show_sockets({each.name for each in self._sockets}):
            if each.state != "active":
                self._systemctl.reset_failed(each.name)
                self._systemctl.order("start", each.name, wait=True)

    def mark(self, program: Program) -> Mark:
        said = journal(self._ask, self._user, {"lines": "0"}, ["--show-cursor"])
        found = _CURSOR.search(said)
        return Mark(_size(program["stderr_logfile"]), found.group(1) if found else "")

    def said_since(self, mark: Mark, limit: int) -> str:
        words = {"lines": "200", "output": "cat"}
        if mark.of:
            words["after-cursor"] = mark.of
        unit = f"--{'user-' if self._user else ''}unit={self.name}"
        told = journal(self._ask, self._user, words, [unit])
        path = self._logs(int(self._told.get("MainPID") or 0))[1]
        uids = {0, os.geteuid(), _uid_of(user_of(self._told, "root"))}
        if (
            path
            and path.startswith("/")
            and not self.reader.why_no_log(path, "", frozenset(uids), 1 << 40)
        ):
            begin = mark.at if mark.at <= _size(path) else 0
            told += _tail(path, begin, limit)
        return told[-limit:]

    def log_option(self) -> str:
        return "StandardError=append:/path"

    def own_logs(self) -> List[Optional[str]]:
        self.reader = Reader()
        self._told = self._systemctl.show(unit_name(self._wanted))
        require_loaded(self._wanted, self._told)
        self.name = self._told["Id"]
        return list(self._logs(int(self._told.get("MainPID") or 0)))


def sandbox_of(asking: Ask, unit: str, reader: Reader) -> Sandbox:
    """What a trial of a unit has in common with its next start."""
    told = read_repeated(Systemctl(asking).show_text(unit, SANDBOX))
    last = {name: values[-1] for name, values in told.items()}
    require_loaded(unit, last)
    environment, unset = coming(
        last.get("Environment", ""),
        told.get("EnvironmentFiles", []),
        last.get("UnsetEnvironment", ""),
        lambda path: _environment_files(reader, path),
        unit,
    )
    written = written_list(Systemctl(asking).cat(unit), CREDENTIALS)
    return Sandbox(trial_properties(told, written), environment, tuple(unset))


def _environment_files(reader: Reader, path: str) -> Optional[str]:
    """The text of all that a path or pattern names; None if it names nothing."""
    paths = reader.glob(path)
    return "\n".join(reader.text(each) for each in paths) if paths else None


def _home_of(user: str) -> str:
    try:
        return pwd.getpwnam(user).pw_dir
    except KeyError:
        return "/"


def _uid_of(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return 0


def _size(path: Optional[str]) -> int:
    try:
        return os.stat(path).st_size if path else 0
    except OSError:
        return 0


def _tail(path: str, begin: int, limit: int) -> str:
    """The end of a log that was found to be one, nothing from before ``begin``."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(begin, size - limit))
            return file.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""
