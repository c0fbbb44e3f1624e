# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A canary gets its traffic back step by step, on a real fleet under traffic."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from conftest import Bed

RAMP = [1, 10, 50]
QUICK = {
    "gate_soak": 2,
    "gate_interval": 1,
    "rollout_stages": [{"gunicorn": "21.2.0"}],
    "rollout_ramp": RAMP,
    "rollout_ramp_soak": 3,
    "rollout_force": True,
}
OLD, NEW = "20.0.1", "21.2.0"
RATE = 40.0
# What a worker writes that is killed in the middle of a log line.
REENTRANT = """--- Logging error ---
Traceback (most recent call last):
  File "/usr/lib/python3.6/logging/__init__.py", line 998, in emit
    self.flush()
RuntimeError: reentrant call inside <_io.BufferedWriter name='<stderr>'>
Call stack:
  File "/srv/app/venv/bin/gunicorn", line 8, in <module>
    sys.exit(run())
Message: 'Worker exiting (pid: %s)'
Arguments: (7,)
"""


def upgrade(bed: Bed, *arguments: str, **inputs: object):
    return bed.playbook("upgrade.yml", *arguments, **{**QUICK, **inputs})


def weight(bed: Bed, host: str) -> int:
    return int(bed.fleet.admin.ask(f"get weight app/{host}").split()[0])


class Weights:
    """The weights that a server had in rotation, in order, as HAProxy tells them."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._over = threading.Event()
        self.seen: dict[str, list[int]] = {"web1": [], "web2": []}
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Weights:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.05):
            servers = self._bed.fleet.admin.look()
            for host, seen in self.seen.items():
                now = weight(self._bed, host)
                if servers[host].in_rotation and seen[-1:] != [now]:
                    seen.append(now)


def wait_for(bed: Bed, wanted: int) -> None:
    deadline = time.monotonic() + 120
    while weight(bed, "web1") != wanted:
        assert time.monotonic() < deadline, f"web1 never had the weight {wanted}"
        time.sleep(0.02)


def kill(run) -> None:
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()


def test_what_cannot_be_is_refused_and_nothing_is_touched(bed: Bed) -> None:
    before = bed.fingerprint()
    falls = upgrade(bed, rollout_ramp=[50, 10])
    assert falls.code == 2 and "must be larger than the one before" in falls.words, falls.text
    bed.fleet.admin.ask("set server app/web1 weight 40")
    taken = upgrade(bed)
    assert taken.code == 2, taken.text
    assert "somebody has set the weight of web1 to 40 of 100" in taken.words
    assert bed.fingerprint() == before
    assert weight(bed, "web1") == 40
    bed.fleet.admin.ask("set server app/web1 weight 100%")
    shown = upgrade(bed, "--check")
    assert "web1 comes back with 1 %, 10 %, 50 % and then all of its weight" in shown.words


@pytest.mark.usefixtures("traffic")
def test_what_fails_at_a_small_share_goes_back_and_gets_all_of_its_weight(bed: Bed) -> None:
    log = bed.fleet.root / "web1" / "app.log"
    with Weights(bed) as weights:
        run = bed.start("upgrade.yml", "-l", "web1", **{**QUICK, "rollout_ramp_soak": 20})
        wait_for(bed, 1)
        with log.open("a") as file:
            file.write(REENTRANT)
        ended = bed.ended(run)
    assert ended.code == 2, ended.text
    assert "as before, healthy and back in service" in ended.words
    assert bed.version("web1")["gunicorn"] == OLD
    # It never got more than its first share.
    assert weights.seen == {"web1": [100, 1, 100], "web2": [100]}


@pytest.mark.usefixtures("traffic")
def test_a_run_that_is_killed_in_the_ramp_leaves_the_share_and_is_finished(bed: Bed) -> None:
    run = bed.start("upgrade.yml", "-l", "web1", **{**QUICK, "rollout_ramp_soak": 20})
    wait_for(bed, 1)
    kill(run)
    assert bed.version("web1")["gunicorn"] == NEW
    assert weight(bed, "web1") == 1
    assert "lb1 UP 1 %" in bed.playbook("status.yml").text
    arbiter = bed.version("web1")["arbiter_pid"]

    with Weights(bed) as weights:
        again = upgrade(bed)
    assert again.code == 0, again.text
    # From its first step on, and nobody else before it has passed.
    assert weights.seen == {"web1": [1, 10, 50, 100], "web2": [100]}
    assert bed.version("web1")["arbiter_pid"] == arbiter
    assert bed.version("web2")["gunicorn"] == NEW


@pytest.mark.usefixtures("traffic")
def test_who_goes_back_comes_back_with_all_of_its_weight(bed: Bed) -> None:
    with Weights(bed) as weights:
        back = bed.playbook("rollback.yml", **QUICK)
    assert back.code == 0, back.text
    assert {host: bed.version(host)["gunicorn"] for host in ("web1", "web2")} == {
        "web1": OLD,
        "web2": OLD,
    }
    assert weights.seen == {"web1": [100], "web2": [100]}


def test_a_canary_that_does_worse_than_the_others_goes_back(
    bed: Bed, traffic: dict[str, int]
) -> None:
    """Even where so many errors are usual that no tolerance would have caught them."""
    traffic["failed"] = 200
    app = bed.home("web1") / "app.py"
    whole = app.read_text()
    app.write_text(
        whole
        + """

@app.before_request
def broken():
    import random
    new = gunicorn.__version__ == "21.2.0" and request.path != "/healthz"
    return ("worse", 500) if new and random.random() < 0.5 else None
"""
    )
    try:
        ended = upgrade(
            bed,
            "-l",
            "web1",
            rollout_ramp=[50],
            # On a busy machine a look takes seconds, and bursts are seen in some looks only.
            rollout_ramp_soak=20,
            rollout_error_budget=10000,
            rollout_error_budget_percent=100,
            gate_balancer_tolerance={"http_5xx": 10000, "connection_errors": 0},
        )
    finally:
        app.write_text(whole)
    assert ended.code == 2, ended.text
    assert "web2 beside it" in ended.words or "of its last" in ended.words, ended.text
    assert "as before, healthy and back in service" in ended.words
    assert bed.version("web1")["gunicorn"] == OLD
    assert weight(bed, "web1") == 100
