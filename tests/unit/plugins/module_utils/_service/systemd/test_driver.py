# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A systemd of paper that answers with captured texts, beside a /proc of paper."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import Result
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import Reader
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.site import Site
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.driver import (
    SystemdManager,
)

from tests.unit.plugins.module_utils._host.paper_machine import GUNICORN, Machine, make_venv, serve

UNIT = {
    "Id": "app.service",
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "MainPID": "20",
    "KillMode": "mixed",
    "KillSignal": "15",
    "TimeoutStopUSec": "40s",
    "Restart": "always",
    "ControlGroup": "/system.slice/app.service",
    "ExecStart": f"{{ path=x ; argv[]={GUNICORN} ; ignore_errors=no ; pid=20 }}",
}
WORKER = "{ path=x ; argv[]=/home/venv/bin/celery worker ; ignore_errors=no ; pid=60 }"


class Paper(Machine):
    """``unit`` is what systemd says of it; ``asked`` is what it was asked."""

    def __init__(self, root):
        super().__init__(root)
        self.unit = dict(UNIT)
        self.services = (
            f"Id=app.service\nMainPID=20\n\nId=w.service\nMainPID=60\nExecStart={WORKER}\n"
        )
        self.asked = []
        self.refuses = ""
        self.process(1, 0, "/sbin/init")
        make_venv(self.home / "venv")

    def answer(self, words):
        text = " ".join(words)
        self.asked.append(text)
        if self.refuses and any(f" {verb} " in text for verb in ("start", "stop")):
            return Result(1, self.refuses)
        if "*.service" in words:
            return Result(0, self.services)
        if "show" in words:
            return Result(0, "".join(f"{name}={value}\n" for name, value in self.unit.items()))
        return Result(0, "")

    def member(self, pid, unit="app.service"):
        (self.root / f"proc/{pid}/cgroup").write_text(f"0::/system.slice/{unit}\n")
        group = self.root / f"sys/fs/cgroup/system.slice/{unit}"
        group.mkdir(parents=True, exist_ok=True)
        with (group / "cgroup.procs").open("a") as file:
            file.write(f"{pid}\n")

    def look(self):
        for each in (self.root / "proc").iterdir():
            (each / "net/tcp").write_text("head\n" + "".join(self.listening))
        self.manager = SystemdManager(self.answer, "app")
        self.site = Site(
            "/home", self.manager, Reader(str(self.root)), lambda _command: "3.6.15\n",
            lambda: 100.0, 0.0, 100)  # fmt: skip
        return self.site.observe()


@pytest.fixture
def machine(tmp_path):
    return Paper(tmp_path)


def serves(machine, ppid=1):
    serve(machine, 20, ppid)
    for pid in (20, 21, 22):
        machine.member(pid)


def test_an_ordinary_unit(machine):
    serves(machine)
    seen = machine.look()
    assert (seen.arbiter.pid, [each.pid for each in seen.workers]) == (20, [21, 22])
    assert (seen.program["name"], seen.program["state"]) == ("app.service", "RUNNING")
    assert (seen.orphans, seen.unmanaged, seen.rest) == ([], [], ())
    report = machine.site.report(seen)
    assert [each["setting"] for each in report["deviations"]] == ["virtualenv"]
    assert report["beside"][0]["program"] == "w.service of systemd"


def test_a_dead_unit_has_no_arbiter_though_it_keeps_its_invocation(machine):
    machine.unit.update(ActiveState="failed", SubState="failed", MainPID="0", Result="exit-code")
    seen = machine.look()
    assert (seen.arbiter, seen.tree, seen.program["state"]) == (None, [], "FATAL")


def test_what_the_unit_left_in_its_control_group_must_end_with_it(machine):
    serves(machine)
    machine.process(30, 1, "/usr/bin/helper")
    machine.member(30)
    assert [each.pid for each in machine.look().rest] == [30]
    # Systemd would not end it, and we do not wait for it.
    machine.unit["KillMode"] = "process"
    assert machine.look().rest == ()


