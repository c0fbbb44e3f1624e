"""The real playbooks on a real fleet: a canary, a failing gate, the way back, a lost host."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.rotation import Observer


@pytest.fixture
def seen(bed):
    """What HAProxy showed of the servers during a test."""
    with Observer(bed.fleet.admin, ("web1", "web2"), lambda host: None) as observer:
        yield observer


def wait_for(what: Callable[[], object], patience: float = 900) -> None:
    deadline = time.monotonic() + patience
    while not what():
        assert time.monotonic() < deadline, f"not within {patience:g} s"
        time.sleep(0.05)


def running(bed, host: str) -> tuple[str, str]:
    version = bed.version(host)
    return version["gunicorn"], ".".join(version["python"].split(".")[:2])


def drains(run) -> int:
    return len(re.findall(r"TASK \[.*Drain on every balancer", run.text))


def test_a_host_that_cannot_be_reached_stops_the_run_before_any_drain(bed, seen, tmp_path):
    extra = tmp_path / "lost.yml"
    extra.write_text(
        "web: {hosts: {web2: {ansible_connection: ssh, ansible_host: 127.0.0.1,"
        " ansible_port: 1}}}\n"
    )
    before = bed.fingerprint()
    run = bed.playbook("upgrade.yml", "-i", "inventories/demo", "-i", str(extra))
    assert run.code != 0
    assert "UNREACHABLE" in run.text
    assert bed.fingerprint() == before
    assert seen.outages("web1") == []


def test_a_check_shows_the_plan_and_changes_nothing(bed, seen):
    before = bed.fingerprint()
    run = bed.playbook("upgrade.yml", "--check", "--diff")
    assert run.code == 0, run.text[-3000:]
    assert "Stage 1 of 2: gunicorn 21.2.0" in run.text
    assert "hazard reentrant" in run.text
    assert bed.fingerprint() == before
    assert seen.outages("web1") == seen.outages("web2") == []


def test_a_log_that_is_dirty_sends_the_host_back(bed, seen):
    old = running(bed, "web1")
    other = bed.version("web2")["arbiter_pid"]
    run = bed.playbook(
        "upgrade.yml",
        gate_log_patterns=[
            {"name": "ours", "regex": "Listening at", "severity": "critical", "tolerance": 0}
        ],
        rollout_to="21.2.0",
    )
    assert run.code != 0
    assert "back in service" in run.words, run.text[-3000:]
    assert "ours" in run.words
    assert running(bed, "web1") == old
    assert bed.version("web2")["arbiter_pid"] == other
    assert len(seen.outages("web1")) == 1
    assert seen.outages("web2") == []
    assert "UP" in bed.playbook("status.yml", "-l", "web1").text
    assert bed.record()["run"]["status"] == "halted"
    assert bed.record()["hosts"]["web1"]["phase"] == "returned"
    assert len(bad(bed)) == 1 and bad(bed)[0].startswith("21.2.0")
    assert bed.record()["marks"]["adopted-20.0.1-py3.6"]["mark"] == "good"


def test_the_canary_then_the_second_run(bed, seen):
    other = bed.fingerprint()["web2"]
    run = bed.playbook("upgrade.yml", "-l", "web1", rollout_force=True)
    assert run.code == 0, run.text[-4000:]
    # What passes is good, whatever was thought of it before.
    assert bad(bed) == []
    assert bed.record()["run"]["overrides"] == ["rollout_force"]
    assert running(bed, "web1")[0] == "23.0.0"
    assert bed.fingerprint()["web2"] == other
    assert drains(run) == 2
    again = bed.playbook("upgrade.yml", "-l", "web1")
    assert again.code == 0
    assert re.search(r"web1 .* changed=0 ", again.text)
    assert drains(again) == 0
    assert seen.outages("web2") == []


def test_check_says_that_what_runs_is_stable(bed):
    run = bed.playbook("check.yml", "-l", "web1")
    assert run.code == 0, run.text[-3000:]
    assert "check: CLEAN (1 clean)" in run.text


def without_names(directory: Path) -> list[str]:
    """A command that runs another one where no name can be resolved; as root only."""
    if os.geteuid() != 0:
        return []
    nobody = directory / "resolv.conf"
    nobody.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    hosts = directory / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    mounts = f"mount --bind {nobody} /etc/resolv.conf && mount --bind {hosts} /etc/hosts"
    return ["unshare", "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh"]


def test_the_way_back_needs_no_network_and_goes_further_each_time(bed, seen, tmp_path):
    """No index, no proxy and no name leads anywhere, so a rollback that installs anything fails."""
    nowhere = {"release_index_url": "http://127.0.0.1:1/simple"}
    alone = without_names(tmp_path)
    if alone:
        look = "import socket; socket.gethostbyname('example.org')"
        asked = subprocess.run(
            [*alone, sys.executable, "-c", look], capture_output=True, text=True, check=False
        )
        assert "gaierror" in asked.stderr
    why = {"rollout_reason": "users complain"}
    run = bed.playbook("rollback.yml", "-l", "web1", through=alone, **why, **nowhere)
    assert run.code == 0, run.text[-4000:]
    assert running(bed, "web1")[0] == "21.2.0"
    # From wherever among the stages, to what ran before them. Whoever took a server out that
    # misbehaves wants it back on the old release, and still out.
    bed.fleet.admin.ask("set server app/web1 state maint")
    run = bed.playbook("rollback.yml", "-l", "web1", rollout_release="first", **nowhere)
    assert run.code == 0, run.text[-4000:]
    assert running(bed, "web1")[0] == "20.0.1"
    assert not bed.fleet.admin.look()["web1"].in_rotation
    assert "left out of rotation, as somebody had it before: app/web1 on lb1 in MAINT" in run.words
    bed.fleet.admin.ask("set server app/web1 state ready")
    run = bed.playbook("rollback.yml", "-l", "web1", **nowhere)
    assert run.code != 0
    assert "rollout_release" in run.text
    assert running(bed, "web1")[0] == "20.0.1"
    assert seen.outages("web2") == []


def test_what_was_rolled_back_is_not_chosen_again_by_itself(bed, seen):
    before = bed.fingerprint()
    for arguments in (["-l", "web2"], ["-l", "web1", "--check"]):
        run = bed.playbook("upgrade.yml", *arguments)
        assert run.code != 0
        assert re.search(r"23\.0\.0\S+ is marked bad since .* users complain", run.words)
        assert "-e rollout_force=true" in run.words
    assert bed.fingerprint() == before
    assert seen.outages("web1") == seen.outages("web2") == []
    refused = bed.playbook("rollback.yml", "-l", "web1", rollout_release=bad(bed)[0])
    assert "is marked bad" in refused.words
    assert bed.fingerprint() == before


def bad(bed) -> list[str]:
    marks = bed.record()["marks"]
    return [name for name, mark in marks.items() if mark["mark"] == "bad"]


def test_when_users_suffer_the_run_stops_before_the_next_drain(bed, seen):
    """The errors come from the application, while a release is built."""
    before = bed.fingerprint()
    run = bed.start("upgrade.yml", "-l", "web2", rollout_force=True, rollout_error_budget=5)
    wait_for((bed.fleet.root / "lb1/locks/app.record.json").exists)
    wait_for(lambda: bed.record()["run"]["status"] == "running")
    fail(bed, 20)
    ended = bed.ended(run)
    assert ended.code != 0
    assert re.search(
        r"The run stops before web2 is touched: \d+ errors in \d+ requests", ended.words
    )
    assert "rollout_error_budget is 5" in ended.words
    assert bed.fingerprint() == before
    assert seen.outages("web2") == []
    assert bed.record()["run"]["status"] == "halted"
    assert not (bed.fleet.root / "lb1/locks/app.lock").exists()


def fail(bed, times: int) -> None:
    """Ask the application through the balancer for what it cannot do."""
    for _each in range(times):
        with pytest.raises(urllib.error.HTTPError, match="500"):
            urllib.request.urlopen(f"http://{bed.fleet.front}/slow?s=nan", timeout=10)


def test_a_record_that_cannot_be_believed_stops_the_run_before_anything(bed, seen):
    record = bed.fleet.root / "lb1/locks/app.record.json"
    whole = record.read_bytes()
    before = bed.fingerprint()
    try:
        for spoilt in (b"", whole[:100], b'{"schema": 99}'):
            record.write_bytes(spoilt)
            run = bed.playbook("upgrade.yml", "-l", "web1")
            assert run.code != 0
            assert "The record of fleet app cannot be believed" in run.words
            assert f"mv {record} {record}.bad" in run.words
    finally:
        record.write_bytes(whole)
    assert bed.fingerprint() == before
    assert seen.outages("web1") == []


def test_of_two_runs_one_is_refused_and_hears_who_is_at_work(bed, seen):
    first = bed.start("upgrade.yml", "-l", "web2", rollout_to="21.2.0", rollout_force=True)
    wait_for((bed.fleet.root / "lb1/locks/app.lock").exists)
    refused = bed.playbook("upgrade.yml", "-l", "web1")
    assert refused.code != 0
    assert "The lock of fleet app is held by" in refused.words
    assert f"pid {first.pid}" in refused.words
    assert bed.ended(first).code == 0
    assert seen.outages("web1") == []
    assert not (bed.fleet.root / "lb1/locks/app.lock").exists()


def test_a_run_that_is_killed_while_a_host_is_out(bed, seen):
    """The balancer puts the host back by itself, and the same command again converges."""
    forced = {"load_balancer_lease": 15, "rollout_force": True}
    run = bed.start("upgrade.yml", "-l", "web2", **forced)
    wait_for(lambda: not bed.fleet.admin.look()["web2"].in_rotation)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    assert "(back in" in bed.playbook("status.yml").text
    wait_for(lambda: bed.fleet.admin.look()["web2"].in_rotation)
    assert bed.playbook("upgrade.yml", "-l", "web2", **forced).code == 0
    assert running(bed, "web2")[0] == "23.0.0"
    assert seen.outages("web1") == []
    assert not (bed.fleet.root / "lb1/locks/app.lock").exists()
    assert "taken over" in (bed.fleet.root / "lb1/locks/app.history").read_text()
    assert list((bed.fleet.root / "lb1/leases").glob("*.json")) == []


def killed_after_the_switch(bed, name: str, old: str, **inputs) -> int:
    """Kill a run that has switched web1 and not put it back; returns the new arbiter."""
    run = bed.start(name, "-l", "web1", **inputs)

    def switched() -> bool:
        version = bed.version("web1")
        return version is not None and version["gunicorn"] != old

    wait_for(switched)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    assert not bed.fleet.admin.look()["web1"].in_rotation
    return bed.version("web1")["arbiter_pid"]


def test_a_run_that_is_killed_after_the_switch_is_finished_and_not_begun_again(bed, seen):
    """Whatever the lease would do later, the same command puts the host back now."""
    forced = {"rollout_to": "21.2.0", "rollout_force": True}
    arbiter = killed_after_the_switch(bed, "upgrade.yml", "20.0.1", **forced)
    run = bed.playbook("upgrade.yml", "-l", "web1", **forced)
    assert run.code == 0, run.text[-3000:]
    assert "is to be proved, an earlier run was stopped" in run.words
    assert bed.version("web1")["arbiter_pid"] == arbiter
    assert bed.fleet.admin.look()["web1"].in_rotation
    assert bed.record()["hosts"]["web1"]["phase"] == "passed"
    assert drains(run) == 0
    assert drains(bed.playbook("upgrade.yml", "-l", "web1", **forced)) == 0
    assert seen.outages("web2") == []


def test_a_way_back_that_is_killed_after_the_switch_goes_no_further(bed, seen):
    arbiter = killed_after_the_switch(bed, "rollback.yml", "21.2.0", rollout_force=True)
    back = running(bed, "web1")
    run = bed.playbook("rollback.yml", "-l", "web1", rollout_force=True)
    assert run.code == 0, run.text[-3000:]
    assert (running(bed, "web1"), bed.version("web1")["arbiter_pid"]) == (back, arbiter)
    assert bed.fleet.admin.look()["web1"].in_rotation
    assert bed.record()["hosts"]["web1"]["phase"] == "returned"
    assert seen.outages("web2") == []
