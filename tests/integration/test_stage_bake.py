"""A stage bakes on a real fleet, over invocations of two operators, with -l and without."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Bed, Run
from test_check import REENTRANT

OLD, FIRST, LAST = "20.0.1", "21.2.0", "23.0.0"
STORY = "fleetops.gunicorn.story"


class Operator:
    """Somebody who upgrades; ``bake`` is that of the first of two stages."""

    def __init__(self, bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bed, self._monkeypatch = bed, monkeypatch

    def start(self, name: str, bake: str, *arguments: str, **inputs: Any) -> subprocess.Popen[str]:
        for variable in ("LOGNAME", "SUDO_USER"):
            self._monkeypatch.setenv(variable, name)
        stages = [{"gunicorn": FIRST, "bake": bake}, {"gunicorn": LAST, "python": "3.11"}]
        quick = {"gate_soak": 1, "gate_interval": 1, "rollout_stages": stages}
        return self.bed.start("upgrade.yml", *arguments, callback=STORY, **{**quick, **inputs})

    def upgrade(self, name: str, bake: str, *arguments: str, **inputs: Any) -> Run:
        return self.bed.ended(self.start(name, bake, *arguments, **inputs))


@pytest.fixture
def operator(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> Operator:
    return Operator(bed, monkeypatch)


def versions(bed: Bed) -> list[str]:
    return [bed.version(host)["gunicorn"] for host in ("web1", "web2")]


def kept(bed: Bed) -> dict[str, bytes]:
    """What the balancer's host keeps of the fleet."""
    locks = bed.fleet.root / "lb1/locks"
    return {path.name: path.read_bytes() for path in locks.glob("app.*") if path.is_file()}


def runs(bed: Bed, wanted: list[str]) -> bool:
    with contextlib.suppress(OSError, TypeError):
        return versions(bed) == wanted
    return False


def wait_for(what: Callable[[], bool], patience: float = 900) -> None:
    deadline = time.monotonic() + patience
    while not what():
        assert time.monotonic() < deadline, f"not within {patience:g} s"
        time.sleep(0.1)


def restart(bed: Bed, host: str) -> None:
    arbiter = bed.version(host)["arbiter_pid"]
    os.kill(arbiter, signal.SIGTERM)

    def is_another() -> bool:
        with contextlib.suppress(OSError, TypeError):
            return bed.version(host)["arbiter_pid"] != arbiter
        return False

    wait_for(is_another)


def on_the_stage(bed: Bed, operator: Operator) -> None:
    """Where an earlier test has not brought it there."""
    if versions(bed) == [OLD, OLD]:
        took = operator.upgrade("ada", "9h")
        assert took.code == 0, took.text
    assert versions(bed)[0] == FIRST


def test_the_next_stage_begins_nowhere_before_every_server_has_run_this_one_long_enough(
    bed: Bed, operator: Operator
) -> None:
    # One server: the stage, and no further, however short the bake.
    took = operator.upgrade("ada", "1s", "-l", "web1")
    assert took.code == 0, took.text
    assert versions(bed) == [FIRST, OLD]
    assert "stage 1 of 2 is on web1; stage 2 begins on no server before" in took.words
    assert "web2, outside of this run, is not known to run it" in took.words

    # The others.
    took = operator.upgrade("ada", "1h")
    assert took.code == 0, took.text
    assert versions(bed) == [FIRST, FIRST]
    last = took.text.strip().splitlines()[-1]
    assert last.startswith("Done so far: stage 1 of 2 is on every server; stage 2 not before "), (
        last
    )
    assert " UTC: run the same command then" in last

    # Too early: nothing is touched, not even the record.
    before, record = bed.fingerprint(), kept(bed)
    early = operator.upgrade("ben", "1h")
    assert early.code == 0, early.text
    assert "of 1 h: " in early.words and " more)" in early.words
    shown = operator.upgrade("ben", "1h", "--check", "--diff")
    assert shown.code == 0, shown.text
    assert "Bake of stage 1: every server of the fleet runs it for 1 h, of which" in shown.words
    assert (bed.fingerprint(), kept(bed)) == (before, record)
    table = bed.playbook(
        "status.yml",
        rollout_stages=[{"gunicorn": FIRST, "bake": "1h"}, {"gunicorn": LAST, "python": "3.11"}],
    )
    assert f"stage 1 of 2 (gunicorn {FIRST}) bakes until " in table.words, table.text

    # A restart begins the time of that server anew.
    young = bed.version("web1")["arbiter_pid"]
    began = time.monotonic()
    time.sleep(20)
    restart(bed, "web2")
    enough = int(time.monotonic() - began)
    refused = operator.upgrade("ben", f"{enough + 600}s")
    assert refused.code == 0, refused.text
    assert "web2 has run it for" in refused.words
    assert versions(bed) == [FIRST, FIRST]
    assert bed.version("web1")["arbiter_pid"] == young


