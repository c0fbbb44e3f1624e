# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils import _service
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._processes import Reader

from tests.unit.plugins.module_utils.paper_machine import (
    CONFIG,
    GUNICORN,
    INFO,
    Machine,
    dist,
    make_venv,
    serve,
)

# --- pure -----------------------------------------------------------------------------------------

PROCESSES = [
    {"group": "app", "name": "app", "pid": 5},
    {"group": "web", "name": "web_0", "pid": 6},
    {"group": "web", "name": "web_1", "pid": 7},
    {"group": "pair", "name": "left", "pid": 8},
]


@pytest.mark.parametrize(
    "wanted, pid", [("app", 5), ("app:app", 5), ("web_1", 7), ("web:web_0", 6), ("pair", 8)]
)
def test_a_program_is_found_by_name_or_group(wanted, pid):
    assert _service.choose_program(PROCESSES, wanted)["pid"] == pid


@pytest.mark.parametrize(
    "wanted, text",
    [
        ("web", "several processes of supervisord: web:web_0, web:web_1"),
        ("nope", "It has: app, pair:left, web:web_0, web:web_1"),
        ("app:web_0", "no program 'app:web_0'"),
    ],
)
def test_a_program_that_is_not_one_is_refused(wanted, text):
    with pytest.raises(FleetError, match=text):
        _service.choose_program(PROCESSES, wanted)
    with pytest.raises(FleetError, match="It has: none"):
        _service.choose_program([], wanted)


def describe(config, section):
    return _service.describe_program(INFO, config, section, "bob")


def test_what_supervisord_tells_wins_and_its_file_adds_the_rest():
    section = {"stopasgroup": "TRUE", "stopwaitsecs": "99", "command": "old"}
    found = describe(CONFIG, section)
    assert (found["command"], found["directory"], found["stopwaitsecs"]) == ("c", None, 10)
    assert (found["stopasgroup"], found["killasgroup"], found["redirect_stderr"]) == (
        True, False, True)  # fmt: skip
    assert (found["stopsignal"], found["user"]) == ("TERM", "bob")


def test_an_old_supervisord_is_known_by_its_file_with_its_defaults():
    found = describe({}, {"command": "c", "stopasgroup": "true", "stopsignal": "SIGHUP"})
    assert (found["stopsignal"], found["stopwaitsecs"], found["startsecs"]) == ("HUP", 10, 1)
    assert (found["stopasgroup"], found["killasgroup"]) == (True, True)


def test_what_nobody_tells_is_unknown_and_not_the_default():
    found = describe({}, {})
    unknown = ("command", "stopsignal", "stopwaitsecs", "stopasgroup", "killasgroup", "startsecs")
    assert [found[name] for name in unknown] == [None] * len(unknown)
    assert _service.deviations(found, {}) == []


def test_the_section_of_a_program_is_found_in_any_of_the_files():
    texts = ["[supervisord]\n", "rubbish", "[program:app]\ncommand=x ; y\nstopasgroup=true ; why\n"]
    found = _service.parse_supervisor_config(texts, "app", "app")
    assert found == {"command": "x", "stopasgroup": "true"}
    assert _service.parse_supervisor_config(texts, "app", "app_00") == found
    assert _service.parse_supervisor_config(texts, "other", "other") == {}


@pytest.mark.parametrize(
    "cmdline, environ, command, workers, graceful",
    [
        ("python /v/bin/gunicorn -w 4 app", "", "", "4", None),
        ("python /v/bin/gunicorn -w4 --graceful-timeout=9 app", "", "", "4", "9"),
        ("python /v/bin/gunicorn --workers=5 app", "-w 2 --graceful-timeout 7", "", "5", "7"),
        ("python /v/bin/gunicorn app", "--workers 2", "", "2", None),
        ("python /v/bin/gunicorn app", "", "", None, None),
        ("gunicorn:_master", "", "env X=1 gunicorn -w 3 app", "3", None),
        ("python /v/bin/gunicorn --worker-class sync app", "", "", None, None),
    ],
)
def test_options(cmdline, environ, command, workers, graceful):
    words = [word.replace("_", " ") for word in cmdline.split()]
    found = _service.gunicorn_options(words, {"GUNICORN_CMD_ARGS": environ}, command)
    assert (found.get("workers"), found.get("graceful_timeout")) == (workers, graceful)


