from __future__ import annotations

import time

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._times import moment, shown, span

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("6h", NOW - 6 * 3600),
        ("90min", NOW - 5400),
        ("90m", NOW - 5400),
        ("30 s", NOW - 30),
        ("1.5d", NOW - 36 * 3600),
        (1_789_999_000, 1_789_999_000),
        ("1789999000.5", 1_789_999_000.5),
        ("2026-09-21T00:00:00Z", 1_789_948_800),
        ("2026-09-21T02:00:00+02:00", 1_789_948_800),
        ("2026-09-21 00:00:00+00:00", 1_789_948_800),
    ],
)
def test_an_age_a_time_and_seconds_are_understood(text, when):
    assert moment("check_since", text, NOW) == when


@pytest.mark.parametrize("text", ["", None, "  "])
def test_nothing_is_no_time(text):
    assert moment("check_since", text, NOW) is None


@pytest.mark.parametrize("text", ["yesterday", "6", "6y", "-6h", "2026-13-01", "h", "NaN", "1e9"])
def test_what_is_no_time_is_refused_by_the_name_of_its_variable(text):
    with pytest.raises(ValueError, match=f"check_since is '{text}': give an age"):
        moment("check_since", text, NOW)


def test_what_is_still_to_come_is_refused():
    with pytest.raises(ValueError, match="still to come"):
        moment("check_since", NOW + 60, NOW)


def test_a_time_without_a_zone_is_local(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert moment("check_since", "2026-09-20T20:00:00", NOW) == 1_789_948_800
    finally:
        monkeypatch.undo()
        time.tzset()


def test_times_and_spans_in_words():
    assert shown(1_789_948_800) == "2026-09-21 00:00:00Z"
    assert [span(s) for s in (3.9, 61, 3 * 3600 + 300, 2 * 86400 + 3600)] == [
        "3 s",
        "1 min",
        "3 h 5 min",
        "2 d 1 h",
    ]
