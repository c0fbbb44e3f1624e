# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that is out for work on it: for how long, what its operator hears, who minds."""

from __future__ import annotations

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_record import (
    empty,
    tell,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._held import (
    any_held,
    cannot_hold,
    held_for_problems,
    held_out,
    held_words,
)

HELD = {"event": "held", "host": "web1", "seconds": 3600.0, "why": "kernel"}
TOLD = {"run": "r", "by": "ann", "at": 1000.0}


@pytest.mark.parametrize("seconds", [60, 7200, 86400])
def test_a_time_that_a_lease_keeps(seconds):
    assert held_for_problems(seconds) == []


@pytest.mark.parametrize("seconds", [0, 59, 86401])
def test_a_time_that_no_lease_keeps_is_refused(seconds):
    [problem] = held_for_problems(seconds)
    assert problem.startswith(f"load_balancer_out_for is {seconds} s: a lease can keep")


@pytest.mark.parametrize(
    ("hosts", "provider", "drain", "words"),
    [
        (["web1"], "haproxy", True, ""),
        (["web1"], "nginx", "True", ""),
        (["web1", "web2"], "haproxy", True, "the run has 2. Name it with -l"),
        (["web1"], "probe", True, "load_balancer_provider is probe"),
        (["web1"], "none", True, "load_balancer_provider is none"),
        (["web1"], "haproxy", False, "load_balancer_drain is false"),
    ],
)
def test_what_can_be_taken_out(hosts, provider, drain, words):
    found = cannot_hold(hosts, provider, drain)
    assert words in found and bool(words) == bool(found)


def test_the_words_say_what_happens_at_the_end_and_what_to_do():
    words = held_words("web1", 3600, 0, ["lb1", "lb2"])
    assert words.startswith("web1 is out of rotation for 1 h 0 min, until 1970-01-01 01:00:00Z.")
    assert "lb1, lb2 put it back, whether it is well or not" in words
    assert "drain.yml again" in words and "ready.yml -l web1" in words
    assert "A balancer that reboots puts it back then" in words


def test_no_run_takes_it_until_it_is_back_or_its_time_is_over():
    record = tell(empty("app"), {**HELD, **TOLD})
    words = held_out(record, "web1", 1001)
    assert words.startswith(
        "web1 was taken out of rotation by ann at 1970-01-01 00:16:40Z (kernel)"
    )
    assert "ready.yml -l web1" in words
    assert held_out(record, "web2", 1001) == ""
    assert held_out(record, "web1", 4600) == ""
    again = tell(record, {**HELD, **TOLD, "at": 4000.0})
    assert held_out(again, "web1", 4600) != ""
    back = tell(again, {"event": "freed", "host": "web1", **TOLD})
    assert held_out(back, "web1", 4600) == ""
    assert held_out(None, "web1", 0) == ""
    assert any_held(again, ["web2", "web1"], 4600)
    assert not any_held(again, ["web2"], 4600)
