# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that no balancer is in front of: an upgrade, and a gate that fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

QUICK = {
    "gate_soak": 2,
    "gate_interval": 1,
    "rollout_stages": [{"gunicorn": "21.2.0"}],
    "rollout_force": True,
    "load_balancer_provider": "none",
}
ACCEPTED = {**QUICK, "rollout_accept_outage": True}


def test_an_outage_that_nobody_accepted_is_refused(bed: Any) -> None:
    run = bed.playbook("upgrade.yml", "-l", "web1", **QUICK)
    assert run.code != 0 and "rollout_accept_outage: true" in run.words
    assert bed.version("web1")["gunicorn"] == "20.0.1"


def test_a_plan_tells_the_outage(bed: Any) -> None:
    run = bed.playbook("upgrade.yml", "--check", "-l", "web1", **ACCEPTED)
    assert run.code == 0, run.text[-4000:]
    assert "no load balancer is in front of web1" in run.words


def test_a_gate_that_fails_sends_the_server_back(bed: Any) -> None:
    ours = {"name": "ours", "regex": "Listening at", "severity": "critical", "tolerance": 0}
    run = bed.playbook("upgrade.yml", "-l", "web1", gate_log_patterns=[ours], **ACCEPTED)
    assert run.code != 0 and "back in service" in run.words, run.text[-4000:]
    assert bed.version("web1")["gunicorn"] == "20.0.1"


def test_an_upgrade_status_check_and_the_way_back(bed: Any, tmp_path: Path) -> None:
    run = bed.playbook("upgrade.yml", "-l", "web1", **ACCEPTED)
    assert run.code == 0, run.text[-6000:]
    assert "requests are refused until it has started" in run.words
    assert bed.version("web1")["gunicorn"] == "21.2.0"
    assert bed.version("web2")["gunicorn"] == "20.0.1"
    file = tmp_path / "status.json"
    told = bed.playbook("status.yml", status_file=str(file), **ACCEPTED)
    assert told.code == 0, told.text[-4000:]
    found = {host["host"]: host for host in json.loads(file.read_text())["hosts"]}
    assert found["web1"]["balancers"] == []
    seen = bed.playbook("check.yml", "-l", "web1", **ACCEPTED)
    assert seen.code == 0, seen.text[-4000:]
    back = bed.playbook("rollback.yml", "-l", "web1", **ACCEPTED)
    assert back.code == 0, back.text[-4000:]
    assert bed.version("web1")["gunicorn"] == "20.0.1"
