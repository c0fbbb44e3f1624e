# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lease on a server that was taken out of a real nginx."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from balancer_support import App, Request, get, until
from nginx_support import Bed, Load, apps, needs_nginx

pytestmark = needs_nginx
LONG = 600.0


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    with apps("web1", "web2") as servers:
        made = Bed(tmp_path, servers)
        made.nginx.site("app", made.at1, made.at2)
        try:
            made.nginx.start()
            yield made
        finally:
            for pid in watchers(made):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            made.nginx.stop()


def watchers(bed: Bed) -> list[int]:
    found = [json.loads(file.read_text()) for file in bed.leases.glob("*.json")]
    return [each["pid"] for each in found]


def story(bed: Bed) -> str:
    log = bed.leases / "lease.log"
    return log.read_text() if log.exists() else ""


def file(bed: Bed) -> Path:
    return bed.nginx.root / "available/app"


def test_a_server_comes_back_when_everybody_is_gone(bed: Bed) -> None:
    before = file(bed).read_text()
    lease = bed.do(lease=12)["lease"]
    assert 0 < lease["seconds_left"] <= 12
    assert " down;" in file(bed).read_text()
    assert bed.info()["lease"]["pid"] == lease["pid"]
    until(lambda: file(bed).read_text() == before, "it is put back")
    until(lambda: not watchers(bed), "the watcher ends")
    assert "the lease ended: app: was in maint, restored and UP" in story(bed)
    assert bed.status() == "UP"
    assert {get(bed.nginx.ports["app"]) for _turn in range(6)} == {"200 web1", "200 web2"}


def test_a_run_that_is_killed_in_the_middle_of_a_drain_loses_nothing(bed: Bed) -> None:
    before = file(bed).read_text()
    with Load(bed.nginx.ports["app"]) as load:
        slow = [Request(bed.nginx.ports["app"], "/slow") for _turn in range(4)]
        time.sleep(0.5)
        run = bed.begin(lease=3)
        until(lambda: " down;" in file(bed).read_text(), "it is out")
        assert watchers(bed), "the watcher is there before the drain is"
        os.kill(run._process.pid, signal.SIGKILL)
        until(lambda: file(bed).read_text() == before, "it is put back")
        bed.web1.let_go.set()
        bed.web2.let_go.set()
        until(lambda: not watchers(bed), "the watcher ends")
    assert load.lost == []
    assert "200 web1" in {each.result() for each in slow}


def test_ready_cancels_it(bed: Bed) -> None:
    bed.do(lease=LONG)
    assert watchers(bed)
    assert bed.do("ready")["lease"] is None
    assert not watchers(bed)


def test_what_does_not_answer_is_not_put_back_yet(bed: Bed) -> None:
    before = file(bed).read_text()
    bed.do(lease=1)
    bed.web1.stop()
    until(lambda: "it cannot be restored yet" in story(bed), "it is told")
    assert " down;" in file(bed).read_text()
    bed.web1.start()
    until(lambda: file(bed).read_text() == before, "it is put back once it answers")


def test_a_file_that_somebody_rewrites_is_marked_again_and_not_for_ever(bed: Bed) -> None:
    before = file(bed).read_text()
    bed.do(lease=LONG)
    for turn in range(2):
        file(bed).write_text(before + f"# {turn}\n")
        bed.nginx.reload()
        until(lambda: " down;" in file(bed).read_text(), "it is out again")
        until(lambda: bed.status() == "MAINT", "and that runs")
        assert f"# {turn}" in file(bed).read_text()
    assert "nginx' files were rewritten without the drain: app: maint again" in story(bed)
    assert "is taken for an operator" in story(bed)
    file(bed).write_text(before)
    bed.nginx.reload()
    time.sleep(2)
    assert file(bed).read_text() == before, "who insists is an operator, and right"
    assert bed.status() == "UP"


def test_nginx_that_is_started_anew_still_has_it_out(bed: Bed) -> None:
    bed.do(lease=LONG)
    bed.nginx.stop()
    bed.nginx.start()
    assert bed.status() == "MAINT"
    assert bed.do()["changed"] is False
    bed.do("ready")
    assert bed.status() == "UP"


def test_two_servers_at_once_never_take_out_more_than_may_be(bed: Bed) -> None:
    runs = [bed.begin(server=each) for each in (bed.at1, bed.at2)]
    results = [run.result() for run in runs]
    assert sorted(bool(each.get("failed")) for each in results) == [False, True]


def test_two_of_three_go_at_once_and_come_back(bed: Bed) -> None:
    """Each reload of the one is a new generation for the other, and a file that was changed."""
    third = App("web3")
    bed.nginx.site("app", bed.at1, bed.at2, f"127.0.0.1:{third.port}")
    bed.nginx.reload()
    before = file(bed).read_text()
    with Load(bed.nginx.ports["app"]) as load:
        for state in ("drained", "ready"):
            runs = [
                bed.begin(state, server=each, lease=LONG if state == "drained" else 0)
                for each in (bed.at1, bed.at2)
            ]
            results = [run.result() for run in runs]
            assert not [each["msg"] for each in results if each.get("failed")]
            notes = [note for each in results for note in each["notes"]]
            assert not [note for note in notes if "rewrote" in note]
            if state == "drained":
                assert file(bed).read_text().count(" down;") == 2
                assert {get(bed.nginx.ports["app"]) for _turn in range(6)} == {"200 web3"}
    assert load.lost == []
    assert file(bed).read_text() == before and not watchers(bed)
    third.stop()
