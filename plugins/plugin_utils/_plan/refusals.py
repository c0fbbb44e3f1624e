# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What makes a plan impossible: decided once for the whole fleet, told of each host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_record import (
    marked_bad,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.balancers import (
    Answer,
    balancer_problems,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.document import (
    stage_problems,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.server import (
    deaf_or_ill,
    foreseen_releases,
    missing_pythons,
)


def refusals(
    hosts: Iterable[Mapping[str, Any]],
    balancers: Iterable[Answer],
    record: Mapping[str, Any],
    out: int,
) -> dict[str, dict[str, str]]:
    """Return by host what forbids the plan; a host without a problem is not there.

    The arguments are those of `balancer_problems`. Each answer has one or more of ``server``,
    ``build``, ``balancer``, ``application``, ``python``, ``way_back`` and ``bad``. Of a host that
    cannot take part at all the rest would be noise.
    """
    asked = list(hosts)
    unfit = balancer_problems(asked, balancers, record, out)
    found = {}
    for host in asked:
        name = str(host["inventory_hostname"])
        problems = _problems(host, unfit.get(name, ""), record)
        if problems:
            found[name] = problems
    return found


def _problems(host: Mapping[str, Any], unfit: str, record: Mapping[str, Any]) -> dict[str, str]:
    seen, given = host["_preflight_seen"], host["_settings_checked"]["judged_by"]
    if seen["problems"]:
        return {"server": " ".join(seen["problems"])}
    trial = seen["trial"]
    found = {
        "build": " ".join(stage_problems(seen["found"].get("stages") or [])),
        "balancer": unfit,
        "application": deaf_or_ill(seen, given["log_quiet"], given["log_paths"]),
        "python": missing_pythons(seen, given["python_provider"]),
        "way_back": str(trial["msg"]) if trial.get("failed") else "",
        "bad": "" if given["force"] else bad_releases(record, _foreseen(seen)),
    }
    return {kind: text for kind, text in found.items() if text}


def _foreseen(seen: Mapping[str, Any]) -> list[str]:
    return [str(each["id"]) for each in foreseen_releases(seen).values()]


def bad_releases(record: Mapping[str, Any], releases: Sequence[str]) -> str:
    """Return which of the releases failed before, and what to do; empty if none did."""
    bad = marked_bad(dict(record), list(releases))
    again = "If the cause is gone, choose it again with -e rollout_force=true."
    return f"{'; '.join(bad)}. {again}" if bad else ""
