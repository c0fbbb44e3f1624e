# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os

import pytest

from tests.unit.plugins.module_utils._host.paper_machine import CONFIG, Machine, make_venv, serve


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


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


@pytest.mark.parametrize("where", ["directory", "parent", "shell"])
def test_a_relative_start_is_read_where_it_was_made(machine, where):
    """gunicorn has gone to its chdir since, where there is no venv/bin/python."""
    changed = release(machine, "b")
    (machine.home / "src").mkdir()
    environ = "PWD=/home" if where == "shell" else ""
    serve(machine, command="venv/bin/python -m gunicorn --chdir src app", environ=environ)
    for pid, place in ((20, "/home/src"), (10, "/home" if where == "parent" else "/")):
        cwd = machine.root / f"proc/{pid}/cwd"
        cwd.unlink()
        os.symlink(place, str(cwd))
    if where == "directory":
        machine.configs = lambda: [
            dict(CONFIG, group="app", name="app", inuse=True, directory="/home")
        ]
    assert machine.observe(boot_epoch=changed).arbiter.release == "b"


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
