# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several units from one virtualenv under a real systemd, as process 1 of a container."""

import json
import os

import pytest

from tests.integration.programs_support import LOOP
from tests.integration.service_support import NEW, OLD, wait_for
from tests.integration.systemd_support import SETTINGS, UnitFleet, with_both

UNITS = ["worker.service", "app@2.service"]
WORKER = """
[Unit]
PartOf=app@1.service
[Service]
Type={kind}
ExecStart={home}/venv/bin/python -m loop worker
WorkingDirectory={home}
StandardError=append:{dir}/worker.err.log
Restart=always
RestartSec=100ms
{more}
"""
SANDBOX = "PrivateTmp=yes\nProtectSystem=strict\nReadWritePaths={dir}\n"


class Units(UnitFleet):
    """Two gunicorns of one template, and a worker that stops with the first of them."""

    def begin(self, kind="simple", more=""):
        (self.home / "loop.py").write_text(LOOP)
        text = WORKER.format(kind=kind, home=self.home, dir=self.dir, more=more)
        self.write("/etc/systemd/system/worker.service", text)
        self.port, self.url = 8001, "http://127.0.0.1:8001/healthz"
        command = f"{self.home}/venv/bin/gunicorn -w 2 -b 127.0.0.1:800%i wsgi:app"
        self.start(unit="app@1.service", command=command, settings=SETTINGS)
        for unit in UNITS:
            self.host.systemctl("start", unit)
        self.up()
        wait_for(lambda: self.told("app@2.service")["listeners"])
        wait_for(lambda: self.told("worker.service")["release"])
        return self

    def options(self, **more):
        return super().options(**{"programs": UNITS, **more})

    def told(self, unit):
        return next(each for each in self.info()["programs"] if each["program"] == unit)

    def said(self):
        return [json.loads(line) for line in (self.home / "loop.jsonl").read_text().splitlines()]


@pytest.fixture
def fleet(host):
    with with_both(Units(host)) as fleet:
        yield fleet


@pytest.mark.parametrize("more", ["", SANDBOX], ids=["plain", "sandbox"])
def test_units_of_a_template_and_a_worker_are_switched_together(fleet, more):
    fleet.begin(more=more.format(dir=fleet.dir))
    # That systemd stops the worker with it does no harm where it is started again.
    assert fleet.info()["refusals"] == []
    lives = {unit: fleet.host.show(unit, "InvocationID") for unit in UNITS}
    done = fleet.activate(fleet.new, gunicorn=NEW, programs_stable_for=2)
    assert done["changed"], done
    assert fleet.get()["gunicorn"] == NEW
    two, worker = fleet.told("app@2.service"), fleet.told("worker.service")
    assert (two["gunicorn"], two["release"]) == (NEW, fleet.new)
    assert two["listeners"] == ["127.0.0.1:8002"]
    assert (worker["release"], worker["problems"]) == (fleet.new, [])
    assert all(fleet.host.show(unit, "InvocationID") != life for unit, life in lives.items())
    (end,) = [each for each in fleet.said() if each["what"] == "end"]
    assert end["link"] == fleet.old
    assert fleet.activate(fleet.new, programs_stable_for=2)["changed"] is False
    back = fleet.activate(fleet.old, gunicorn=OLD, reason="rollback", programs_stable_for=2)
    assert back["changed"], back
    assert [fleet.told(unit)["release"] for unit in UNITS] == [fleet.old, fleet.old]


def test_a_worker_that_systemd_starts_again_and_again_is_a_failed_switch(fleet):
    fleet.begin()
    (fleet.home / f"trouble-worker-{NEW}").write_text("1")
    done = fleet.activate(fleet.new, programs_stable_for=3)
    assert done["failed"] and "worker.service: The new generation" in done["msg"], done
    assert "RuntimeError: the queue of api_key=*** is not there" in done["msg"], done["msg"]
    back = fleet.activate(fleet.old, gunicorn=OLD, reason="rollback", programs_stable_for=2)
    assert back["changed"], back
    assert [fleet.told(unit)["release"] for unit in UNITS] == [fleet.old, fleet.old]
    assert os.readlink(fleet.home / "venv") == f"releases/{fleet.old}"


def test_what_a_killed_run_left_stopped_is_brought_up_beside_a_gunicorn_that_serves(fleet):
    fleet.begin()
    fleet.host.systemctl("stop", "worker.service")
    web = fleet.pid()
    problems = " ".join(fleet.told("worker.service")["problems"])
    assert "worker.service, which systemd calls inactive (dead)" in problems
    done = fleet.activate("", programs_only=True, programs_stable_for=2)
    assert done["changed"], done
    assert fleet.told("worker.service")["release"] == fleet.old
    assert fleet.pid() == web


def test_a_unit_that_would_stop_the_gunicorn_is_refused(fleet):
    fleet.begin()
    path = "/etc/systemd/system/app@.service.d/needs.conf"
    fleet.write(path, "[Unit]\nRequires=worker.service\n")
    fleet.host.systemctl("daemon-reload")
    problems = " ".join(fleet.told("worker.service")["problems"])
    assert "systemd stops app@1.service whenever worker.service is stopped" in problems
    assert fleet.activate(fleet.new)["msg"].startswith("Nothing was stopped: ")
    fleet.host.run("rm", path)
    fleet.host.systemctl("daemon-reload")
