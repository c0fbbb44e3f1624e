# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hooks that run once for a fleet and a plan, however many runs that takes."""

from __future__ import annotations

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_record import (
    empty,
    tell,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.once import (
    after_waits_for,
    before_on,
    once_lines,
)

HOOKS = [
    {"at": "once_before", "name": "migrate", "command": ["true"]},
    {"at": "once_after", "name": "contract", "command": ["true"]},
    {"at": "before_run", "name": "other", "command": ["true"]},
]
FLEET = ["web1", "web2"]
PLAN = "p1"
ASKED = {"plan": PLAN, "stages": 2, "horizon": 0}


def host(name, *actions):
    steps = [
        {"stage": number, "action": action, "gunicorn": f"2{number}.0.0"}
        for number, action in enumerate(actions, 1)
    ]
    releases = {
        str(step["stage"]): {"id": f"r{step['stage']}", "python": "3.11.7"}
        for step in steps
        if step["action"] == "upgrade"
    }
    return {
        "inventory_hostname": name,
        "_rollout_plan": {"steps": steps},
        "_rollout_releases": releases,
    }


def record(*events, plan=PLAN):
    found = empty("app")
    for name, more in [("began", {"plan": plan}), *events]:
        found = tell(found, {"event": name, "run": "r", "by": "ann", "at": 1.0, **more})
    return found


def passed(name, stage=2):
    return ("passed", {"host": name, "release": "x", "stage": stage})


def done(point):
    return ("once", {"host": "web1", "point": point})


def test_the_first_that_has_something_to_do_does_it_with_its_last_release():
    found = before_on(
        [host("web1", "skip", "skip"), host("web2", "upgrade", "upgrade")], HOOKS, record(), PLAN
    )
    told = {"host": "web2", "release": "r2", "gunicorn": "22.0.0", "python": "3.11.7", "stage": 2}
    assert found == told


@pytest.mark.parametrize(
    ("hosts", "hooks", "known", "plan"),
    [
        ([host("web1", "skip")], HOOKS, record(), PLAN),
        ([host("web1", "upgrade")], HOOKS[1:], record(), PLAN),
        ([host("web1", "upgrade")], HOOKS, record(done("once_before")), PLAN),
        ([host("web1", "upgrade")], HOOKS, record(), ""),
    ],
    ids=["nothing to do", "no such hook", "done", "the way back"],
)
def test_nobody_does_it(hosts, hooks, known, plan):
    assert before_on(hosts, hooks, known, plan)["host"] == ""


def test_another_plan_has_its_own():
    known = record(done("once_before"))
    assert before_on([host("web1", "upgrade")], HOOKS, known, "p2")["host"] == "web1"


def test_who_goes_back_begins_anew():
    known = record(done("once_before"))
    known = tell(known, {"event": "began", "run": "s", "by": "ann", "at": 2.0, "plan": ""})
    assert known["once"] == {}


def test_after_the_last_of_the_fleet_and_not_of_the_run():
    canary = record(passed("web1"))
    assert after_waits_for(HOOKS, canary, FLEET, ["web1"], ASKED) == {
        "due": False,
        "waits": ["web2"],
    }
    assert after_waits_for(HOOKS, canary, FLEET, FLEET, ASKED)["due"]
    both = record(passed("web1"), passed("web2"))
    assert after_waits_for(HOOKS, both, FLEET, ["web2"], ASKED)["due"]


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        (record(passed("web1"), passed("web2"), done("once_after")), ASKED),
        (record(passed("web1", 1), passed("web2", 1)), {**ASKED, "horizon": 1}),
        (record(passed("web1")), {**ASKED, "horizon": 1}),
        (record(), ASKED),
        (record(passed("web1"), passed("web2")), {**ASKED, "plan": ""}),
    ],
    ids=["done", "a stage bakes", "the last bakes", "it was there before", "the way back"],
)
def test_it_is_not_due(known, asked):
    assert not after_waits_for(HOOKS, known, FLEET, FLEET, asked)["due"]


def test_the_plan_tells_of_them():
    assert once_lines(HOOKS, record(done("once_before")), PLAN) == [
        "Once for the fleet, before the first server: migrate, done for this plan already",
        "Once for the fleet, after the last server: contract",
    ]
    assert once_lines(HOOKS[2:], None, PLAN) == []
