# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the balancers allow a plan, decided once for all hosts."""

from __future__ import annotations

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.balancers import (
    HAZARDS,
    balancer_problems,
    hazards_of,
    seen_by,
)

from tests.unit.plugins.plugin_utils.paper_questions import OF

GIVEN = {"drain": True, "ramp": [], "min_available": "1"}
OUT = [{"backend": "app", "server": "web1", "how": "in MAINT"}]


def host(name="web1", action="upgrade", **given):
    return {
        "inventory_hostname": name,
        "_settings_checked": {"host": {"server": name, **OF}, "judged_by": {**GIVEN, **given}},
        "_rollout_plan": {"steps": [{"action": action}]},
    }


def answer(level="admin", total=2, balance="roundrobin", out=(), hazards=(), msg=""):
    row = {"backend": "app", "server": "web1", "weight_set": 100, "weight_full": 100}
    own = {"servers": [row], "out_by_others": list(out), "hazards": list(hazards), "lease": None}
    return {
        "item": {**OF, "balancer": "lb1"},
        "node": {"pid": 1},
        "level": level,
        "totals": [{"backend": "app", "counters": {}}],
        "available": {"app": {"total": total, "wanted": 1}},
        "backends": [{"name": "app", "balance": balance}],
        "about": {"web1": {"msg": msg} if msg else own, "web2": {**own, "out_by_others": []}},
    }


def problems(one, of=None, record=None, out=1):
    return balancer_problems([of or host()], [one], record or {}, out)


def test_nothing_is_wrong_with_a_fleet_that_is_well():
    assert problems(answer()) == {}


@pytest.mark.parametrize(
    ("one", "given", "words"),
    [
        (answer(out=OUT), {}, "web1 is out of rotation, and not by a run of ours: app/web1 on lb1"),
        (answer(level="user"), {}, "The socket of lb1 has the level user, and draining needs"),
        (answer(balance="source"), {"ramp": [10]}, "rollout_ramp is [10], and backend app of lb1"),
        (answer(total=1), {}, "can never hold while one server is out: backend app has 1 in all"),
        (answer(msg="Server 'web1' is not"), {}, "lb1: Server 'web1' is not"),
    ],
)
def test_what_is_wrong_is_told_of_the_host(one, given, words):
    told = problems(one, host(**given))
    assert list(told) == ["web1"] and words in told["web1"]


def test_a_wave_that_is_too_large_names_the_waves():
    text = problems(answer(total=3), out=3)["web1"]
    assert "3 servers of a wave are out" in text and "or rollout_waves, or add" in text


def test_only_the_host_that_it_is_about_is_refused():
    found = balancer_problems([host("web1"), host("web2")], [answer(out=OUT)], {}, 1)
    assert list(found) == ["web1"]


def test_who_is_out_may_be_where_nothing_would_put_it_back():
    record = {"hosts": {"web1": {"phase": "taken"}}}
    assert problems(answer(out=OUT), record=record) == {}
    assert problems(answer(out=OUT), host(drain=False)) == {}
    assert problems(answer(out=OUT), host(action="skip")) == {}


def test_a_balancer_that_cannot_be_reached_is_a_problem_of_each_host():
    lost = {"item": {**OF, "balancer": "lb1"}, "unreachable": True, "msg": "no\nroute"}
    found = balancer_problems([host("web1"), host("web2")], [lost], {}, 1)
    assert found == dict.fromkeys(("web1", "web2"), "lb1 cannot be reached: no route")


def test_hazards_of_a_large_fleet_are_few_and_each_is_told_once():
    one = answer()
    one["about"] = {f"web{number}": {"hazards": ["the same"]} for number in range(1000)}
    assert hazards_of([one, one]) == ["the same"]
    one["about"] = {f"web{number}": {"hazards": [f"web{number} is"]} for number in range(1000)}
    told = hazards_of([one])
    assert len(told) == HAZARDS + 1 and told[-1] == "... and 980 more of the kind"


def test_what_users_have_seen_is_kept_without_the_servers():
    assert seen_by([answer()]) == [
        {
            "item": "lb1",
            "node": {"pid": 1},
            "totals": [{"backend": "app", "counters": {}}],
        }
    ]
