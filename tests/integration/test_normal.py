# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real fleet whose application answers 500 to some requests on every server, as many do.

``make normal RUNS=10`` runs each of both kinds ten times; without, each is run twice.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from conftest import Bed

from demo import fleet as fleets

OLD, NEW = "20.0.1", "21.2.0"
RATE = 40.0
RUNS = int(os.environ.get("NORMAL_RUNS", "2"))
QUICK = {
    "gate_soak": 20,
    "gate_interval": 2,
    "rollout_stages": [{"gunicorn": NEW}],
    "rollout_force": True,
    # Whatever users see: here the gate alone is to decide.
    "rollout_error_budget": 100000,
    "rollout_error_budget_percent": 100,
}
# Of what users ask for: health checks that fail count as a server that is going down.
SOMETIMES = """

@app.before_request
def sometimes():
    import random
    share = {new} if gunicorn.__version__ == "21.2.0" else {old}
    return ("our own", 500) if request.path in ("/", "/slow") and random.random() < share else None
"""


@contextmanager
def failing(bed: Bed, old: float, new: float) -> Iterator[None]:
    """Shares of 500 on the old release and on the new one, of every server."""
    whole = {host: (bed.home(host) / "app.py").read_text() for host in ("web1", "web2")}
    try:
        for host, text in whole.items():
            (bed.home(host) / "app.py").write_text(text + SOMETIMES.format(old=old, new=new))
            reload(bed, host)
        yield
    finally:
        for host, text in whole.items():
            (bed.home(host) / "app.py").write_text(text)
            reload(bed, host)


def reload(bed: Bed, host: str) -> None:
    """Have the workers of a server read its application anew."""
    before = bed.version(host)
    os.kill(before["arbiter_pid"], signal.SIGHUP)
    deadline = time.monotonic() + 180
    # Each request may meet either of two workers.
    left, seen = {before["worker_pid"]}, 0
    while seen < 10:
        assert time.monotonic() < deadline, f"{host} did not reload"
        told = bed.version(host)
        seen = seen + 1 if told and told["worker_pid"] not in left else 0
        time.sleep(0.2)


@contextmanager
def users(bed: Bed) -> Iterator[dict[str, int]]:
    """Traffic; what came of it is told at its end."""
    client = fleets.start_traffic(bed.fleet, 1800, RATE)
    fleets.wait_for_traffic(bed.fleet)
    told: dict[str, int] = {}
    try:
        yield told
    finally:
        summary = fleets.stop_traffic(client, bed.fleet)
        own = int(summary["errors"].get("500", 0))
        told.update(sent=summary["sent"], own=own, lost=summary["failed"] - own)
        told["errors"] = summary["errors"]


def on(bed: Bed) -> dict[str, str]:
    return {host: bed.version(host)["gunicorn"] for host in ("web1", "web2")}


@pytest.mark.parametrize("run", range(RUNS))
def test_a_release_that_fails_more_often_is_taken_back_in_the_soak(bed: Bed, run: int) -> None:
    with failing(bed, 0.01, 0.10), users(bed) as told:
        ended = bed.playbook("upgrade.yml", "-l", "web1", **QUICK)
    assert ended.code == 2, ended.text
    assert "as before, healthy and back in service" in ended.words, ended.text
    assert "answers 5xx" in ended.words and "web2 beside it" in ended.words, ended.text
    assert on(bed) == {"web1": OLD, "web2": OLD}
    assert told["lost"] == 0, told
    [bad] = [name for name, mark in bed.record()["marks"].items() if mark["mark"] == "bad"]
    assert bad.startswith(NEW)


@pytest.mark.parametrize("run", range(RUNS))
def test_a_release_that_fails_as_often_as_ever_passes_everywhere(bed: Bed, run: int) -> None:
    with failing(bed, 0.01, 0.01), users(bed) as told:
        ended = bed.playbook("upgrade.yml", **QUICK)
        assert ended.code == 0, ended.text
        assert on(bed) == {"web1": NEW, "web2": NEW}
    assert told["own"] > 0 and told["lost"] == 0, told
    # What was compared with what: the first with the other, the last with itself and the first.
    assert "web2 beside it" in ended.words, ended.text
    assert "web1, passed before," in ended.words and "before its drain" in ended.words, ended.text
    back = bed.playbook("rollback.yml", **QUICK)
    assert back.code == 0, back.text
    assert on(bed) == {"web1": OLD, "web2": OLD}


# Workers retire after some requests, each at its own time; a helper that the master spawns ends
# with an exit code, which 21 to 26.0 call a worker's.
RECYCLED = """
import os
import time

max_requests = 80
max_requests_jitter = 40


def when_ready(server):
    if os.fork() == 0:
        time.sleep(3)
        os._exit(1)
"""


@contextmanager
def recycled(bed: Bed, workers: str) -> Iterator[None]:
    """Both servers with workers that retire, as many and of the kind that ``workers`` says."""
    hosts = [bed.fleet.hosts[name] for name in ("web1", "web2")]
    whole = {host: (host.home / "supervisord.conf").read_text() for host in hosts}
    try:
        for host in hosts:
            (host.app_home / "gunicorn.conf.py").write_text(RECYCLED)
            command = whole[host].replace("--workers 2 --threads 16", workers)
            (host.home / "supervisord.conf").write_text(command)
            restart(bed, host)
        yield
    finally:
        for host, text in whole.items():
            (host.app_home / "gunicorn.conf.py").unlink()
            (host.home / "supervisord.conf").write_text(text)
            restart(bed, host)


def restart(bed: Bed, host: fleets.Host) -> None:
    """Have supervisord read its file anew."""
    for verb in ("update", "restart"):
        fleets.supervisorctl(host, verb, "app")
    fleets.wait_until_serving(bed.fleet)


def assert_recycled(bed: Bed) -> None:
    log = (bed.fleet.root / "web1" / "app.log").read_text()
    assert log.count("Booting worker") > 6 and "exited with code 1" in log, log[-2000:]


def test_recycled_workers_and_a_helper_of_the_master_are_no_incident(bed: Bed) -> None:
    with recycled(bed, "--workers 8"), users(bed):
        ended = bed.playbook("upgrade.yml", "-l", "web1", **QUICK)
    assert_recycled(bed)
    assert ended.code == 0, ended.text
    assert bed.version("web1")["gunicorn"] == NEW
    back = bed.playbook("rollback.yml", "-l", "web1", **QUICK)
    assert back.code == 0, back.text


def test_recycled_workers_that_cut_connections_are_told_and_taken_back(bed: Bed) -> None:
    """With threads, 21.0 to 23.0 do (gunicorn #3038) and 20.0.1 beside it does not."""
    with recycled(bed, "--workers 2 --threads 16"), users(bed):
        plan = bed.playbook("upgrade.yml", "--check", "-l", "web1", **QUICK)
        ended = bed.playbook("upgrade.yml", "-l", "web1", **QUICK)
    assert_recycled(bed)
    assert "drops connections that a worker has accepted" in plan.words, plan.text
    assert ended.code == 2, ended.text
    assert "connection errors" in ended.words and "web2 beside it" in ended.words, ended.text
    assert on(bed) == {"web1": OLD, "web2": OLD}
