# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Old releases go from real directories, and nothing else does, whatever tricks are played."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release import store
from ansible_collections.fleetops.gunicorn.plugins.modules import release_prune

from tests.integration.release_support import run_module

ROOT = Path(__file__).resolve().parents[2]
# Nobody of this machine.
APP = 54321


def identity(number):
    return f"20.{number}.0-py3.6-0000000{number}"


ELSEWHERE = "19.0.0-py3.6-0000000f"
ONE, TWO, THREE, FOUR, FIVE = (identity(number) for number in range(1, 6))


class Home:
    def __init__(self, path):
        self.path = path
        self.releases = path / "releases"
        self.releases.mkdir(parents=True)

    def build(self, name, **more):
        place = self.releases / name
        (place / "bin").mkdir(parents=True)
        (place / "bin/python").symlink_to("/bin/sleep")
        (place / "lib").mkdir()
        (place / "lib/x.py").write_text("x = 1\n")
        record = {"schema": 1, "id": name, "gunicorn": "20.1.0", "python_version": "3.6.15"}
        day = f"2026-01-0{name[-1]}T00:00:00Z" if name[-1].isdigit() else "2025-01-01T00:00:00Z"
        record |= {"freeze": [], "built_at": day, "adopted": False, **more}
        (place / "release.json").write_text(json.dumps(record))
        return place

    def activate(self, name, after=None):
        link = self.path / "venv"
        link.unlink(missing_ok=True)
        link.symlink_to(self.releases / name)
        (self.releases / ".history.json").write_text(json.dumps({name: after} if after else {}))

    def prune(self, keep=2, check=False, **more):
        asked = {"home": str(self.path), "keep": keep, "protect": [], "coming": [], **more}
        return release_prune.prune(asked, check)

    def left(self):
        return sorted(path.name for path in self.releases.iterdir() if path.name[0] != ".")

    def hidden(self):
        quiet = (".build.lock", ".history.json")
        names = (path.name for path in self.releases.iterdir() if path.name not in quiet)
        return [name for name in names if name[0] == "."]