GOOD = {"command": "c", "stopsignal": "TERM", "stopasgroup": False, "killasgroup": True,
        "stopwaitsecs": 35, "startsecs": 7}  # fmt: skip


@pytest.mark.parametrize(
    "setting, value, wanted",
    [
        ("stopsignal", "HUP", "TERM"),
        ("stopsignal", "QUIT", "TERM"),
        ("stopasgroup", True, "false"),
        ("killasgroup", False, "true"),
        ("stopwaitsecs", 30, "35"),
        ("startsecs", 6, "7"),
    ],
)
def test_each_deviation_is_found_alone(setting, value, wanted):
    assert _service.deviations(GOOD, {}) == []
    found = _service.deviations(dict(GOOD, **{setting: value}), {})
    assert [(each["setting"], each["wanted"]) for each in found] == [(setting, wanted)]
    assert found[0]["value"] == str(value).lower() if isinstance(value, bool) else str(value)
    assert found[0]["why"]


def test_the_wait_depends_on_gunicorns_own():
    assert _service.deviations(dict(GOOD, stopwaitsecs=10), {"graceful_timeout": "9"}) == []
    found = _service.deviations(GOOD, {"graceful_timeout": "60"})
    assert [each["wanted"] for each in found] == ["65"]


def test_wrappers_and_shared_virtualenvs_are_deviations():
    found = _service.deviations(dict(GOOD, command="x TOKEN=abc"), {}, True, ["b:b"])
    assert [each["setting"] for each in found] == ["command", "virtualenv"]
    assert "abc" not in str(found)


def test_logs():
    program = {"stdout_logfile": "/o", "stderr_logfile": "/e", "redirect_stderr": False}

    def logs(options, cwd="/srv", **more):
        return _service.log_paths(dict(program, **more), options, cwd)

    assert logs({}) == ["/o", "/e"]
    assert logs({}, redirect_stderr=True) == ["/o"]
    assert logs({"errorlog": "own.log"}) == ["/o", "/e", "/srv/own.log"]
    assert logs({"errorlog": "own.log"}, cwd=None) == ["/o", "/e"]
    assert logs({"logfile": "-"}, stdout_logfile="/dev/stdout", stderr_logfile=None) == []


@pytest.mark.parametrize(
    "found, wanted, matches",
    [
        ("3.11.7", "3.11", True),
        ("3.11.7", "3.1", False),
        ("3.1.7", "3.11", False),
        ("23.0.0", "23.0.0", True),
        (None, "23.0.0", False),
        (None, None, True),
        ("1", "", True),
    ],
)
def test_versions(found, wanted, matches):
    assert _service.version_matches(found, wanted) is matches


