# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is brought to the disk."""

import os

from ansible_collections.fleetops.gunicorn.plugins.module_utils._release import store

from tests.unit.plugins.module_utils._packages.paper_site import write


def test_what_was_built_is_synced_and_nothing_else(tmp_path, monkeypatch):
    write(tmp_path, "release/lib/a.py", "a")
    write(tmp_path, "release/lib/b.py", "b")
    write(tmp_path, "elsewhere/c.py", "c")
    (tmp_path / "release/empty").mkdir()
    os.symlink(str(tmp_path / "elsewhere"), str(tmp_path / "release/link"))
    os.symlink(str(tmp_path / "elsewhere/c.py"), str(tmp_path / "release/lib/link.py"))
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino))
    monkeypatch.setattr(os, "sync", lambda: 1 / 0)
    store.sync_tree(str(tmp_path / "release"))
    names = ("", "lib", "lib/a.py", "lib/b.py", "empty")
    assert sorted(synced) == sorted((tmp_path / "release" / n).stat().st_ino for n in names)
