# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two runs of one fleet: what the second may still believe when it gets the lock."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_record import (
    empty,
    tell,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.stale import stale

OLD, NEW = "20.0.1-py3.6-0", "23.0.0-py3.11-1"


def told(record, *events):
    at = 1000.0 + 10 * len(record["events"])
    for name, more in events:
        at += 1
        record = tell(record, {"event": name, "run": "r", "by": "alice", "at": at, **more})
    return record


def on(host, release=NEW, **more):
    return {"host": host, "release": release, **more}


NOTHING = told(empty("app"), ("began", {}))
PASSED = told(NOTHING, ("taken", on("web1")), ("passed", on("web1")))
BAD = told(NOTHING, ("failed", on("web3", blame=True)))


@pytest.mark.parametrize(
    "then, now, mine, chosen, words",
    [
        # Nobody was there in between.
        (NOTHING, NOTHING, ["web1", "web2"], [NEW], []),
        (PASSED, PASSED, ["web1"], [NEW], []),
        # The other had -l web1 and this one has -l web2, or the other way round.
        (NOTHING, PASSED, ["web2"], [NEW], []),
        (NOTHING, PASSED, ["web1"], [NEW], ["web1 passed"]),
        # Both had the whole fleet; and the other did nothing but begin.
        (NOTHING, PASSED, ["web1", "web2"], [NEW], ["web1 passed"]),
        (NOTHING, told(NOTHING, ("ended", {})), ["web1", "web2"], [NEW], []),
        # It was killed, or stopped, in the middle of a host.
        (NOTHING, told(NOTHING, ("taken", on("web1"))), ["web1"], [], ["web1 taken"]),
        (NOTHING, told(NOTHING, ("taken", on("web1")), ("out", on("web1"))), ["web1"], [], ["out"]),
        # The same release, once more: a restart is a change, too.
        (PASSED, told(PASSED, ("passed", on("web1"))), ["web1"], [], ["web1 passed"]),
        # A host elsewhere found that what is to be activated here is bad.
        (NOTHING, BAD, ["web1"], [NEW], ["marked bad"]),
        (NOTHING, BAD, ["web1"], [OLD], []),
        (NOTHING, BAD, ["web1"], [], []),
    ],
)  # fmt: skip
def test_what_holds_no_more(then, now, mine, chosen, words):
    found = stale(then, now, mine, chosen)
    assert len(found) == len(words)
    for text, word in zip(found, words, strict=True):
        assert word in text


def test_what_was_bad_when_it_asked_is_not_news():
    assert stale(BAD, BAD, ["web1"], [NEW]) == []


def test_a_large_fleet_is_told_in_a_sentence():
    events = [("passed", on(f"web{number}")) for number in range(999)]
    found = stale(NOTHING, told(NOTHING, *events), [f"web{n}" for n in range(999)], [])
    assert len(found) == 13 and found[-1] == "and 987 more"
