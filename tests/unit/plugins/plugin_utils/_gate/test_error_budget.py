# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.error_budget import (
    error_budget,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.ramp import baseline
from hypothesis import given
from hypothesis import strategies as st


def look(requests, errors, item="lb1", pid=1, **more):
    counters = dict({"req_tot": requests, "stot": requests, "hrsp_5xx": errors}, **more)
    totals = [{"backend": "app", "counters": counters}]
    return {"item": item, "node": {"pid": pid}, "totals": totals}


def judge(now, before, errors=-1, percent=-1.0):
    return error_budget(now, {"baseline": before, "errors": errors, "percent": percent})


def test_nothing_seen_is_within():
    assert judge([look(500, 5)], [look(500, 5)], errors=0, percent=0)["within"]
    assert judge([], [], errors=0, percent=0)["within"]


def test_the_count():
    assert judge([look(1000, 10)], [look(0, 0)], errors=10)["within"]
    spent = judge([look(1000, 11)], [look(0, 0)], errors=10)
    assert not spent["within"]
    assert "11 errors in 1000 requests" in spent["text"]
    assert "rollout_error_budget is 10" in spent["text"]


def test_the_share_counts_from_a_hundred_requests():
    assert judge([look(99, 50)], [look(0, 0)], percent=1)["within"]
    assert judge([look(100, 1)], [look(0, 0)], percent=1)["within"]
    assert "percent is 1" in judge([look(100, 2)], [look(0, 0)], percent=1)["text"]


def test_what_was_usual_before_is_no_fault_of_the_run():
    before = [look(10000, 100)]
    assert judge([look(12000, 120)], before, errors=0, percent=0)["within"]
    spent = judge([look(12000, 140)], before, errors=19)
    assert (spent["errors"], spent["excess"], spent["within"]) == (40, 20.0, False)
    assert "20 would have been usual" in spent["text"]


@pytest.mark.parametrize("counter", ["wretr", "wredis"])
def test_what_users_feel_as_time_counts(counter):
    assert not judge([look(200, 0, **{counter: 5})], [look(0, 0)], errors=4)["within"]


def test_in_tcp_it_is_connections():
    now = look(0, 0, econ=3, eresp=2, stot=200)
    del now["totals"][0]["counters"]["req_tot"]
    before = look(0, 0, econ=0, eresp=0, stot=0)
    del before["totals"][0]["counters"]["req_tot"]
    spent = judge([now], [before], errors=4)
    assert (spent["requests"], spent["errors"], spent["within"]) == (200, 5, False)


def test_in_http_a_broken_connection_is_not_counted_twice():
    assert judge([look(200, 2, econ=2)], [look(0, 0)])["errors"] == 2


def test_after_a_reload_all_that_is_counted_is_of_the_run():
    spent = judge([look(50, 3, pid=2)], [look(10000, 100)], errors=2)
    assert (spent["requests"], spent["errors"]) == (50, 3)
    assert spent["excess"] == 2.5
    # The same process number by chance, and the counters have gone down.
    assert judge([look(50, 3)], [look(10000, 100)])["errors"] == 3


def test_balancers_are_added():
    before = [look(0, 0), look(0, 0, item="lb2")]
    now = [look(100, 3), look(100, 4, item="lb2")]
    assert judge(now, before)["errors"] == 7


def test_a_balancer_that_is_not_known_from_before_says_nothing():
    assert judge([look(100, 50, item="lb2")], [look(0, 0)])["errors"] == 0


@given(
    st.integers(0, 10**9),
    st.integers(0, 10**6),
    st.integers(0, 10**9),
    st.integers(0, 10**6),
    st.integers(0, 10**4),
)
def test_more_errors_never_bring_it_back_within(requests, errors, more, worse, limit):
    before = [look(requests, errors)]
    some = judge([look(requests + more, errors + worse)], before, errors=limit, percent=1)
    worst = judge([look(requests + more, errors + worse + 1)], before, errors=limit, percent=1)
    assert some["within"] or not worst["within"]


# --- a past that is no normal ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "now"),
    [
        # The balancer was restarted right before the run, and 1 of 2 requests failed.
        ((2, 1), (20_002, 10_001)),
        # All of the first 20, while the checks ran.
        ((20, 20), (20_020, 20_020)),
        ((0, 0), (20_000, 400)),
        # An outage of two hours this morning is 8 % of its life.
        ((1_200_000, 100_000), (1_220_000, 101_600)),
        ((1_200_000, 1_200_000), (1_220_000, 1_220_000)),
    ],
)
@pytest.mark.parametrize("limits", [{"errors": 100}, {"percent": 1}])
def test_a_short_or_a_bad_past_switches_nothing_off(before, now, limits):
    assert not judge([look(*now)], [look(*before)], **limits)["within"]


