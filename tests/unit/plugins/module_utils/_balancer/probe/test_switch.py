# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files and commands that make a server ill: what was ours, and what was not."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe import switch
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

ILL, WELL = switch.State(True, True), switch.State(False, False)
FOREIGN = switch.State(True, False)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "ill"


def by_file(file, means="ill"):
    return switch.FileSwitch(str(file), means, str(file.parent / "state"), "web1")


def by_commands(file, state=True):
    path = str(file)
    looks = ["test", "!", "-e", path] if state else []
    where = str(file.parent / "state")
    return switch.CommandSwitch(["touch", path], ["rm", path], looks, where, "web1")


def test_a_file_that_is_made_and_removed(file):
    made = by_file(file)
    assert made.look() == WELL and made.age() is None
    made.make_ill()
    assert made.look() == ILL and made.glance() and 0 <= made.age() < 5
    assert file.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in file.parent.iterdir()] == ["ill", "state"]
    made.make_well()
    assert made.look() == WELL and made.age() is None


def test_a_file_that_is_put_aside_and_back(file):
    file.write_text("healthy")
    file.chmod(0o600)
    made = by_file(file, "well")
    assert made.look() == WELL
    made.make_ill()
    assert made.look() == ILL and not file.exists()
    made.make_well()
    assert made.look() == WELL and file.read_text() == "healthy"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_somebody_made_anew_meanwhile_is_theirs(file):
    file.write_text("healthy")
    made = by_file(file, "well")
    made.make_ill()
    file.write_text("theirs")
    assert made.look() == switch.State(False, True)
    made.make_well()
    assert file.read_text() == "theirs" and made.look() == WELL


def test_what_somebody_else_did_is_theirs_and_stays(file):
    file.write_text("the operator's")
    made = by_file(file)
    assert made.look() == FOREIGN
    with pytest.raises(FleetError, match="somebody else's was"):
        made.make_well()
    with pytest.raises(FleetError, match="File exists"):
        made.make_ill()
    assert file.read_text() == "the operator's"
    assert by_file(file.parent / "none", "well").look() == FOREIGN


@pytest.mark.parametrize("kind", ["link", "directory"])
def test_what_is_no_file_of_ours_is_not_followed(file, kind):
    ours = by_file(file.parent / "other")
    ours.make_ill()
    if kind == "link":
        file.symlink_to(file.parent / "other")
    else:
        file.mkdir()
    assert by_file(file).look() == FOREIGN


def test_a_directory_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FleetError, match="load_balancer_probe_file"):
        by_file(tmp_path / "none" / "ill").look()


def test_who_may_not_is_told_before(file, monkeypatch):
    # As for somebody who is not root.
    monkeypatch.setattr(switch.os, "access", lambda path, mode: False)
    assert "cannot be made or removed" in by_file(file).refusal()


def test_commands_and_a_note_whose_doing_it_was(file):
    made = by_commands(file)
    assert made.look() == WELL and made.refusal() == ""
    made.make_ill()
    assert file.exists() and made.look() == ILL and made.glance()
    file.unlink()
    assert made.look() == switch.State(False, True)
    file.touch()
    made.make_well()
    assert not file.exists() and made.look() == WELL
    file.touch()
    assert made.look() == FOREIGN
    assert by_commands(file, state=False).look() == WELL, "nobody can tell"


def test_a_note_of_another_boot_is_void(file, monkeypatch):
    made = by_commands(file, state=False)
    made.make_ill()
    monkeypatch.setattr(switch, "boot_id", lambda: "another")
    assert made.look() == WELL


def test_a_command_that_fails_says_so(tmp_path):
    bad = switch.CommandSwitch(
        ["ls", "/nowhere-at-all"], ["false"], ["kill-me-not"], str(tmp_path / "state"), "web1"
    )
    with pytest.raises(FleetError, match="exit 2.*nowhere-at-all"):
        bad.make_ill()
    assert bad.glance(), "it may be half done, and is to be undone"
    with pytest.raises(FleetError, match="cannot be run"):
        bad.look()
    assert "no program 'kill-me-not'" in bad.refusal()
