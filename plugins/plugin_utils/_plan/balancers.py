# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the balancers allow what is planned: decided once for the whole fleet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._fleet_questions import (
    answers_about,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.ramp import ramp_unfit
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.rotation import out_by_others
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.steps import UNFINISHED

# So many hazards of a fleet are told; most of them are the same but for a name.
HAZARDS = 20

Answer = Mapping[str, Any]


def balancer_problems(
    hosts: Iterable[Mapping[str, Any]],
    balancers: Iterable[Answer],
    record: Mapping[str, Any],
    out: int,
) -> dict[str, str]:
    """Return by host what forbids the plan; a host without a problem is not there.

    ``hosts`` are the variables of hosts with their plan, ``balancers`` the results of
    `_fleet_questions`, ``record`` is the record of the fleet, ``out`` how many servers of the
    largest wave are out at a time.
    """
    answers = list(balancers)
    found = {}
    for host in hosts:
        name = str(host["inventory_hostname"])
        checked = host["_settings_checked"]
        told = answers_about(answers, checked["host"])
        phase = str(((record.get("hosts") or {}).get(name) or {}).get("phase") or "")
        upgrades = any(step["action"] == "upgrade" for step in host["_rollout_plan"]["steps"])
        resumed = phase in UNFINISHED
        problem = _problem(name, told, checked["judged_by"], resumed, upgrades, out)
        if problem:
            found[name] = problem
    return found


def _problem(
    host: str,
    told: list[dict[str, Any]],
    given: Mapping[str, Any],
    resumed: bool,
    upgrades: bool,
    out: int,
) -> str:
    """The first thing that is wrong; empty if nothing is."""
    blind = [_reach(each) for each in told if "servers" not in each]
    if blind:
        return "; ".join(blind)
    # Whoever took it out has a reason, and the run would end with it in rotation. What a stopped
    # run of ours took out is remembered beside the leases, and on the record.
    others = out_by_others(told, host)
    if others and given["drain"] and not resumed and upgrades:
        return others
    for each in told:
        if each["level"] not in ("admin", ""):
            return (
                f"The socket of {each['item']} has the level {each['level']}, and draining needs"
                ' admin: write "level admin" on its "stats socket" line, and reload HAProxy.'
            )
    unfit = ramp_unfit(told, given["ramp"], resumed)
    if unfit:
        return (
            f"rollout_ramp is {list(given['ramp'])}, and {' And '.join(unfit)} Or take no ramp"
            " (rollout_ramp: []). Nothing was touched."
        )
    small = (_too_small(each, given, out) for each in told)
    return next((text for text in small if text), "")


def _reach(answer: Answer) -> str:
    words = " ".join(str(answer["msg"]).split())
    if answer.get("unreachable"):
        return f"{answer['item']} cannot be reached: {words}"
    return f"{answer['item']}: {words}"


def _too_small(answer: Answer, given: Mapping[str, Any], out: int) -> str:
    who = "one server is" if out == 1 else f"{out} servers of a wave are"
    lower = "" if out == 1 else " or rollout_waves"
    for backend, counted in answer["available"].items():
        if int(counted["total"]) - out < int(counted["wanted"]):
            return (
                f"rollout_min_available is {given['min_available']}, which can never hold while"
                f" {who} out: backend {backend} has {counted['total']} in all. Lower"
                f" rollout_min_available{lower}, or add a server."
            )
    return ""


def hazards_of(balancers: Iterable[Answer]) -> list[str]:
    """What HAProxy itself would do to a drain or a ramp of the servers that were asked about."""
    found: dict[str, None] = {}
    for result in balancers:
        for own in (result.get("about") or {}).values():
            found.update(dict.fromkeys(own.get("hazards") or []))
    told = list(found)
    more = len(told) - HAZARDS
    return [*told[:HAZARDS], *([f"... and {more} more of the kind"] if more > 0 else [])]


def seen_by(balancers: Iterable[Answer]) -> list[dict[str, Any]]:
    """What users have seen at each balancer so far, and nothing of single servers."""
    return [
        {
            "item": str(result["item"]["balancer"]),
            **{name: result[name] for name in ("node", "totals") if name in result},
        }
        for result in balancers
    ]