def test_the_main_process_that_systemd_cannot_guess(machine):
    serves(machine)
    machine.unit["MainPID"] = "0"
    assert machine.look().arbiter.pid == 20


def test_a_systemd_of_another_place_is_noticed(machine):
    serve(machine, 20, 1)
    with pytest.raises(FleetError, match="Run it where systemd runs"):
        machine.look()


def test_another_unit_of_this_systemd_is_known_by_its_name(machine):
    serves(machine)
    machine.process(60, 1, "/home/venv/bin/python /home/venv/bin/celery worker")
    machine.member(60, "w.service")
    (beside,) = machine.look().beside
    assert (beside.program, beside.process.pid) == ("w.service of systemd", 60)


def test_a_worker_without_an_arbiter_in_a_sandbox_of_the_unit_is_seen(machine):
    """It has another view of the files than we have, and is no container's."""
    serves(machine)
    machine.process(40, 1, GUNICORN)
    machine.member(40)
    for pid, mounts in ((1, 1), (40, 2)):
        (machine.root / f"proc/{pid}/ns").mkdir()
        (machine.root / f"proc/{pid}/ns/pid").symlink_to("pid:[1]")
        (machine.root / f"proc/{pid}/ns/mnt").symlink_to(f"mnt:[{mounts}]")
    machine.unit["KillMode"] = "process"
    assert [each.process.pid for each in machine.look().orphans] == [40]
    # In a container, which has its own processes.
    (machine.root / "proc/40/ns/pid").unlink()
    (machine.root / "proc/40/ns/pid").symlink_to("pid:[2]")
    assert machine.look().orphans == []


def test_orders_wait_for_nothing_and_a_start_forgets_the_limit(machine):
    serves(machine)
    machine.look()
    machine.asked.clear()
    machine.manager.stop()
    machine.manager.start()
    assert machine.asked == [
        "systemctl stop --no-block --no-ask-password -- app.service",
        "systemctl reset-failed --no-ask-password -- app.service",
        "systemctl start --no-block --no-ask-password -- app.service",
    ]


def test_missing_rights_are_told(machine):
    serves(machine)
    machine.look()
    machine.refuses = "Failed to stop app.service: Interactive authentication required.\n"
    with pytest.raises(FleetError, match="Become root, or allow it .* polkit"):
        machine.manager.stop()


def test_a_unit_that_is_not_there(machine):
    machine.unit["LoadState"] = "not-found"
    with pytest.raises(FleetError, match="'app' of systemd is not-found"):
        machine.look()


def test_a_host_without_systemd(machine):
    machine.answer = lambda _words: Result(  # type: ignore[method-assign]
        1, "System has not been booted with systemd as init system (PID 1). Can't operate.\n"
    )
    with pytest.raises(FleetError, match="Is systemd what runs this host"):
        machine.look()


def test_a_journal_that_may_be_read_is_a_log(tmp_path):
    paper = Paper(tmp_path)
    paper.unit.update(StandardOutput="journal", StandardError="inherit")
    manager = SystemdManager(paper.answer, "app")
    manager.attach(Reader(str(tmp_path)), ["/home"])
    program = manager.program()
    assert (program["stdout_logfile"], program["redirect_stderr"]) == ("journal:app.service", True)
    assert manager.stream(1) == manager.stream(2) == ("journal:app.service", "")
    manager.program()
    assert sum("journalctl" in each for each in paper.asked) == 1


def test_a_journal_that_may_not_be_read_is_none_and_it_says_why(tmp_path):
    paper = Paper(tmp_path)
    paper.unit.update(StandardOutput="journal", StandardError="inherit")
    hint = "Hint: You are currently not seeing messages from other users and the system."

    def answer(words):
        return Result(0, "", hint) if words[0] == "journalctl" else paper.answer(words)

    manager = SystemdManager(answer, "app")
    manager.attach(Reader(str(tmp_path)), ["/home"])
    assert manager.program()["stdout_logfile"] is None
    name, why = manager.stream(2)
    assert name == "" and "group systemd-journal" in why
