# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a server may be begun: spans of a week, freezes, zones, and clocks that are changed."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.window import (
    window_problems,
    window_verdict,
)

BERLIN = "Europe/Berlin"
WORK = {"open": ["mon-thu 09:00-16:00", "fri 09:00-12:00"]}


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def is_open(window: object, text: str) -> bool:
    return bool(window_verdict(window, at(text))["open"])


@pytest.mark.parametrize("nothing", [{}, None, {"open": [], "freeze": []}])
def test_without_a_window_it_is_always_open(nothing):
    told = window_verdict(nothing, 0)
    assert told["open"] and not told["set"]


@pytest.mark.parametrize(
    ("moment", "wanted"),
    [
        ("2026-11-26T08:59:59+00:00", False),
        ("2026-11-26T09:00:00+00:00", True),
        ("2026-11-26T15:59:59+00:00", True),
        ("2026-11-26T16:00:00+00:00", False),
        ("2026-11-27T11:59:59+00:00", True),
        ("2026-11-27T12:00:00+00:00", False),
        ("2026-11-28T10:00:00+00:00", False),
    ],
)
def test_a_span_ends_when_the_last_server_may_be_begun(moment, wanted):
    assert is_open(WORK, moment) is wanted


def test_a_moment_may_be_a_text():
    assert window_verdict(WORK, str(at("2026-11-26T15:00:00+00:00")))["open"]


def test_the_words_say_until_when_and_when_again():
    told = window_verdict(WORK, at("2026-11-26T15:00:00+00:00"))
    assert told["text"] == "open until Thu 2026-11-26 16:00:00 UTC"
    assert told["until"] == at("2026-11-26T16:00:00+00:00")
    told = window_verdict(WORK, at("2026-11-27T12:30:00+00:00"))
    assert told["text"] == (
        "closed now (Fri 2026-11-27 12:30:00 UTC): open mon-thu 09:00-16:00, fri 09:00-12:00;"
        " it opens Mon 2026-11-30 09:00:00 UTC"
    )
    assert told["again"] == at("2026-11-30T09:00:00+00:00")


def test_the_zone_is_the_windows_own():
    berlin = {**WORK, "zone": BERLIN}
    assert is_open(berlin, "2026-11-26T08:30:00+00:00")
    assert not is_open(WORK, "2026-11-26T08:30:00+00:00")
    assert is_open(berlin, "2026-07-16T07:30:00+00:00")
    assert not is_open(berlin, "2026-11-26T07:30:00+00:00")


def test_a_span_over_midnight_belongs_to_the_day_on_which_it_begins():
    night = {"open": ["fri 22:00-04:00"]}
    assert is_open(night, "2026-11-27T23:00:00+00:00")
    assert is_open(night, "2026-11-28T03:59:00+00:00")
    assert not is_open(night, "2026-11-27T03:00:00+00:00")
    assert not is_open(night, "2026-11-28T22:00:00+00:00")


def test_spans_that_meet_are_one():
    whole = {"open": ["00:00-24:00"]}
    assert window_verdict(whole, at("2026-11-28T12:00:00+00:00"))["text"] == (
        "open for the next 400 days"
    )
    days = {"open": ["sat 00:00-24:00", "sun 00:00-10:00"]}
    told = window_verdict(days, at("2026-11-28T12:00:00+00:00"))
    assert told["until"] == at("2026-11-29T10:00:00+00:00")


def test_days_go_round_the_week():
    window = {"open": ["sat-mon 10:00-11:00"]}
    told = [is_open(window, f"2026-11-{day}T10:30:00+00:00") for day in range(23, 30)]
    assert told == [True, False, False, False, False, True, True]


def test_a_freeze_wins_and_a_date_is_the_whole_of_it():
    frozen = {**WORK, "freeze": [{"from": "2026-12-21", "until": "2027-01-03", "why": "holidays"}]}
    told = window_verdict(frozen, at("2026-12-22T10:00:00+00:00"))
    assert not told["open"]
    assert "frozen from 2026-12-21 00:00:00 until 2027-01-04 00:00:00 (holidays)" in told["text"]
    assert told["again"] == at("2027-01-04T09:00:00+00:00")
    # It closes where the freeze begins, if that is earlier.
    early = {**WORK, "freeze": [{"from": "2026-11-26 15:30", "until": "2026-11-26"}]}
    told = window_verdict(early, at("2026-11-26T15:00:00+00:00"))
    assert told["until"] == at("2026-11-26T15:30:00+00:00")


