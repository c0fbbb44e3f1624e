# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root works for an application whose user is not to be trusted: a real uid that plays tricks."""

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host import trust
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import Reader
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages import venv as venvs
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.store import read_record

from tests.integration import release_support as support
from tests.unit.plugins.module_utils._activation.paper_activation import NEW, OLD, World
from tests.unit.plugins.module_utils._host.paper_machine import make_venv, serve

# Nobody of this machine; its group has the same number.
APP = 54321
STAGE = {"gunicorn": "23.0.0", "requirements": "flask==2.0.3\nwerkzeug==2.0.3\n"}
REFUSED = "who could lead root elsewhere while it builds"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be led astray")


def become_app():
    os.setgroups([])
    os.setgid(APP)
    os.setuid(APP)


def as_app(code, *words, start=False):
    """Run Python code as the application's user."""
    argv = [support.python("3.11", anybody=True), "-c", code, *map(str, words)]
    options = {"preexec_fn": become_app, "cwd": "/", "text": True}
    if start:
        return subprocess.Popen(argv, **options)
    return subprocess.run(argv, capture_output=True, timeout=60, check=False, **options)


def own(path):
    """Give a path, and all below it, to the application's user."""
    for top, directories, files in os.walk(str(path)):
        for name in [".", *directories, *files]:
            os.lchown(os.path.join(top, name), APP, APP)


