# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.series import (
    INTERVALS,
    curves,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.plugin_utils._report.paper_report import counters, event


def test_rates_are_means_between_looks():
    found = curves(
        [counters(0, 100, 100), counters(10, 120, 100), counters(30, 120, 180, errors=4)]
    )
    total, web1 = found["lb1"]["total"], found["lb1"]["servers"]["web1"]
    assert total["requests_per_s"] == [2.0, 4.0]
    assert total["errors_per_s"] == [0.0, 0.2]
    assert web1["requests_per_s"] == [2.0, 0.0]
    assert (total["requests"], total["errors"]) == (100, 4)
    # The mean of requests long ago says nothing of now.
    assert web1["response_ms"] == [12, None]


@pytest.mark.parametrize("pid", [7, 8])
def test_counters_that_begin_again_are_counted_from_zero(pid):
    found = curves([counters(0, 100, 0), counters(10, 130, 0), counters(20, 5, 0, pid=pid)])
    assert found["lb1"]["total"]["requests"] == 35
    assert found["lb1"]["reloads"] == ([20.0] if pid == 8 else [])


def test_a_new_process_that_counted_further_than_the_old():
    found = curves([counters(0, 100, 0), counters(10, 150, 0, pid=8)])
    assert found["lb1"]["total"]["requests"] == 150


def test_a_look_at_one_server_is_no_look_at_the_others():
    drained = counters(10, 120, 0)
    drained.update(servers={"web1": drained["servers"]["web1"]}, totals={})
    found = curves([counters(0, 100, 100), drained, counters(20, 120, 140)])["lb1"]
    assert found["servers"]["web1"]["requests_per_s"] == [2.0, 0.0]
    assert found["servers"]["web2"]["requests_per_s"] == [2.0]
    assert found["total"]["requests_per_s"] == [3.0]


def test_where_there_is_no_http_errors_are_broken_connections():
    looks = [counters(at, 10, 10) for at in (0, 10)]
    for number, look in enumerate(looks):
        look["totals"] = {"app": {"stot": 10 * number, "econ": number, "eresp": number}}
    assert curves(looks)["lb1"]["total"]["errors"] == 2
    assert curves(looks)["lb1"]["total"]["requests"] == 10


def test_backends_are_added_up():
    looks = [counters(at, at, 0) for at in (0, 10)]
    for look in looks:
        look["totals"]["api"] = {"req_tot": 2 * look["at"], "hrsp_5xx": 0, "rtime": 30}
    total = curves(looks)["lb1"]["total"]
    assert total["requests"] == 30
    assert total["response_ms"] == [30]


def test_a_single_look_gives_no_curve():
    assert curves([counters(0, 1, 1)])["lb1"]["total"]["requests_per_s"] == []


@given(st.lists(st.tuples(st.floats(0, 9000), st.integers(0, 50), st.integers(1, 3)), max_size=600))
def test_nothing_is_lost_by_leaving_looks_out(steps):
    """However close the looks: all requests are counted, and curves are short."""
    told, expected, pids, count = [], 0, [], {}
    for at, more, pid in sorted(steps, key=lambda step: step[0]):
        if pids and pids[-1] != pid:
            count = {}
        before = count.get("n", 0)
        count["n"] = before + more
        if pids:
            expected += more
        pids.append(pid)
        told.append(counters(at, count["n"], 0, pid=pid))
    if not told:
        return
    found = curves(told)["lb1"]["total"]
    changes = len(curves(told)["lb1"]["reloads"])
    assert found["requests"] == expected
    assert len(found["requests_per_s"]) <= INTERVALS + 2 + 2 * changes
    assert len(found["edges"]) == len(found["requests_per_s"]) + 1
    assert all(value >= 0 for value in found["requests_per_s"])


def test_other_events_are_no_looks():
    assert curves([event(1, "said", "web1", text="x")]) == {}


def test_a_process_that_took_its_counters_over_shows_no_peak():
    """HAProxy 3.0 with stats-file: its new process has served 50 requests, not a million."""
    told = [counters(0, 600_000, 400_000), counters(10, 600_030, 400_020, pid=8)]
    found = curves(told)["lb1"]
    assert found["total"]["requests"] == 50
    assert found["servers"]["web1"]["requests_per_s"] == [3.0]
    assert found["reloads"] == [10.0]
    told = [
        {**look, "uptime": age, "served": 50} for look, age in zip(told, (9e4, 4), strict=False)
    ]
    assert curves(told)["lb1"]["total"]["requests"] == 50
    # It may be few, and it says that it has served less than it shows.
    few = [counters(0, 100, 60), {**counters(10, 104, 66, pid=8), "served": 10}]
    assert curves(few)["lb1"]["total"]["requests"] == 10


def test_what_has_no_guid_began_at_0_beside_a_backend_that_was_taken_over():
    told = [counters(0, 60_000, 40_000), {**counters(10, 20, 10, pid=8), "served": 30}]
    told[1]["totals"]["app"]["req_tot"] = 100_030
    found = curves(told)["lb1"]
    assert found["total"]["requests"] == 30
    assert found["servers"]["web1"]["requests"] == 20
