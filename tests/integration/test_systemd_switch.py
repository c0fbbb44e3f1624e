# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""active_release and gunicorn_info against a real systemd, as process 1 of a container."""

import os

import pytest

from tests.integration.service_support import NEW, OLD, new_python, old_python
from tests.integration.systemd_support import SETTINGS, Host, UnitFleet


@pytest.fixture(scope="module")
def host():
    host = Host()
    yield host
    host.close()


@pytest.fixture
def pair(host):
    fleet = UnitFleet(host)
    fleet.old = fleet.release(OLD, old_python())
    fleet.new = fleet.release(NEW, new_python())
    fleet.link(fleet.old)
    yield fleet
    fleet.close()


def links_to(fleet):
    return os.readlink(fleet.home / "venv")


def findings(fleet):
    return {each["setting"]: each for each in fleet.info()["deviations"]}


# --- the way there and back -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["notify", "simple", "exec", "forking"])
def test_switches_and_goes_back(pair, kind):
    command = ""
    if kind == "forking":
        command = (
            f"{pair.home}/venv/bin/gunicorn --daemon --error-logfile {pair.log} -w 2"
            f" -b 127.0.0.1:{pair.port} --pid {pair.dir}/app.pid wsgi:app"
        )
    pair.start(kind, more=f"PIDFile={pair.dir}/app.pid\n" if command else "", command=command)
    before = pair.up()
    plan = pair.activate(pair.new, check=True)
    assert plan["changed"] and links_to(pair) == f"releases/{pair.old}", plan
    done = pair.activate(pair.new, gunicorn=NEW, python=new_python())
    assert done["changed"], done
    answer = pair.get()
    assert (answer["gunicorn"], answer["arbiter"]) == (NEW, pair.pid())
    assert done["generation"]["pid"] == answer["arbiter"] != before["arbiter"]
    assert pair.activate(pair.new)["changed"] is False
    back = pair.activate(pair.old, gunicorn=OLD, reason="rollback")
    assert (back["changed"], back["previous"]) == (True, pair.new), back
    assert pair.get()["gunicorn"] == OLD
