# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of a program beside the gunicorn, and what speaks against switching it."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service import programs

from tests.unit.plugins.module_utils._service.paper_programs import NEW, OLD, PaperSite


@pytest.fixture
def site():
    return PaperSite("worker:worker", [])


def test_one_that_runs_from_the_release_has_no_fault(site):
    assert programs.faults(programs.look_at(site), OLD) == []
    assert programs.problems(site, programs.look_at(site), []) == []
    told = programs.report(site, programs.look_at(site), [])
    assert (told["pid"], told["start_ticks"], told["gunicorn"]) == (7, 70, None)


def test_another_release_or_none_that_can_be_told_is_a_fault(site):
    (wrong,) = programs.faults(programs.look_at(site), NEW)
    assert wrong == f"process 7 of worker:worker runs from {OLD}, not from {NEW}"
    site.prefix = None
    (wrong,) = programs.faults(programs.look_at(site), NEW)
    assert "cannot be told" in wrong
    site.lives = False
    (wrong,) = programs.faults(programs.look_at(site), OLD)
    assert wrong == "no process of worker:worker runs from the virtualenv"


@pytest.mark.parametrize("state", ["STARTING", "BACKOFF", "FATAL", "STOPPED"])
def test_only_what_its_manager_calls_running_runs(site, state):
    site.state = state
    (wrong,) = programs.faults(programs.look_at(site), OLD)
    assert wrong == f"supervisord calls worker:worker {state}"


def test_why_a_switch_must_not_begin(site):
    site.state, site.pid = "STOPPED", 0
    (why,) = programs.problems(site, programs.look_at(site), [])
    assert "worker:worker, which supervisord calls STOPPED. Start it" in why
    site = PaperSite("worker:worker", [])
    site.lives = False
    (why,) = programs.problems(site, programs.look_at(site), [])
    assert "none of its processes (7) runs from /srv/app/venv" in why
    site.through = False
    (why,) = programs.problems(site, programs.look_at(site), [])
    assert "does not start through /srv/app/venv" in why
    site.manager.activated_by = ("worker.socket",)
    assert (
        "worker.socket starts by itself" in programs.problems(site, programs.look_at(site), [])[-1]
    )
    site.manager.refused = ["no"]
    assert programs.problems(site, programs.look_at(site), [])[-1] == "no"


def test_of_settings_only_those_that_hold_for_any_program_are_told(site):
    told = programs.deviations(site, programs.look_at(site))
    assert [each["setting"] for each in told] == ["NeedDaemonReload"]
    site.stopwaitsecs = 10
    told = programs.deviations(site, programs.look_at(site))
    assert [each["setting"] for each in told] == ["NeedDaemonReload", "stopwaitsecs"]