@pytest.fixture
def top():
    """A directory that no other user can get at but by name, as /srv is."""
    path = Path(tempfile.mkdtemp(prefix="prune-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def home(top):
    """Five releases; the third is active and came after the first."""
    made = Home(top / "app")
    for name in (ONE, TWO, THREE, FOUR, FIVE):
        made.build(name)
    made.activate(THREE, after=ONE)
    return made


def test_what_is_beyond_the_newest_goes(home):
    result = home.prune()
    assert result["removed"] == [TWO]
    assert result["kept"] == {FIVE: "new", FOUR: "new", THREE: "active", ONE: "previous"}
    assert home.left() == [ONE, THREE, FOUR, FIVE]
    assert home.hidden() == []
    assert home.prune()["removed"] == []


def test_a_check_says_the_same_and_writes_nothing(home):
    before = sorted(home.path.rglob("*"))
    assert home.prune(check=True)["removed"] == [TWO]
    assert sorted(home.path.rglob("*")) == before


def test_all_are_kept_if_asked_to(home):
    (home.releases / ".tmp-x").mkdir()
    assert home.prune(keep=0)["removed"] == []
    assert len(home.left()) == 5


def test_what_is_protected_stays(home):
    assert home.prune(protect=[TWO])["kept"][TWO] == "protected"


def test_what_is_coming_pushes_out_what_is_there(home):
    result = home.prune(check=True, coming=["21.2.0-py3.6-00000006", "23.0.0-py3.11-00000007"])
    assert result["removed"] == [FIVE, FOUR, THREE, TWO, ONE]
    # One switch leaves what runs now as its way back.
    result = home.prune(check=True, coming=["21.2.0-py3.6-00000006"])
    assert result["removed"] == [FOUR, TWO, ONE]
    assert result["kept"] == {FIVE: "new", THREE: "previous"}


def test_a_home_that_has_no_releases_has_nothing_to_remove(top):
    (top / "app").mkdir()
    asked = {"home": str(top / "app"), "keep": 2, "protect": [], "coming": []}
    assert release_prune.prune(asked, False)["removed"] == []
    assert os.listdir(top / "app") == []


def test_nothing_goes_while_nobody_knows_which_is_active(home):
    (home.path / "venv").unlink()
    with pytest.raises(FleetError, match="venv is absent, so nothing says which release is active"):
        home.prune()
    assert len(home.left()) == 5


def test_what_is_no_release_of_ours_is_not_touched(home):
    adopted = home.build("adopted-20.0.1-py3.6-0000000a", adopted=True)
    foreign = [
        home.build("mine"),
        home.build("19.0.0-py3.6-0000000b", id=TWO),
        home.build("19.0.0-py3.6-0000000c", built_at=None),
        home.build(f"{TWO}.untrusted-1a2b3c4d"),
        home.releases / "19.0.0-py3.6-0000000d",
        home.releases / "19.0.0-py3.6-0000000e",
    ]
    foreign[4].mkdir()
    (foreign[4] / "release.json").write_text("{")
    foreign[5].write_text("a file")
    result = home.prune()
    assert result["removed"] == [TWO]
    assert all(path.exists() for path in [adopted, *foreign])


def test_the_module_as_ansible_runs_it(home, tmp_path):
    asked = {"home": str(home.path), "keep": 2}
    planned = run_module("release_prune", {**asked, "coming": ["x"], "_check": True}, tmp_path)
    assert (planned.result["changed"], planned.result["removed"]) == (True, [FOUR, TWO, ONE])
    refused = run_module("release_prune", {**asked, "coming": ["x"]}, tmp_path)
    assert refused.msg == "coming tells what would be, so it goes with check mode alone."
    for keep in (1, -1):
        refused = run_module("release_prune", {**asked, "keep": keep}, tmp_path)
        assert refused.msg.startswith(f"keep is {keep}: the active release and the one before it")
    assert len(home.left()) == 5

    done = run_module("release_prune", asked, tmp_path).result
    assert (done["changed"], done["removed"]) == (True, [TWO])
    assert done["diff"]["before"]["releases"] == [ONE, TWO, THREE, FOUR, FIVE]
    assert done["diff"]["after"]["releases"] == home.left() == [ONE, THREE, FOUR, FIVE]
    again = run_module("release_prune", asked, tmp_path).result
    assert (again["changed"], again["removed"]) == (False, [])


# --- who still runs from it -----------------------------------------------------------------------


@pytest.mark.parametrize("how", ["its program", "its directory", "an open file"])
def test_what_a_process_uses_stays_until_it_ends(home, how):
    place = home.releases / TWO
    options = {"its program": {}, "its directory": {"cwd": place}}.get(how)
    program = [place / "bin/python" if how == "its program" else "/bin/sleep", "60"]
    if options is None:
        options = {"stdin": (place / "lib/x.py").open()}
    process = subprocess.Popen(program, **options)
    try:
        if "stdin" in options:
            options["stdin"].close()
        result = home.prune()
        assert result["removed"] == []
        assert result["kept"][TWO] == f"in use by process {process.pid}"
        assert home.prune(check=True, coming=[FIVE])["kept"][TWO].startswith("in use")
    finally:
        process.kill()
        process.wait()
    assert home.prune()["removed"] == [TWO]


def test_what_runs_now_ends_with_the_switches_that_are_coming(home):
    process = subprocess.Popen([home.releases / THREE / "bin/python", "60"])
    try:
        coming = ["21.2.0-py3.6-00000006", "23.0.0-py3.11-00000007"]
        assert THREE in home.prune(check=True, coming=coming)["removed"]
    finally:
        process.kill()
        process.wait()


# --- a crash in the middle ------------------------------------------------------------------------


class Killed(BaseException):
    """What no handler of ours catches."""


@pytest.mark.parametrize("done", ["nothing", "half", "all"])
def test_what_a_crash_leaves_is_no_release_and_goes_next_time(home, monkeypatch, done):
    def remove(path):
        assert not (home.releases / TWO).exists()
        if done == "half":
            os.unlink(f"{path}/lib/x.py")
        elif done == "all":
            shutil.rmtree(path)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(store, "remove_tree", remove)
        with pytest.raises(Killed):
            home.prune()
    assert home.left() == [ONE, THREE, FOUR, FIVE]
    left = home.hidden()
    assert [name.startswith(f".tmp-{TWO}-") for name in left] == ([] if done == "all" else [True])
    result = home.prune()
    assert (result["removed"], result["leftovers"]) == ([], left)
    assert home.hidden() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_what_cannot_be_removed_is_left_whole(home):
    (home.releases / TWO / "lib/theirs").mkdir(mode=0o755)
    (home.releases / TWO / "lib/theirs/x").write_text("")
    for path in (home.path, home.releases, home.releases / TWO, home.releases / TWO / "lib"):
        os.chown(path, APP, APP)
    done = as_app("store.discard(*sys.argv[1:])", home.releases, TWO)
    assert "this user may not remove what is in" in said(done)
    assert (home.releases / TWO / "lib/x.py").exists()
    assert home.hidden() == []


def test_a_builder_at_work_is_not_disturbed(home, monkeypatch):
    monkeypatch.setattr(release_prune, "LOCK_WAIT", 0.3)
    with (home.releases / ".build.lock").open("w") as builder:
        fcntl.flock(builder, fcntl.LOCK_EX)
        (home.releases / ".build-xxxxxx").mkdir()
        with pytest.raises(FleetError, match="another build .* has not ended"):
            home.prune()
        assert home.hidden() == [".build-xxxxxx"]
    assert len(home.left()) == 5


# --- tricks ---------------------------------------------------------------------------------------


@pytest.fixture
def victim(top):
    """A release, to look at, that is somebody else's."""
    place = Home(top / "other").build(ELSEWHERE)
    yield place
    assert sorted(path.name for path in place.rglob("*")) == [
        "bin",
        "lib",
        "python",
        "release.json",
        "x.py",
    ]


def test_links_are_never_followed(home, victim):
    (home.releases / ELSEWHERE).symlink_to(victim)
    (home.releases / TWO / "away").symlink_to(victim)
    (home.releases / TWO / "lib/x.py").unlink()
    (home.releases / TWO / "lib/x.py").symlink_to(victim / "lib/x.py")
    assert home.prune()["removed"] == [TWO]
    assert (home.releases / ELSEWHERE).is_symlink()


@pytest.mark.parametrize("check", [True, False])
def test_releases_that_are_a_link_are_refused(home, victim, check):
    home.releases.rename(home.path / "aside")
    home.releases.symlink_to(victim.parent)
    with pytest.raises(FleetError, match="releases is a symbolic link .*rollout_keep_releases"):
        home.prune(check=check)


def owned_by_app(home):
    os.chown(home.path, APP, APP)


def for_everybody(home):
    home.path.chmod(0o777)


def releases_of_app(home):
    os.chown(home.releases, APP, APP)


def releases_for_everybody(home):
    home.releases.chmod(0o1777)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be led astray")
@pytest.mark.parametrize(
    "trick", [owned_by_app, for_everybody, releases_of_app, releases_for_everybody]
)
@pytest.mark.parametrize("check", [True, False])
def test_root_removes_nothing_where_it_could_be_led_elsewhere(home, trick, check):
    trick(home)
    with pytest.raises(FleetError, match="who could lead root elsewhere"):
        home.prune(check=check)
    assert len(home.left()) == 5


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be led astray")
def test_in_a_sticky_home_nobody_can_exchange_anything(home, victim):
    home.path.chmod(0o1777)
    exchange = "os.rename(sys.argv[1], sys.argv[1] + '.x'); os.symlink(sys.argv[2], sys.argv[1])"
    assert "PermissionError" in said(as_app(exchange, home.releases, victim.parent))
    assert home.prune()["removed"] == [TWO]


EXCHANGE = """
print("ready", flush=True)
while True:
    for lib in glob.glob(sys.argv[1] + "/.tmp-*/lib") + glob.glob(sys.argv[1] + "/2*/lib"):
        for number in range(300):
            try:
                os.rename(f"{lib}/{number}", f"{lib}/x{number}")
                os.symlink(sys.argv[2], f"{lib}/{number}")
            except OSError:
                pass
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_release_of_the_application_that_is_exchanged_meanwhile_leads_nowhere(home, victim):
    """Its owner puts links in the place of directories for as long as root removes it."""
    place = home.releases / TWO
    for number in range(300):
        (place / f"lib/{number}").mkdir()
        (place / f"lib/{number}/file").write_text("")
    for path in [place, *place.rglob("*")]:
        os.chown(path, APP, APP, follow_symlinks=False)
    process = as_app(EXCHANGE, home.releases, victim)
    try:
        assert process.stdout.readline() == "ready\n"
        try:
            home.prune()
        except FleetError as exc:
            # He may hinder it.
            assert "cannot be removed" in str(exc)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    home.prune()
    assert home.left() == [ONE, THREE, FOUR, FIVE]
    assert home.hidden() == []


def as_app(code, *words):
    """Begin to run Python code as the application's user, who may not read what we import."""
    head = "import glob, os, sys\n"
    head += (
        "from ansible_collections.fleetops.gunicorn.plugins.module_utils._release import store\n"
    )
    head += f"os.setgroups([]); os.setgid({APP}); os.setuid({APP})\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + code, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT / ".collections")},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def said(process):
    return process.communicate(timeout=60)[0]
