# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._waves import (
    at_work,
    largest_wave,
    wave_problems,
)


@pytest.mark.parametrize("waves", [[1], ["1"], [1, "25%"], ["100%"], [3, 5]])
def test_counts_and_shares_are_waves(waves):
    assert wave_problems(waves) == []


@pytest.mark.parametrize(
    "waves", [[], None, 1, "1", [0], [-1], [True], ["101%"], ["%"], ["a"], [1.5], [None]]
)
def test_anything_else_is_not(waves):
    assert "rollout_waves" in wave_problems(waves)[0]


@pytest.mark.parametrize(
    "waves, hosts, wanted",
    [([1], 9, 1), ([1, 3], 9, 3), ([1, "50%"], 9, 4), (["10%"], 5, 1), ([5], 2, 2), (["2"], 9, 2)],
)
def test_the_largest_is_what_may_be_out_at_once(waves, hosts, wanted):
    assert largest_wave(waves, hosts) == wanted


def test_at_work_is_who_was_taken_by_this_run_and_is_not_back():
    def host(phase, run="now"):
        return {"phase": phase, "run": run}

    record = {
        "run": {"id": "now"},
        "hosts": {
            "a": host("taken"),
            "b": host("failed"),
            "c": host("passed"),
            "d": host("returned"),
            "e": host("out"),
            "f": host("taken", run="an earlier one that was killed"),
            "g": host("taken"),
        },
    }
    assert at_work(record, ["a", "b", "c", "d", "e", "f", "unknown"]) == ["a", "b"]


@pytest.mark.parametrize("record", [None, {}, {"run": None, "hosts": {}}])
def test_nobody_is_at_work_where_nothing_is_recorded(record):
    assert at_work(record, ["a"]) == []
