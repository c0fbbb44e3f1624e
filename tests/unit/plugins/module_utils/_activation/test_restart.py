# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a program has stopped, and what is done when it does not."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

from tests.unit.plugins.module_utils._activation.paper_activation import NEW, OLD, running_old
from tests.unit.plugins.module_utils._host.paper_machine import serve


@pytest.fixture
def world(tmp_path):
    return running_old(tmp_path)


def test_a_stop_without_end_flips_nothing(world):
    world.stop_takes = 9
    with pytest.raises(FleetError, match=r"after 5 s these processes still run: 20 \(127.0.0.1"):
        world.activate()
    assert world.log == [("stop", f"releases/{OLD}"), ("start", f"releases/{OLD}")]
    assert world.program_pid not in (0, 20)


def test_a_program_that_never_stops_is_not_said_to_have_been_started(world):
    world.stop_takes = None
    with pytest.raises(FleetError, match="COULD NOT BE STARTED AGAIN"):
        world.activate()
    assert world.done() == ["stop"]
    assert world.link() == f"releases/{OLD}"


def test_stopped_by_supervisords_word_is_not_enough(world):
    """killasgroup=false: the arbiter is gone, a worker goes on."""

    def half():
        world.vanish(20, 21)
        world.state, world.program_pid = "STOPPED", 0

    world.stop_takes = None
    world.after(0.1, half)
    with pytest.raises(FleetError, match=r"still run: 22 \(127.0.0.1:8000\)"):
        world.activate()
    assert world.log[-1] == ("start", f"releases/{OLD}")


def test_a_port_that_someone_took_is_not_free(world):
    world.process(500, 1, "nginx", sockets=[99])
    world.stop_takes = None

    def end():
        world.vanish(20, 21, 22)
        world.listening.clear()
        world.listen(8000, 99)
        world.state, world.program_pid = "STOPPED", 0
        world.write_net()

    world.after(0.1, end)
    with pytest.raises(FleetError, match="someone still listens: process 500 on 127.0.0.1:8000"):
        world.activate()
    assert world.link() == f"releases/{OLD}"


def orphaned(world):
    """The arbiter was killed; a worker lives on and supervisord has given up."""
    world.vanish(20, 21)
    stat = world.root / "proc/22/stat"
    stat.write_text(stat.read_text().replace("S 20 ", "S 1 "))
    world.state, world.program_pid = "FATAL", 0


def test_orphans_are_asked_to_end_and_waited_for(world):
    orphaned(world)

    def end():
        world.vanish(22)
        world.listening.clear()
        world.write_net()

    world.after(2, end)
    result = world.activate()
    assert world.log == [("kill", 22, 15), ("start", f"releases/{NEW}")]
    assert result["timings"]["down_s"] is None


def test_orphans_are_killed_only_when_that_was_asked_for(world):
    orphaned(world)
    with pytest.raises(FleetError, match=r"22 \(127.0.0.1:8000\).*was not running before"):
        world.activate()
    assert world.log == [("kill", 22, 15)]
    with pytest.raises(FleetError):
        world.activate(kill_after=5)
    assert world.log[1:] == [("kill", 22, 15), ("kill", 22, 9)]


def test_workers_that_hang_are_killed_and_their_arbiter_is_not(world):
    world.stop_takes = None
    with pytest.raises(FleetError):
        world.activate()
    assert "kill" not in world.done()
    with pytest.raises(FleetError):
        world.activate(kill_after=2)
    assert [each for each in world.log if each[0] == "kill"] == [("kill", 21, 9), ("kill", 22, 9)]


def test_an_orphan_is_killed_even_while_a_new_arbiter_tries_for_its_port(world):
    world.process(40, 1, f"{world.home}/venv/bin/python {world.home}/venv/bin/gunicorn a")
    world.stop_takes = 9
    with pytest.raises(FleetError):
        world.activate(kill_after=5)
    assert [each for each in world.log if each[1] == 40] == [("kill", 40, 15), ("kill", 40, 9)]


def test_an_arbiter_behind_a_wrapper_gets_the_signal_itself(world):
    world.vanish(20, 21, 22)
    world.listening.clear()
    world.process(20, 10, "/bin/sh x")
    serve(world, 30, 20, f"{world.home}/releases/{OLD}/bin/python {world.home}/venv/bin/gunicorn a")
    world.write_net()
    world.stop_takes = None
    with pytest.raises(FleetError):
        world.activate()
    assert world.log[:2] == [("stop", f"releases/{OLD}"), ("kill", 30, 15)]


def test_a_restart_by_supervisord_during_the_stop_is_stopped_too(world, monkeypatch):
    """autorestart saw the arbiter die before it was told to stop."""

    def end():
        world.vanish(20, 21, 22)
        world.program_pid, world.state = 0, "STARTING"
        world.listening.clear()
        world.write_net()

    def stop(_name):
        world.log.append(("stop", world.link()))
        if world.program_pid:
            world.after(0.1, end)
        else:
            world.state = "STOPPED"

    monkeypatch.setattr(world, "stop", stop)
    assert world.activate()["changed"]
    assert world.done() == ["stop", "stop", "start"]
