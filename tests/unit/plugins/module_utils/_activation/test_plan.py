# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is refused before anything is touched."""

import os

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

from tests.unit.plugins.module_utils._activation.paper_activation import OLD, World, running_old
from tests.unit.plugins.module_utils._host.paper_machine import make_venv, serve


@pytest.fixture
def world(tmp_path):
    return running_old(tmp_path)


@pytest.mark.parametrize("name", ["../x", ".hidden", "a/b"])
def test_an_adopted_release_has_a_plain_name(tmp_path, name):
    world = World(tmp_path)
    make_venv(world.home / "venv")
    with pytest.raises(FleetError, match="not a path"):
        world.activate(adopt_as=name)


@pytest.mark.parametrize(
    "more, text",
    [
        ({"python": "3.12"}, "holds Python 3.11.7, but 3.12 is wanted"),
        ({"gunicorn": "24.1.1"}, "holds gunicorn 23.0.0, but 24.1.1 is wanted"),
    ],
)
def test_versions_that_the_files_belie_are_refused_before_the_stop(world, more, text):
    with pytest.raises(FleetError, match=text):
        world.activate(**more)
    assert world.log == []


def test_a_command_that_bypasses_the_link_is_refused_before_the_stop(world):
    world.vanish(20, 21, 22)
    world.listening.clear()
    base = f"{world.home}/releases/{OLD}/bin"
    world.command = f"{base}/gunicorn app"
    serve(world, 20, 10, f"{base}/python {base}/gunicorn app")
    world.write_net()
    with pytest.raises(FleetError, match="Nothing was stopped: app:app does not start through"):
        world.activate()
    assert world.log == []
    assert sorted(os.listdir(str(world.home))) == ["releases", "venv"]


def test_a_left_over_that_shares_the_address_is_refused_before_the_stop(world):
    python = f"{world.home}/venv/bin/python {world.home}/venv/bin/gunicorn a"
    world.process(40, 1, python, sockets=[77])
    world.process(41, 40, python, sockets=[77])
    world.write_net()
    with pytest.raises(FleetError, match="Nothing was stopped: gunicorn 40, .* kill -TERM 40"):
        world.activate()
    assert world.log == []


def test_a_left_over_does_not_bar_the_way_back_to_what_runs_still(world):
    python = f"{world.home}/venv/bin/python {world.home}/venv/bin/gunicorn a"
    world.process(40, 1, python, sockets=[77])
    world.process(41, 40, python, sockets=[77])
    world.write_net()
    result = world.activate(release=OLD, going_back=True)
    assert (result["changed"], world.log) == (False, [])
    with pytest.raises(FleetError, match="kill -TERM 40"):
        world.activate(release=OLD)


def test_a_home_that_cannot_be_written_is_found_out_before_the_stop(world, monkeypatch):
    def refuse(*_paths, **_directories):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "symlink", refuse)
    with pytest.raises(FleetError, match="Nothing was stopped: .*could not be prepared.*denied"):
        world.activate()
    assert world.log == []
