# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role load_balancer from a play of web1, with two real HAProxys before the same servers."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from balancer_support import REPO, App, Haproxy, Request, haproxy_param, until

pytestmark = haproxy_param()

BACKENDS = """
backend app
  option httpchk GET /
  server web1 127.0.0.1:{web1} check
  server web2 127.0.0.1:{web2} check
"""

PLAY = """
- hosts: web1
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: fleetops.gunicorn.load_balancer
      vars:
        load_balancer_state: "{{ state }}"
    - ansible.builtin.debug:
        msg: "RESULT={{ _load_balancer_result | default({}) | to_json | b64encode }}"
"""

# Local, until a file says that the host is lost.
FLAKY = """
DOCUMENTATION = "name: flaky\\nshort_description: x\\ndescription: x\\nauthor: x\\n"
import os
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as Local
class Connection(Local):
    transport = "flaky"
    def exec_command(self, *args, **kwargs):
        if os.path.exists({lost!r}):
            raise AnsibleConnectionFailure("the host is lost")
        return super().exec_command(*args, **kwargs)
"""


class Fleet:
    def __init__(self, directory: Path, balancers: list[Haproxy], apps: list[App]) -> None:
        self.directory = directory
        self.balancers = balancers
        self.apps = apps
        self.output = ""
        self.inventory: dict[str, Any] = {
            "all": {
                "vars": {
                    "ansible_connection": "local",
                    "ansible_python_interpreter": sys.executable,
                    "load_balancer_drain_timeout": 10,
                    "load_balancer_up_timeout": 10,
                    "load_balancer_lease_directory": str(directory / "leases"),
                    # Operator inputs that must be there and that this role does not use.
                    "app_home": "/nonexistent",
                    "app_program": "app",
                    "app_health_url": "http://127.0.0.1:1/",
                },
                "children": {
                    "web": {"hosts": {"web1": {}, "web2": {}}},
                    "lb": {
                        "hosts": {
                            f"lb{number}": {"load_balancer_socket": balancer.socket()}
                            for number, balancer in enumerate(balancers, 1)
                        }
                    },
                },
            }
        }
        (directory / "play.yml").write_text(PLAY)
        self.lost = directory / "lost"
        plugins = directory / "connection_plugins"
        plugins.mkdir()
        (plugins / "flaky.py").write_text(FLAKY.format(lost=str(self.lost)))

    def status(self) -> list[str]:
        return [balancer.status("app/web1") for balancer in self.balancers]

    def start(self, state: str, *options: str, **variables: Any) -> subprocess.Popen[str]:
        inventory = self.directory / "hosts.json"
        inventory.write_text(json.dumps(self.inventory))
        variables["state"] = state
        return subprocess.Popen(
            [
                str(Path(sys.executable).with_name("ansible-playbook")),
                "-i",
                str(inventory),
                "-e",
                json.dumps(variables),
                *options,
                str(self.directory / "play.yml"),
            ],
            cwd=REPO,
            env={**os.environ, "ANSIBLE_HOME": str(self.directory / "ansible"), "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, play: subprocess.Popen[str]) -> bool:
        try:
            self.output = play.communicate(timeout=120)[0]
        finally:
            play.kill()
        return play.returncode == 0

    def play(self, state: str, *options: str, **variables: Any) -> bool:
        return self.finish(self.start(state, *options, **variables))

    def results(self) -> list[dict[str, Any]]:
        text = self.output.split("RESULT=")[1].split('"')[0]
        results: list[dict[str, Any]] = json.loads(base64.b64decode(text))["results"]
        return results


@pytest.fixture
def fleet(binary: str, tmp_path: Path) -> Iterator[Fleet]:
    apps = [App("web1"), App("web2")]
    text = BACKENDS.format(web1=apps[0].port, web2=apps[1].port)
    balancers = []
    try:
        for number in (1, 2):
            directory = tmp_path / str(number)
            directory.mkdir()
            balancers.append(Haproxy(binary, directory, text))
            balancers[-1].wait_up("app/web1", "app/web2")
        yield Fleet(tmp_path, balancers, apps)
    finally:
        for app in apps:
            app.let_go.set()
        for balancer in balancers:
            balancer.stop()
        for app in apps:
            app.stop()


def hold(balancer: Haproxy) -> list[Request]:
    requests: list[Request] = []

    def arrived() -> bool:
        requests.append(Request(balancer.port, "/slow"))
        return int(balancer.rows()["app/web1"]["scur"]) > 0

    until(arrived, "a request is in flight on web1")
    return requests


def test_out_of_every_balancer_and_back(fleet: Fleet) -> None:
    assert fleet.play("info"), fleet.output
    assert [result["item"] for result in fleet.results()] == ["lb1", "lb2"]
    assert [result["servers"][0]["status"] for result in fleet.results()] == ["UP", "UP"]

    assert fleet.play("drained", "--check"), fleet.output
    assert fleet.status() == ["UP", "UP"]

    assert fleet.play("drained"), fleet.output
    assert fleet.status() == ["MAINT", "MAINT"]
    assert all(result["drained_at"] for result in fleet.results())

    assert fleet.play("drained"), fleet.output
    assert not any(result["changed"] for result in fleet.results())

    assert fleet.play("ready"), fleet.output
    assert fleet.status() == ["UP", "UP"]
    assert all(result["up_at"] >= result["ready_at"] for result in fleet.results())


def test_what_somebody_had_taken_out_on_one_balancer_is_left_so(fleet: Fleet) -> None:
    fleet.balancers[1].ask("set server app/web1 state maint")
    assert fleet.play("drained"), fleet.output
    assert fleet.play("ready"), fleet.output
    assert fleet.status() == ["UP", "MAINT"]
    words = " ".join(fleet.output.split())
    assert "left out of rotation, as somebody had it before: app/web1 on lb2 in MAINT." in words


def test_every_balancer_is_asked_before_the_first_is_changed(fleet: Fleet) -> None:
    fleet.balancers[1].ask("set server app/web2 state maint")
    assert not fleet.play("drained")
    assert "web2 is MAINT" in fleet.output
    assert fleet.status() == ["UP", "UP"]
    changes = fleet.balancers[0].rows()["app/web1"]["lastchg"]
    assert int(changes) >= 1, "lb1 was never written to"


def test_a_failure_on_the_second_balancer_restores_the_first(fleet: Fleet) -> None:
    hold(fleet.balancers[1])
    play = fleet.start("drained", load_balancer_drain_timeout=1)
    fleet.balancers[0].wait("app/web1", "DRAIN")
    assert not fleet.finish(play)
    assert fleet.status() == ["UP", "UP"]
    assert "web1 was not drained." in fleet.output
    assert "lb2: web1 still had 1 session(s)" in fleet.output
    assert "Back in rotation on lb1" in fleet.output


def test_on_timeout_fail_leaves_it_out(fleet: Fleet) -> None:
    hold(fleet.balancers[1])
    assert not fleet.play("drained", load_balancer_drain_timeout=1, load_balancer_on_timeout="fail")
    assert fleet.status() == ["MAINT", "DRAIN"]
    assert "Left out of rotation" in fleet.output and "lb1, lb2" in fleet.output


def test_a_balancer_that_stops_answering_in_mid_drain(fleet: Fleet) -> None:
    hold(fleet.balancers[1])
    worker = fleet.balancers[1].pid()
    play = fleet.start("drained")
    fleet.balancers[1].wait("app/web1", "DRAIN")
    os.kill(worker, signal.SIGSTOP)
    try:
        assert not fleet.finish(play)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert fleet.balancers[0].status("app/web1") == "UP"
    assert "MAY STILL BE OUT OF ROTATION on lb2" in fleet.output
    assert "Back in rotation on lb1" in fleet.output
    assert fleet.play("ready"), fleet.output
    assert fleet.status() == ["UP", "UP"]


def test_an_unreachable_balancer_leaves_nothing_drained(fleet: Fleet) -> None:
    hosts = fleet.inventory["all"]["children"]["lb"]["hosts"]
    hosts["lb2"].update(ansible_connection="flaky")
    fleet.lost.touch()
    assert not fleet.play("drained")
    assert fleet.status() == ["UP", "UP"]
    assert not fleet.play("ready")
    assert "may still be out of rotation on lb2" in " ".join(fleet.output.split())
    assert not fleet.play("info")
    assert fleet.play("info", load_balancer_keep_errors=True), fleet.output
    assert ["servers" in result for result in fleet.results()] == [True, False]


def test_a_balancer_lost_between_the_guard_and_the_drain(fleet: Fleet) -> None:
    hosts = fleet.inventory["all"]["children"]["lb"]["hosts"]
    hosts["lb2"].update(ansible_connection="flaky")
    hold(fleet.balancers[0])
    play = fleet.start("drained")
    fleet.balancers[0].wait("app/web1", "DRAIN")
    fleet.lost.touch()
    for app in fleet.apps:
        app.let_go.set()
    assert not fleet.finish(play)
    assert fleet.status() == ["UP", "UP"]
    assert "Back in rotation on lb1" in fleet.output
    assert "MAY STILL BE OUT OF ROTATION on lb2" in fleet.output


def test_no_balancer_at_all(fleet: Fleet) -> None:
    assert not fleet.play("drained", load_balancer_group="nobody")
    assert "no host in group nobody" in fleet.output.replace("\n", " ")


def test_without_a_drain_it_says_so(fleet: Fleet) -> None:
    assert fleet.play("drained", load_balancer_drain=False), fleet.output
    assert "requests will be lost" in fleet.output
    assert fleet.status() == ["UP", "UP"]
    assert fleet.play("ready", load_balancer_drain=False), fleet.output


def test_names_of_the_balancer_differ_from_the_inventory(fleet: Fleet) -> None:
    assert not fleet.play("drained", load_balancer_server="web1.example")
    assert "'web1.example' is not in backend 'app'" in fleet.output
    assert not fleet.play("drained", load_balancer_backends=["apps"])
    assert "'apps'" in fleet.output
    assert fleet.status() == ["UP", "UP"]
