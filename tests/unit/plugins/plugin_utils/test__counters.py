# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._counters import (
    ANEW,
    CONTINUED,
    Process,
    Reading,
    process_of,
    readings,
    results_read,
    since,
)
from hypothesis import given
from hypothesis import strategies as st


def row(requests, errors=0, **more):
    return {"stot": requests, "hrsp_2xx": requests - errors, "hrsp_5xx": errors, **more}


def read(before, after, *rows):
    found = readings(before, after, dict(enumerate(rows)))
    return [found[number] for number in range(len(rows))]


OLD, NEW = Process(1, 9000, 5000), Process(2, 10, 40)
BOTH_CONTINUED = Reading(True, True, "continued")
BOTH_ANEW = Reading(True, True, "anew")


def test_the_same_process_goes_on_counting():
    assert read(OLD, Process(1, 9005, 5040), (row(5000), row(5040))) == [CONTINUED]


@pytest.mark.parametrize("after", [NEW, Process(1, 5), Process(1, 9005), Process(2)])
def test_a_counter_that_fell_began_at_0_with_all_others_of_its_balancer(after):
    after = after._replace(served=None)
    assert read(OLD, after, (row(5000), row(40)), (row(10), row(40))) == [ANEW, ANEW]


def test_another_process_that_took_the_counters_over():
    """It says itself that it has served 40 requests; 5,040 are not its own."""
    assert read(OLD, NEW, (row(5000), row(5040)), (row(0), row(0))) == [CONTINUED, CONTINUED]


def test_the_number_of_the_process_may_be_the_same_in_a_container():
    assert read(OLD, Process(1, 10, 40), (row(5000), row(5040))) == [CONTINUED]
    assert not read(OLD, Process(1, 10), (row(30), row(40)))[0].sure


def test_what_has_no_guid_is_not_taken_over_and_began_at_0():
    found = read(OLD, NEW, (row(5000), row(5040)), (row(2500), row(20)))
    assert found == [CONTINUED, ANEW]


@pytest.mark.parametrize(
    ("before", "after", "old", "new", "wanted"),
    [
        # So few that any process passes them at once.
        (Process(1), Process(2), 100, 150, BOTH_ANEW),
        # A million cannot have come in 30 s.
        (Process(1, 90000), Process(2, 30), 1_000_000, 1_000_300, BOTH_CONTINUED),
        # Each night a restart, and each noon a look.
        (Process(1, 36000), Process(2, 36000), 1_000_000, 1_000_300, BOTH_ANEW),
        # Nothing is known of their ages.
        (Process(1), Process(2), 1_000_000, 1_000_300, BOTH_CONTINUED),
        (Process(1), Process(2), 1_000_000, 2_000_000, BOTH_ANEW),
    ],
)
def test_where_nothing_decides_both_stand_and_one_is_likely(before, after, old, new, wanted):
    assert read(before, after, (row(old), row(new))) == [wanted]


def test_what_was_nothing_before_needs_no_reading():
    assert read(Process(1), Process(2), (row(0), row(40))) == [CONTINUED]
    assert read(Process(1), Process(2), ({}, row(40)))[0].continued


def test_the_process_of_a_result_and_of_what_was_kept_by_an_earlier_version():
    assert process_of({"pid": 7, "uptime": 9, "requests": 3}) == Process(7, 9.0, 3)
    assert process_of({"name": "lb1", "pid": 7, "uptime": None}) == Process(7)
    assert process_of({"pid": 7, "uptime": "", "requests": ""}) == Process(7)
    assert process_of(None) == Process(0)


def test_results_are_read_with_all_that_they_count():
    def result(pid, server, other, total):
        rows = [
            {"backend": "app", "server": name, "counters": row(count)}
            for name, count in (("web1", server), ("web2", other))
        ]
        return {
            "node": {"pid": pid},
            "servers": rows[:1],
            "backends": [{"servers": rows}],
            "totals": [{"backend": "app", "counters": row(total)}],
        }

    # web1 alone could have gone on; its neighbour shows that nobody did.
    found = results_read(result(1, 10, 1000, 1010), result(2, 40, 40, 80))
    assert set(found.values()) == {ANEW} and ("app", "web1") in found and ("app",) in found


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=5),
    st.lists(st.integers(0, 10**4), min_size=5, max_size=5),
    st.booleans(),
    st.integers(0, 10**5),
)
def test_the_truth_is_always_among_the_readings(old, more, taken_over, own_before):
    """Whatever a process took over, and whatever it served."""
    served = sum(more[: len(old)])
    new = [count + extra if taken_over else extra for count, extra in zip(old, more, strict=False)]
    rows = {n: (row(a), row(b)) for n, (a, b) in enumerate(zip(old, new, strict=False))}
    found = readings(Process(1, 100, own_before), Process(2, 50, served), rows)
    for number, (before, after) in rows.items():
        grew = {since(before, after, way, "stot") for way in found[number].ways()}
        assert more[number] in grew
