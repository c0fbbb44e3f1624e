# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of a switch, and what is done when any of its steps fails."""

import json
import os

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.site import Site
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fencing import Fenced

from tests.unit.plugins.module_utils._activation.paper_activation import (
    NEW,
    OLD,
    World,
    running_old,
)
from tests.unit.plugins.module_utils._host.paper_machine import make_venv, serve


@pytest.fixture
def world(tmp_path):
    return running_old(tmp_path)


def test_the_order_is_stop_flip_start(world):
    result = world.activate()
    assert world.log == [("stop", f"releases/{OLD}"), ("start", f"releases/{NEW}")]
    assert (result["changed"], result["release"], result["previous"]) == (True, NEW, OLD)
    assert result["generation"]["pid"] == world.program_pid
    assert result["timings"]["stop_s"] == pytest.approx(0.2, abs=0.06)
    assert result["timings"]["total_s"] == pytest.approx(0.8, abs=0.2)
    assert result["timings"]["down_s"] < result["timings"]["total_s"] - 0.4
    assert sorted(os.listdir(str(world.home))) == ["releases", "venv"]


def test_a_second_time_nothing_is_done(world):
    world.activate()
    world.state = "RUNNING"
    world.log.clear()
    assert world.activate()["changed"] is False
    assert world.log == []


def test_check_mode_does_nothing(world):
    before = sorted(str(path) for path in world.home.rglob("*"))
    result = world.activate(check=True)
    assert (result["changed"], result["generation"]["pid"], world.log) == (True, None, [])
    assert sorted(str(path) for path in world.home.rglob("*")) == before


def test_a_flip_that_fails_is_undone(tmp_path, monkeypatch):
    world = World(tmp_path)
    make_venv(world.home / "venv")
    serve(world, 20, 10, f"{world.home}/venv/bin/python {world.home}/venv/bin/gunicorn app")
    world.program_pid, world.state = 20, "RUNNING"
    world.write_net()
    rename = os.rename

    def fail(old, new, **directories):
        if old.endswith(".venv-next"):
            raise OSError(30, "read-only file system")
        rename(old, new, **directories)

    monkeypatch.setattr(os, "rename", fail)
    world.boots = False
    with pytest.raises(FleetError, match="read-only file system.*was started again"):
        world.activate(adopt_as="adopted-x")
    assert (world.home / "venv").is_dir() and not (world.home / "venv").is_symlink()
    assert sorted(os.listdir(str(world.home / "releases"))) == [".history.json", OLD, NEW]
    assert world.done() == ["stop", "start"]


def test_adoption_moves_the_directory_and_records_what_it_is(tmp_path):
    world = World(tmp_path)
    make_venv(world.home / "venv")
    serve(world, 20, 10, f"{world.home}/venv/bin/python {world.home}/venv/bin/gunicorn app")
    world.program_pid, world.state = 20, "RUNNING"
    world.write_net()
    result = world.activate(adopt_as="adopted-x")
    assert (result["adopted"], result["previous"]) == ("adopted-x", "adopted-x")
    record = json.loads((world.home / "releases/adopted-x/release.json").read_text())
    wanted = {"id": "adopted-x", "schema": 1, "adopted": True, "gunicorn": "20.0.4",
              "python_version": "3.6.15", "freeze": ["gunicorn==20.0.4"], "built_at": "now",
              "stage": {"gunicorn": "20.0.4", "python": "3.6"}}  # fmt: skip
    assert {name: record[name] for name in wanted} == wanted
    assert world.link() == f"releases/{NEW}"


def test_the_directory_that_would_be_adopted_is_itself_a_way_back(tmp_path):
    world = World(tmp_path)
    make_venv(world.home / "venv")
    serve(world, 20, 10, f"{world.home}/venv/bin/python {world.home}/venv/bin/gunicorn app")
    world.program_pid, world.state = 20, "RUNNING"
    world.write_net()
    result = world.activate("adopted-x", adopt_as="adopted-x")
    assert (result["changed"], world.log) == (False, [])


def test_where_the_logs_stood_is_noted_between_stop_and_start(world, tmp_path, monkeypatch):
    """What the old generation writes while it stops is before that place, the new one's behind."""
    log = tmp_path / "app.err.log"
    log.write_text("old\n")
    paths = [str(log), str(tmp_path / "none")]
    monkeypatch.setattr(Site, "logs", lambda _site, _seen: paths)
    stop, start = world.stop, world.start

    def appending(what, text):
        def call(*args):
            with log.open("a") as handle:
                handle.write(text)
            return what(*args)

        return call

    world.stop = appending(stop, "stopping\n")
    world.start = appending(start, "starting\n")
    (place,) = world.activate()["generation"]["logs"]
    assert (place["path"], place["size"]) == (str(log), len("old\nstopping\n"))
    assert place["inode"] == log.stat().st_ino
    world.state = "RUNNING"
    assert world.activate()["generation"]["logs"] == []


# A controller was killed, and its module goes on; a newer run has taken the lock meanwhile.
@pytest.mark.parametrize(
    "step, done, link",
    [
        ("before the stop", [], OLD),
        # What was stopped is started again, and the newer one finds the host as it was.
        ("before the flip", ["stop", "start"], OLD),
        # Not left stopped, and the newer one need not wait for a proof.
        ("after the start", ["stop", "start"], NEW),
    ],
)
def test_who_has_lost_the_lock_goes_no_step_further(world, step, done, link):
    steps = iter(["before the stop", "before the flip", "after the start"])

    def permit():
        if next(steps) == step:
            raise Fenced("a newer run works here")

    world.permit = permit
    began = world.now
    with pytest.raises(FleetError, match="a newer run works here") as error:
        world.activate()
    assert world.done() == done
    assert os.readlink(str(world.home / "venv")) == f"releases/{link}"
    assert sorted(os.listdir(str(world.home))) == ["releases", "venv"]
    assert ("started again" in str(error.value)) == (step == "before the flip")
    assert world.now - began < 1


def test_each_step_that_cannot_be_taken_back_is_asked_for_right_before(world):
    asked = []
    world.permit = lambda: asked.append((list(world.done()), os.readlink(str(world.home / "venv"))))
    world.activate()
    assert asked == [
        ([], f"releases/{OLD}"),
        (["stop"], f"releases/{OLD}"),
        (["stop", "start"], f"releases/{NEW}"),
    ]
