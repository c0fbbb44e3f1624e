# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real playbooks over a web and a worker on each server, under load."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from demo import fleet as fleets
from tests.integration.programs_support import LOOP

RATE = 20
SERVERS = ("web1", "web2")
STAGES = [{"gunicorn": "21.2.0"}]
QUICK = {"gate_soak": 2, "gate_interval": 1, "rollout_stages": STAGES}
BOTH = {**QUICK, "app_programs": ["worker"], "service_programs_stable_for": 3}
SECTION = """
[program:worker]
command={home}/venv/bin/python -m loop worker
directory={home}
environment=WARM="{warm}"
stderr_logfile={log}
startsecs=1
stopwaitsecs=30
"""


@pytest.fixture(scope="module")
def workers(bed: Any) -> Any:
    """The fleet, with a worker beside each gunicorn."""
    for name in SERVERS:
        host = bed.fleet.hosts[name]
        (host.app_home / "loop.py").write_text(LOOP)
        section = SECTION.format(
            home=host.app_home, log=host.home / "worker.log", warm="3" if name == "web2" else "0"
        )
        with (host.home / "supervisord.conf").open("a") as file:
            file.write(section)
        fleets.supervisorctl(host, "update")
    deadline = time.monotonic() + 30
    while not all(said(bed, name) for name in SERVERS):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return bed


def said(bed: Any, name: str) -> list[dict[str, Any]]:
    path = bed.home(name) / "loop.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def running(bed: Any, name: str) -> str:
    """The gunicorn of the release that the worker, which must run, was started from."""
    last = said(bed, name)[-1]
    assert last["what"] == "begin", last
    os.kill(last["pid"], 0)
    return str(last["gunicorn"])


def both(bed: Any, name: str) -> tuple[str, str]:
    return str(bed.version(name)["gunicorn"]), running(bed, name)


def test_the_plan_tells_of_them(workers: Any) -> None:
    run = workers.playbook("upgrade.yml", "--check", **BOTH)
    assert run.code == 0, run.text[-4000:]
    assert (
        "Programs of web1, web2, started in this order with each release: app, worker" in run.words
    )
    run = workers.playbook("upgrade.yml", "--check", "-l", "web1", **QUICK)
    assert "Beside it on web1: Program worker:worker runs from the same" in run.words
    assert "Name it in app_programs" in run.words
    run = workers.playbook("upgrade.yml", "--check", **{**BOTH, "app_programs": ["nosuch"]})
    assert run.code != 0 and "app_programs names 'nosuch'" in run.words


def test_a_worker_that_dies_right_after_its_start_sends_the_server_back(workers: Any) -> None:
    trouble = workers.home("web1") / "trouble-worker-21.2.0"
    trouble.write_text("2")
    other = workers.version("web2")["arbiter_pid"]
    run = workers.playbook("upgrade.yml", **BOTH)
    trouble.unlink()
    assert run.code != 0 and "worker:worker" in run.words, run.text[-4000:]
    assert "as before, healthy and back" in run.words, run.text[-4000:]
    assert both(workers, "web1") == ("20.0.1", "20.0.1")
    assert workers.version("web2")["arbiter_pid"] == other
    told = workers.playbook("check.yml", "-l", "web1", **BOTH)
    assert told.code == 0, told.text[-3000:]


def test_a_run_that_is_killed_while_a_worker_ends_is_finished_by_the_next(
    workers: Any, traffic: dict[str, int]
) -> None:
    run = workers.start("upgrade.yml", "-l", "web2", **{**BOTH, "rollout_force": True})
    pid = said(workers, "web2")[-1]["pid"]
    deadline = time.monotonic() + 240
    while not _stopping(workers, "web2"):
        assert run.poll() is None and time.monotonic() < deadline, run.communicate()[0][-3000:]
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    # Its module has a session of its own, and would go on.
    for each in _modules(workers):
        os.kill(each, signal.SIGKILL)
    run.communicate()
    while said(workers, "web2")[-1]["what"] != "end":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert said(workers, "web2")[-1]["pid"] == pid
    told = workers.playbook("status.yml", **BOTH)
    assert "worker:worker" in told.words, told.text[-3000:]
    assert workers.version("web2")["gunicorn"] == "20.0.1"
    assert workers.playbook("check.yml", "-l", "web2", **BOTH).code == 2
    again = workers.playbook("upgrade.yml", "-l", "web2", **{**BOTH, "rollout_force": True})
    assert again.code == 0, again.text[-6000:]
    assert both(workers, "web2") == ("21.2.0", "21.2.0")
    back = workers.playbook("rollback.yml", "-l", "web2", **BOTH)
    assert back.code == 0, back.text[-6000:]
    assert both(workers, "web2") == ("20.0.1", "20.0.1")


def _modules(bed: Any) -> list[int]:
    """The processes of the module that switches, of this fleet alone."""
    mine = f"DEMO_ROOT={bed.fleet.root}".encode()
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            place = Path("/proc") / pid
            ours = mine in (place / "environ").read_bytes().split(b"\0")
            if ours and b"active_release" in (place / "cmdline").read_bytes():
                found.append(int(pid))
    assert found, "no module is at work"
    return found


def _stopping(bed: Any, name: str) -> bool:
    return "STOPPING" in fleets.program_states(bed.fleet.hosts[name])


def test_an_upgrade_and_the_way_back_of_both_lose_nothing(
    workers: Any, traffic: dict[str, int]
) -> None:
    begun = {name: len(said(workers, name)) for name in SERVERS}
    whole = {**BOTH, "rollout_force": True}
    whole["rollout_stages"] = workers.state["stages"]
    run = workers.playbook("upgrade.yml", **whole)
    assert run.code == 0, run.text[-6000:]
    for name in SERVERS:
        assert both(workers, name) == ("23.0.0", "23.0.0")
        ends = [each for each in said(workers, name)[begun[name] :] if each["what"] == "end"]
        # Each was stopped while the link still led to what it ran from, or was no link yet.
        assert [each["gunicorn"] for each in ends] == ["20.0.1", "21.2.0"], ends
        assert all(each["gunicorn"] in each["link"] or each["link"] == "venv" for each in ends)
    again = workers.playbook("upgrade.yml", **whole)
    assert again.code == 0 and re.search(r"web1 .* changed=0 ", again.text), again.text[-3000:]
    told = workers.playbook("check.yml", **whole)
    assert told.code == 0, told.text[-3000:]
    back = workers.playbook("rollback.yml", **whole)
    assert back.code == 0, back.text[-6000:]
    for name in SERVERS:
        assert both(workers, name) == ("21.2.0", "21.2.0")
