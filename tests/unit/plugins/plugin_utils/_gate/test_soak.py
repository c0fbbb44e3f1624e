# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole gate of the soak, look by look, on a fleet on paper."""

import random

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate import soak as _soak

from tests.unit.plugins.plugin_utils._gate.paper_fleet import SOAK, PaperFleet

DAY = {"since": -86400.0, "until": 0.0}


def run(fleet, meanwhile, looks=60):
    """All looks until the gate is done."""
    fleet.begin()
    for number in range(1, looks + 1):
        meanwhile(number)
        state = fleet.look(number)
        if state["done"] or state["verdict"] == "fail":
            break
    return state


def each(fleet, requests, **errors):
    """So many requests to each server in a window, and so many errors."""
    for name in fleet.names:
        fleet.serve(name, requests, errors.get(name, 0))


def test_a_quiet_soak_passes_at_its_end_and_no_later():
    fleet = PaperFleet()
    state = run(fleet, lambda _n: each(fleet, 50))
    assert (state["verdict"], state["look"], state["done"]) == ("pass", SOAK, True)
    assert (
        state["words"] == "0 of 600 answers 5xx (0.0 %), web2 beside it 0 of 600 (0.0 %): as before"
    )


def test_an_application_with_errors_of_its_own_passes():
    fleet = PaperFleet()
    state = run(fleet, lambda n: each(fleet, 50, web1=n % 2, web2=(n + 1) % 2))
    assert (state["verdict"], state["look"]) == ("pass", SOAK)
    assert "6 of 600 answers 5xx (1.0 %), web2 beside it 6 of 600 (1.0 %)" in state["words"]


def test_one_error_is_no_verdict():
    """What a fixed zero took back."""
    fleet = PaperFleet()
    state = run(fleet, lambda n: each(fleet, 50, web1=n == 3))
    assert state["verdict"] == "pass"


def test_a_release_that_is_worse_is_taken_back_in_the_soak():
    fleet = PaperFleet()
    state = run(fleet, lambda n: each(fleet, 50, web1=5, web2=n % 2))
    assert state["verdict"] == "fail" and state["look"] <= SOAK
    assert "answers 5xx (10.0 %), web2 beside it" in state["judged"]["reasons"][0]


def test_normal_is_taken_from_the_others_and_not_from_the_server_itself():
    """Taken from the wrong side, each of these would be the other."""
    fleet = PaperFleet()
    assert run(fleet, lambda n: each(fleet, 50, web2=5))["verdict"] == "pass"
    fleet = PaperFleet()
    assert run(fleet, lambda n: each(fleet, 50, web1=5))["verdict"] == "fail"


def test_a_storm_fails_at_once():
    fleet = PaperFleet()
    state = run(fleet, lambda n: each(fleet, 50, web1=40))
    assert (state["verdict"], state["look"]) == ("fail", 2)
    # Also of one that has nobody beside it, and no past.
    fleet = PaperFleet(1)
    state = run(fleet, lambda n: each(fleet, 50, web1=40))
    assert (state["verdict"], state["look"]) == ("fail", 2)


def test_a_storm_over_all_servers_is_an_outage():
    fleet = PaperFleet(3)
    state = run(fleet, lambda n: each(fleet, 50, web1=40, web2=38, web3=41) if 3 < n < 7 else 0)
    assert state["verdict"] == "pass"


def test_it_looks_on_until_it_can_tell():
    """Not proven at the end of the soak, and surely worse later."""
    fleet = PaperFleet()
    state = run(fleet, lambda n: each(fleet, 10, web1=n % 2))
    assert state["verdict"] == "fail" and state["look"] > SOAK
    # The same rate on both sides ends with the soak.
    fleet = PaperFleet()
    state = run(fleet, lambda n: each(fleet, 10, web1=n % 2, web2=n % 2))
    assert (state["verdict"], state["look"]) == ("pass", SOAK)


def test_it_looks_on_no_longer_than_it_may():
    fleet = PaperFleet(most=24)
    state = run(fleet, lambda n: each(fleet, 10, web1=5 if n == 3 else 0))
    assert state["done"] and state["look"] <= 24


def test_undecided_stops_if_the_operator_says_so():
    fleet = PaperFleet(most=24, undecided="stop")
    state = run(fleet, lambda n: each(fleet, 1))
    assert (state["verdict"], state["look"]) == ("inconclusive", 24)
    assert "undecided (gate_undecided is stop)" in state["judged"]["reasons"][0]
    fleet = PaperFleet(most=24, undecided="stop")
    assert run(fleet, lambda n: each(fleet, 500))["verdict"] == "pass"
    fleet = PaperFleet(most=24)
    assert run(fleet, lambda n: each(fleet, 1))["verdict"] == "pass"


def test_a_limit_of_the_operators_is_hard():
    fleet = PaperFleet(tolerance={"http_5xx": 2, "connection_errors": "auto"})
    state = run(fleet, lambda n: each(fleet, 50, web1=n < 4, web2=n < 4))
    assert state["verdict"] == "fail"
    assert "gate_balancer_tolerance.http_5xx is 2" in state["judged"]["reasons"][0]