def test_a_limited_run_goes_on_when_the_others_were_seen_to_have_baked(
    bed: Bed, operator: Operator
) -> None:
    on_the_stage(bed, operator)
    before = bed.fingerprint()
    held = operator.upgrade("ada", "1s", "-l", "web1")
    assert held.code == 0, held.text
    assert "web2, outside of this run, has not been seen to bake" in held.words
    assert bed.fingerprint() == before
    assert set(bed.record()["bakes"]) == {"web1"}
    # Now both are known to have baked; it is begun where the run may go, and nowhere else.
    took = operator.upgrade("ada", "1s", "-l", "web2")
    assert took.code == 0, took.text
    assert versions(bed) == [FIRST, LAST]


def test_what_fell_ill_while_it_baked_stops_it_and_another_person_may_take_it_on(
    bed: Bed, operator: Operator
) -> None:
    on_the_stage(bed, operator)
    with (bed.fleet.root / "web1/app.log").open("a") as log:
        log.write(REENTRANT)
    before = bed.fingerprint()
    ill = operator.upgrade("ada", "1s")
    assert ill.code == 2, ill.text
    assert "fell ill while it baked: web1: fail: log dirty" in ill.words
    assert "ansible-playbook rollback.yml -l web1" in ill.words
    assert ill.text.strip().splitlines()[-1].startswith("F-ILL: "), ill.text
    early = operator.upgrade("ada", "9h")
    assert early.code == 2 and "fell ill while it baked" in early.words, early.text

    mine = {"rollout_promote": True, "rollout_reason": "provoked", "rollout_second_person": True}
    refused = operator.upgrade("ada", "1s", **mine)
    assert refused.code == 2, refused.text
    assert "rollout_second_person is true, and ada may not promote" in refused.words
    assert bed.fingerprint() == before

    promoted = operator.upgrade("ben", "9h", **mine)
    assert promoted.code == 0, promoted.text
    assert "promoted all the same: web1: fail: log dirty" in promoted.words
    assert versions(bed) == [LAST, LAST]
    run = bed.record()["run"]
    assert (run["overrides"], run["owner"], run["status"]) == (["rollout_promote"], "ben", "done")


def test_a_run_waits_in_place_and_whoever_ends_it_has_lost_nothing(
    bed: Bed, operator: Operator
) -> None:
    if versions(bed) != [OLD, OLD]:
        back = bed.playbook("rollback.yml", rollout_release="first", gate_soak=1, gate_interval=1)
        assert back.code == 0, back.text
    assert versions(bed) == [OLD, OLD]
    asked = {"rollout_wait": True, "rollout_force": True}
    began = time.monotonic()
    run = operator.start("ada", "1h", **asked)
    wait_for(lambda: runs(bed, [FIRST, FIRST]) and bed.record()["run"]["status"] == "done")
    wait_for(lambda: not (bed.fleet.root / "lb1/locks/app.lock").exists(), 30)
    # Longer than the next run takes to come to the wait: it has nothing to build for this stage.
    enough = int(time.monotonic() - began)
    os.killpg(run.pid, signal.SIGINT)
    ended = bed.ended(run)
    assert ended.code != 0
    assert bed.record()["run"]["status"] == "done"

    restart(bed, "web2")
    waited = operator.upgrade("ben", f"{enough}s", **asked)
    assert waited.code == 0, waited.text
    assert versions(bed) == [LAST, LAST]
    assert "It has baked, and nothing speaks against it." in waited.words
