# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases built with real Pythons, real installers and a real index."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.store import (
    why_not_believed,
)

from tests.integration import release_support as support

FLASK = "flask==2.0.3\nwerkzeug==2.0.3\n"
REQUIREMENTS = FLASK + "gunicorn==20.0.1\n"
QUICK = {"gunicorn": "23.0.0", "python": "3.11", "requirements": REQUIREMENTS}
ALONE = {"boot_test": False}


@pytest.fixture
def app(tmp_path):
    with support.home(tmp_path / "app") as place:
        yield place


@pytest.fixture(scope="session")
def old_venv(tmp_path_factory):
    """The venv of a fleet from before: gunicorn 20.0 on Python 3.6."""
    place = tmp_path_factory.mktemp("old") / "venv"
    support.make_venv(place, support.python("3.6"), "gunicorn==20.0.4", "flask==2.0.3")
    return place


def files_of(path):
    paths = (Path(top) / name for top, _folders, names in os.walk(path) for name in names)
    return [p for p in paths if not p.is_symlink()]


def version_of(release):
    """What its own script says, run at its own place."""
    done = subprocess.run(
        [f"{release}/bin/gunicorn", "--version"], capture_output=True, text=True, check=False
    )
    return done.stdout


def contents(path):
    """Every file with its content, mode and time: what "never changed" means."""
    return {
        str(p): (p.lstat().st_mode, p.lstat().st_mtime_ns, p.read_bytes() if p.is_file() else b"")
        for p in files_of(path)
    }


