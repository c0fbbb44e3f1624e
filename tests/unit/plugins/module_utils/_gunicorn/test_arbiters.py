# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os

import pytest

from tests.unit.plugins.module_utils._host.paper_machine import GUNICORN, Machine, make_venv, serve


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def report(machine):
    seen = machine.observe()
    return machine.site.report(seen)


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
    seen = machine.observe()
    assert [each.program for each in seen.unmanaged] == ["two:two"]
    told = machine.site.report(seen)
    assert told["unmanaged"] == []
    assert told["beside"] == [
        {
            "program": "two:two",
            "pid": 81,
            "started": 10.0,
            "python": "3.6",
            "same_manager": True,
            "gunicorn": True,
            "listeners": [],
            "command": GUNICORN,
        }
    ]


@pytest.mark.parametrize(
    "manager",
    [
        "/usr/bin/python3 /usr/bin/supervisord -n",
        "/usr/bin/python3 -m supervisor.supervisord",
        "runsv app",
        "/usr/bin/python3 /opt/circus/bin/circusd",
    ],
)
def test_who_has_another_manager_is_not_unmanaged(machine, manager):
    make_venv(machine.home / "venv")
    serve(machine)
    machine.process(70, 1, manager)
    serve(machine, 80, 70)
    told = report(machine)
    assert told["unmanaged"] == told["orphans"] == []
    (other,) = told["beside"]
    assert other["program"].startswith("gunicorn of another ")
    assert (other["gunicorn"], other["listeners"]) == (True, ["127.0.0.1:8000"])


@pytest.mark.parametrize(
    "main, above, managed",
    [
        (80, 1, True),
        (79, 79, True),
        # A left-over in the control group of its unit, of a unit that is gone, of supervisord's.
        (99, 1, False),
        (0, 1, False),
        (10, 1, False),
    ],
)
def test_a_unit_of_systemd_is_what_systemd_says(machine, main, above, managed):
    make_venv(machine.home / "venv")
    serve(machine)
    if above != 1:
        machine.process(above, 1, "/bin/sh /srv/start.sh")
    serve(machine, 80, above)
    for pid in (80, 81, 82):
        group = "12:cpu:/\n1:name=systemd:/system.slice/api.service\n"
        (machine.root / f"proc/{pid}/cgroup").write_text(group)
    asked = "systemctl show --property=MainPID -- api.service"
    machine.said[asked] = f"MainPID={main}\n"
    told = report(machine)
    names = [each["program"] for each in told["beside"]]
    assert names == (["api.service of systemd"] if managed else [])
    assert [each["pid"] for each in told["unmanaged"]] == ([] if managed else [80])


def test_what_usr2_left_below_this_supervisord_is_nobodys(machine):
    """Its unit may have a shell for main process, which is above all of it."""
    make_venv(machine.home / "venv")
    serve(machine)
    machine.process(9, 1, "/bin/sh -c supervisord")
    (machine.root / "proc/10/stat").write_text(
        (machine.root / "proc/10/stat").read_text().replace("S 1 ", "S 9 ")
    )
    serve(machine, 70, 20, environ="GUNICORN_PID=20")
    for pid in (70, 71, 72):
        (machine.root / f"proc/{pid}/cgroup").write_text("0::/system.slice/s.service\n")
    machine.said["systemctl show --property=MainPID -- s.service"] = "MainPID=9\n"
    told = report(machine)
    assert [each["pid"] for each in told["unmanaged"]] == [70]
    assert told["beside"] == []


def test_a_worker_of_another_kind_on_the_virtualenv_is_told(machine):
    make_venv(machine.home / "venv")
    serve(machine)
    machine.others = [{"group": "celery", "name": "celery", "pid": 80}]
    machine.process(80, 10, "[celeryd: x] -A app", maps=["/home/venv/lib/python3.6/a.so"])
    os.unlink(str(machine.root / "proc/80/exe"))
    os.symlink("/usr/bin/python3.6", str(machine.root / "proc/80/exe"))
    machine.process(90, 1, "/home/venv/bin/python manage.py job")
    machine.others.append({"group": "rq", "name": "rq", "pid": 91})
    machine.process(91, 10, "/usr/bin/python3.6 venv/bin/rq")
    told = report(machine)
    assert [(each["program"], each["gunicorn"]) for each in told["beside"]] == [
        ("celery:celery", False),
        ("rq:rq", False),
    ]


def test_what_the_arbiter_forks_besides_its_workers_is_none(machine):
    """As gunicorn 27 does it: a dirty arbiter first, then workers, each with a sign of life."""
    make_venv(machine.home / "venv")
    machine.process(20, 10, GUNICORN, ticks=100)
    for pid, ticks in ((21, 101), (22, 102), (23, 103), (24, 110), (25, 120)):
        machine.process(pid, 20, GUNICORN, ticks=ticks)
    machine.process(29, 21, GUNICORN, ticks=105)
    machine.opens(21, 8, "/tmp/wgunicorn-dirty1 (deleted)")
    machine.opens(29, 8, "/tmp/wgunicorn-dirty1 (deleted)")
    for number, name in enumerate("abc"):
        machine.opens(20, 4 + number, f"/tmp/wgunicorn-{name} (deleted)")
    machine.opens(22, 4, "/tmp/wgunicorn-a (deleted)")
    # Forked by the configuration when the first worker was there.
    machine.opens(23, 4, "/tmp/wgunicorn-a (deleted)")
    machine.opens(24, 4, "/dev/shm/wgunicorn-b (deleted)")
    machine.opens(25, 4, "/tmp/wgunicorn-c (deleted)")
    machine.opens(24, 5, "/tmp/wgunicorn-b (deleted)")
    seen = machine.observe()
    assert [each.pid for each in seen.workers] == [22, 24, 25]
    told = machine.site.report(seen)
    assert [(each["pid"], each["what"]) for each in told["helpers"]] == [
        (21, "helper"),
        (23, "helper"),
    ]


def test_a_dirty_arbiter_is_known_by_its_title_and_is_no_arbiter(machine):
    make_venv(machine.home / "venv")
    for pid, ppid, title in (
        (20, 10, "gunicorn: master [app]"),
        (21, 20, "gunicorn: dirty-arbiter"),
        (22, 20, "gunicorn: worker [app]"),
        (40, 1, "gunicorn: dirty-arbiter"),
        (41, 40, "gunicorn: dirty-worker [app]"),
    ):
        machine.process(pid, ppid, "x", maps=["/home/venv/lib/python3.6/a.so"])
        (machine.root / f"proc/{pid}/cmdline").write_bytes(title.encode() + b"\0" * 9)
    seen = machine.observe()
    assert (seen.arbiter.pid, [each.pid for each in seen.workers]) == (20, [22])
    assert [each.process.pid for each in seen.orphans] == [40]
    assert seen.unmanaged == []
    assert [each["what"] for each in machine.site.report(seen)["helpers"]] == ["dirty arbiter"]


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
