"""A canary bakes on a real fleet under traffic, over several invocations."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time

import pytest
from conftest import Bed

STAGES = [{"gunicorn": "21.2.0"}]
QUICK = {"gate_soak": 1, "gate_interval": 1, "rollout_stages": STAGES}
OLD, NEW = "20.0.1", "21.2.0"
# So little that the canary's judge cannot tell.
RATE = 4.0


def upgrade(bed: Bed, *arguments: str, **inputs: object):
    return bed.playbook("upgrade.yml", *arguments, **{**QUICK, "rollout_bake": "1h", **inputs})


def versions(bed: Bed) -> dict[str, str]:
    return {host: bed.version(host)["gunicorn"] for host in ("web1", "web2")}


@pytest.mark.usefixtures("traffic")
def test_others_follow_a_canary_when_it_has_baked_and_not_before(bed: Bed) -> None:
    before = bed.fingerprint()

    # Everybody at once, without a canary.
    refused = upgrade(bed)
    assert refused.code == 2, refused.text
    assert "take a canary of at most 1 first, such as -l web1" in refused.words
    assert bed.fingerprint() == before

    # The canary.
    took = upgrade(bed, "-l", "web1")
    assert took.code == 0, took.text
    assert "web1 is the canary of plan" in took.words
    assert versions(bed) == {"web1": NEW, "web2": OLD}
    canary = bed.version("web1")["arbiter_pid"]
    record = bed.record()
    assert record["hosts"]["web1"]["plan"] == record["run"]["plan"] != ""
    looks = json.loads((bed.fleet.root / "lb1/locks/app.looks.json").read_text())["looks"]
    assert looks["web1"]["seen"]["balancers"]

    # The others, too early; the plan may be looked at.
    before = bed.fingerprint()
    refused = upgrade(bed, rollout_canary="no_fail")
    assert refused.code == 2, refused.text
    assert "is not baked (rollout_bake is 1 h); web2 may not follow yet: web1 has run for" in (
        refused.words
    ), refused.text
    shown = upgrade(bed, "--check", "--diff")
    assert shown.code == 0, shown.text
    assert "web2 may not follow yet" in shown.words
    # Without the canary in the run, nobody can judge it.
    alone = upgrade(bed, "-l", "web2")
    assert alone.code == 2 and "the canary of this plan is web1" in alone.words, alone.text
    # A promotion is a decision, and needs a reason.
    silent = upgrade(bed, rollout_promote=True)
    assert silent.code == 2 and "rollout_reason is empty" in silent.words, silent.text
    assert bed.fingerprint() == before

    # Another plan needs a canary of its own.
    other = upgrade(bed, rollout_stages=[*STAGES, {"gunicorn": "23.0.0", "python": "3.11"}])
    assert other.code == 2, other.text
    assert "take a canary of at most 1 first" in other.words

    # So little traffic cannot rule out half a percent of errors; whether that matters is a choice.
    asked = upgrade(bed, rollout_bake="1s")
    assert asked.code == 2, asked.text
    assert "beside the servers that are not yet upgraded: inconclusive" in asked.words
    assert bed.fingerprint() == before
    assert bed.version("web1")["arbiter_pid"] == canary

    followed = upgrade(bed, rollout_bake="1s", rollout_canary="no_fail")
    assert followed.code == 0, followed.text
    assert "web1 has run plan" in followed.words
    assert versions(bed) == {"web1": NEW, "web2": NEW}
    assert bed.version("web1")["arbiter_pid"] == canary

    again = upgrade(bed)
    assert again.code == 0, again.text


def test_nobody_follows_a_canary_that_is_ill_or_began_anew_unless_somebody_takes_it_on(
    bed: Bed, traffic: dict[str, int]
) -> None:
    # What the arbiter and the worker that this test kills had in hand.
    traffic["failed"] = 4
    back = bed.playbook("rollback.yml", **QUICK)
    assert back.code == 0, back.text
    took = upgrade(bed, "-l", "web1", rollout_force=True)
    assert took.code == 0, took.text
    # Somebody restarts it: its time begins anew.
    began = time.monotonic()
    arbiter = bed.version("web1")["arbiter_pid"]
    time.sleep(30)
    os.kill(arbiter, signal.SIGTERM)
    wait_for_another(bed, arbiter)
    enough = int(time.monotonic() - began)
    time.sleep(1)
    refused = upgrade(bed, rollout_bake=f"{enough}s", rollout_canary="nothing", rollout_force=True)
    assert refused.code == 2, refused.text
    assert "web1 has run for" in refused.words
    # A worker is killed: that speaks against it, however long it has run.
    os.kill(bed.version("web1")["worker_pid"], signal.SIGKILL)
    refused = upgrade(bed, rollout_bake="1s", rollout_canary="nothing", rollout_force=True)
    assert refused.code == 2, refused.text
    assert "web1: fail:" in refused.words
    assert versions(bed) == {"web1": NEW, "web2": OLD}

    promoted = upgrade(
        bed, rollout_promote=True, rollout_reason="killed by hand", rollout_force=True
    )
    assert promoted.code == 0, promoted.text
    assert "promoted all the same: web1: fail:" in promoted.words
    assert versions(bed) == {"web1": NEW, "web2": NEW}
    run = bed.record()["run"]
    assert "rollout_promote" in run["overrides"]
    assert run["reason"] == "killed by hand"


def wait_for_another(bed: Bed, arbiter: int) -> None:
    for _each in range(200):
        with contextlib.suppress(OSError, TypeError):
            if bed.version("web1")["arbiter_pid"] != arbiter:
                return
        time.sleep(0.1)
    raise AssertionError("web1 did not come back")