def test_both_stages_from_what_the_live_venv_holds(app, old_venv):
    app.venv.symlink_to(old_venv)
    port = support.free_port()
    pid = app.start(
        ["venv/bin/gunicorn", "-b", f"127.0.0.1:{port}", "-w", "2", "app:app"],
        env={"API_TOKEN": "hunter22"},
        port=port,
    )
    like = {"carry_from": str(app.venv), "like_pid": pid}
    first = {"gunicorn": "21.2.0", "python": str(app.venv / "bin/python"), **like}
    second = {"gunicorn": "23.0.0", "python": "3.11", **like}

    planned = app.good(_check=True, **second)
    assert planned["changed"]
    assert not (app.path / "releases").exists(), "check mode wrote something"

    one, two = app.good(**first), app.good(**second)
    assert two["id"] == planned["id"]
    assert (one["changed"], two["changed"]) == (True, True)
    assert app.releases() == sorted([one["id"], two["id"]])
    assert app.left() == []

    assert one["installer"] == "pip"
    assert one["python"].startswith("3.6.")
    assert one["packages"]["dataclasses"] == "0.8"
    assert one["packages"]["gunicorn"] == "21.2.0"
    assert {n.split("==")[0] for n in two["dropped"]} == {
        "dataclasses",
        "importlib-metadata",
        "typing-extensions",
        "zipp",
    }
    for name in ("flask", "werkzeug", "jinja2", "markupsafe", "click", "itsdangerous"):
        assert two["packages"][name] == one["packages"][name]
    assert not {"pip", "wheel"} & (set(one["packages"]) | set(two["packages"]))

    for result in (one, two):
        place = Path(result["path"])
        assert result["checks"]["boot"]["status"] == 200
        record = json.loads((place / "release.json").read_text())
        assert record["id"] == place.name == result["id"]
        assert record["stage"]["gunicorn"] == result["gunicorn"]
        assert record["checks"]["import"] is True
        assert "hunter22" not in (place / "release.json").read_text()
        shown = subprocess.run(
            [place / "bin/gunicorn", "--version"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert result["gunicorn"] in shown.stdout
        temporary = f"{app.path}/releases/.".encode()
        holders = [p for p in files_of(place) if temporary in p.read_bytes()]
        assert holders == []
        sources = [p for p in files_of(place) if p.suffix == ".py" and "site-packages" in str(p)]
        compiled = [p for p in files_of(place) if p.suffix == ".pyc"]
        assert len(compiled) > 0.9 * len(sources), "byte-code is made before the drain"

    # The live service has not noticed.
    assert support.get(port) == "ok"
    assert support.processes_with(app.path / "releases") == []

    # A second run changes nothing, whichever release is live by now.
    before = contents(app.path / "releases")
    for live in (one, two):
        app.venv.unlink()
        app.venv.symlink_to(live["path"])
        for wanted, built in ((dict(first, python="3.6"), one), (second, two)):
            again = app.good(**wanted)
            assert (again["changed"], again["id"]) == (False, built["id"])
    before.pop(str(app.path / "releases/.build.lock"))
    after = contents(app.path / "releases")
    after.pop(str(app.path / "releases/.build.lock"))
    assert after == before


def test_both_installers_give_the_same_packages(tmp_path):
    support.uv()
    requirements = "gunicorn[setproctitle]==20.0.1\nflask==2.0.3\nwerkzeug<2.1\n"
    found = {}
    for installer in ("uv", "pip"):
        with support.home(tmp_path / installer) as place:
            result = place.good(
                **{**QUICK, **ALONE, "requirements": requirements, "installer": installer}
            )
            assert result["installer"] == installer
            found[installer] = (result["id"], result["packages"])
    assert found["uv"] == found["pip"]
    assert "setproctitle" in found["pip"][1]


def test_modes_do_not_depend_on_the_umask(app):
    result = app.good(umask=0o077, **QUICK, **ALONE)
    wrong = []
    for top, directories, files in os.walk(result["path"]):
        for name in directories + files:
            path = Path(top) / name
            if path.is_symlink():
                continue
            mode = stat.S_IMODE(path.stat().st_mode)
            wanted = (0o755,) if path.is_dir() else (0o644, 0o755)
            if mode not in wanted or path.stat().st_uid != os.geteuid():
                wrong.append((str(path), oct(mode)))
    assert wrong == []
    assert stat.S_IMODE(Path(result["path"]).stat().st_mode) == 0o755
    assert stat.S_IMODE((app.path / "releases").stat().st_mode) == 0o755
    assert os.access(Path(result["path"]) / "bin/gunicorn", os.X_OK)


def test_a_build_that_is_killed_leaves_no_release_and_the_next_one_cleans_up(app):
    # Slow enough to be caught in the act: the application never answers.
    app.trouble("import time\nhealth = lambda: time.sleep(600)\n")
    order = dict(
        QUICK,
        command="gunicorn app:app",
        directory=str(app.path),
        boot_timeout=600,
        environment={"PATH": str(app.venv / "bin") + ":/usr/bin:/bin"},
    )
    process = subprocess.Popen(
        support.command("release", dict(order, home=str(app.path)), app.path.parent),
        env=support.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
    )

    def scratch():
        return list(Path(tempfile.gettempdir()).glob(f"gunicorn-boot-{process.pid}-*"))

    try:
        # What is only imported carries the mark as well, and comes first.
        support.eventually(scratch, "nothing was booted")
        booted = support.eventually(
            lambda: support.processes_with("FLEETOPS_BOOT_TEST=", app.path), "nothing was booted"
        )
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert app.left() != []
    assert scratch() != []
    assert app.releases() == []
    support.eventually(
        lambda: not set(booted) & set(support.processes_with("FLEETOPS_BOOT_TEST=", app.path)),
        "the gunicorn on trial outlived its builder",
    )
    app.trouble(support.NO_TROUBLE)
    result = app.good(**order)
    assert result["changed"]
    assert app.left() == [] and scratch() == []
    assert app.releases() == [result["id"]]


def test_killed_while_installing(app):
    process = subprocess.Popen(
        support.command(
            "release", dict(QUICK, home=str(app.path), installer="pip", **ALONE), app.path.parent
        ),
        env=support.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
    )
    try:
        support.eventually(
            lambda: list((app.path / "releases").glob(".build-*/lib/python*/site-packages/*")),
            "nothing was being installed",
        )
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert app.releases() == []
    assert app.good(**QUICK, **ALONE)["changed"]
    assert app.left() == []
    assert support.processes_with(app.path / "releases/.build-") == []


def test_two_builders_of_the_same_release_at_once(app):
    running = [
        subprocess.Popen(
            support.command("release", dict(QUICK, home=str(app.path), **ALONE), app.path.parent),
            env=support.environment(),
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        for _turn in range(2)
    ]
    results = [json.loads(p.communicate(timeout=300)[0].splitlines()[-1]) for p in running]
    assert [r.get("msg") for r in results] == [None, None]
    assert sorted(r["changed"] for r in results) == [False, True]
    assert len({r["id"] for r in results}) == 1
    assert app.releases() == [results[0]["id"]]
    assert app.left() == []


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """One release, for the tests that change none (or a copy)."""
    with support.home(tmp_path_factory.mktemp("built") / "app") as place:
        yield place, place.good(**QUICK, **ALONE)


@pytest.mark.parametrize(
    "damage, why",
    [
        (lambda p: None, ""),
        (lambda p: (p / "release.json").unlink(), "has no release.json"),
        (lambda p: (p / "release.json").write_text("{"), "not JSON"),
        (lambda p: (p / "release.json").write_bytes(b"\xff\xfe"), "not text"),
        (lambda p: support.remove(next(p.glob("lib/*/site-packages/click-*"))), "was changed"),
        (lambda p: (p / "bin/python").unlink(), "does not run"),
    ],
    ids=["whole", "no record", "half a record", "no text", "changed", "no python"],
)
def test_which_release_is_believed(built, tmp_path, damage, why):
    copy = tmp_path / built[1]["id"]
    shutil.copytree(built[1]["path"], copy, symlinks=True)
    damage(copy)
    assert why in why_not_believed(str(copy))
    assert bool(why) == bool(why_not_believed(str(copy)))


def test_a_release_that_cannot_be_believed_is_built_again_and_the_other_kept_aside(app):
    result = app.good(**QUICK, **ALONE)
    (Path(result["path"]) / "release.json").write_text("{")
    again = app.good(**QUICK, **ALONE)
    assert (again["id"], again["changed"]) == (result["id"], True)
    assert "not JSON" in str(again["warnings"])
    aside = [n for n in app.releases() if n != result["id"]]
    assert len(aside) == 1 and aside[0].startswith(result["id"] + ".untrusted-")
    assert app.good(**QUICK, **ALONE)["changed"] is False
    app.venv.symlink_to(result["path"])
    (Path(result["path"]) / "release.json").unlink()
    assert "is the live release and cannot be trusted" in app.bad(**QUICK, **ALONE)
    assert Path(result["path"]).is_dir()


def test_the_cache_of_uv_is_not_a_part_of_a_release(built):
    """Hard links would let whoever writes to the cache change the release."""
    _path, result = built
    linked = [p for p in files_of(result["path"]) if p.lstat().st_nlink > 1]
    assert linked == []


def test_a_virtualenvs_python_makes_a_release_that_does_not_need_that_virtualenv(app):
    support.make_venv(
        app.venv, support.python("3.11"), "gunicorn==20.1.0", "setuptools<81", "flask"
    )
    result = app.good(
        gunicorn="21.2.0", python=str(app.venv / "bin/python"), carry_from=str(app.venv), **ALONE
    )
    assert int(result["packages"]["setuptools"].split(".")[0]) < 81
    os.rename(app.venv, app.path / "elsewhere")
    assert "21.2.0" in version_of(result["path"])


def test_old_gunicorn_on_a_new_python_gets_what_it_needs(app):
    result = app.good(
        **dict(QUICK, gunicorn="20.1.0", python="3.11"),
        command="gunicorn app:app",
        directory=str(app.path),
        environment={"PATH": f"{app.venv}/bin:/usr/bin:/bin"},
    )
    assert int(result["packages"]["setuptools"].split(".")[0]) < 81
    assert result["checks"]["boot"]["status"] == 200


def test_a_dependency_that_does_not_suit_the_new_python_moves_and_it_is_said(app):
    support.fabricate(
        app.venv,
        support.python("3.6"),
        {
            "flask": ("2.0.3", ("itsdangerous", "werkzeug", "jinja2"), None),
            "itsdangerous": ("2.0.0rc1", (), None),  # flask wants 2.0
            "werkzeug": ("2.0.3", (), None),
            "jinja2": ("3.0.3", (), None),
        },
    )
    result = app.good(gunicorn="23.0.0", python="3.11", carry_from=str(app.venv), **ALONE)
    assert list(result["relaxed"]) == ["itsdangerous"], "nothing else may move"
    assert result["relaxed"]["itsdangerous"].startswith("2.0.0rc1 -> 2.")
    assert result["packages"]["werkzeug"] == "2.0.3"
    assert "itsdangerous" in str(result["warnings"])
    record = json.loads((Path(result["path"]) / "release.json").read_text())
    assert record["relaxed"] == result["relaxed"]


def test_an_own_package_of_the_application_never_moves(app):
    support.fabricate(app.venv, support.python("3.6"), {"markupsafe": ("1.0", (), None)})
    message = app.bad(gunicorn="23.0.0", python="3.11", carry_from=str(app.venv), **ALONE)
    assert "pins carried over from" in message
    assert "markupsafe==1.0 has no wheel for Python 3.11" in message
    assert "Give this stage a requirements file that suits Python 3.11" in message


# --- bad input ----------------------------------------------------------------------------------


def test_a_version_that_does_not_exist(app):
    for installer in ("uv", "pip"):
        message = app.bad(**dict(QUICK, gunicorn="20.0.1", installer=installer, **ALONE))
        assert "has no gunicorn 20.0.1" in message
        assert "20.0.0" in message and "20.0.2" in message


def test_a_python_that_this_gunicorn_does_not_support(app):
    message = app.bad(**dict(QUICK, gunicorn="22.0.0", python="3.6", **ALONE))
    assert "gunicorn 22.0.0 needs Python 3.7 or newer" in message


def test_a_python_that_is_not_there(app):
    message = app.bad(**dict(QUICK, python="3.99", **ALONE))
    assert "Python 3.99 was not found" in message
    assert "/usr/local/bin" in message and "pyenv" in message and "uv/python" in message


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_hash_that_does_not_match(app, installer):
    lie = "sha256:" + "0" * 64
    text = f"gunicorn==23.0.0 --hash={lie}\npackaging==24.0 --hash={lie}\n"
    message = app.bad(**dict(QUICK, requirements=text, installer=installer, **ALONE))
    assert "hash mismatch" in message
    assert "0000" in message


def test_hashes_for_another_gunicorn_only(app):
    text = "gunicorn==20.0.1 --hash=sha256:" + "0" * 64 + "\n"
    message = app.bad(**dict(QUICK, requirements=text, requirements_source="req.txt", **ALONE))
    assert "req.txt: hashes are required and the stage wants gunicorn 23.0.0" in message


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_dependency_without_a_hash(app, installer):
    text = (
        "gunicorn==23.0.0 --hash=sha256:"
        "ec400d38950de4dfd418cff8328b2c8faed0edb0d517d3394e457c317908ca4d\n"
    )
    message = app.bad(**dict(QUICK, requirements=text, installer=installer, **ALONE))
    assert "packaging" in message
    assert "hash" in message


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_requirements_that_contradict_each_other(app, installer):
    text = "flask==2.0.3\nwerkzeug==1.0.1\n"
    message = app.bad(**dict(QUICK, requirements=text, installer=installer, **ALONE))
    assert "contradict each other" in message
    assert "werkzeug" in message.lower() and "flask" in message


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_an_index_that_is_down(app, installer):
    url = f"http://joe:s3cr3t@127.0.0.1:{support.free_port()}/simple"
    message = app.bad(**dict(QUICK, index_url=url, installer=installer, **ALONE))
    assert "the package index cannot be reached" in message
    assert "s3cr3t" not in message


def test_places_that_will_not_do(app, tmp_path):
    assert "does not exist" in app.bad(**dict(QUICK, home=str(tmp_path / "no"), **ALONE))
    assert "is not a directory" in app.bad(**dict(QUICK, home=str(app.path / "app.py"), **ALONE))
    order = {"gunicorn": "23.0.0", "python": "3.11", **ALONE}
    assert "nothing to carry over" in app.bad(carry_from=str(app.venv), **order)
    app.venv.mkdir()
    assert "is no virtualenv" in app.bad(carry_from=str(app.venv), **order)
    message = app.bad(requirements_file=str(tmp_path / "no.txt"), **order)
    assert "no.txt" in message and "No such file" in message
    assert "nothing says what the application needs" in app.bad(**order)
    assert "MiB free and a build wants" in app.bad(**QUICK, **ALONE, min_free_mb=10**9)
    assert "nothing to boot-test with" in app.bad(**QUICK)
    assert "cannot be read" in app.bad(**QUICK, **ALONE, wheelhouse=str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    assert "holds no wheels" in app.bad(**QUICK, **ALONE, wheelhouse=str(tmp_path / "empty"))
    support.remove(app.path / "releases")
    (app.path / "releases").write_text("")
    assert "is not a directory" in app.module(**QUICK, **ALONE).msg


def test_a_home_that_is_not_writable(app, tmp_path):
    if os.geteuid() != 0:
        app.path.chmod(0o555)
        assert "not writable" in app.bad(**QUICK, **ALONE)
        return
    # Root may write anywhere but on a read-only file system.
    place = tmp_path / "readonly"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", place], check=False)
    if mounted.returncode != 0:
        support.missing("this machine does not let us mount a read-only file system")
    try:
        assert "read-only" in app.bad(**dict(QUICK, home=str(place), **ALONE))
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_disk_that_fills_up_in_the_middle(app, tmp_path):
    if os.geteuid() != 0:
        support.missing("a small file system can be mounted by root only")
    place = tmp_path / "small"
    place.mkdir()
    if (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3m,nr_inodes=50000", "none", place], check=False
        ).returncode
        != 0
    ):
        support.missing("this machine does not let us mount a small file system")
    try:
        for installer in ("uv", "pip"):
            order = dict(QUICK, home=str(place), min_free_mb=1, installer=installer, **ALONE)
            assert "disk filled up" in app.bad(**order), installer
            assert sorted(p.name for p in (place / "releases").iterdir()) == [".build.lock"]
    finally:
        subprocess.run(["umount", place], check=True)


def test_what_a_live_venv_holds_and_no_index_has(app):
    support.fabricate(
        app.venv,
        support.python("3.11"),
        {
            "flask": ("2.0.3", (), None),
            "mine": ("1.0", (), {"url": "file:///srv/mine", "dir_info": {"editable": True}}),
            "theirs": (
                "1.0",
                (),
                {"url": "https://u:pw@h/r", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            ),
        },
    )
    message = app.bad(gunicorn="23.0.0", python="3.11", carry_from=str(app.venv), **ALONE)
    assert "mine (editable file:///srv/mine)" in message
    assert "theirs (git+https://***@h/r@abc)" in message
    assert "flask" not in message


def test_a_venv_that_looks_outside_of_itself(app):
    support.fabricate(app.venv, support.python("3.11"), {})
    config = app.venv / "pyvenv.cfg"
    config.write_text(config.read_text().replace("packages = false", "packages = true"))
    message = app.bad(gunicorn="23.0.0", python="3.11", carry_from=str(app.venv), **ALONE)
    assert "--system-site-packages" in message


# --- the target's Python ------------------------------------------------------------------------

LOCALLY = """
import json, sys, time
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release import build
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release import build_plan
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.installer import Source
home = sys.argv[1]
order = build_plan.Order(home, "21.2.0", home + "/venv/bin/python", None, "", "", home + "/venv",
                     Source(), False, "auto", 10, "test")
launch = build.launch_of(0, home + "/venv/bin/gunicorn app:app", home, "", {})
for _ in range(2):
    plan = build_plan.plan(order)
    record, timings, warnings, changed = build.build(
        plan, launch, build.old_prefix(home, launch), build.Trial("boot", "/healthz", 60))
    print(json.dumps([record["id"], changed, record["checks"]]))
"""


def test_a_host_whose_only_python_is_3_6(app, old_venv):
    """Ansible apart: the code that does the work runs on the oldest Python it promises."""
    app.venv.symlink_to(old_venv)
    done = subprocess.run(
        [support.python("3.6"), "-c", LOCALLY, str(app.path)],
        env=support.environment({"PATH": "/usr/bin:/bin"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (name, changed, checks), (again, changed_again, _checks) = map(
        json.loads, done.stdout.splitlines()
    )
    assert (changed, changed_again) == (True, False)
    assert name == again and app.releases() == [name]
    assert checks["boot"]["status"] == 200


def test_python_info(tmp_path):
    result = support.run_module("python_info", {"version": "3.11"}, tmp_path).result
    assert result["found"] and result["version"].startswith("3.11.")
    inner = tmp_path / "venv"
    subprocess.run([result["executable"], "-m", "venv", "--without-pip", inner], check=True)
    again = support.run_module("python_info", {"version": str(inner / "bin/python")}, tmp_path)
    assert again.result["executable"] == result["executable"]
    nothing = support.run_module("python_info", {"version": "3.99"}, tmp_path).result
    assert not nothing["found"] and not nothing["changed"]
    assert "Python 3.99 was not found" in nothing["message"]
    assert nothing["searched"]
    broken = tmp_path / "python3.11"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    result = support.run_module("python_info", {"version": str(broken)}, tmp_path).result
    assert "does not run" in result["refused"][0]


def test_a_python_that_the_applications_user_cannot_run(tmp_path):
    if os.geteuid() != 0:
        support.missing("only root can look with another user's eyes")
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", private / "v"], check=True)
    hidden = private / "python3.11"
    hidden.symlink_to(os.path.realpath(support.python("3.11", anybody=True)))
    copy = private / "copy"
    copy.write_text(f'#!/bin/sh\nexec {support.python("3.11", anybody=True)} "$@"\n')
    result = support.run_module(
        "python_info",
        {"version": "3.11", "extra_paths": [str(private)], "user": "nobody"},
        tmp_path,
    ).result
    # The link's target is what the venv would use, and that one is public.
    assert result["executable"] == os.path.realpath(hidden)
    asked = {"version": "3.11", "user": "no-such-user"}
    assert "does not exist" in support.run_module("python_info", asked, tmp_path).msg


def test_what_the_system_refuses_is_an_error_and_no_traceback(app):
    lock = app.path / "releases/.build.lock"
    lock.mkdir(parents=True)
    message = app.module(**QUICK, **ALONE).msg
    assert "the build failed: Is a directory" in message
    assert str(lock) in message
