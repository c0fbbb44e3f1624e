# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cases of chaos as a list: none is played here."""

from __future__ import annotations

import collections

from tests.chaos import harness
from tests.chaos.bed import EVERY, HAPROXY
from tests.chaos.beds import KINDS
from tests.chaos.unit_bed import LOGGED

CASES = harness.registry(points=2)


def test_each_case_is_of_a_kind_that_can_be_made_and_has_a_name_of_its_own():
    assert {case.bed for case in CASES} == set(KINDS) == set(EVERY)
    assert [name for name, count in collections.Counter(map(str, CASES)).items() if count > 1] == []


def test_each_kind_of_fleet_has_its_negative_control_and_is_killed_at_boundaries():
    for kind in KINDS:
        mine = [case for case in CASES if case.bed == kind]
        assert [case for case in mine if case.group == "control"], kind
        assert len([case for case in mine if case.name.startswith("-9 at")]) == 2, kind


def test_only_the_usual_kind_is_fast_enough_for_ci():
    assert {case.bed for case in CASES if case.fast} == {HAPROXY}


def test_who_lost_a_request_is_read_from_nginx_log():
    line = '2026-11-28T20:00:00+00:00 app 502 127.0.0.1:8000 502 - - 0.000 "GET / HTTP/1.1"\n'
    found = LOGGED.search(line)
    assert found and (found["status"], found["address"]) == ("502", "127.0.0.1:8000")
