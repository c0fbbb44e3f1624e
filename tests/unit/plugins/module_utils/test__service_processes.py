# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os

import pytest

from tests.unit.plugins.module_utils.paper_machine import GUNICORN, Machine, make_venv, serve


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


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


TRIALS = ["FLEETOPS_BUILD=/home/releases/.build-1a", "FLEETOPS_BOOT_TEST=1a2b"]


@pytest.mark.parametrize("mark", TRIALS)
def test_what_another_run_tries_is_nobodys_left_over(machine, mark):
    make_venv(machine.home / "venv")
    serve(machine)
    machine.listen(40001, 88)
    machine.process(40, 1, GUNICORN + " --check-config", environ=mark)
    machine.process(50, 1, GUNICORN, sockets=[88], environ=mark)
    machine.process(51, 50, GUNICORN, sockets=[88], environ=mark)
    seen = machine.observe()
    assert (seen.orphans, seen.unmanaged) == ([], [])


@pytest.mark.parametrize("mark", TRIALS)
def test_a_mark_hides_nobody_who_holds_the_programs_address(machine, mark):
    make_venv(machine.home / "venv")
    serve(machine)
    machine.process(40, 1, GUNICORN, sockets=[77], environ=mark)
    assert [each.process.pid for each in machine.observe().orphans] == [40]


@pytest.mark.parametrize(
    ("port", "host", "hidden"),
    [(40001, "0100007F", True), (8000, "0100007F", False), (40001, "00000000", False)],
)
def test_while_the_program_is_down_a_mark_hides_only_a_trials_address(machine, port, host, hidden):
    make_venv(machine.home / "venv")
    machine.program_pid = 0
    machine.listen(port, 77, host)
    machine.process(40, 1, GUNICORN, sockets=[77], environ=TRIALS[1])
    assert (machine.observe().orphans == []) == hidden


def test_a_marked_program_is_the_program_all_the_same(machine):
    make_venv(machine.home / "venv")
    serve(machine, environ=TRIALS[1])
    seen = machine.observe()
    assert (seen.arbiter.pid, len(seen.workers), seen.unmanaged) == (20, 2, [])


@pytest.mark.parametrize("option", ["--check-config", "--print-config", "--version", "-v", "-h"])
def test_a_gunicorn_that_an_operator_only_asks_is_nobodys_left_over(machine, option):
    make_venv(machine.home / "venv")
    serve(machine)
    machine.process(40, 1, GUNICORN.replace("app", option + " app"))
    assert machine.observe().orphans == []
    machine.process(41, 1, GUNICORN.replace("app", option + " app"), sockets=[77])
    assert [each.process.pid for each in machine.observe().orphans] == [41]
