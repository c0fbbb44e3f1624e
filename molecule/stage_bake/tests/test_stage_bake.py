# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both stages are through, the second on no server before the first had baked on each."""

import json

import pytest

testinfra_hosts = ["ansible://web"]


def test_both_servers_run_the_last_stage(server):
    assert server.version["gunicorn"] == "23.0.0"
    assert server.version["python"].startswith("3.11.")


def test_only_runs_that_might_go_on_drained_anybody(balancer):
    assert balancer.drains() == ["web1", "web2", "web1", "web2"]


@pytest.fixture
def events(balancer):
    lines = balancer.host.check_output("cat /var/lib/fleetops-gunicorn/app.events").splitlines()
    return list(map(json.loads, lines))


def test_runs_that_were_too_early_or_stopped_began_nothing(events):
    began = [event["by"] for event in events if event["event"] == "began"]
    assert began == ["ada", "ada", "ben", "ada"]
    assert len({event["plan"] for event in events if event["event"] == "began"}) == 1


def test_every_server_was_through_the_first_stage_before_the_second_began(events):
    passed = [(event["host"], event["stage"]) for event in events if event["event"] == "passed"]
    assert passed == [("web1", 1), ("web2", 1), ("web1", 2), ("web2", 2)]
    baked = [event["host"] for event in events if event["event"] == "baked"]
    assert baked[-2:] == ["web1", "web2"]
