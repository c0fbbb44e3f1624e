# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Pythons the demo upgrades between."""

import os
import sys
from pathlib import Path

import pytest

from demo.errors import DemoError
from demo.pythons import Python, choose, executables, places, probe


def python(version: str) -> Python:
    return Python(tuple(map(int, version.split("."))), f"/p/{version}")


@pytest.mark.parametrize(
    ("found", "start", "newer", "remark"),
    [
        ("3.6.15 3.11.7 3.13.0", "3.6.15", "3.11.7", False),
        ("3.13.0 3.9.18 3.10.13 3.12.1", "3.9.18", "3.12.1", False),
        ("3.5.10 2.7.18 3.8.18 3.11.7", "3.8.18", "3.11.7", False),
        ("3.6.2 3.6.15 3.11.2 3.11.7", "3.6.15", "3.11.7", False),
        ("3.11.7 3.12.1 3.13.0", "3.11.7", "3.13.0", True),
        ("3.12.3", "3.12.3", "3.12.3", True),
    ],
)
def test_choice(found: str, start: str, newer: str, remark: bool) -> None:
    choice = choose(map(python, found.split()))
    assert (choice.start.full, choice.newer.full) == (start, newer)
    assert bool(choice.remark) is remark
    if remark:
        assert "no Python older than 3.11" in choice.remark
        assert ("stays" in choice.remark) is (start == newer)


@pytest.mark.parametrize("found", ["", "3.6.15 3.10.13"])
def test_no_modern_python_is_an_error_that_lists_what_there_is(found: str) -> None:
    with pytest.raises(DemoError, match="3.11 or newer.*" + (found.split() or ["none"])[0]):
        choose(map(python, found.split()))


def test_places_that_are_searched(tmp_path: Path) -> None:
    for name in ("pyenv/versions/3.6.15/bin", "share/uv/python/cpython-3.9/bin", "bin"):
        (tmp_path / name).mkdir(parents=True)
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{tmp_path}/bin:{tmp_path}/pyenv/shims:relative",
        "XDG_DATA_HOME": str(tmp_path / "share"),
    }
    found = list(places(environment))
    assert found[:3] == [
        tmp_path / "bin",
        tmp_path / "pyenv/versions/3.6.15/bin",
        tmp_path / "share/uv/python/cpython-3.9/bin",
    ]
    # A pyenv shim answers only for the versions switched on.
    assert not any("shims" in str(path) for path in found)


def test_each_interpreter_is_found_once(tmp_path: Path) -> None:
    real = tmp_path / "python3.9"
    for path in (real, tmp_path / "python3.9-config"):
        path.write_text("")
        path.chmod(0o755)
    (tmp_path / "python3").symlink_to(real)
    (tmp_path / "python3.8").symlink_to(tmp_path / "gone")
    (tmp_path / "python3.7").write_text("not executable")
    assert executables([tmp_path, tmp_path]) == [str(real)]


def test_probe_tells_a_python_from_other_things(tmp_path: Path) -> None:
    own = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    found = probe(own)
    assert found is not None and found.version == sys.version_info[:3]
    liar = tmp_path / "python3"
    liar.write_text("#!/bin/sh\necho hello\n")
    liar.chmod(0o755)
    assert probe(str(liar)) is probe(str(tmp_path / "absent")) is None
