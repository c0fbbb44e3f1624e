# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What makes a plan impossible, of all hosts at once."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.refusals import (
    bad_releases,
    refusals,
)

from tests.unit.plugins.plugin_utils._plan import test_balancers

GIVEN = {"log_quiet": "fail", "log_paths": [], "python_provider": "none", "force": False}
STAGE = {"stage": 1, "id": "21.2.0-x", "python": "3.6", "packages": {}, "problems": []}
MARK = {"mark": "bad", "at": 1.0, "host": "web9", "by": "me", "why": "it crashed"}


def host(name="web1", more=None, **seen):
    told: dict[str, Any] = {
        "problems": [],
        "found": {"stages": [STAGE]},
        "trial": {},
        "pythons": [{"stage": 1, "found": True}],
        "health": {},
        "log": {"verdict": "clean", "tells": "start"},
        "service": {"logs": ["/x.log"], "arbiter": {"pid": 7}, "program": {}},
    }
    one = test_balancers.host(name, **{**GIVEN, **(more or {})})
    return {**one, "_preflight_seen": {**told, **seen}}


def kinds(one, balancer=None, record=None):
    found = refusals([one], [balancer or test_balancers.answer()], record or {"marks": {}}, 1)
    return found.get("web1", {})


def test_a_fleet_that_is_well_has_none():
    fleet = [host("web1"), host("web2")]
    assert refusals(fleet, [test_balancers.answer()], {"marks": {}}, 1) == {}


@pytest.mark.parametrize(
    ("kind", "seen", "words"),
    [
        ("server", {"problems": ["no gunicorn runs"]}, "no gunicorn runs"),
        ("build", {"found": {"stages": [{**STAGE, "problems": ["stage 1: full"]}]}}, "full"),
        ("application", {"health": {"failed": True, "msg": "HTTP 503"}}, "HTTP 503"),
        ("python", {"pythons": [{"stage": 1, "found": False, "message": "none"}]}, "Stage 1"),
        ("way_back", {"trial": {"failed": True, "msg": "it does not boot"}}, "does not boot"),
    ],
)
def test_each_kind_is_told_as_what_it_is(kind, seen, words):
    found = kinds(host(**seen))
    assert list(found) == [kind] and words in found[kind]


def test_what_the_balancers_forbid_is_told():
    assert list(kinds(host(), test_balancers.answer(refusal="no"))) == ["balancer"]


def test_a_host_that_cannot_take_part_is_told_of_that_alone():
    ill = {"failed": True, "msg": "HTTP 503"}
    found = kinds(host(problems=["it cannot be reached"], health=ill))
    assert found == {"server": "it cannot be reached"}


def test_a_release_that_failed_before_is_refused_unless_it_is_forced():
    record = {"marks": {"21.2.0-x": MARK}}
    assert "it crashed" in kinds(host(), record=record)["bad"]
    assert kinds(host(more={"force": True}), record=record) == {}
    assert bad_releases(record, ["another"]) == ""


def test_each_host_has_its_own():
    fleet = [host("web1"), host("web2", problems=["x"])]
    assert refusals(fleet, [test_balancers.answer()], {"marks": {}}, 1) == {"web2": {"server": "x"}}
