# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an operator should look at before a rollout, though it does not stop one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.programs import (
    program_findings,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.unread_logs import (
    unread_sinks,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._few import few

STRAY = {
    "orphans": "a worker that outlived its arbiter",
    "unmanaged": "a gunicorn that its service manager does not know, such as a left-over of USR2",
}


def findings(info: Mapping[str, Any], stop_timeout: Any = None) -> list[str]:
    """Return a line for each finding in what ``gunicorn_info`` returned; none is the best.

    ``stop_timeout``: how long a switch waits for a program to end, in seconds.
    """
    lines = [
        f"{each['setting']} is {each['value']}, better {each['wanted']}: {each['why']}"
        for each in info["deviations"]
    ]
    for kind, what in STRAY.items():
        for stray in info[kind]:
            places = f", listening on {', '.join(stray['listeners'])}" if stray["listeners"] else ""
            pid = stray["pid"]
            lines.append(f"process {pid} is {what}{places}: end it with kill -TERM {pid}")
    lines += program_findings(info, stop_timeout)
    lines += unread_sinks(info)
    if info["unread"]:
        lines.append(
            f"may not be read: {', '.join(info['unread'])}: connect as one who may, or set become"
        )
    return lines


def fleet_findings(hosts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a headline and a line for each finding, with the hosts that have it; or nothing.

    ``hosts`` are the variables of hosts with their plan.
    """
    who: dict[str, list[str]] = {}
    for host in hosts:
        service = host["_preflight_seen"]["service"]
        if "deviations" in service:
            timeout = host["_settings_checked"]["judged_by"]["stop_timeout"]
            for line in findings(service, timeout):
                who.setdefault(line, []).append(str(host["inventory_hostname"]))
    lines = [f"{few(names)}: {line}" for line, names in who.items()]
    return ["Worth a look, though nothing of it stops the run:", *lines] if lines else []
