# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order in which the programs of a virtualenv are stopped and started, and their proof."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation import (
    activate,
    companions,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.evidence import Evidence
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.plan import Plan, Wanted
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

from tests.unit.plugins.module_utils._activation import paper_activation
from tests.unit.plugins.module_utils._service.paper_programs import NEW, OLD, PaperSite

PLAN = Plan("new", NEW, "releases/new", None, "old")
WANTED = Wanted("new", None, None, None, None, False, False, False, None, 5.0, 5.0, 0.5)


class Beside:
    """Two programs, a clock, and what was asked of their managers."""

    def __init__(self, stable_for=2.0):
        self.now, self.log, self.warnings = 100.0, [], []
        self.sites = [PaperSite(name, self.log) for name in ("worker", "beat")]
        self.all = companions.Companions(
            self.sites, WANTED, stable_for, lambda: self.now, self.sleep,
            lambda pid, number: self.log.append(("kill", pid)), self.warnings,
        )  # fmt: skip
        self.all.look()

    def sleep(self, seconds):
        self.now += seconds

    def switch(self):
        self.all.stop(self.now)
        self.all.start()
        self.all.prove(PLAN, self.now + 5)


@pytest.fixture
def beside():
    return Beside()


def test_the_last_is_stopped_first_and_the_first_started_first(beside):
    beside.switch()
    assert beside.log == [
        ("stop", "beat"), ("stop", "worker"), ("start", "worker"), ("start", "beat"),
    ]  # fmt: skip
    assert [each["pid"] for each in beside.all.generations()] == [100, 100]


def test_the_proof_lasts(beside):
    beside.switch()
    assert beside.now - 100 == pytest.approx(2, abs=0.3)


def test_one_that_is_started_anew_while_it_is_watched_is_none(beside):
    worker = beside.sites[0]

    def again():
        if beside.now > 101 and worker.pid == 100:
            worker.pid = 101

    worker.looks = again
    with pytest.raises(Evidence, match="worker: The new generation .100. did not stay up") as found:
        beside.switch()
    assert found.value.details["evidence"]["log"] == ["its last words"]


def test_a_child_that_is_replaced_below_a_wrapper_is_none(beside, monkeypatch):
    seen = beside.sites[0].observe

    def observe(waiting=False):
        look = seen(waiting)
        if beside.now > 101:
            look.tree[:] = [each._replace(start_ticks=each.start_ticks + 1) for each in look.tree]
        return look

    monkeypatch.setattr(beside.sites[0], "observe", observe)
    with pytest.raises(Evidence, match="it does not stay up"):
        beside.switch()


@pytest.mark.parametrize("state", ["BACKOFF", "FATAL", "EXITED"])
def test_one_that_ends_fails_at_once(beside, state):
    beside.sites[1].begin = lambda: setattr(beside.sites[1], "state", state)
    with pytest.raises(Evidence, match=f"beat.*supervisord calls the program {state}"):
        beside.switch()
    assert beside.now < 101


def test_one_of_the_old_release_fails_at_once(beside):
    beside.sites[0].next = OLD
    with pytest.raises(Evidence, match=f"worker runs from {OLD}, not from {NEW}"):
        beside.switch()
    assert beside.now < 101


def test_one_that_never_becomes_ready_is_waited_for_no_longer_than_allowed(beside):
    worker = beside.sites[0]
    worker.begin = lambda: vars(worker).update(state="STARTING", pid=9, prefix=NEW)
    with pytest.raises(Evidence, match="not proved within 5 s: supervisord calls worker STARTING"):
        beside.switch()
    assert beside.now - 100 == pytest.approx(5, abs=0.3)


def test_only_what_is_missing_is_brought_up(beside):
    for site in beside.sites:
        site.prefix = NEW
    beside.sites[1].state, beside.sites[1].pid = "STOPPED", 0
    beside.all.look()
    asked = []
    assert beside.all.bring_up(PLAN, lambda: asked.append("permit")) is True
    assert (beside.log, asked) == ([("start", "beat")], ["permit"])
    beside.all.look()
    assert beside.all.bring_up(PLAN, lambda: asked.append("permit")) is False
    assert asked == ["permit"]


def test_one_that_runs_from_another_release_is_brought_up_anew(beside):
    beside.sites[0].prefix = NEW
    beside.all.look()
    assert beside.all.bring_up(PLAN, lambda: None)
    assert beside.log == [("stop", "beat"), ("start", "beat")]


def test_one_that_was_started_a_moment_ago_is_given_its_time(beside):
    """By whom gave the switch up: to stop it again would be in vain as well."""
    for site in beside.sites:
        site.prefix = NEW
    worker = beside.sites[0]
    worker.state = "STARTING"
    beside.all.look()
    worker.looks = lambda: beside.now > 101 and vars(worker).update(state="RUNNING")
    assert beside.all.bring_up(PLAN, lambda: None) is True
    assert beside.log == [] and beside.now > 103


def test_those_that_ran_are_started_again_if_nothing_was_switched(beside):
    beside.sites[1].state, beside.sites[1].pid = "STOPPED", 0
    beside.all.look()
    assert beside.all.start_again(beside.now) == ""
    assert beside.log == [("start", "worker")]


def test_what_would_be_stopped_in_vain_is_refused(beside):
    beside.sites[1].through = False
    beside.all.look()
    with pytest.raises(FleetError, match="Nothing was stopped: app_programs names beat"):
        beside.all.refuse(PLAN)
    beside.all.refuse(PLAN._replace(flip_to=None))


# -- within a switch -------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A switch of paper, whose other programs write down when they are asked for something."""
    world = paper_activation.running_old(tmp_path)
    world.fails = ""

    class Others:
        names = ("worker",)

        def __init__(self, *_words):
            pass

        def __getattr__(self, name):
            def done(*_words):
                world.log.append((f"others {name}", world.link()))
                if world.fails == name:
                    raise FleetError(f"worker cannot {name}.")
                return {"generations": [], "start_again": ""}.get(name, False)

            return done

    monkeypatch.setattr(activate, "Companions", Others)
    return world


def order(world):
    return [what for what, _link in world.log if what not in ("others look", "others refuse")]


def test_the_others_are_stopped_before_the_link_turns_and_started_after(world):
    world.activate()
    old, new = (f"releases/{each}" for each in (paper_activation.OLD, paper_activation.NEW))
    assert [each for each in world.log if each[0] not in ("others look", "others refuse")] == [
        ("others stop", old),
        ("stop", old),
        ("start", new),
        ("others start", new),
        ("others prove", new),
        ("others generations", new),
    ]


def test_one_that_does_not_stop_leaves_the_gunicorn_alone(world):
    world.fails = "stop"
    with pytest.raises(FleetError, match="worker cannot stop. Nothing was switched"):
        world.activate()
    assert order(world) == ["others stop", "others start_again"]


def test_who_lost_the_lock_meanwhile_starts_them_again(world):
    def permit():
        if ("others stop", f"releases/{paper_activation.OLD}") in world.log:
            raise FleetError("a newer run works here")

    world.permit = permit
    with pytest.raises(FleetError, match="a newer run works here"):
        world.activate()
    assert order(world) == ["others stop", "others start_again"]


def test_a_gunicorn_that_does_not_stop_has_all_of_them_started_again(world):
    world.stop_takes = None
    with pytest.raises(FleetError):
        world.activate()
    assert order(world) == ["others stop", "stop", "others start_again"]


def test_what_runs_already_has_its_others_looked_after(world):
    world.activate(release=paper_activation.OLD)
    assert order(world) == ["others bring_up", "others generations"]
