# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._waves import (
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
