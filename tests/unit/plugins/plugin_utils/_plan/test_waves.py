# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.waves import (
    at_work,
    largest_wave,
    wave_order,
    wave_pattern,
    wave_problems,
    wave_sizes,
)

GROUPS = {"all": ["a", "b", "c", "d", "e"], "web": ["a", "b", "c", "d"], "canaries": ["c", "a"]}
HOSTS = ["a", "b", "c", "d"]


@pytest.mark.parametrize("waves", [[1], ["1"], [1, "25%"], ["100%"], [3, 5], ["d", "canaries", 1]])
def test_names_counts_and_shares_are_waves(waves):
    assert wave_problems(waves, GROUPS) == []


@pytest.mark.parametrize(
    "waves",
    [
        [],
        None,
        1,
        "1",
        [0],
        [-1],
        [True],
        ["101%"],
        ["%"],
        ["x"],
        [1, "a"],
        ["a:b"],
        ["!a"],
        [1.5],
        [None],
    ],
)
def test_anything_else_is_not(waves):
    assert "rollout_waves" in wave_problems(waves, GROUPS)[0]


@pytest.mark.parametrize(
    "waves, hosts, wanted",
    [([1], 9, 1), ([1, 3], 9, 3), ([1, "50%"], 9, 4), (["10%"], 5, 1), ([5], 2, 2), (["2"], 9, 2)],
)
def test_the_largest_is_what_may_be_out_at_once(waves, hosts, wanted):
    assert largest_wave(waves, hosts) == wanted


@pytest.mark.parametrize(
    "waves, hosts, order, sizes",
    [
        ([1, "50%"], HOSTS, "a b c d", [1, "50%"]),
        (["d"], HOSTS, "d a b c", [1, 1]),
        (["d", "canaries", "50%"], HOSTS, "d c a b", [1, 2, "50%"]),
        (["canaries", "a", 2], HOSTS, "c a b d", [2, 2]),
        # With a limit, what is not in the run has no wave.
        (["d", "canaries", 2], ["a", "b"], "a b", [1, 2]),
        (["e", 1], HOSTS, "a b c d", [1]),
    ],
)
def test_named_hosts_come_first(waves, hosts, order, sizes):
    assert wave_order(waves, GROUPS, hosts) == order.split()
    assert wave_sizes(waves, GROUPS, hosts) == sizes


def test_the_pattern_puts_named_hosts_first_and_nobody_else_in():
    assert wave_pattern([1, "50%"], "web") == "web"
    assert wave_pattern(["d", "canaries", 1], "web") == "d:canaries:web:&web"


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
