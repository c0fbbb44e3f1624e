# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A unit with sockets, as `Manager` tells it, with the systemd of paper of test_driver.py."""

import os

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import Result

from tests.unit.plugins.module_utils._service.systemd.test_driver import Paper, serves
from tests.unit.plugins.module_utils._service.systemd.test_sockets import SHOWN

PLACES = ["127.0.0.1:8000", "unix:/run/app.sock", "unix:@app", "[::]:8001"]


class Kept(Paper):
    """``socket`` is the state of app.socket, ``gate`` that of a gate before the service."""

    def __init__(self, root):
        super().__init__(root)
        self.unit.update(TriggeredBy="app.socket", Requires="app.socket")
        self.socket, self.gate = "active", "activating"

    def answer(self, words):
        super().answer(words)
        if "systemd-run" in words:
            return Result(0, "")
        if "app.socket" in words and "show" in words:
            text = SHOWN.partition("\n\n")[0]
            return Result(0, text.replace("ActiveState=active", f"ActiveState={self.socket}"))
        if words[-1].startswith("fleetops-gate-"):
            found = "" if "*" in words[-1] else f"ActiveState={self.gate}\nJob=\n"
            return Result(0, found)
        return super().answer(words)

    def orders(self):
        known = ("start", "stop", "reset-failed")
        words = [each.split() for each in dict.fromkeys(self.asked)]
        return [f"{each[1]} {each[-1]}" for each in words if each[1] in known]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    machine = Kept(tmp_path)
    serves(machine)
    machine.look()
    machine.asked.clear()
    return machine


def test_systemd_keeps_its_addresses(machine):
    assert machine.manager.kept() == PLACES
    assert machine.site.report(machine.look())["refusals"] == []


def test_a_socket_that_is_left_alone(machine):
    """What runs binds its address itself."""
    machine.socket = "inactive"
    machine.look()
    assert machine.manager.kept() == []


def test_what_runs_has_its_listeners_from_a_socket_that_was_stopped_since(machine):
    machine.socket = "inactive"
    (machine.root / "proc/20/environ").write_bytes(b"LISTEN_FDS=1\0LISTEN_PID=20\0")
    seen = machine.look()
    assert machine.manager.kept() == PLACES
    report = machine.site.report(seen)
    assert "app.socket" in [each["setting"] for each in report["deviations"]]
    assert report["refusals"] == []


def test_listeners_that_are_meant_for_a_wrapper(machine):
    (machine.root / "proc/20/environ").write_bytes(b"LISTEN_FDS=1\0LISTEN_PID=19\0")
    (refused,) = machine.site.report(machine.look())["refusals"]
    assert "for process 19" in refused


def test_a_client_s_start_that_waits_is_none(machine):
    machine.unit.update(ActiveState="inactive", SubState="dead", MainPID="0", Job="77")
    assert machine.manager.state() == "STARTING"
    machine.manager.hold(9)
    assert machine.manager.state() == "STOPPED"
    assert machine.manager.holds_back()
    machine.gate = "inactive"
    assert not machine.manager.holds_back()
    machine.manager.let_go()
    assert machine.manager.state() == "STARTING"


def test_the_gate_opens_once_the_start_is_ordered(machine):
    machine.unit.update(ActiveState="inactive", SubState="dead", MainPID="0")
    machine.manager.hold(9)
    machine.asked.clear()
    machine.manager.start()
    orders = machine.orders()
    assert orders[:2] == ["reset-failed app.service", "start app.service"]
    assert orders[2].startswith("stop fleetops-gate-app-") and len(orders) == 3


def test_a_socket_that_is_down_is_started_before_its_service(machine):
    machine.unit.update(ActiveState="failed", SubState="failed", MainPID="0")
    machine.socket = "failed"
    machine.manager.start()
    assert machine.orders() == [
        "reset-failed app.service",
        "reset-failed app.socket",
        "start app.socket",
        "start app.service",
    ]
    assert "systemctl start --no-ask-password -- app.socket" in machine.asked


def test_beside_a_service_that_runs_no_socket_can_be_started(machine):
    machine.socket = "failed"
    machine.manager.start()
    assert machine.orders() == ["reset-failed app.service", "start app.service"]


def test_who_is_not_root_is_told_and_nothing_is_held(machine, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (refused,) = machine.manager.refusals({})
    assert "only root can have them wait" in refused
    machine.manager.hold(9)
    assert machine.asked == []


def test_without_a_trigger_nobody_is_held(machine):
    machine.unit.update(TriggeredBy="")
    machine.socket = "inactive"
    machine.look()
    machine.asked.clear()
    machine.manager.hold(9)
    assert machine.asked == [] and machine.manager.holds_back()