def test_yaml_makes_dates_of_dates():
    frozen = {"freeze": [{"from": date(2026, 12, 21), "until": datetime(2026, 12, 24, 18)}]}
    assert not is_open(frozen, "2026-12-24T17:59:00+00:00")
    assert is_open(frozen, "2026-12-24T18:00:00+00:00")


# In Berlin 02:00 is 03:00 on 2026-03-29, and 03:00 is 02:00 once more on 2026-10-25.


def test_an_hour_that_comes_twice_does_not_make_the_window_longer():
    until = {"zone": BERLIN, "open": ["sun 01:00-02:30"]}
    assert is_open(until, "2026-10-25T02:29:00+02:00")
    assert not is_open(until, "2026-10-25T02:31:00+02:00")
    assert not is_open(until, "2026-10-25T02:15:00+01:00")
    begin = {"zone": BERLIN, "open": ["sun 02:30-05:00"]}
    assert not is_open(begin, "2026-10-25T02:45:00+02:00")
    assert is_open(begin, "2026-10-25T02:30:00+01:00")


def test_an_hour_that_is_not_there_does_not_make_the_window_longer():
    begin = {"zone": BERLIN, "open": ["sun 02:30-05:00"]}
    assert not is_open(begin, "2026-03-29T03:15:00+02:00")
    assert is_open(begin, "2026-03-29T03:30:00+02:00")
    # Not even by turning round.
    nowhere = {"zone": BERLIN, "open": ["sun 02:10-02:50"]}
    assert not is_open(nowhere, "2026-03-29T03:15:00+02:00")
    assert not is_open(nowhere, "2026-03-29T01:55:00+01:00")


def test_a_freeze_is_the_longer_one_where_the_clock_is_changed():
    freeze = {"zone": BERLIN, "freeze": [{"from": "2026-10-25 01:00", "until": "2026-10-25 02:30"}]}
    assert not is_open(freeze, "2026-10-25T02:45:00+02:00")
    assert not is_open(freeze, "2026-10-25T02:15:00+01:00")
    assert is_open(freeze, "2026-10-25T02:30:00+01:00")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"zone": "Europe/Berlim"}, "no time zone 'Europe/Berlim'"),
        ({"zone": "../../etc/passwd"}, "no time zone '../../etc/passwd'"),
        ({"zone": "Europe"}, "no time zone 'Europe'"),
        ({"open": ["mon-thr 09:00-16:00"]}, "'mon-thr 09:00-16:00', which is no span"),
        ({"open": ["9-16"]}, "no span"),
        ({"open": ["09:00-25:00"]}, "no span"),
        ({"open": ["09:60-10:00"]}, "no span"),
        ({"open": ["09:00-09:00"]}, "no span"),
        ({"open": "09:00-16:00"}, "open and freeze are lists"),
        ({"opens": []}, "the unknown key 'opens'"),
        ("09:00-16:00", "is no window"),
        ({"freeze": ["2026-12-20"]}, "give from, until"),
        ({"freeze": [{"from": "2026-12-20"}]}, "no time"),
        ({"freeze": [{"from": "2026-13-20", "until": "2026-12-20"}]}, "no time"),
        ({"freeze": [{"from": "2026-12-20 18:00", "until": "2026-12-20 17:00"}]}, "after it"),
    ],
)
def test_what_is_no_window_is_told(wrong, words):
    [problem] = window_problems(wrong)
    assert problem.startswith("rollout_window: ") and words in problem


def test_a_window_that_never_opens_says_so():
    frozen = {"freeze": [{"from": "2026-01-01", "until": "2029-01-01"}]}
    told = window_verdict(frozen, at("2026-11-28T12:00:00+00:00"))
    assert "it does not open for 400 days" in told["text"]
