# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import stat
import threading

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report import files
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.files import write

from tests.unit.plugins.plugin_utils._report.paper_report import RUN, made

FOUR = [
    "19700101T001640Z-upgrade.html",
    "19700101T001640Z-upgrade.json",
    "19700101T001640Z-upgrade.junit.xml",
    "19700101T001640Z-upgrade.md",
]


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def at(began):
    return made([], RUN._replace(began=began, ended=began))


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_four_files_for_their_owner_only(tmp_path, mask):
    directory = tmp_path / "new" / "reports"
    directory.parent.mkdir()
    before = os.umask(mask & 0o077)
    try:
        path = write(made(), directory, 20)
    finally:
        os.umask(before)
    assert path == directory / FOUR[0]
    assert names(directory) == FOUR
    assert {stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()} == {0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert json.loads((directory / FOUR[1]).read_text())["schema"] == 1


def test_two_runs_of_one_second(tmp_path):
    paths = []
    threads = [
        threading.Thread(target=lambda: paths.append(write(made(), tmp_path, 0))) for _n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(paths)) == 8 and len(names(tmp_path)) == 32


def test_the_oldest_are_forgotten_and_nothing_else(tmp_path):
    others = [".hidden", "19700101T001640Z-upgrade.html.bak", "notes.md", "1970-upgrade.html"]
    for name in others:
        (tmp_path / name).write_text("mine")
    for began in range(1000, 1005):
        write(at(began), tmp_path, 2)
    kept = {name.partition(".")[0] for name in names(tmp_path) if name not in others}
    assert kept == {"19700101T001643Z-upgrade", "19700101T001644Z-upgrade"}
    assert set(others) <= set(names(tmp_path))


def test_none_is_forgotten(tmp_path):
    for began in range(1000, 1005):
        write(at(began), tmp_path, 0)
    assert len(names(tmp_path)) == 20


def test_a_playbook_of_any_name_stays_in_the_directory(tmp_path):
    path = write(made([], RUN._replace(playbook="../../etc/pass wd")), tmp_path, 5)
    assert path.parent == tmp_path and "/" not in path.name
    assert len(names(tmp_path)) == 4


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(made(), tmp_path, 5)
    assert names(tmp_path) == []


@pytest.mark.parametrize("place", [f".{FOUR[1]}.new", FOUR[1], f".{FOUR[0]}.new", FOUR[0]])
def test_what_somebody_put_there_is_not_followed(tmp_path, place):
    target = tmp_path / "target"
    target.write_text("mine")
    directory = tmp_path / "reports"
    directory.mkdir()
    (directory / place).symlink_to(target)
    if ".html" in place:
        with pytest.raises(FileExistsError):
            write(made(), directory, 5)
    else:
        assert write(made(), directory, 5).name == "19700101T001640Z-upgrade-2.html"
    assert target.read_text() == "mine"