@pytest.mark.parametrize(
    "listener, wanted, clash",
    [
        ("127.0.0.1:80", "127.0.0.1:80", True),
        ("0.0.0.0:80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "[::]:80", True),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("127.0.0.1:80", "127.0.0.1:8", False),
        ("unix:/a", "unix:/a", True),
        ("unix:/a:80", "0.0.0.0:80", False),
    ],
)
def test_clashes(listener, wanted, clash):
    assert _service.clashes(listener, [wanted]) is clash


def test_history_grows_forward_only():
    history = _service.add_history({}, "a", "b")
    history = _service.add_history(history, "b", "c")
    assert history == {"b": "a", "c": "b"}
    assert _service.add_history(history, "c", "a") == history
    assert _service.add_history(history, "c", "b") == history
    assert _service.add_history(history, None, "d") == history
    assert _service.add_history(history, "c", "c") == history
    # A direct way over a stage replaces the long one.
    assert _service.add_history(history, "a", "c") == {"b": "a", "c": "a"}
    assert _service.add_history({"a": "b", "b": "a"}, "a", "z")["z"] == "a"


# --- files ----------------------------------------------------------------------------------------


def test_versions_of_a_virtualenv(tmp_path):
    site = make_venv(tmp_path / "v", "20.0.1", "3.11.7", "version_info")
    reader = Reader(str(tmp_path))
    assert _service.gunicorn_version(reader, "/v") == "20.0.1"
    assert _service.python_version(reader, "/v") == "3.11.7"
    # An interrupted pip leaves the metadata of two: the code is what runs.
    dist(site, "gunicorn", "1.0")
    assert _service.gunicorn_version(reader, "/v") == "20.0.1"
    (site / "gunicorn/__init__.py").unlink()
    assert _service.gunicorn_version(reader, "/v") == "1.0"
    assert _service.gunicorn_version(reader, "/nothing") is None
    assert _service.python_version(reader, "/nothing") is None


def test_freeze_is_pips_and_tells_no_password(tmp_path):
    site = make_venv(tmp_path / "v")
    dist(site, "Flask", "2.0.3")
    dist(site, "pip", "21.3.1")
    dist(site, "mine", "1", {"url": "https://bob:pw@host/mine.whl", "archive_info": {}})
    vcs = {"vcs": "git", "commit_id": "abc"}
    dist(site, "other", "1", {"url": "https://host/o.git", "vcs_info": vcs})
    (site / "broken-1.dist-info").mkdir()
    assert _service.freeze(Reader(str(tmp_path)), "/v") == [
        "Flask==2.0.3",
        "gunicorn==20.0.4",
        "mine @ https://***@host/mine.whl",
        "other @ git+https://host/o.git@abc",
    ]


def test_what_stands_at_venv(tmp_path):
    reader = Reader(str(tmp_path))
    home = tmp_path / "h"
    (home / "releases").mkdir(parents=True)
    assert _service.read_venv(reader, "/h").kind == "absent"
    make_venv(home / "venv")
    found = _service.read_venv(reader, "/h")
    assert (found.kind, found.target, found.release) == ("directory", None, None)
    assert (found.gunicorn, found.python) == ("20.0.4", "3.6.15")
    (home / "venv").rename(home / "releases/a")
    make_venv(home / "releases/b", "23.0.0", "3.11.7")
    os.symlink("releases/b", str(home / "venv"))
    (home / "releases/.history.json").write_text('{"b": "a"}')
    found = _service.read_venv(reader, "/h")
    assert (found.kind, found.target, found.release) == ("symlink", "/h/releases/b", "b")
    assert (found.gunicorn, found.previous) == ("23.0.0", "a")
    (home / "releases/a").rename(home / "gone")
    assert _service.read_venv(reader, "/h").previous is None
    (home / "releases/.history.json").write_text("[rubbish")
    assert _service.read_venv(reader, "/h").previous is None


def test_a_foreign_release_is_known_by_its_record(tmp_path):
    make_venv(tmp_path / "elsewhere")
    reader = Reader(str(tmp_path))
    assert _service.release_id(reader, "/home", "/elsewhere") is None
    (tmp_path / "elsewhere/release.json").write_text('{"id": "x"}')
    assert _service.release_id(reader, "/home", "/elsewhere") == "x"
    assert _service.release_id(reader, "/home", None) is None


def test_the_name_of_an_adopted_one_depends_on_its_content():
    name = _service.name_adopted("20.0.1", "3.6.15", ["a==1"])
    assert name.startswith("adopted-20.0.1-py3.6-") and len(name) == 29
    assert name == _service.name_adopted("20.0.1", "3.6.15", ["a==1"])
    assert name != _service.name_adopted("20.0.1", "3.6.15", ["a==2"])
    assert _service.name_adopted(None, None, []).startswith("adopted-unknown-pyunknown-")


# --- a machine of paper ---------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_an_ordinary_program(machine):
    make_venv(machine.home / "venv")
    serve(machine)
    seen = machine.observe()
    assert (seen.arbiter.pid, seen.arbiter.prefix, seen.arbiter.gunicorn) == (
        20, "/home/venv", "20.0.4")  # fmt: skip
    assert [each.pid for each in seen.workers] == [21, 22]
    assert [each.address for each in seen.listeners] == ["127.0.0.1:8000"]
    assert (seen.orphans, seen.unmanaged) == ([], [])
    assert machine.site.report(seen)["arbiter"]["workers_wanted"] == 2


def test_a_listener_of_someone_else_is_not_ours(machine):
    make_venv(machine.home / "venv")
    serve(machine)
    machine.listen(9000, 78)
    machine.process(30, 1, "nginx", sockets=[78])
    assert [each.address for each in machine.observe().listeners] == ["127.0.0.1:8000"]


def test_the_chain_of_wrappers_is_followed(machine):
    make_venv(machine.home / "venv")
    machine.process(20, 10, "/bin/sh /home/run.sh")
    machine.process(21, 20, "/home/venv/bin/python /home/venv/bin/newrelic-admin run gunicorn")
    serve(machine, 30, 21)
    seen = machine.observe()
    assert (seen.arbiter.pid, [each.pid for each in seen.tree]) == (30, [20, 21, 30, 31, 32])
    assert "command" in [each["setting"] for each in machine.site.deviations(seen)]


def test_gunicorns_classes_in_a_program_of_ones_own(machine):
    serve(machine, command="/usr/bin/python3 /home/serve.py")
    seen = machine.observe()
    assert (seen.arbiter.pid, len(seen.workers)) == (20, 2)


def test_a_child_that_is_no_fork_is_no_worker(machine):
    make_venv(machine.home / "venv")
    serve(machine)
    machine.process(29, 20, "/usr/bin/convert x.png")
    assert [each.pid for each in machine.observe().workers] == [21, 22]


def test_a_program_that_only_starts_has_no_arbiter(machine):
    machine.process(20, 10, "/home/venv/bin/python /home/venv/bin/newrelic-admin run gunicorn")
    assert machine.observe().arbiter is None


def release(machine, name, gunicorn="23.0.0", python="3.11.7"):
    make_venv(machine.home / "releases" / name, gunicorn, python)
    link = machine.home / "venv"
    if link.is_symlink():
        link.unlink()
    os.symlink(f"releases/{name}", str(link))
    return link.lstat().st_ctime


def test_a_process_older_than_the_link_is_not_what_the_link_says(machine):
    changed = release(machine, "b")
    serve(machine)
    older, younger = changed - 10 - 1, changed - 10 + 1
    assert machine.observe(boot_epoch=younger).arbiter.release == "b"
    seen = machine.observe(boot_epoch=older)
    assert (seen.arbiter.prefix, seen.arbiter.release, seen.arbiter.gunicorn) == (None, None, None)
    assert seen.venv.release == "b"


def test_mapped_files_tell_through_a_flipped_link(machine):
    release(machine, "a", "20.0.4", "3.6.15")
    changed = release(machine, "b")
    path = "/home/releases/a/lib/python3.6/site-packages/markupsafe.so"
    serve(machine, maps=[path, "/usr/lib/libc.so"])
    assert machine.observe(boot_epoch=changed - 9999).arbiter.release == "a"


def test_a_baked_in_path_tells_whatever_the_link_says(machine):
    release(machine, "a", "20.0.4", "3.6.15")
    changed = release(machine, "b")
    serve(machine, command="/home/releases/a/bin/python /home/venv/bin/gunicorn app")
    assert machine.observe(boot_epoch=changed + 9999).arbiter.release == "a"


def test_orphans_and_left_overs_are_told_apart(machine):
    make_venv(machine.home / "venv")
    serve(machine)
    machine.process(40, 1, GUNICORN, sockets=[77])
    machine.process(50, 1, GUNICORN, sockets=[77])
    machine.process(51, 50, GUNICORN, sockets=[77])
    machine.process(60, 1, GUNICORN.replace("/home", "/srv/other"), sockets=[77])
    machine.process(70, 20, GUNICORN, sockets=[77], environ="GUNICORN_PID=20")
    machine.process(71, 70, GUNICORN, sockets=[77], environ="GUNICORN_PID=20")
    seen = machine.observe()
    assert [each.process.pid for each in seen.orphans] == [40]
    assert [each.process.pid for each in seen.unmanaged] == [50, 70]
    assert [each.pid for each in seen.workers] == [21, 22]
    assert seen.orphans[0].addresses == ["127.0.0.1:8000"]


def test_another_programs_gunicorn_is_named_as_such(machine):
    make_venv(machine.home / "venv")
    serve(machine)
    machine.others = [{"group": "two", "name": "two", "pid": 80}]
    machine.process(80, 10, "/bin/sh x")
    machine.process(81, 80, GUNICORN)
    assert [each.program for each in machine.observe().unmanaged] == ["two:two"]


def test_a_gunicorn_in_a_container_is_not_ours(machine):
    make_venv(machine.home / "venv")
    serve(machine)
    machine.process(40, 1, GUNICORN)
    for pid, space in ((10, "mnt:[1]"), (40, "mnt:[2]")):
        (machine.root / f"proc/{pid}/ns").mkdir()
        os.symlink(space, str(machine.root / f"proc/{pid}/ns/mnt"))
    assert machine.observe().orphans == []


def test_a_supervisord_of_another_host_is_noticed(machine):
    machine.process(20, 1, "/sbin/agetty")
    with pytest.raises(FleetError, match="another host or into a container"):
        machine.observe()


def test_a_home_that_is_none_is_refused(machine):
    (machine.home / "releases").rmdir()
    machine.home.rmdir()
    with pytest.raises(FleetError, match="home /home is no directory"):
        machine.observe()


@pytest.mark.parametrize(
    "command, script, through",
    [
        ("/home/venv/bin/gunicorn app", None, True),
        ("env PATH=/home/venv/bin:/bin gunicorn app", None, True),
        ("/home/run.sh", "exec /home/venv/bin/gunicorn app", True),
        ("/home/run.sh", "cd /home; . venv/bin/activate; gunicorn", True),
        ("/home/run.sh", "exec /home/releases/a/bin/gunicorn app", False),
        ("/home/run.sh", ". .venv/bin/activate; exec gunicorn app", False),
        ("/home/releases/a/bin/gunicorn app", None, False),
        ("/home/venv-old/bin/gunicorn app", None, False),
        ("/usr/bin/gunicorn app", None, False),
    ],
)
def test_whether_a_stopped_program_would_start_through_the_link(machine, command, script, through):
    if script:
        (machine.home / "run.sh").write_text("#!/bin/sh\n" + script)
    machine.program_pid = 0
    machine.configs = lambda: [
        dict(CONFIG, group="app", name="app", inuse=True, command=command)
    ]  # fmt: skip
    assert machine.goes_through() is through


def test_a_virtualenv_of_another_name_in_the_path_is_no_way_through_the_link(machine):
    """supervisord itself may run from one."""
    (machine.root / "proc/10/environ").write_bytes(b"PATH=/opt/tools/.venv/bin:/bin\0")
    (machine.home / "run.sh").write_text("#!/bin/sh\nexec /home/releases/a/bin/gunicorn app")
    machine.program_pid = 0
    machine.configs = lambda: [
        dict(CONFIG, group="app", name="app", inuse=True, command="/home/run.sh")
    ]  # fmt: skip
    assert machine.goes_through() is False


def test_a_running_process_shows_that_it_went_through_the_link(machine):
    """The wrapper composes the path; only the command line tells."""
    make_venv(machine.home / "venv")
    (machine.home / "run.sh").write_text("exec $VENV/bin/gunicorn")
    machine.configs = lambda: [
        dict(CONFIG, group="app", name="app", inuse=True, command="/home/run.sh")
    ]  # fmt: skip
    serve(machine)
    assert machine.goes_through() is True
