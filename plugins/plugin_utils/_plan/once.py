# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hooks that run once for a fleet and a plan: which server runs them, and when. Pure.

The record of the fleet remembers for which plan each was done last. Whoever goes back by
C(rollback.yml) begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_record import (
    ONCE_POINTS,
    passed_with,
)

BEFORE, AFTER = ONCE_POINTS
Hooks = Iterable[Mapping[str, Any]]


def names_at(hooks: Hooks, point: str) -> list[str]:
    """The hooks of a point."""
    return [str(hook["name"]) for hook in hooks if hook["at"] == point]


def is_done(record: Any, point: str, plan: str) -> bool:
    """Whether the record says that it was done for this very plan."""
    told = (record or {}).get("once") or {}
    return bool(plan) and (told.get(point) or {}).get("plan") == plan


def before_on(
    hosts: Iterable[Mapping[str, Any]], hooks: Hooks, record: Any, plan: str
) -> dict[str, Any]:
    """Which server runs what is done once before the first one, with which release.

    ``hosts`` are the variables of the hosts of the run. Returns ``host``, empty for nobody, and
    of the last release that it will run ``release``, ``gunicorn``, ``python`` and ``stage``.
    """
    nobody = {"host": "", "release": "", "gunicorn": "", "python": "", "stage": 0}
    if not plan or not names_at(hooks, BEFORE) or is_done(record, BEFORE, plan):
        return nobody
    for host in hosts:
        releases = host.get("_rollout_releases") or {}
        for step in reversed((host.get("_rollout_plan") or {}).get("steps") or []):
            built = releases.get(str(step["stage"]))
            if step["action"] == "upgrade" and built:
                return {
                    "host": str(host["inventory_hostname"]),
                    "release": str(built["id"]),
                    "gunicorn": str(step["gunicorn"]),
                    "python": str(built["python"]),
                    "stage": int(step["stage"]),
                }
    return nobody


def after_waits_for(
    hooks: Hooks, record: Any, fleet: Sequence[str], run: Sequence[str], asked: Mapping[str, Any]
) -> dict[str, Any]:
    """Whether what is done once after the last server is due, at the end of a run that went well.

    ``fleet`` and ``run`` are names of hosts, ``asked`` has ``plan`` (the hash), ``stages`` (how
    many the run has) and ``horizon`` (the stage that still bakes, 0 for none). Returns ``due``, and
    the hosts that it ``waits`` for. Who was outside the run counts if it passed with this plan.
    """
    plan, stages = str(asked["plan"]), int(asked["stages"])
    if not plan or not names_at(hooks, AFTER) or is_done(record, AFTER, plan):
        return {"due": False, "waits": []}
    through = {
        name
        for name, host in passed_with(record, plan).items()
        if int(host.get("stage") or 0) >= stages
    }
    if not through:
        # Nobody went through it: it was there before.
        return {"due": False, "waits": []}
    waits = [name for name in fleet if name not in run and name not in through]
    return {"due": not waits and not int(asked["horizon"]), "waits": waits}


def once_lines(hooks: Hooks, record: Any, plan: str) -> list[str]:
    """What the plan tells of them."""
    lines = []
    for point, when in ((BEFORE, "before the first server"), (AFTER, "after the last server")):
        names = names_at(hooks, point)
        if names:
            again = ", done for this plan already" if is_done(record, point, plan) else ""
            lines.append(f"Once for the fleet, {when}: {', '.join(names)}{again}")
    return lines
