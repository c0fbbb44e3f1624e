# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both plans are through, each behind its canary, and the record says who was promoted and why."""

import json

import pytest

testinfra_hosts = ["ansible://web"]


def test_both_servers_run_the_last_stage(server):
    assert server.version["gunicorn"] == "23.0.0"
    assert server.version["python"].startswith("3.11.")


def test_the_canary_went_first_each_time_and_no_refused_run_drained_anybody(balancer):
    # The second plan's canary takes only what the first plan has left to do.
    assert balancer.drains() == ["web1", "web2", "web2", "web1"]


@pytest.fixture
def record(balancer):
    return json.loads(balancer.host.check_output("cat /var/lib/fleetops-gunicorn/app.record.json"))


@pytest.fixture
def began(balancer):
    """The events by which runs began, which stand beside the record."""
    lines = balancer.host.check_output("cat /var/lib/fleetops-gunicorn/app.events").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == "began"]


def test_the_promotion_is_recorded_with_its_reason(record, began):
    assert record["run"]["status"] == "done"
    assert "rollout_promote" in record["run"]["overrides"]
    assert record["run"]["reason"] == "ticket-42"
    assert [event.get("overrides", []) for event in began] == [[], [], [], ["rollout_promote"]]


def test_the_two_plans_have_names_of_their_own(record, began):
    plans = [event["plan"] for event in began]
    assert plans[0] == plans[1] != plans[2] == plans[3]
    assert {host["plan"] for host in record["hosts"].values()} == {plans[2]}
