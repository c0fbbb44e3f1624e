# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which servers of a fleet run a stage, and whose logs can be read to compare with. Pure.

Hosts are given by their variables. Whoever is wrongly taken for one that does not run the stage
hides a little of a bad release; nobody is sent back for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# More logs are not read at each look.
MOST_LOGS = 4


def on_stage(
    hosts: Iterable[Mapping[str, Any]], release: str, stage: Any, record: Any
) -> list[str]:
    """The servers that run the stage or a later one, by the names that the balancers know.

    They passed it in this run, had it when the plan was made, or passed with its ``release`` in an
    earlier run, as the ``record`` tells.
    """
    told = (record or {}).get("hosts") or {}
    return [server_of(host) for host in hosts if _runs(host, release, int(stage), told)]


def server_of(host: Mapping[str, Any]) -> str:
    """The name that the balancers have for it."""
    kept = _mapping(_mapping(host, "_settings_checked"), "host").get("server")
    return str(kept or host.get("load_balancer_server") or host["inventory_hostname"])


def _runs(
    host: Mapping[str, Any], release: str, stage: int, told: Mapping[str, Mapping[str, Any]]
) -> bool:
    if release and host.get("_gate_passed") == release:
        return True
    steps = _mapping(host, "_rollout_plan").get("steps")
    if steps:
        return any(int(step["stage"]) == stage and step["action"] == "skip" for step in steps)
    known = told.get(str(host["inventory_hostname"])) or {}
    return known.get("phase") == "passed" and known.get("release") == release


def logs_of(
    hosts: Iterable[Mapping[str, Any]], servers: Sequence[str], paths: Sequence[str]
) -> list[dict[str, Any]]:
    """Whose logs are read to compare with: ``[{"host", "paths", "gunicorn"}]``, a few.

    ``servers``: the ones to compare with; ``paths``: gate_log_paths, or nothing for what the
    service manager of each says.
    """
    wanted = set(servers)
    found = []
    for host in hosts:
        if server_of(host) not in wanted:
            continue
        logs = list(paths) or list(_mapping(host, "_service_info").get("logs") or [])
        if logs:
            arbiter = _mapping(_mapping(host, "_service_info"), "arbiter")
            found.append(
                {
                    "host": str(host["inventory_hostname"]),
                    "paths": logs,
                    "gunicorn": str(arbiter.get("gunicorn") or ""),
                }
            )
        if len(found) == MOST_LOGS:
            break
    return found


def _mapping(host: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = host.get(name)
    return found if isinstance(found, Mapping) else {}
