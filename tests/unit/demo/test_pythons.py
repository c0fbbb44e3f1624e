# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Pythons the demo upgrades between."""

import os
import pwd
import sys
from pathlib import Path

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.interpreters import Probed

from demo import pythons
from demo.errors import DemoError
from demo.pythons import Python, choose


def python(version: str) -> Python:
    parts = tuple(map(int, version.split(".")))
    return Python(parts, f"/p/{version}", f"{parts[0]}.{parts[1]}")


@pytest.mark.parametrize(
    ("found", "start", "newer", "remark"),
    [
        ("3.6.15 3.11.7 3.13.0", "3.6.15", "3.11.7", False),
        ("3.13.0 3.9.18 3.10.13 3.12.1", "3.9.18", "3.12.1", False),
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


def test_own_python_will_do_and_is_named_by_path_when_nothing_else_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = pythons.find_python.find_python

    def finds_no_version(wanted: str, *more: object) -> object:
        return real(wanted if os.path.isabs(wanted) else "3.99", *more)  # type: ignore[arg-type]

    monkeypatch.setattr(pythons.find_python, "find_python", finds_no_version)
    choice = pythons.find()
    assert choice.start == choice.newer
    assert choice.newer.version == sys.version_info[:3]
    assert choice.newer.stage == sys.executable


def test_under_another_home_the_same_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A service has no home of its own, sudo keeps another's: the Pythons of the machine stay."""
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    before = pythons.every()
    assert before
    monkeypatch.setenv("HOME", str(tmp_path))
    assert pythons.every() == before


def test_a_home_is_that_of_the_user_whatever_HOME_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real, said = tmp_path / "real", tmp_path / "said"
    real.mkdir()
    said.mkdir()
    entry = pwd.struct_passwd(("joe", "x", os.geteuid(), os.getegid(), "", str(real), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: entry)
    monkeypatch.setenv("HOME", str(said))
    assert pythons.find_python.homes()[:2] == [str(said), str(real)]


def test_the_shims_of_another_user_lead_to_his_pythons(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = tmp_path / "pyenv"
    places = [root / "shims", root / "versions/3.99.1/bin"]
    for place in places:
        place.mkdir(parents=True)
        (place / "python3.99").touch()
    asked = []

    def probe(path: str, user: object) -> Probed:
        asked.append(path)
        return Probed(None)

    monkeypatch.setattr(pythons.find_python, "probe_python", probe)
    monkeypatch.setenv("PATH", str(places[0]))
    assert pythons.look("3.99") is None
    assert str(places[1] / "python3.99") in asked
    assert str(places[0] / "python3.99") not in asked
