# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.ramp import ramp_unfit
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.verdict import judge
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.rotation import (
    left_out,
    out_by_others,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.stop_codes import stop_of

UNDO = "`set server app/w1 state ready` on HAProxy's socket"
OUT = {"backend": "app", "server": "w1", "how": "in MAINT", "undo": UNDO}


def test_who_is_out_where_and_what_can_be_done():
    text = out_by_others(
        [{"item": "lb1", "out_by_others": []}, {"item": "lb2", "out_by_others": [OUT]}], "web1"
    )
    assert text.startswith(
        "web1 is out of rotation, and not by a run of ours: app/w1 on lb2 in MAINT."
    )
    assert "`set server app/w1 state ready`" in text and "-l 'all:!web1'" in text
    assert out_by_others([{"item": "lb1", "out_by_others": []}], "web1") == ""


def test_where_it_is_left_out():
    row = {"backend": "app", "server": "w1", "status": "MAINT", "left_out": True}
    results = [{"item": "lb1", "servers": [row, {**row, "left_out": False}]}, {"item": "lb2"}]
    assert left_out(results) == ["app/w1 on lb1 in MAINT"]


def test_it_stops_as_something_about_a_balancer():
    words = "balancers | Refuse a server that somebody else took out: " + out_by_others(
        [{"item": "lb1", "out_by_others": [OUT]}], "web1"
    )
    assert stop_of(words).code == "F-BALANCER"


def test_the_gate_asks_no_traffic_of_a_server_that_is_left_out():
    row = {"backend": "app", "server": "w1", "status": "MAINT", "counters": {}}
    assert judge({"balancers": [{"item": "lb1", "servers": [row]}]})["verdict"] == "fail"
    left = {"balancers": [{"item": "lb1", "servers": [{**row, "left_out": True}]}]}
    assert judge(left)["verdict"] == "pass"


def test_a_weight_that_an_agent_set_is_no_reason_against_a_ramp():
    row = {"backend": "app", "server": "w1", "weight_set": 75, "weight_full": 100}
    look = {"item": "lb1", "backends": [{"name": "app", "balance": "roundrobin"}]}
    assert ramp_unfit([{**look, "servers": [row]}], [10], resumed=False)
    assert not ramp_unfit([{**look, "servers": [{**row, "agent": "on"}]}], [10], resumed=False)
