# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a stage bakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._controller import user
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.bake import duration_words
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.bake_normal import judge_bake
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.stage_bake import (
    Wish,
    beyond,
    decide,
    hold,
    must_be_judged,
    place,
    rest_words,
    second_person,
    worth_noting,
)


def _wish(given: dict[str, Any]) -> Wish:
    # Templates of ansible-core 2.16 make words of numbers.
    return Wish(
        tuple(given["stages"]),
        float(given["now"]),
        str(given["promote"]).lower() == "true",
        str(given["wait"]).lower() == "true",
    )


def stage_bake_decision(hosts: Any, wish: dict[str, Any], outside: Any) -> dict[str, Any]:
    """Decide how far the hosts of a run may go; ``wish`` is shaped like ``Wish``."""
    return decide(_wish(wish), hosts, outside)._asdict()


def stage_bake_rest(hosts: Any, wish: dict[str, Any], outside: Any) -> str:
    """The last words of a run that ends where a stage bakes."""
    return rest_words(_wish(wish), hosts, outside)


def stage_bake_worth_noting(host: Any, wish: dict[str, Any]) -> bool:
    """Whether the record should know that the host has baked."""
    return worth_noting(_wish(wish), host)


def stage_bake_place(plan: Any) -> dict[str, Any]:
    """Where a host is; ``judge`` says whether it must be looked at."""
    found = place(plan["steps"])
    return {**found, "judge": must_be_judged(plan["stages"], found["todo"], found["runs"])}


def not_a_second_person(record: Any, hosts: Any) -> str:
    """Why the person who runs this may not promote; empty if nothing speaks against it."""
    return second_person(record, hosts, user())


INTERNAL: dict[str, Callable[..., Any]] = {
    "stage_bake_beyond": beyond,
    "stage_bake_decision": stage_bake_decision,
    "stage_bake_hold": hold,
    "judge_bake": judge_bake,
    "stage_bake_place": stage_bake_place,
    "duration_words": duration_words,
    "stage_bake_rest": stage_bake_rest,
    "second_person": not_a_second_person,
    "stage_bake_worth_noting": stage_bake_worth_noting,
}
