# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One program of a supervisord, as `Manager` asks for it."""

from typing import Any, Dict, List, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.arbiters import names_home
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Process,
    Reader,
    read_environ,
    read_uid,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.trust import user_name
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.manager import (
    Deviation,
    Manager,
    Mark,
    Program,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord.config import (
    read_section,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord.risks import (
    deviations,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord.rpc import (
    ALREADY_STARTED,
    RpcFault,
    Supervisor,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord.target import (
    choose_program,
    describe_program,
    namespec,
)


class SupervisordManager(Manager):
    """``wanted`` is "name" or "group:name"."""

    word = "supervisord"
    reload = "supervisorctl update"

    def __init__(self, supervisor: Supervisor, wanted: str) -> None:
        self._supervisor = supervisor
        self._wanted = wanted

    def attach(self, reader: Reader, homes: List[str]) -> None:
        self.reader = reader
        supervisor = self._supervisor
        processes = supervisor.processes()
        chosen = choose_program(processes, self._wanted)
        self.name = namespec(chosen)
        self.pid = supervisor.pid()
        self.others = {
            int(each["pid"]): namespec(each)
            for each in processes
            if each["pid"] and namespec(each) != self.name
        }
        configs = supervisor.configs()
        self._config: Dict[str, Any] = {}
        for each in configs:
            if (each["group"], each["name"]) == (chosen["group"], chosen["name"]):
                self._config = each
        self.sharing = tuple(
            sorted(
                namespec(each)
                for each in configs
                if each is not self._config
                and each.get("inuse")
                and names_home(homes, each["command"])
            )
        )
        found = read_section(reader, self.pid, str(chosen["group"]), str(chosen["name"]))
        self._section, self._unknown = found
        self._user = self._program_user()
        inherited = read_environ(reader, self.pid).get("PATH", "")
        self.environment = "{} {}".format(self._section.get("environment") or "", inherited)

    def _program_user(self) -> Optional[str]:
        uid = self._config.get("uid")
        if not isinstance(uid, int):
            named = self._section.get("user")
            if named and not named.isdigit():
                return named
            uid = int(named) if named else read_uid(self.reader, self.pid)
        return None if uid is None else user_name(uid)

    def program(self) -> Program:
        info = self._supervisor.process(self.name)
        told = describe_program(info, self._config, self._section, self._user)
        return dict(told, manager=self.word, said=told["state"])

    def state(self) -> str:
        return str(self._supervisor.process(self.name)["statename"])

    def check_tree(self, program: Program, table: Dict[int, Process]) -> None:
        pid = program["pid"]
        if pid and pid in table and table[pid].ppid != self.pid:
            raise FleetError(
                f"supervisord says that {self.name} is process {pid}, but on this host that is"
                f" not a child of supervisord ({self.pid}): supervisor_url leads to"
                " another host or into a container. Run this where supervisord runs."
            )

    def deviations(
        self, program: Program, options: Dict[str, str], wrapped: bool
    ) -> List[Deviation]:
        return deviations(program, options, wrapped, self.sharing, self._unknown)

    def stop(self) -> None:
        self._supervisor.stop(self.name)

    def start(self) -> None:
        try:
            self._supervisor.start(self.name)
        except RpcFault as fault:
            # By supervisord itself (autorestart): what runs is judged by the proof.
            if fault.code != ALREADY_STARTED:
                raise

    def mark(self, program: Program) -> Mark:
        channel = "Stdout" if program["redirect_stderr"] else "Stderr"
        return Mark(self._supervisor.log_size(self.name, channel), channel)

    def said_since(self, mark: Mark, limit: int) -> str:
        return self._supervisor.log_since(self.name, mark.of, mark.at, limit)

    def log_option(self) -> str:
        return "stderr_logfile"

    def own_logs(self) -> List[Optional[str]]:
        info = choose_program(self._supervisor.processes(), self._wanted)
        return [info.get("stdout_logfile"), info.get("stderr_logfile")]
