# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A manager that keeps the addresses itself, and has clients wait during a switch."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord.driver import (
    SupervisordManager,
)

from tests.unit.plugins.module_utils._activation.paper_activation import NEW, OLD, running_old
from tests.unit.plugins.module_utils._host.paper_machine import serve

PLACE = "127.0.0.1:8000"


@pytest.fixture
def world(tmp_path, monkeypatch):
    world = running_old(tmp_path)
    world.kept, world.stands, world.refuses = [PLACE], True, ""

    def hold(_self, seconds):
        if world.refuses:
            raise FleetError(world.refuses)
        world.log.append(("hold", seconds))

    def let_go(_self):
        world.log.append(("let go",))

    monkeypatch.setattr(SupervisordManager, "kept", lambda _self: world.kept)
    monkeypatch.setattr(SupervisordManager, "hold", hold)
    monkeypatch.setattr(SupervisordManager, "holds_back", lambda _self: world.stands)
    monkeypatch.setattr(SupervisordManager, "let_go", let_go)
    return world


def test_they_wait_from_before_the_stop_and_longer_than_it_may_last(world):
    assert world.activate(stop_timeout=5)["changed"]
    assert world.log == [
        ("hold", 35),
        ("stop", f"releases/{OLD}"),
        ("start", f"releases/{NEW}"),
        ("let go",),
    ]


def test_where_they_cannot_wait_nothing_is_stopped(world):
    world.refuses = "no rights"
    with pytest.raises(FleetError, match="Nothing was stopped: no rights"):
        world.activate()
    assert world.log == [("let go",)]


def test_a_switch_that_nobody_waited_for_is_none(world):
    world.stands = False
    with pytest.raises(FleetError, match="did not keep others from starting .* started again"):
        world.activate()
    assert world.link() == f"releases/{OLD}"
    assert world.done() == ["hold", "stop", "start", "let go"]


def test_a_switch_that_fails_lets_them_go(world):
    world.stop_takes = None
    with pytest.raises(FleetError, match="asked to stop"):
        world.activate()
    assert world.done()[-1] == "let go"


def test_nothing_is_held_where_nothing_is_switched(world):
    assert world.activate(release=OLD)["changed"] is False
    assert world.activate(check=True)["changed"] is True
    assert world.log == []


@pytest.mark.parametrize("kept", [[PLACE], []])
def test_an_address_that_the_manager_keeps_need_not_be_free(world, kept):
    """Somebody goes on to listen there once the program has stopped."""
    world.kept = kept
    stop = world.stop

    def stop_and_keep(name):
        listening = list(world.listening)
        stop(name)

        def keep():
            world.listening.extend(listening)
            world.write_net()

        world.after(world.stop_takes, keep)
        return True

    world.stop = stop_and_keep

    def boots():
        world.listening.clear()
        world.run_release(NEW, 200)

    world.boots = boots
    if kept:
        assert world.activate()["changed"]
    else:
        with pytest.raises(FleetError, match="someone still listens"):
            world.activate(stop_timeout=1)


def test_a_generation_that_was_not_given_them_is_none(world):
    world.kept = ["unix:/run/app.sock"]
    begin = world.now
    text = "was not given unix:/run/app.sock, which supervisord keeps for it, but listens on 127"
    with pytest.raises(FleetError, match=text):
        world.activate()
    # At once: waiting gives it none.
    assert world.now - begin < 2


def test_what_runs_without_them_is_not_what_is_wanted(world):
    world.activate()
    world.state = "RUNNING"
    world.log.clear()
    assert world.activate()["changed"] is False
    world.kept = ["unix:/run/app.sock"]

    def boots():
        serve(world, 300, 10)

    world.boots = boots
    with pytest.raises(FleetError):
        world.activate()
    assert world.done()[:2] == ["hold", "stop"]
