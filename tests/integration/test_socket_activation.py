# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Socket activation by a real systemd: clients that come in the middle of a switch wait."""

import os

import pytest

from tests.integration.service_support import NEW, OLD, new_python, old_python
from tests.integration.socket_support import SocketFleet
from tests.integration.systemd_support import SETTINGS, Host


@pytest.fixture(scope="module")
def host():
    host = Host()
    yield host
    host.close()


@pytest.fixture
def pair(host):
    fleet = SocketFleet(host)
    fleet.old = fleet.release(OLD, old_python())
    fleet.new = fleet.release(NEW, new_python())
    fleet.link(fleet.old)
    yield fleet
    fleet.close()


def links_to(fleet):
    return os.readlink(fleet.home / "venv")


def nothing_lost(told):
    assert told["lost"] == [] and told["sent"] > 100, told


def test_who_comes_in_the_middle_waits_and_no_old_release_is_started(pair):
    pair.serve()
    with pair.clients() as told:
        done = pair.activate(pair.new, gunicorn=NEW)
        assert done.get("changed"), done
    nothing_lost(told)
    assert pair.boots(told["begin"]) == {NEW}
    assert pair.get()["gunicorn"] == NEW
    assert pair.gates() == ""
    # There is nothing more to do, and the way back is as quiet.
    assert pair.activate(pair.new)["changed"] is False
    with pair.clients() as told:
        back = pair.activate(pair.old, gunicorn=OLD, reason="rollback")
        assert back.get("changed"), back
    nothing_lost(told)
    assert pair.boots(told["begin"]) == {OLD}