@pytest.mark.parametrize("share", [0, 0.001, 0.01, 0.05])
def test_what_is_steady_stays_usual(share):
    before = look(1_000_000, int(share * 1_000_000))
    now = look(1_050_000, int(share * 1_050_000))
    found = judge([now], [before], errors=100, percent=1)
    assert found["within"] and found["excess"] == 0


def test_a_little_beyond_the_usual_is_chance_and_no_reason_to_stop():
    """5 % of 50,000: 2,500 or 110 more come once in seventy such runs."""
    assert judge([look(1_050_000, 52_610)], [look(1_000_000, 50_000)], errors=100)["within"]
    assert not judge([look(1_050_000, 53_000)], [look(1_000_000, 50_000)], errors=100)["within"]


def test_an_outage_that_is_over_right_before_the_run_is_none_of_its_past():
    """3 % of its life; but nothing of it in the 20,000 requests since the preflight."""
    earlier, before = look(980_000, 30_000), look(1_000_000, 30_000)
    limits = {"errors": 100, "percent": 1}
    now = [look(1_020_000, 30_600)]
    assert judge(now, [before], **limits)["within"]
    budget = {"baseline": [before], "earlier": [earlier], **limits}
    assert not error_budget(now, budget)["within"]
    # Too few to tell, or no such look: nothing changes.
    for earlier in ([look(999_950, 30_000)], [], None, [look(980_000, 30_000, item="lb2")]):
        assert error_budget(now, {**budget, "earlier": earlier})["within"]


# --- another process of the balancer --------------------------------------------------------------


def test_a_process_that_took_its_counters_over_does_not_dilute_the_run():
    """HAProxy 3.0 with stats-file: 300 of 1,000, not of 1,001,000."""
    before, now = look(1_000_000, 1000), look(1_001_000, 1300, pid=2)
    assert not judge([now], [before], percent=1)["within"]
    told = {**now, "node": {"pid": 2, "uptime": 60, "requests": 900}}
    found = judge([told], [before], percent=1)
    assert (found["requests"], found["errors"], found["within"]) == (1000, 300, False)


def test_an_outage_before_a_reload_that_kept_the_counters_is_none_of_the_run():
    before = [look(1_000_000, 90_000)]
    assert judge([look(1_001_000, 90_002, pid=2)], before, errors=100, percent=1)["within"]


def test_where_both_readings_stand_the_run_must_be_within_by_either():
    before, now = [look(500, 60)], [look(700, 160, pid=2)]
    assert judge(now, before, errors=130)["errors"] == 160
    assert not judge(now, before, errors=130)["within"]
    assert judge([look(700, 160)], before, errors=130)["within"]


def test_four_backends_on_two_balancers_one_of_them_reloaded():
    def node(item, pid, *seen):
        totals = [
            {"backend": f"app{number}", "counters": {"req_tot": sent, "hrsp_5xx": bad}}
            for number, (sent, bad) in enumerate(seen)
        ]
        return {"item": item, "node": {"pid": pid}, "totals": totals}

    before = [node("lb1", 1, (9000, 9), (10, 0)), node("lb2", 1, (9000, 9), (9000, 0))]
    now = [node("lb1", 2, (50, 3), (40, 1)), node("lb2", 1, (9100, 11), (9000, 0))]
    found = judge(now, before)
    assert (found["requests"], found["errors"]) == (190, 6)


def test_a_run_keeps_the_names_of_servers_and_compares_with_what_they_count():
    """As it is wired: `baseline` drops the counters of rows, which the balancer goes on to give."""

    def whole(requests, errors):
        found = look(requests, errors)
        counters = found["totals"][0]["counters"]
        row = {"backend": "app", "server": "web1", "backup": False, "counters": counters}
        return {**found, "backends": [{"name": "app", "servers": [row]}], "servers": [row]}

    begun = baseline([whole(1000, 0)])
    assert judge([whole(2000, 5)], begun, errors=10)["within"]
    assert not judge([whole(2000, 50)], begun, errors=10)["within"]
