# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real playbooks with nginx as the balancer of a real fleet, under traffic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nginx_support import Load, Nginx, needs_nginx

pytestmark = needs_nginx
QUICK = {
    "gate_soak": 2,
    "gate_interval": 1,
    "rollout_stages": [{"gunicorn": "21.2.0"}],
    "rollout_force": True,
}


class Front:
    """nginx before the servers of a bed."""

    def __init__(self, bed: Any, root: Path) -> None:
        self._bed = bed
        self.nginx = Nginx(root)
        self.at = {name: f"{bed.fleet.network}.{end}" for name, end in (("web1", 11), ("web2", 12))}
        self.file = self.nginx.site("app", *(f"{ip}:8000 weight=100" for ip in self.at.values()))
        self.nginx.start()
        self.before = self.file.read_text()
        self._extra = root / "nginx.yml"
        hosts = {name: {"load_balancer_server": ip} for name, ip in self.at.items()}
        self._extra.write_text(json.dumps({"web": {"hosts": hosts}}))
        self.inputs = {
            "load_balancer_provider": "nginx",
            "load_balancer_nginx_conf": str(self.nginx.conf),
            "load_balancer_lease_directory": str(root / "leases"),
        }

    def playbook(self, name: str, *arguments: str, **inputs: Any) -> Any:
        where = ["-i", "inventories/demo", "-i", str(self._extra)]
        return self._bed.playbook(name, *where, *arguments, **{**self.inputs, **inputs})


@pytest.fixture(scope="module")
def front(bed: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    made = Front(bed, tmp_path_factory.mktemp("front"))
    yield made
    made.nginx.stop()


def traffic(front: Front) -> Load:
    return Load(front.nginx.ports["app"], path="/", threads=2, rest=0.1)


def test_a_plan_says_who_is_up_and_changes_nothing(front: Front, bed: Any) -> None:
    run = front.playbook("upgrade.yml", "--check", **QUICK)
    assert run.code == 0, run.text[-4000:]
    assert front.file.read_text() == front.before


def test_a_gate_that_fails_sends_the_server_back(front: Front, bed: Any) -> None:
    ours = {"name": "ours", "regex": "Listening at", "severity": "critical", "tolerance": 0}
    with traffic(front) as load:
        run = front.playbook("upgrade.yml", gate_log_patterns=[ours], **QUICK)
    assert run.code != 0 and "back in service" in run.words, run.text[-4000:]
    assert load.lost == [] and load.sent > 100
    assert bed.version("web1")["gunicorn"] == bed.version("web2")["gunicorn"] == "20.0.1"
    assert front.file.read_text() == front.before


def test_an_upgrade_with_a_ramp_loses_nothing(front: Front, bed: Any) -> None:
    with traffic(front) as load:
        run = front.playbook("upgrade.yml", rollout_ramp=[10], rollout_ramp_soak=2, **QUICK)
    assert run.code == 0, run.text[-6000:]
    assert load.lost == [] and load.sent > 100
    assert bed.version("web1")["gunicorn"] == bed.version("web2")["gunicorn"] == "21.2.0"
    assert front.file.read_text() == front.before
    assert "is not counted" not in run.text


def test_the_fleet_in_one_table(front: Front, tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    run = front.playbook("status.yml", status_file=str(file))
    assert run.code == 0, run.text[-4000:]
    found = {
        host["host"]: [(each["balancer"], each["status"]) for each in host["balancers"]]
        for host in json.loads(file.read_text())["hosts"]
    }
    assert found == {"web1": [("lb1", "UP")], "web2": [("lb1", "UP")]}


def test_the_way_back_loses_nothing(front: Front, bed: Any) -> None:
    with traffic(front) as load:
        run = front.playbook("rollback.yml", "-l", "web1", gate_soak=2, gate_interval=1)
    assert run.code == 0, run.text[-4000:]
    assert load.lost == []
    assert bed.version("web1")["gunicorn"] == "20.0.1"
    assert front.file.read_text() == front.before
