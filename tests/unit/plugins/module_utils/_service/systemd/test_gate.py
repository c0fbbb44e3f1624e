# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A gate before a service, with a systemd of paper; the real one is in tests/integration."""

import os
import subprocess
import time

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import Result
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd import gate

NAME = "fleetops-gate-app-1-t.service"


class Paper:
    """``state`` is that of the gate, ``others`` those of runs before; ``asked`` what was asked."""

    def __init__(self):
        self.asked = []
        self.state = "activating"
        self.run = Result(0, "")
        self.stop = Result(0, "")
        self.others = ""
        self.gate = gate.Gate(self.answer, False, "app@1.service", "t")

    def answer(self, words):
        self.asked.append(words)
        if words[0] == "systemd-run":
            return self.run
        if "stop" in words:
            return self.stop
        if "*" in words[-1]:
            return Result(0, self.others)
        return Result(0, f"ActiveState={self.state}\nJob=\n")

    def stopped(self):
        return [words[-1] for words in self.asked if "stop" in words]


def test_it_is_bounded_and_before_the_service():
    paper = Paper()
    paper.gate.close(90.5)
    words = paper.asked[0]
    assert {"--unit=fleetops-gate-app-1-t.service", "--collect", "--no-block"} < set(words)
    assert {"--property=Type=oneshot", "--property=Before=app@1.service"} < set(words)
    assert "--property=TimeoutStartSec=182" in words
    assert words[-2:] == [str(os.getpid()), "455"]
    assert paper.gate.closed and paper.gate.holds()
    paper.gate.open()
    paper.gate.open()
    assert paper.stopped() == [NAME]
    assert not paper.gate.closed


def test_a_user_s_own():
    assert gate.gate_command(True, NAME, "app.service", 1, 1)[:2] == ["systemd-run", "--user"]


def test_what_runs_before_left_is_opened():
    paper = Paper()
    mine = "Id=fleetops-gate-app-1-t.service\nBefore=app@1.service shutdown.target\n"
    old = "Id=fleetops-gate-app-1-old.service\nBefore=shutdown.target app@1.service\n"
    other = "Id=fleetops-gate-app-1.2-old.service\nBefore=app-1.service\n"
    paper.others = f"{mine}\n{old}\n{other}"
    paper.gate.close(1)
    assert paper.stopped() == ["fleetops-gate-app-1-old.service"]


def test_who_may_not_make_one_is_told():
    paper = Paper()
    paper.run = Result(1, "Failed to start transient service unit: Access denied\n")
    with pytest.raises(FleetError, match="Access denied. Become root"):
        paper.gate.close(1)
    assert not paper.gate.closed


def test_one_that_ends_at_once_is_noticed():
    paper = Paper()
    paper.state = "inactive"
    with pytest.raises(FleetError, match="ended at once"):
        paper.gate.close(1)
    # Whatever is left of it is to be opened.
    assert paper.gate.closed


def test_one_that_cannot_be_opened_is_an_error_while_it_holds():
    paper = Paper()
    paper.gate.close(1)
    paper.stop = Result(1, "no\n")
    with pytest.raises(FleetError):
        paper.gate.open()
    paper.gate.closed = True
    paper.state = "inactive"
    paper.gate.open()


@pytest.mark.parametrize(("lives", "looks", "most"), [(True, "3", 5), (False, "999", 2)])
def test_it_opens_when_its_time_is_over_or_who_closed_it_is_gone(lives, looks, most):
    pid = str(os.getpid()) if lives else "999999999"
    begin = time.monotonic()
    subprocess.run(["/bin/sh", "-c", gate.WATCH, "sh", pid, looks], check=True, timeout=30)
    took = time.monotonic() - begin
    assert (0.5 if lives else 0) < took < most
