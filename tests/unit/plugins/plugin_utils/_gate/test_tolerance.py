# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is absolute, what has a normal, what has a limit of the operator's."""

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.catalogue import EVENTS
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.tolerance import (
    ABSOLUTE,
    RELATIVE,
    fixed,
    is_told,
    limits,
    plain_patterns,
    relative_events,
)


def test_every_event_of_the_catalogue_is_one_of_three():
    borne = {name for name, event in EVENTS.items() if event.tolerance == "unlimited"}
    assert set(EVENTS) == ABSOLUTE | set(RELATIVE) | borne
    assert borne == {"worker_terminated", "child_exited"}
    assert {"worker_killed", "worker_exited", "memory_error"} <= set(RELATIVE)
    # These say that the arbiter is broken.
    assert {
        "reentrant",
        "boot_failure",
        "app_load_failure",
        "main_loop_exception",
        "restart_loop",
        "unhandled_signal",
    } == ABSOLUTE


def test_nothing_absolute_is_ever_unlimited():
    given = limits(dict.fromkeys(ABSOLUTE, "auto"))
    assert not [name for name in ABSOLUTE if given.get(name) == "unlimited"]
    assert given["worker_killed"] == "unlimited"


def test_a_number_of_the_operators_is_a_limit_and_no_normal():
    assert limits({"worker_killed": 3})["worker_killed"] == 3
    assert "worker_killed" not in relative_events({"worker_killed": 3})
    assert fixed({"worker_killed": "auto", "worker_exited": 2}) == {"worker_exited": 2}


def test_who_logs_what():
    assert not is_told("worker_killed", "20.0.4") and is_told("worker_killed", "20.1.0")
    assert not is_told("worker_exited", "20.1.0") and is_told("worker_exited", "21.2.0")
    assert is_told("worker_timeout", "20.0.1") and not is_told("worker_killed", "")


def test_a_pattern_of_the_operators_is_a_limit_unless_it_says_auto():
    patterns = [
        {"name": "ours", "regex": "gone"},
        {"name": "usual", "regex": "retry", "tolerance": "auto"},
    ]
    assert relative_events({}, patterns)[-1:] == ["usual"]
    assert limits({}, patterns).get("usual") == "unlimited"
    assert "ours" not in limits({}, patterns)
    assert [each.get("tolerance") for each in plain_patterns(patterns)] == [None, "0"]
