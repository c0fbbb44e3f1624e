# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._budget import error_budget
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
