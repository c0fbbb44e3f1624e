# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From counts to a verdict."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.catalogue import EVENTS
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.verdict import (
    Seen,
    Tolerance,
    decide,
    moment,
    tolerance,
    tolerances,
)

from tests.unit.plugins.module_utils._logs.paper_log import Paper, line, start

LIMITS = tolerances({name: event.tolerance for name, event in EVENTS.items()}, {})


@pytest.fixture(name="paper")
def _paper(tmp_path):
    return Paper(tmp_path)


def seen(counts=(), heard=True, **more):
    counts = dict(counts)
    first = dict.fromkeys(counts, "in /l, byte 0")
    return Seen(counts, {}, first, [], [], [], heard)._replace(**more)


@pytest.mark.parametrize(
    ("what", "verdict"),
    [
        (seen(), "clean"),
        (seen(heard=False), "no_data"),
        (seen(lost=["x"]), "gap"),
        (seen(lost=["x"], heard=False), "gap"),
        (seen({"reentrant": 1}), "dirty"),
        (seen({"reentrant": 1}, lost=["x"]), "dirty"),
        (seen({"reentrant": 1}, heard=False), "dirty"),
        (seen({"worker_terminated": 99}), "clean"),
        (seen({"worker_terminated": 99}, heard=False), "no_data"),
        (seen(wrong=["another version"]), "dirty"),
    ],
)
def test_the_worst_that_is_true(what, verdict):
    result = decide(what, LIMITS)
    assert result.verdict == verdict
    if verdict != "clean":
        assert result.reasons
    if what.lost:
        assert any("part of the log is lost: x" in reason for reason in result.reasons)


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_each_event_has_a_tolerance_that_counts(event):
    many = decide(seen({event: 10000}, peaks={event: 1.0}), LIMITS)
    assert many.verdict == ("clean" if LIMITS[event].limit is None else "dirty")
    strict = dict(LIMITS, **{event: Tolerance(0, 0)})
    assert decide(seen({event: 1}), strict).verdict == "dirty"
    loose = dict(LIMITS, **{event: Tolerance(None, 0)})
    assert decide(seen({event: 1}), loose).verdict == "clean"


@pytest.mark.parametrize(
    ("text", "wanted", "shown"),
    [
        (3, Tolerance(3, 0), "3"),
        ("3", Tolerance(3, 0), "3"),
        (" 3/h ", Tolerance(3, 3600), "3/h"),
        ("0/d", Tolerance(0, 86400), "0/d"),
        ("10 / min", Tolerance(10, 60), "10/min"),
        ("unlimited", Tolerance(None, 0), "unlimited"),
    ],
)
def test_tolerances_as_text(text, wanted, shown):
    assert tolerance("x", text) == wanted
    assert str(wanted) == shown


@pytest.mark.parametrize("wrong", ["", "-1", "3/week", "1.5", "many", None, True, "99999/h", "3/"])
def test_what_is_no_tolerance(wrong):
    with pytest.raises(FleetError, match="for x is none. Give a count"):
        tolerance("x", wrong)


def test_an_unknown_event_is_an_error_that_names_the_known():
    with pytest.raises(FleetError, match="no event reentrance. Known are .*reentrant"):
        tolerances({"reentrant": "0"}, {"reentrance": 1})


def test_a_count_is_of_the_whole_look(paper):
    text = start() + "".join(line(f"WORKER TIMEOUT (pid:{n})", second=n * 700) for n in range(5))
    for limit, verdict in (("5", "clean"), ("4", "dirty"), ("unlimited", "clean")):
        result = paper.judge(text, tolerance={"worker_timeout": limit}, max_excerpts=0)
        assert (result["verdict"], result["counts"]) == (verdict, {"worker_timeout": 5})


@pytest.mark.parametrize(
    ("seconds", "limit", "verdict"),
    [
        ([0, 1200, 2400, 3601], "3/h", "clean"),
        ([0, 1200, 2400, 3600], "3/h", "dirty"),
        # In any hour, not in the first.
        ([0, 7200, 7300, 7400, 7500], "3/h", "dirty"),
        ([0, 7200, 7300, 7400, 11000], "3/h", "clean"),
        ([0, 30, 61], "1/min", "dirty"),
        ([0, 61, 122], "1/min", "clean"),
        ([0], "0/d", "dirty"),
        # A clock that jumps back must not make a rate look better.
        ([7200, 7201, 0, 1], "3/h", "dirty"),
    ],
)
def test_a_rate_is_of_any_span(paper, seconds, limit, verdict):
    text = "".join(line(f"WORKER TIMEOUT (pid:{n})", second=s) for n, s in enumerate(seconds))
    result = paper.judge(start() + text, tolerance={"worker_timeout": limit})
    assert result["verdict"] == verdict


def test_events_whose_time_is_unknown_count_as_at_once(paper):
    text = "".join(f"WORKER TIMEOUT (pid:{n})\n" for n in range(4))
    assert paper.judge(text)["verdict"] == "dirty"
    assert paper.judge(text, tolerance={"worker_timeout": "4/h"})["verdict"] == "clean"


def test_the_reasons_name_the_first_place(paper):
    result = paper.judge(start() + line("Reason: App failed to load."))
    assert result["reasons"] == [
        "1 app load failure (tolerated: 0), first at 2026-11-23T03:02:13Z"
        f" in {paper.path}, byte {len(start()) + 42}"
    ]


def test_moments():
    assert moment(0) == "1970-01-01T00:00:00Z"
    assert moment(None) is None
    assert moment(1e20) is None
