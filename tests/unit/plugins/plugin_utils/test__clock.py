# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import re
import time
from pathlib import Path

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._clock import deadline, left
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._internal import watch

ROLES = Path(__file__).parents[4] / "roles"


def test_a_deadline_and_what_is_left_of_it():
    until = deadline("60", lambda: 1000.0)
    assert until == 1060.0
    assert left(str(until), lambda: 1050.0) == 10.0
    assert left(until, lambda: 1061.0) == -1.0


def test_a_clock_that_jumps_does_not_shorten_a_soak(monkeypatch):
    """An hour ahead; once it made 20 s of 120."""
    filters = watch.INTERNAL
    until = filters["from_now"](120)
    ahead = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: ahead)
    assert 100 < filters["seconds_left"](until) <= 120


@pytest.mark.parametrize("role", ["gate", "rollout", "load_balancer", "service", "release"])
def test_no_role_waits_by_the_wall_clock(role):
    """What is noted for people may be of it: a record, a table."""
    noted = {"_rollout_look", "now"}
    # The look that is kept for the bake.
    kept = "| fleetops.gunicorn.internal('bake_look', now().timestamp(),"
    for path in (ROLES / role).rglob("*.yml"):
        for line in path.read_text().splitlines():
            if re.search(r"\bnow\(|ansible_date_time|\+%s", line):
                named = line.split(":")[0].strip(" -")
                assert named in noted or named.startswith(kept), f"{path}: {line}"
