# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service managers that there are. The only place that names one."""

import os
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.origin import Run
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.machine import boottime
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import Reader
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.manager import (
    Manager,
    Start,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.site import Site
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord.config import (
    read_start,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord.driver import (
    SupervisordManager,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord.rpc import (
    Supervisor,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd import (
    driver,
    sandbox,
    variables,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.systemctl import (
    ask,
)

Params = Dict[str, Any]

MANAGER_OPTIONS: Dict[str, Dict[str, Any]] = {
    "manager": {"type": "str", "choices": ["supervisord", "systemd"], "default": "supervisord"},
    "supervisor_url": {"type": "str", "default": "unix:///run/supervisor.sock"},
    "supervisor_username": {"type": "str"},
    "supervisor_password": {"type": "str", "no_log": True},
    "systemd_scope": {"type": "str", "choices": ["system", "user"], "default": "system"},
}
SITE_OPTIONS: Dict[str, Dict[str, Any]] = dict(
    MANAGER_OPTIONS,
    home={"type": "path", "required": True},
    program={"type": "str", "required": True},
    programs={"type": "list", "elements": "str", "default": []},
)


def _supervisord(params: Params) -> Manager:
    supervisor = Supervisor(
        params["supervisor_url"], params["supervisor_username"], params["supervisor_password"]
    )
    return SupervisordManager(supervisor, params["program"])


def _systemd(params: Params) -> Manager:
    user = params["systemd_scope"] == "user"
    return driver.SystemdManager(ask(user), params["program"], user)


MANAGERS: Dict[str, Callable[[Params], Manager]] = {
    "supervisord": _supervisord,
    "systemd": _systemd,
}


def start_of(reader: Reader, parent: int, told: str) -> Optional[Start]:
    """How the manager that is process ``parent`` starts the program whose command is ``told``."""
    return read_start(reader, parent, told)


TRIAL_UNIT = sandbox.TRIAL_UNIT
trial_command = sandbox.trial_command
inherited = variables.inherited
write_file = variables.write_file


def sandbox_of(unit: str) -> sandbox.Sandbox:
    """How a trial of a unit of systemd is like its next start."""
    return driver.sandbox_of(ask(False), unit, Reader())


def end_trial(name: str) -> None:
    """End a trial in a sandbox; systemd kills what does not end by itself."""
    ask(False)(["systemctl", "stop", "--no-block", "--", name])


def open_manager(params: Params) -> Manager:
    return MANAGERS[params["manager"]](params)


def open_site(params: Params, run: Run) -> Site:
    """One program, as if no other was switched with it."""
    if not str(params["home"]).startswith("/"):
        raise FleetError(f"home is an absolute path, not {params['home']!r}.")
    return Site(
        home=params["home"],
        manager=open_manager(params),
        reader=Reader(),
        run=run,
        now=time.time,
        # As /proc counts start times, suspended time included.
        boot_epoch=time.time() - boottime(),
        ticks=os.sysconf("SC_CLK_TCK"),
    )


def open_sites(params: Params, run: Run) -> Tuple[Site, List[Site]]:
    """The gunicorn, and the other programs of its virtualenv in the order of their start."""
    site = open_site(params, run)
    others: List[Site] = []
    for name in params["programs"]:
        try:
            other = open_site(dict(params, program=name), run)
        except FleetError as exc:
            raise FleetError(f"app_programs names {name!r}: {exc}") from exc
        if other.name in [each.name for each in [site, *others]]:
            what = "twice" if other.name != site.name else "beside app_program, which it is"
            raise FleetError(f"app_programs names {name!r} {what}. Leave it out there.")
        others.append(other)
    managers = [each.manager for each in others]
    site.declare(managers)
    for other in others:
        other.declare([each for each in managers if each is not other.manager], site.manager)
    return site, others