@pytest.fixture
def top():
    """A directory that every user may enter; pytest's own are root's alone."""
    path = Path(tempfile.mkdtemp(prefix="permissions-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def victim(top):
    """What root must leave alone, whoever leads it there."""
    path = top / "etc"
    path.mkdir(mode=0o755)
    (path / "shadow").write_text("root:x\n")
    (path / "shadow").chmod(0o600)
    yield path
    assert os.listdir(path) == ["shadow"]
    assert (path / "shadow").read_text() == "root:x\n"
    info = (path / "shadow").stat()
    assert (info.st_uid, stat.S_IMODE(info.st_mode)) == (0, 0o600)
    assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (0, 0o755)


@pytest.fixture
def app(top):
    with support.home(top / "app") as place:
        yield place


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The packages, so that no index is asked again and again."""
    place = tmp_path_factory.mktemp("wheels") / "house"
    with support.home(place.parent / "app") as home:
        home.good(python=support.python("3.11", anybody=True), **STAGE, state="wheelhouse",
                  path=str(place))  # fmt: skip
    # Not root's alone.
    open_to_all = Path(tempfile.mkdtemp(prefix="wheels-"))
    open_to_all.chmod(0o755)
    for wheel in place.glob("*.whl"):
        shutil.copy(wheel, open_to_all)
    yield open_to_all
    shutil.rmtree(open_to_all)


@pytest.fixture
def build(app, wheels):
    """Build a release as root."""

    def run(**more):
        options = {"python": support.python("3.11", anybody=True), "wheelhouse": str(wheels),
                   "boot_test": False, **STAGE, **more}  # fmt: skip
        return app.module(**options)

    return run


# --- where root builds ----------------------------------------------------------------------------


def home_of_app(app, victim):
    own(app.path)


def home_for_everybody(app, victim):
    app.path.chmod(0o777)


def home_for_the_group(app, victim):
    os.chown(app.path, 0, APP)
    app.path.chmod(0o775)


def way_of_app(app, victim):
    os.chown(app.path.parent, APP, APP)


def releases_lead_away(app, victim):
    app.path.chmod(0o1777)
    assert as_app("import os, sys; os.symlink(*sys.argv[1:])", victim,
                  app.path / "releases").returncode == 0  # fmt: skip


def releases_of_app(app, victim):
    (app.path / "releases").mkdir()
    own(app.path / "releases")


def releases_for_everybody(app, victim):
    (app.path / "releases").mkdir()
    (app.path / "releases").chmod(0o1777)


TRICKS = [home_of_app, home_for_everybody, home_for_the_group, way_of_app, releases_lead_away,
          releases_of_app, releases_for_everybody]  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS)
def test_root_builds_nowhere_where_it_could_be_led_away(trick, app, victim, build):
    trick(app, victim)
    before = sorted(app.path.rglob("*"))
    for check in (True, False):
        outcome = build(_check=check)
        assert outcome.failed
        assert REFUSED in outcome.msg
    assert sorted(app.path.rglob("*")) == before


@pytest.mark.parametrize("trick", [home_of_app, home_for_everybody, releases_of_app])
def test_the_command_in_the_message_is_the_cure(trick, app, victim, build):
    """And the application can still make files in its home."""
    trick(app, victim)
    message = build(_check=True).msg
    subprocess.run(["sh", "-c", message.split("`")[1]], check=True)
    # Its own files are as it had them.
    outcome = build(_check=True)
    assert not outcome.failed, outcome.msg
    if trick is home_of_app:
        assert as_app("import sys; open(sys.argv[1] + '/mine', 'w')", app.path).returncode == 0


SWAP = """
import os, sys, time
home, victim = sys.argv[1:]
until = time.time() + 120
tricks = 0
while time.time() < until:
    for name in ("releases", "releases/.build.lock", "releases/" + tricks % 7 * "x"):
        for trick in (lambda p: os.rename(p, p + ".away"), os.unlink, os.rmdir,
                      lambda p: os.symlink(victim, p), lambda p: os.mkfifo(p)):
            try:
                trick(os.path.join(home, name))
            except OSError:
                pass
    tricks += 1
"""


def test_who_swaps_directories_all_the_time_leads_nobody_away(app, victim, build):
    """In a home as the message asks for: sticky, so that the application may write there."""
    os.chown(app.path, 0, APP)
    app.path.chmod(0o1775)
    (app.path / "releases").mkdir()
    swapper = as_app(SWAP, app.path, victim, start=True)
    try:
        outcome = build()
        assert swapper.poll() is None
    finally:
        os.kill(swapper.pid, signal.SIGKILL)
        swapper.wait()
    assert not outcome.failed, outcome.msg
    assert app.releases() == [outcome.result["id"]]


def test_who_became_root_through_sudo_is_trusted(app, victim, build):
    os.chown(app.path, APP, APP)
    own(app.path)
    assert build(_check=True).failed
    assert not build(_check=True, env={"SUDO_UID": str(APP)}).failed
    assert build(_check=True, env={"SUDO_UID": "1"}).failed


def test_who_is_not_root_builds_in_his_own_home(app, wheels):
    """A fleet without any root: the application's user has everything, and is whom we log in as."""
    own(app.path)
    app.path.chmod(0o775)
    interpreter = support.python("3.11", anybody=True)
    arguments = {"home": str(app.path), "python": interpreter, "wheelhouse": str(wheels),
                 "installer": "pip", "boot_test": False, **STAGE}  # fmt: skip
    file = app.path.parent / "arguments.json"
    file.write_text(json.dumps(arguments))
    site = sysconfig.get_paths()["purelib"]
    done = subprocess.run(
        [interpreter, "-c", support.DRIVER, support.MODULES / "release.py", file],
        env=support.environment({"PYTHONPATH": f"{support.COLLECTIONS}:{site}", "HOME": "/"}),
        cwd="/", preexec_fn=lambda: (become_app(), os.umask(0o002)), capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert app.releases(), done.stdout + done.stderr
    assert (app.path / "releases" / app.releases()[0]).stat().st_uid == APP


# --- what root leaves behind ----------------------------------------------------------------------

MEDDLE = """
import os, sys
release = sys.argv[1]
for top, directories, files in os.walk(release):
    for name in directories + files + ["new"]:
        path = os.path.join(top, name)
        if os.path.islink(path):
            continue
        for trick in (lambda: open(path, "a"), lambda: os.rename(path, path + "2"),
                      lambda: os.chmod(path, 0o777)):
            try:
                trick()
            except OSError:
                continue
            sys.exit(path)
"""


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_app_runs_a_release_and_cannot_change_it(umask, app, build):
    outcome = build(umask=umask)
    assert not outcome.failed, outcome.msg
    release = Path(outcome.result["path"])
    meddled = as_app(MEDDLE, release)
    assert (meddled.returncode, meddled.stderr) == (0, "")
    run = "import os, sys; os.execv(sys.argv[1], [sys.argv[1], '--version'])"
    assert "23.0.0" in as_app(run, release / "bin/gunicorn").stdout
    for path in [release.parent, *release.parent.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert path.is_symlink() or mode in (0o644, 0o755), (str(path), oct(mode))
        assert path.lstat().st_uid == 0


def test_a_release_that_the_app_may_have_changed_is_not_believed(app, build):
    built = build().result
    os.chown(built["path"], APP, APP)
    again = build()
    assert again.result["changed"], "it was believed"
    assert "who may have changed it" in again.output


# --- what root runs -------------------------------------------------------------------------------


@pytest.fixture
def trapped(app, top):
    """A virtualenv of the application's user that tells who runs it; and those who did."""
    support.fabricate(app.venv, support.python("3.11", anybody=True), {
        "gunicorn": ("21.2.0", [], None), "flask": ("2.0.3", [], None)})  # fmt: skip
    seen = top / "seen"
    seen.mkdir()
    seen.chmod(0o777)
    (site,) = app.venv.glob("lib/python*/site-packages")
    line = f"import os; open('{seen}/%d' % os.geteuid(), 'w')\n"
    (site / "trap.pth").write_text(line)
    own(app.venv)
    yield lambda: sorted(os.listdir(seen))
    assert "0" not in os.listdir(seen), "root ran what the application's user had written"


def test_root_asks_no_python_of_the_app_as_root(app, trapped):
    found = app.good("python_info", version=str(app.venv / "bin/python"))
    assert found["found"]
    assert trapped() == [str(APP)]


def test_root_carries_over_without_running_what_is_carried(app, trapped, build):
    carried = {"carry_from": str(app.venv), "leave_files": ["trap.pth"]}
    outcome = build(_check=True, requirements="", **carried)
    assert not outcome.failed, outcome.msg
    assert trapped() == [str(APP)]


def test_root_proves_the_way_back_as_the_app(app, trapped):
    # There is no gunicorn in it: what matters is who found that out.
    outcome = app.module(state="checked", path=str(app.venv))
    assert outcome.failed
    assert trapped() == [str(APP)]


def test_root_believes_an_adopted_release_without_running_it_as_root(app, trapped):
    release = app.path / "releases/adopted-21.2.0-py3.11-00000000"
    release.parent.mkdir()
    record = {"schema": 1, "id": release.name, "adopted": True}
    (app.venv / "release.json").write_text(json.dumps(record))
    app.venv.rename(release)
    outcome = app.module(state="checked", path=str(release))
    assert outcome.failed
    assert trapped() == [str(APP)]


def test_root_builds_with_no_python_that_the_app_could_have_written(app, top, build):
    """A virtualenv may name any Python as the one it was made from."""
    liar = top / "python3.11"
    liar.write_text(f'#!/bin/sh\necho "$(id -u) $*" >>{top}/ran\nexec {sys.executable} "$@"\n')
    liar.chmod(0o755)
    os.chown(liar, APP, APP)
    (top / "ran").write_text("")
    (top / "ran").chmod(0o666)
    outcome = build(_check=True, python=str(liar))
    assert outcome.failed
    assert not (top / "ran").read_text().startswith("0 ")
    assert "\n0 " not in (top / "ran").read_text()


@pytest.mark.parametrize("mode", [0o757, 0o775])
def test_a_python_that_others_may_write_is_run_as_nobody(mode, top):
    program = top / "python3"
    program.write_text("")
    os.chown(program, 0, APP)
    program.chmod(mode)
    assert trust.as_whom(str(program)).uid == trust.NOBODY
    program.chmod(0o755)
    assert trust.as_whom(str(program)) is None
    # In a sticky directory it may be somebody's hard link to root's, with his libraries around it.
    top.chmod(0o1777)
    assert trust.as_whom(str(program)).uid == trust.NOBODY


# --- what root reads ------------------------------------------------------------------------------


def test_a_fifo_hangs_nobody(top):
    def interrupt(*_signal):
        raise AssertionError("it hangs")

    venv = top / "venv"
    site = make_venv(venv)
    for path in (venv / "pyvenv.cfg", site / "gunicorn-20.0.4.dist-info/METADATA"):
        path.unlink()
        os.mkfifo(path)
    os.mkfifo(venv / "release.json")
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(20)
    try:
        assert venvs.config(str(venv)) == {}
        assert venvs.read_dists(str(venv)) == []
        assert Reader().text(str(venv / "pyvenv.cfg")) == ""
        with pytest.raises(FleetError, match="is not a file"):
            read_record(str(venv))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# --- where root switches --------------------------------------------------------------------------


@pytest.fixture
def world(top):
    """A service of paper in a real home, all of which belongs to the application's user."""
    world = World(top / "world")
    make_venv(world.home / "venv")
    serve(world, 20, 10, f"{world.home}/venv/bin/python {world.home}/venv/bin/gunicorn app")
    world.program_pid, world.state = 20, "RUNNING"
    world.write_net()
    own(world.home)
    return world


def activate(world):
    return world.activate(adopt_as="adopted-x")


def test_a_home_of_the_app_is_switched_all_the_same(world):
    """The way back must not depend on who has the home."""
    assert activate(world)["adopted"] == "adopted-x"
    assert os.readlink(world.home / "venv") == f"releases/{NEW}"


@pytest.mark.parametrize(
    "name", ["releases/.history.json", "releases/.history.json.new", "venv/release.json",
             "venv/release.json.new", ".venv-next"],
)  # fmt: skip
@pytest.mark.parametrize("kind", [os.symlink, os.link, lambda _target, path: os.mkfifo(path)])
def test_a_link_where_root_will_write_is_replaced_and_not_followed(name, kind, world, victim):
    path = world.home / name
    kind(victim / "shadow", path)
    with contextlib.suppress(OSError):
        os.lchown(path, 0 if kind is os.link else APP, APP)
    (victim / "shadow").chmod(0o600)
    activate(world)
    assert os.readlink(world.home / "venv") == f"releases/{NEW}"
    history = json.loads((world.home / "releases/.history.json").read_text())
    assert history == {NEW: "adopted-x"}


def test_releases_that_lead_away_get_nothing(world, victim):
    os.rename(world.home / "releases", world.home / "mine")
    planted = "import os, sys; os.symlink(*sys.argv[1:])"
    assert as_app(planted, victim, world.home / "releases").returncode == 0
    (world.home / "releases2").mkdir()
    with pytest.raises(FleetError, match="Nothing was stopped"):
        # A release by its path: that of an id is looked for below releases.
        world.activate(release=str(world.home / "mine" / NEW), adopt_as="adopted-x")
    assert world.done() == []


def test_a_way_to_the_home_that_others_can_change_is_refused(world, top):
    os.chown(top / "world", APP, APP)
    with pytest.raises(FleetError, match="who could lead root elsewhere than to"):
        activate(world)
    assert world.done() == []


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_what_a_switch_writes_has_its_modes(umask, world):
    shutil.move(world.home / "releases" / NEW, world.home / NEW)
    shutil.rmtree(world.home / "releases")
    before = os.umask(umask)
    try:
        # The proof fails: this world's processes run from below releases.
        with contextlib.suppress(FleetError):
            world.activate(release=str(world.home / NEW), adopt_as="adopted-x")
    finally:
        os.umask(before)
    releases = world.home / "releases"
    assert stat.S_IMODE(releases.stat().st_mode) == 0o755
    assert stat.S_IMODE((releases / ".history.json").stat().st_mode) == 0o644
    assert stat.S_IMODE((releases / "adopted-x/release.json").stat().st_mode) == 0o644
    assert OLD not in os.listdir(releases)
