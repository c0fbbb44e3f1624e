# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role load_balancer with two real nginx before the same servers: what test_load_balancer_role
proves of HAProxy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from balancer_support import App, Request, until
from nginx_support import Nginx, needs_nginx
from test_load_balancer_role import Fleet

pytestmark = needs_nginx


class Front(Nginx):
    """An nginx in the words of the role's tests."""

    def __init__(self, root: Path, addresses: list[str]) -> None:
        super().__init__(root)
        self.file = self.site("app", *addresses)
        self.before = self.file.read_text()
        self.start()

    def socket(self) -> str:
        return "/nonexistent"

    def status(self, _server: str) -> str:
        return "UP" if self.file.read_text() == self.before else "MAINT"


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    servers = [App("web1"), App("web2")]
    addresses = [f"127.0.0.1:{app.port}" for app in servers]
    fronts: list[Any] = []
    try:
        for number in (1, 2):
            (tmp_path / str(number)).mkdir()
            fronts.append(Front(tmp_path / str(number), addresses))
        made = Fleet(tmp_path, fronts, servers)
        inventory = made.inventory["all"]
        inventory["vars"]["load_balancer_provider"] = "nginx"
        inventory["vars"]["load_balancer_nginx_probe"] = "/"
        for number, front in enumerate(fronts, 1):
            host = inventory["children"]["lb"]["hosts"][f"lb{number}"]
            host["load_balancer_nginx_conf"] = str(front.conf)
        for name, address in zip(("web1", "web2"), addresses, strict=True):
            inventory["children"]["web"]["hosts"][name]["load_balancer_server"] = address
        yield made
    finally:
        for app in servers:
            app.let_go.set()
        for front in fronts:
            front.stop()
        for app in servers:
            app.stop()


def test_out_of_every_balancer_and_back(fleet: Fleet) -> None:
    assert fleet.play("info"), fleet.output
    assert [result["item"] for result in fleet.results()] == ["lb1", "lb2"]
    assert [result["servers"][0]["status"] for result in fleet.results()] == ["UP", "UP"]

    assert fleet.play("drained", "--check"), fleet.output
    assert fleet.status() == ["UP", "UP"]

    assert fleet.play("drained"), fleet.output
    assert fleet.status() == ["MAINT", "MAINT"]
    assert all(result["drained_at"] for result in fleet.results())
    assert all(result["lease"]["seconds_left"] > 60 for result in fleet.results())

    assert fleet.play("drained"), fleet.output
    assert not any(result["changed"] for result in fleet.results())

    assert fleet.play("ready"), fleet.output
    assert fleet.status() == ["UP", "UP"]
    assert all(result["up_at"] >= result["ready_at"] for result in fleet.results())


def test_every_balancer_is_asked_before_the_first_is_changed(fleet: Fleet) -> None:
    second: Any = fleet.balancers[1]
    address = fleet.inventory["all"]["children"]["web"]["hosts"]["web2"]["load_balancer_server"]
    second.before = second.before.replace(f"server {address};", f"server {address} down;")
    second.file.write_text(second.before)
    second.reload()
    assert not fleet.play("drained")
    assert "down or backups" in fleet.output
    assert fleet.status() == ["UP", "UP"]


def test_a_failure_on_the_second_balancer_restores_the_first(fleet: Fleet) -> None:
    second: Any = fleet.balancers[1]
    slow = [Request(second.ports["app"], "/slow") for _turn in range(4)]
    time.sleep(0.5)
    play = fleet.start("drained", load_balancer_drain_timeout=1)
    until(lambda: fleet.status()[0] == "MAINT", "the first is out", 60)
    assert not fleet.finish(play)
    assert fleet.status() == ["UP", "UP"]
    words = " ".join(fleet.output.split())
    assert "was not drained." in words and "Back in rotation on lb1" in words
    assert "connection(s) from nginx after 1 s" in words
    for app in fleet.apps:
        app.let_go.set()
    assert {each.result() for each in slow} <= {"200 web1", "200 web2"}


def test_an_unreachable_balancer_leaves_nothing_drained(fleet: Fleet) -> None:
    hosts = fleet.inventory["all"]["children"]["lb"]["hosts"]
    hosts["lb2"].update(ansible_connection="flaky")
    fleet.lost.touch()
    assert not fleet.play("drained")
    assert fleet.status() == ["UP", "UP"]
