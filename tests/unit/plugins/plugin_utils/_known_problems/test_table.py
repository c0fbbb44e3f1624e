from __future__ import annotations

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.catalogue import EVENTS
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.stage_order import minor
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.application import (
    CONDITIONS,
    application_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.reviewed import (
    VERDICTS,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.table import (
    END,
    HAZARDS,
    SIGNS,
    hazards_of,
    new_hazards,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.versions import (
    python_floor,
    supports,
    version_key,
)


def names(gunicorn, python):
    return {hazard.name for hazard in hazards_of(gunicorn, python)}


@pytest.mark.parametrize(
    ("gunicorn", "python", "has"),
    [
        ("20.0.1", "3.6", False),
        ("20.0.4", "3.11", False),
        ("20.1.0", "3.6", True),
        ("21.2.0", "3.6", True),
        ("22.0.0", "3.11", True),
        ("23.0.0", "3.11", True),
        ("24.0.0", "3.12", False),
        ("24.1.1", "3.12", False),
        ("27.0.1", "3.13", False),
    ],
)
def test_who_logs_inside_the_signal_handler(gunicorn, python, has):
    assert ("reentrant" in names(gunicorn, python)) is has


def test_the_arbiter_dies_of_it_on_new_pythons_only():
    assert "arbiter-death" not in names("23.0.0", "3.8")
    assert "arbiter-death" in names("23.0.0", "3.9")


def test_24_0_0_is_no_cure():
    assert "dead-workers-stay-dead" in names("24.0.0", "3.12")
    assert "dead-workers-stay-dead" not in names("24.1.0", "3.12")


def test_only_what_is_new_is_told():
    assert [h.name for h in new_hazards(("21.2.0", "3.6"), ("21.2.0", "3.11"))] == ["arbiter-death"]


def test_each_hazard_has_an_effect_a_cure_and_a_source():
    assert len({hazard.name for hazard in HAZARDS}) == len(HAZARDS)
    for hazard in HAZARDS:
        assert all([hazard.effect, hazard.cure, hazard.source, hazard.today])
        assert version_key(hazard.since) < version_key(hazard.before)


def test_a_cure_is_one_and_the_others_say_so():
    for hazard in HAZARDS:
        cured = hazard.cured_in
        assert bool(cured) is (hazard.before != END)
        assert not cured or hazard.name not in names(cured, "3.13")


def test_every_published_version_has_a_verdict_and_it_is_the_tables():
    before: list[str] = []
    for version, verdict in VERDICTS.items():
        now = [hazard.name for hazard in hazards_of(version, "3.13")]
        brought = {name for name in now if name not in before}
        cured = {name for name in before if name not in now}
        assert (brought, cured) == (set(verdict.brought), set(verdict.cured)), version
        before = now
    assert list(VERDICTS) == sorted(VERDICTS, key=version_key)


def test_a_row_begins_and_ends_with_a_version_that_there_is():
    known = {version_key(version) for version in VERDICTS} | {version_key(END), version_key("0")}
    for hazard in HAZARDS:
        ends = {version_key(hazard.since), version_key(hazard.before)}
        # 20.0.1 is on no index, and 20.0 has it.
        assert ends <= known, hazard.name
        assert not hazard.cured_in or version_key(hazard.cured_in) in known, hazard.name


def test_a_condition_is_one_that_is_looked_for():
    settings = {"arguments": [], "names": {}, "whole": True}
    looked_for = application_of(settings).facts
    assert {hazard.when for hazard in HAZARDS if hazard.when} == set(CONDITIONS)
    assert {condition.name for condition in CONDITIONS} == set(looked_for)


def test_a_hazard_shows_in_what_somebody_looks_for():
    known = {*EVENTS, *SIGNS}
    for hazard in HAZARDS:
        assert {event for group in hazard.evidence for event in group} <= known, hazard.name


@pytest.mark.parametrize(
    ("gunicorn", "floor"),
    [
        ("20.0.1", "3.4"),
        ("21.2.0", "3.5"),
        ("22.0.0", "3.7"),
        ("23.0.0", "3.7"),
        ("24.1.1", "3.10"),
        ("19.9.0", "3.4"),
    ],
)
def test_python_floors(gunicorn, floor):
    assert python_floor(gunicorn) == floor
    assert supports(gunicorn, floor)


def test_versions_compare_as_numbers():
    assert version_key("3.10") > version_key("3.9")
    assert version_key("23.0") == version_key("23.0.0")
    assert version_key("20.1.0.dev1") < version_key("20.1")
    assert minor("3.11.7") == "3.11"