@pytest.mark.parametrize(
    "event",
    [
        "reentrant",
        "boot_failure",
        "app_load_failure",
        "main_loop_exception",
        "restart_loop",
        "unhandled_signal",
    ],
)
def test_an_absolute_event_fails_whatever_is_usual(event):
    fleet = PaperFleet()
    fleet.log_past = {**DAY, "counts": {event: 500}}
    fleet.log_beside = {event: 500}

    def meanwhile(number):
        each(fleet, 50)
        if number == 5:
            fleet.log[event] = 1

    state = run(fleet, meanwhile)
    assert (state["verdict"], state["look"]) == ("fail", 5)


def test_a_fleet_that_loses_a_worker_now_and_then_can_be_upgraded():
    fleet = PaperFleet()
    fleet.log_past = {**DAY, "counts": {"worker_killed": 480}}

    def meanwhile(number):
        each(fleet, 50)
        fleet.log["worker_killed"] = 1 if number > 6 else 0

    state = run(fleet, meanwhile)
    assert (state["verdict"], state["look"]) == ("pass", SOAK)
    assert "1 worker killed in 1 min" in state["words"]


def test_workers_that_die_of_the_new_release_are_found():
    fleet = PaperFleet()
    fleet.log_past = {**DAY, "counts": {}}

    def meanwhile(number):
        each(fleet, 50)
        fleet.log["worker_killed"] = number

    state = run(fleet, meanwhile)
    assert state["verdict"] == "fail"
    assert "worker killed in" in state["judged"]["reasons"][0]


def test_a_gunicorn_that_is_silent_of_deaths_tells_of_no_normal():
    """20.0 logs no killed worker: as many as ever, visible for the first time, are no alarm."""
    silent = {"gunicorn": "20.0.1", "started": -1e6}
    fleet = PaperFleet(before=silent, gunicorn_beside="20.0.1")
    fleet.log_past = {**DAY, "counts": {}}

    def meanwhile(number, fleet=fleet):
        each(fleet, 50)
        fleet.log["worker_killed"] = 1 if number > 6 else 0

    state = run(fleet, meanwhile)
    assert (state["verdict"], state["look"]) == ("pass", SOAK)
    assert "480 in 1 d 0 h is taken for usual" in state["words"]
    # A stage later the log has known of them for minutes, and of the day before it knows nothing.
    fleet = PaperFleet(before={"gunicorn": "21.2.0", "started": -60.0}, gunicorn_beside="20.0.1")
    fleet.log_past = {**DAY, "counts": {}}
    state = run(fleet, lambda n: meanwhile(n, fleet))
    assert state["verdict"] == "pass"
    # But a storm is one.
    fleet = PaperFleet(before=silent, gunicorn_beside="20.0.1")

    def storm(number):
        each(fleet, 50)
        fleet.log["worker_killed"] = 2 * number

    assert run(fleet, storm)["verdict"] == "fail"


def test_the_same_deaths_on_all_servers_fail_nobody():
    fleet = PaperFleet()
    fleet.log_past = {**DAY, "counts": {}}

    def meanwhile(number):
        each(fleet, 50)
        fleet.log["worker_killed"] = fleet.log_beside["worker_killed"] = number

    assert run(fleet, meanwhile)["verdict"] == "pass"


def test_a_worker_that_is_being_replaced_fails_nobody_and_one_that_is_not_does():
    fleet = PaperFleet()

    def meanwhile(number):
        each(fleet, 50)
        fleet.workers = 3 if number in (4, 8, 9) else 4

    assert run(fleet, meanwhile)["verdict"] == "pass"
    fleet = PaperFleet()
    fleet.workers = 3
    state = run(fleet, lambda n: each(fleet, 50))
    assert (state["verdict"], state["look"]) == ("fail", 3)
    assert state["judged"]["reasons"] == ["3 of 4 workers are alive"]


def test_a_worker_that_is_missing_at_the_end_is_looked_at_again():
    fleet = PaperFleet()

    def meanwhile(number):
        each(fleet, 50)
        fleet.workers = 3 if number == SOAK else 4

    state = run(fleet, meanwhile)
    assert (state["verdict"], state["look"]) == ("pass", SOAK + 1)


@pytest.mark.parametrize(
    ("name", "value"), [("healthy", False), ("arbiter", 101), ("status", "DOWN")]
)
def test_what_is_broken_fails_at_once(name, value):
    fleet = PaperFleet()
    fleet.begin()
    setattr(fleet, name, value)
    assert fleet.look(1)["verdict"] == "fail"


def test_checks_that_begin_to_fail_must_go_on_to():
    fleet = PaperFleet()
    fleet.status = "UP 1/3"
    state = run(fleet, lambda n: each(fleet, 50))
    assert (state["verdict"], state["look"]) == ("fail", 3)


