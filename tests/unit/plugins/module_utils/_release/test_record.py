# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names, hashes and records of releases."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.record import (
    Space,
    build_name,
    changed_since,
    check_space,
    dumps,
    inputs_sha256,
    is_build_name,
    is_release_id,
    parse_record,
    release_id,
    trial_of,
)

RECORD = {
    "schema": 1,
    "id": "x",
    "gunicorn": "23.0.0",
    "python_version": "3.11.7",
    "freeze": ["a==1"],
}


def test_an_id_says_what_it_is():
    assert release_id("23.0.0", "3.11.7", "1a2b3c4d5e") == "23.0.0-py3.11-1a2b3c4d"


def test_everything_that_goes_in_counts_and_nothing_else():
    one = inputs_sha256({"a": 1, "b": [2]})
    assert one == inputs_sha256({"b": [2], "a": 1})
    assert one != inputs_sha256({"a": 1, "b": [3]})


@pytest.mark.parametrize(
    "name, good",
    [
        ("23.0.0-py3.11-1a2b3c4d", True),
        ("adopted-20.0.1-py3.6-1a2b3c4d", True),
        (".build-xxxx", False),
        ("23.0.0-py3.11-1a2b3c4d.untrusted-00", False),
        ("..", False),
        ("23.0.0-py3.11-1a2b3c4d/", False),
        ("latest", False),
    ],
)
def test_what_is_the_name_of_a_release(name, good):
    assert is_release_id(name) is good


@pytest.mark.parametrize("identity", ["24.0.0-py3.9-12345678", "20.1.0.post12-py3.11-12345678"])
def test_a_temporary_name_is_as_long_as_the_final_one_and_never_a_release(identity):
    name = build_name(identity, "0123456789abcdef")
    assert len(name) == len(identity)
    assert is_build_name(name)
    assert not is_release_id(name)


def test_the_lock_is_no_stale_build():
    assert not is_build_name(".build.lock")


@pytest.mark.parametrize(
    "text, why",
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "schema"),
        ('{"schema": 2}', "schema"),
        (dumps(dict(RECORD, id="y")), "another release"),
        (dumps({k: v for k, v in RECORD.items() if k != "freeze"}), "lacks 'freeze'"),
    ],
)
def test_a_record_that_is_not_believed(text, why):
    with pytest.raises(FleetError, match=why):
        parse_record(text, "x")


def test_a_record_survives_being_written():
    assert parse_record(dumps(RECORD), "x") == RECORD


def test_what_was_installed_into_a_release_afterwards_is_seen():
    assert changed_since(["a==1", "b==1"], ["a==1", "b==2"]) == ["-b==1", "+b==2"]
    assert changed_since(["a==1"], ["a==1"]) == []


def test_space_and_inodes():
    check_space(Space(200, 20000), 200, "/srv")
    check_space(Space(200, None), 200, "/srv")
    with pytest.raises(FleetError, match="199 MiB free and a build wants 200"):
        check_space(Space(199, None), 200, "/srv")
    with pytest.raises(FleetError, match="free inodes"):
        check_space(Space(5000, 12), 200, "/srv")


@pytest.mark.parametrize(
    ("given", "test"),
    [("boot", "boot"), (True, "boot"), ("True", "boot"), ("yes", "boot"), ("import", "import"),
     (False, "import"), ("false", "import"), ("none", "none")],
)  # fmt: skip
def test_how_a_release_is_tried_may_still_be_said_as_a_boolean(given, test):
    assert trial_of(given) == test


@pytest.mark.parametrize("given", [None, "", "bootish", 7])
def test_another_trial_is_an_error_that_names_those_there_are(given):
    with pytest.raises(FleetError, match="give boot, import or none"):
        trial_of(given)
