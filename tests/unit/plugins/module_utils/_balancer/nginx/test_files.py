# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file of somebody else's is replaced as a whole, or not at all."""

import errno
import os

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx import files
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError


@pytest.fixture
def site(tmp_path):
    path = tmp_path / "site"
    path.write_bytes("# é\nserver a;\n".encode())
    path.chmod(0o640)
    return path


def text(path):
    return path.read_bytes().decode("latin-1")


def test_mode_owner_and_link_stay_and_every_byte(site, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(site)
    if os.geteuid() == 0:
        os.chown(str(site), 65534, 65534)
    before = os.stat(str(site))
    files.replace(str(link), text(site), text(site).replace("a;", "b;"))
    after = os.stat(str(site))
    assert site.read_bytes() == "# é\nserver b;\n".encode()
    assert link.is_symlink()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_labels_stay(site):
    try:
        os.setxattr(str(site), "user.label", b"x")
    except OSError:
        pytest.skip("this file system has no labels")
    files.replace(str(site), text(site), "server b;\n")
    assert os.getxattr(str(site), "user.label") == b"x"


def test_what_somebody_else_has_changed_meanwhile_is_left(site):
    with pytest.raises(FleetError, match="in this very moment"):
        files.replace(str(site), "server z;\n", "server b;\n")
    assert "server a;" in text(site)


@pytest.mark.parametrize("call", ["fsync", "rename", "fchmod"])
def test_what_fails_leaves_the_file_and_nothing_beside_it(site, tmp_path, monkeypatch, call):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(FleetError, match="No space left on device. What was there is unchanged"):
        files.replace(str(site), text(site), "server b;\n")
    monkeypatch.undo()
    assert "server a;" in text(site)
    assert [each.name for each in tmp_path.iterdir()] == ["site"]


def test_a_scratch_file_is_no_part_of_any_configuration(site, tmp_path, monkeypatch):
    seen = []
    rename = os.rename
    monkeypatch.setattr(os, "rename", lambda a, b: (seen.append(a), rename(a, b)))
    files.replace(str(site), text(site), "server b;\n")
    [scratch] = seen
    assert os.path.dirname(scratch) == str(tmp_path)
    assert os.path.basename(scratch).startswith("."), "what begins so no * finds"


def test_a_change_shows(site, tmp_path):
    before = files.signatures({str(site): "", str(tmp_path / "gone"): ""})
    assert list(before) == [str(site)]
    files.replace(str(site), text(site), text(site))
    assert files.signatures({str(site): ""}) != before