def test_the_last_of_a_stage_has_its_past_and_those_that_passed():
    past = {"long": {"requests": 50000, "errors": 500}, "recent": {"requests": 0}}
    bad = PaperFleet(2, beside=[], passed=["web2"], past=past)
    state = run(bad, lambda n: each(bad, 50, web1=5, web2=n % 2))
    assert state["verdict"] == "fail"
    words = state["judged"]["reasons"][0]
    assert "web2, passed before," in words and "before its drain 500 of 50000" in words
    outage = PaperFleet(2, beside=[], passed=["web2"], past=past)
    state = run(outage, lambda n: each(outage, 50, web1=5, web2=5))
    assert state["verdict"] != "fail"


def test_a_fleet_of_one_has_its_past():
    past = {"long": {"requests": 50000, "errors": 0}, "recent": {"requests": 0}}
    fleet = PaperFleet(1, past=past)
    assert run(fleet, lambda n: each(fleet, 50, web1=1))["verdict"] == "fail"
    past = {"long": {"requests": 50000, "errors": 1000}, "recent": {"requests": 0}}
    fleet = PaperFleet(1, past=past)
    assert run(fleet, lambda n: each(fleet, 50, web1=1))["verdict"] == "pass"


def test_the_past_is_what_the_balancers_counted_before_the_drain():
    fleet = PaperFleet()
    each(fleet, 1000, web1=10)
    then = fleet.results()
    each(fleet, 200, web1=4)
    found = _soak.past_of(then, fleet.results(), "web1")
    assert found["recent"] == {"requests": 200, "errors": 4, "connection_errors": 0}
    assert found["long"] == {"requests": 1200, "errors": 14, "connection_errors": 0}
    # It began to count anew in between: what it had then is nobody's.
    fleet.counted["web1"] = {"stot": 5, "hrsp_5xx": 0, "econ": 0}
    assert _soak.past_of(then, fleet.results(), "web1")["recent"]["requests"] == 0
    assert _soak.past_of([], [], "web1")["long"]["requests"] == 0


def test_a_log_that_was_rotated_away_tells_of_less():
    log = {"counts": {"worker_killed": 3}, "oldest": 7200.0}
    assert _soak.history_of(log, 0, 10800)["since"] == 7200.0
    assert _soak.history_of({**log, "oldest": -5.0}, 0, 10800)["since"] == 0.0
    assert _soak.history_of({"msg": "no such file"}, 0, 10800) == {}
    assert _soak.history_of({**log, "oldest": None}, 0, 10800) == {}


def test_what_cannot_be_told_to_be_of_the_generation_counts_for_nothing():
    log = {"counts": {"worker_killed": 3, "reentrant": 1}, "unsure": {"worker_killed": 3}}
    assert _soak.odd_events(log, ["worker_killed"]) == []
    assert _soak.odd_events({"msg": "no such file"}, ["worker_killed"]) == []


@pytest.mark.parametrize("size", [1, 5, 20])
def test_bursts_at_equal_rates_take_nobody_back(size):
    """Over one window 13, 31 and 40 % of such servers failed."""
    fails = 0
    for seed in range(15):
        dice = random.Random(seed)
        fleet = PaperFleet()

        def meanwhile(_number, fleet=fleet, draw=dice.random):
            # On average 50 a server in a minute, each burst at once.
            bursts = {n: sum(draw() < 5 / size / 12 for _each in range(10)) for n in fleet.names}
            each(fleet, 500, **{name: size * count for name, count in bursts.items()})

        fails += run(fleet, meanwhile)["verdict"] == "fail"
    assert fails <= 1


def test_a_balancer_that_counts_nothing_says_nothing_against_anybody():
    """nginx without the variables in its log_format."""
    fleet = PaperFleet()
    for row in fleet.counted.values():
        row.clear()
    fleet.results = lambda: [
        {
            "item": "lb1",
            "node": {"pid": 1, "uptime": 9 + fleet.at, "requests": None},
            "servers": rows[:1],
            "backends": [{"servers": rows}],
            "totals": [{"backend": "app", "counters": {}}],
        }
        for rows in [
            [
                {"backend": "app", "server": name, "status": "UP", "counters": {}}
                for name in fleet.names
            ]
        ]
    ]
    state = run(fleet, lambda _n: None)
    assert (state["verdict"], state["look"]) == ("pass", SOAK)
    assert "0 of 0 answers" in state["words"]
    # What else is looked at is judged all the same.
    fleet.healthy = False
    assert run(fleet, lambda _n: None)["verdict"] == "fail"


def test_without_a_balancer_health_processes_and_the_log_decide():
    fleet = PaperFleet(undecided="stop")
    fleet.balanced = False
    state = run(fleet, lambda _n: None)
    assert (state["verdict"], state["look"]) == ("pass", SOAK)
    assert "answers" not in state["words"]
    fleet.healthy = False
    assert run(fleet, lambda _n: None)["verdict"] == "fail"
