# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who comes back step by step, with how much, and on which balancers that can be done."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_record import is_first
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.ramp import (
    baseline,
    lowest_share,
    ramp_problems,
    ramp_shares,
    ramp_unfit,
    servers_beside,
)


@pytest.mark.parametrize("ramp", [[], [1], [1, 10, 50], [1, 10, 50, 100], [100], ["1", "10"]])
def test_shares_that_rise_are_a_ramp(ramp):
    assert ramp_problems(ramp) == []


@pytest.mark.parametrize(
    ("ramp", "words"),
    [
        ("1,10", "give a list such as [1, 10, 50]"),
        ([0, 10], "has 0:"),
        ([1, 101], "has 101:"),
        ([1.5], "has 1.5:"),
        ([True], "has True:"),
        (["10%"], "has '10%':"),
        ([10, 10], "must be larger than the one before"),
        ([50, 10], "must be larger than the one before"),
    ],
)
def test_anything_else_is_named(ramp, words):
    [problem] = ramp_problems(ramp)
    assert words in problem and "rollout_ramp" in problem


@pytest.mark.parametrize(
    ("ramp", "first", "shares"),
    [
        ([], True, [0]),
        ([], False, [0]),
        ([1, 10, 50], True, [1, 10, 50, 100]),
        ([1, 10, 50, 100], True, [1, 10, 50, 100]),
        ([1, 10, 50], False, [100]),
        ([100], True, [100]),
        (["5"], True, [5, 100]),
    ],
)
def test_it_always_ends_with_all_or_leaves_the_weight_alone(ramp, first, shares):
    assert ramp_shares(ramp, first) == shares


PASSED = {"phase": "passed", "plan": "aa", "stage": 1}


@pytest.mark.parametrize(
    ("told", "stage", "first"),
    [
        ({}, 1, True),
        ({"web1": PASSED}, 1, True),  # itself
        ({"web2": PASSED}, 1, False),
        ({"web2": PASSED}, 2, True),
        ({"web2": {**PASSED, "stage": 2}}, "1", False),
        ({"web2": {**PASSED, "plan": "bb"}}, 1, True),
        ({"web2": {**PASSED, "phase": "taken"}}, 1, True),
        ({"web2": {**PASSED, "phase": "returned"}}, 1, True),
    ],
)
def test_the_first_is_whom_nobody_preceded_with_this_plan(told, stage, first):
    assert is_first({"hosts": told}, "web1", "aa", stage) is first


def test_without_a_record_everybody_is_the_first():
    assert is_first(None, "web1", "aa", 1)


def server(name="web1", now=100, full=100, backup=False):
    return {
        "backend": "app",
        "server": name,
        "weight_set": now,
        "weight_full": full,
        "backup": backup,
    }


def balancer(*servers, balance="roundrobin"):
    return {
        "item": "lb1",
        "servers": list(servers[:1]),
        "backends": [{"name": "app", "balance": balance, "servers": list(servers)}],
    }


def test_it_is_compared_with_all_others_of_its_backends():
    found = balancer(server(), server("web2"), server("web3"), server("sorry", backup=True))
    assert servers_beside([found, {"item": "lb2", "msg": "no answer"}], ["web1"]) == [
        "web2",
        "web3",
    ]
    assert servers_beside([], ["web1"]) == []


@pytest.mark.parametrize("balance", ["roundrobin", "leastconn", "random"])
def test_a_balancer_that_can_is_fit(balance):
    assert ramp_unfit([balancer(server(), balance=balance)], [1, 50], False) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (balancer(server(), balance="source"), "backend app of lb1 has balance source"),
        (balancer(server(), balance="static-rr"), "need roundrobin, leastconn or random"),
        (balancer(server(now=1, full=1)), "1 % of the weight of web1, 1, is less than 1"),
        (balancer(server(now=50)), "set the weight of web1 to 50 of 100"),
    ],
)
def test_a_balancer_that_cannot_is_told_with_what_to_do(found, words):
    [problem] = ramp_unfit([found], [1, 50], False)
    assert words in problem


def test_what_a_stopped_run_left_is_no_obstacle():
    assert ramp_unfit([balancer(server(now=10))], [1, 50], True) == []


def test_without_a_ramp_any_balancer_will_do():
    found = [balancer(server(now=1, full=1), balance="source")]
    assert ramp_unfit(found, [], False) == ramp_unfit(found, [100], False) == []


def test_a_share_is_told_of_what_is_known():
    assert lowest_share([server(), server(now=10)]) == 10
    assert lowest_share([{"status": "UP"}]) == lowest_share([]) == 100


def test_what_a_run_began_with_keeps_totals_and_names_and_no_rows():
    row = {"backend": "app", "server": "web1", "backup": False, "counters": {"stot": 1}}
    result = {
        "item": "lb1",
        "node": {"pid": 7},
        "totals": [{"backend": "app", "counters": {"req_tot": 5}}],
        "backends": [{"name": "app", "balance": "roundrobin", "servers": [row]}],
    }
    [kept] = baseline([result])
    assert kept["totals"] == result["totals"] and kept["node"] == result["node"]
    assert kept["backends"][0]["servers"] == [
        {"backend": "app", "server": "web1", "backup": False},
    ]
    assert servers_beside([kept], []) == ["web1"]
    assert baseline([{"item": "lb1", "msg": "gone", "failed": True}])[0]["backends"] == []
