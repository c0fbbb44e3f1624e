# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How often a trial imports and boots an application: no more often than it proves something."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release import boot_test, build
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.launch import (
    Launch,
    Prefix,
)

OLD = Prefix(("/srv/app/venv",), "3.6")
NEW = Prefix(("/srv/app/releases/23",), "3.11")
WANTED = boot_test.Wanted("/srv/app/releases/23", "23.0.0", "3.11.7")
LAUNCH = Launch(
    ("/srv/app/venv/bin/gunicorn", "app"), {"DB": "live"}, "/srv/app", 1, 1, (), "x", True
)
# 2026-01-01T00:00:00Z.
BUILT = 1767225600


@pytest.fixture
def done(monkeypatch):
    """What was run, and with which database."""
    ran = []

    def note(what, answer):
        def run(launch, *_rest):
            ran.append((what, launch.environment["DB"] if launch else None))
            return answer

        monkeypatch.setattr(boot_test, what, run)

    note("check_import", {})
    note("check_config", "")
    note("boot", {"status": 200})
    return ran


def trial(test="boot", **more):
    return build.Trial(test, "/healthz", 60, **more)


def checks(test="boot", launch=LAUNCH, booted=None, **more):
    return build.checks_of(launch, OLD, NEW, WANTED, trial(test, **more), booted)


def test_a_boot_imports_the_application_and_nothing_else_does_beside_it(done):
    told = checks("boot")
    assert done == [("check_import", "live"), ("boot", "live")]
    assert (told["import"], told["check_config"], told["boot"]["status"]) == (True, None, 200)


def test_an_import_boots_nothing(done):
    told = checks("import")
    assert done == [("check_import", "live"), ("check_config", "live")]
    assert told == {"import": True, "check_config": True, "boot": None}


def test_none_runs_nothing_of_the_application(done):
    assert checks("none") == {"import": True, "check_config": None, "boot": None}
    assert done == [("check_import", None)]


def test_every_trial_is_pointed_where_the_operator_says(done):
    checks("boot", environment={"DB": "copy"})
    checks("import", environment={"DB": "copy"})
    assert {database for _what, database in done} == {"copy"}


def test_what_an_import_refuses_is_refused(done, monkeypatch):
    monkeypatch.setattr(boot_test, "check_config", lambda _launch: "No module named x")
    with pytest.raises(FleetError, match="refuses in the new release:\nNo module named x"):
        checks("import")


def test_what_was_booted_in_the_same_way_is_not_booted_again(done):
    booted = checks("boot")["boot"]
    done.clear()
    assert checks("boot", booted=booted)["boot"] == booted
    assert done == [("check_import", "live")]


@pytest.mark.parametrize(
    "other",
    [
        {"argv": ("/srv/app/venv/bin/gunicorn", "-k", "gthread", "app")},
        {"directory": "/srv"},
        {"uid": 2},
        {"environment": {"DB": "live", "MORE": "x"}},
    ],
    ids=str,
)
def test_what_is_started_in_another_way_is_booted(done, other):
    booted = checks("boot")["boot"]
    done.clear()
    checks("boot", LAUNCH._replace(**other), booted)
    assert done[-1] == ("boot", "live")


def test_a_boot_on_another_database_proves_nothing_of_this_one(done):
    booted = checks("boot", environment={"DB": "copy"})["boot"]
    done.clear()
    checks("boot", booted=booted)
    assert done[-1] == ("boot", "live")


@pytest.mark.parametrize(
    ("age", "believe", "good"),
    [(60, 86400, True), (90000, 86400, False), (60, 0, False), (-60, 86400, False)],
)
def test_a_boot_is_believed_for_a_while(age, believe, good):
    record = {"built_at": "2026-01-01T00:00:00Z", "checks": {"boot": {"start": "x"}}}
    assert (build.still_booted(record, believe, BUILT + age) is not None) is good


@pytest.mark.parametrize(
    "record", [None, {}, {"built_at": "soon"}, {"built_at": "2026-01-01T00:00:00Z", "checks": {}}]
)
def test_without_a_record_nothing_is_believed(record):
    assert build.still_booted(record, 86400, BUILT) is None
