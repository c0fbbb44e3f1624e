"""check.yml on a real fleet that nobody of ours has ever touched, on the day of its incident."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path

import pytest
from supervisor.xmlrpc import SupervisorTransport

# What gunicorn 21.2.0 on Python 3.6 writes, with the time and the arbiter left open.
REENTRANT = """--- Logging error ---
Traceback (most recent call last):
  File "/usr/lib/python3.6/logging/__init__.py", line 998, in emit
    self.flush()
  File "/usr/lib/python3.6/logging/__init__.py", line 978, in flush
    self.stream.flush()
RuntimeError: reentrant call inside <_io.BufferedWriter name='<stderr>'>
Call stack:
  File "/srv/app/venv/bin/gunicorn", line 8, in <module>
    sys.exit(run())
Message: 'login \x1b[2J\u202e with api_token=planted-in-a-message'
Arguments: ()
"""


def check(bed, tmp_path, *arguments, **inputs):
    """Run it; returns the run and what it wrote for programs."""
    file = tmp_path / "check.json"
    file.unlink(missing_ok=True)
    run = bed.playbook("check.yml", *arguments, check_file=str(file), **inputs)
    assert file.exists(), f"no report: {run.text[-4000:]}"
    return run, json.loads(file.read_text())


def by_name(report) -> dict:
    return {host["host"]: host for host in report["hosts"]}


def tree(root: Path) -> dict[str, tuple]:
    """All that is on the hosts; of logs, which being asked for health writes to, only that."""
    found = {}
    for path in sorted(root.rglob("*")):
        state = path.lstat()
        size = (state.st_size, state.st_mtime_ns) if path.is_file() else ()
        found[str(path)] = (state.st_mode, () if path.suffix == ".log" else size)
    return found


def supervisor(bed, host: str):
    url = bed.state["hosts"][host]["supervisor_url"]
    transport = SupervisorTransport(None, None, url)
    return xmlrpc.client.ServerProxy("http://localhost", transport=transport).supervisor


def workers(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children]


def wait_for(what: Callable[[], object], patience: float = 300) -> None:
    deadline = time.monotonic() + patience
    while not what():
        assert time.monotonic() < deadline, f"not within {patience:g} s"
        time.sleep(0.05)


def serving(bed, host: str) -> Callable[[], bool]:
    def look() -> bool:
        in_rotation = bed.fleet.admin.look()[host].in_rotation
        return in_rotation and bed.version(host) is not None

    return look


def restart(bed, host: str) -> None:
    supervised = supervisor(bed, host)
    supervised.stopProcess("app")
    supervised.startProcess("app")
    wait_for(serving(bed, host))


def lost(tmp_path: Path, host: str) -> list[str]:
    extra = tmp_path / "lost.yml"
    extra.write_text(
        f"web: {{hosts: {{{host}: {{ansible_connection: ssh, ansible_host: 127.0.0.1,"
        " ansible_port: 1}}}\n"
    )
    return ["-i", "inventories/demo", "-i", str(extra)]


def test_a_fleet_that_was_never_touched_is_clean_and_stays_as_it_is(bed, tmp_path):
    roots = [bed.fleet.root / name for name in ("web1", "web2", "lb1")]
    before = [tree(root) for root in roots]
    run, report = check(bed, tmp_path)
    assert run.code == 0, run.text[-4000:]
    assert [tree(root) for root in roots] == before
    assert "changed=0" in run.text and "changed=1" not in run.text
    assert "check: CLEAN (2 clean)" in run.text
    assert (report["verdict"], report["exit_code"]) == ("clean", 0)
    host = by_name(report)["web1"]
    assert (host["runs"]["gunicorn"], host["runs"]["python"][:3]) == ("20.0.1", "3.6")
    assert (host["runs"]["venv"], host["runs"]["release"]) == ("directory", None)
    assert host["runs"]["workers"] == host["runs"]["workers_wanted"] == 2
    assert host["stable_for"] > 0
    assert [each["status"] for each in host["balancers"]] == ["UP"]
    assert "silent-worker-death" in [each["name"] for each in host["diagnosis"]["known"]]
    assert (tmp_path / "check.json").stat().st_mode & 0o777 == 0o600


def test_a_host_that_cannot_be_reached_does_not_hide_the_others(bed, tmp_path):
    run, report = check(bed, tmp_path, *lost(tmp_path, "web2"))
    assert run.code == 3, run.text[-4000:]
    hosts = by_name(report)
    assert (hosts["web1"]["verdict"], hosts["web2"]["verdict"]) == ("clean", "inconclusive")
    assert "Connection refused" in hosts["web2"]["reasons"][0]
    assert hosts["web2"]["runs"]["running"] is None
    assert [each["status"] for each in hosts["web2"]["balancers"]] == ["UP"]


@pytest.mark.parametrize("unreachable", [False, True], ids=["no socket", "no ssh"])
def test_a_balancer_that_cannot_be_asked_leaves_the_rest_told(bed, tmp_path, unreachable):
    arguments = ["-l", "web1"]
    inputs = {"load_balancer_socket": str(tmp_path / "nowhere.sock")}
    if unreachable:
        extra = tmp_path / "lost.yml"
        extra.write_text(
            "lb: {hosts: {lb1: {ansible_connection: ssh, ansible_host: 127.0.0.1,"
            " ansible_port: 1}}}\n"
        )
        arguments += ["-i", "inventories/demo", "-i", str(extra)]
        inputs = {}
    run, report = check(bed, tmp_path, *arguments, **inputs)
    assert run.code == 3, run.text[-4000:]
    host = by_name(report)["web1"]
    assert host["verdict"] == "inconclusive"
    assert len(host["reasons"]) == 1 and "could not look at balancer lb1" in host["reasons"][0]
    assert host["runs"]["gunicorn"] == "20.0.1" and host["stable_for"] > 0


def test_a_log_that_cannot_be_read_is_3_and_without_our_callback_2(bed, tmp_path, monkeypatch):
    nowhere = {"gate_log_paths": [str(tmp_path / "nothing.log")]}
    run, report = check(bed, tmp_path, "-l", "web1", **nowhere)
    assert run.code == 3, run.text[-4000:]
    assert (report["verdict"], report["exit_code"]) == ("inconclusive", 3)
    host = report["hosts"][0]
    assert "could not look at the log" in host["reasons"][0]
    assert host["stable_for"] is None
    # Whatever shows the run.
    run = bed.ended(
        bed.start("check.yml", "-l", "web1", callback="fleetops.gunicorn.story", **nowhere)
    )
    assert run.code == 3, run.text[-4000:]
    monkeypatch.setenv("ANSIBLE_CALLBACKS_ENABLED", "ansible.builtin.minimal")
    run, report = check(bed, tmp_path, "-l", "web1", **nowhere)
    assert run.code == 2
    assert report["exit_code"] == 3


def test_a_time_that_is_none_is_refused_by_its_name(bed, tmp_path):
    file = tmp_path / "check.json"
    run = bed.playbook("check.yml", check_since="yesterday", check_file=str(file))
    assert run.code == 2
    assert not file.exists()
    assert "check_since is 'yesterday': give an age" in run.words
    assert "Look at what runs" not in run.text


@pytest.fixture(scope="module")
def older(bed):
    """web1 on 21.2.0, in its own plain directory, as somebody has once installed it."""
    uv = Path(sys.executable).parent / "uv"
    python = bed.home("web1") / "venv/bin/python"
    command = [str(uv), "pip", "install", "--quiet", "--no-config", "--python", str(python)]
    done = subprocess.run(
        [*command, "gunicorn==21.2.0"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = f"gunicorn 21.2.0 cannot be had: {done.stderr[-500:]}"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    restart(bed, "web1")
    assert bed.version("web1")["gunicorn"] == "21.2.0"
    return bed


@pytest.fixture(scope="module")
def killed(older) -> float:
    """A worker of web1 was killed, another one has its place, and the log tells of it."""
    arbiter = older.version("web1")["arbiter_pid"]
    # So that the whole second of the incident has an end of its own.
    before = workers(arbiter)
    os.kill(before[0], signal.SIGKILL)
    log = older.fleet.root / "web1/app.log"
    wait_for(lambda: "was sent SIGKILL" in log.read_text())
    wait_for(lambda: len(workers(arbiter)) == len(before) and before[0] not in workers(arbiter))
    at = time.time()
    wait_for(lambda: time.time() > at + 2)
    return at + 1.5


def test_an_incident_is_2_with_its_evidence_and_what_is_known(older, killed, tmp_path):
    run, report = check(older, tmp_path)
    assert run.code == 2, run.text[-4000:]
    hosts = by_name(report)
    assert (hosts["web1"]["verdict"], hosts["web2"]["verdict"]) == ("dirty", "clean")
    host = hosts["web1"]
    assert host["counts"] == {"worker_killed": 1}
    assert "was sent SIGKILL" in host["incidents"][0]["excerpt"]
    assert "was sent SIGKILL" in run.text
    known = {each["name"]: each["state"] for each in host["diagnosis"]["known"]}
    assert known.pop("reentrant") == "possible"
    assert {"cve-2024-1135", "cve-2024-6827"} <= known.keys()
    assert set(known.values()) == {"known"}
    assert [each["event"] for each in host["diagnosis"]["unexplained"]] == ["worker_killed"]
    # A host that is dirty is dirty, whoever else cannot be asked.
    run, report = check(older, tmp_path, *lost(tmp_path, "web2"))
    assert run.code == 2
    assert [each["verdict"] for each in report["hosts"]] == ["dirty", "inconclusive"]


def test_since_when_is_judged_can_be_said(older, killed, tmp_path):
    run, report = check(older, tmp_path, "-l", "web1", check_since=f"{killed:.1f}")
    assert run.code == 0, run.text[-4000:]
    assert report["hosts"][0]["counts"] == {}
    assert report["hosts"][0]["since"] == pytest.approx(killed, abs=0.1)
    run, report = check(older, tmp_path, "-l", "web1", check_since="6h")
    assert run.code == 2
    assert report["hosts"][0]["counts"] == {"worker_killed": 1}


def test_the_error_of_the_incident_is_confirmed_with_its_mitigation(older, killed, tmp_path):
    with (older.fleet.root / "web1/app.log").open("a") as log:
        log.write(REENTRANT)
    run, report = check(older, tmp_path, "-l", "web1")
    assert run.code == 2
    host = report["hosts"][0]
    assert host["counts"] == {"reentrant": 1, "worker_killed": 1}
    told = host["diagnosis"]["known"][0]
    assert (told["name"], told["state"]) == ("reentrant", "confirmed")
    assert told["evidence"] == {"reentrant": 1}
    assert "PYTHONUNBUFFERED=1" in told["today"] and told["cured_in"] == "26.1.0", "it has threads"
    assert told["cured_by"] == "", "neither stage of the demo cures it"
    assert "reentrant: CONFIRMED (1 reentrant)" in run.text
    assert "planted-in-a-message" not in run.text + json.dumps(report)
    # What the application wrote is shown, and moves no cursor.
    assert "\\x1b[2J" in run.text and "\x1b[2J" not in run.text
    assert "\u202e" not in run.text + json.dumps(report, ensure_ascii=False)


def test_after_a_restart_what_was_before_is_told_and_judged_when_asked_for(older, killed, tmp_path):
    restart(older, "web1")
    run, report = check(older, tmp_path, "-l", "web1")
    assert run.code == 0, run.text[-4000:]
    host = report["hosts"][0]
    assert host["counts"] == {}
    assert host["earlier"]["counts"]["reentrant"] == 1
    assert host["diagnosis"]["known"][0]["state"] == "seen earlier"
    run, report = check(older, tmp_path, "-l", "web1", check_since="1h")
    assert run.code == 2
    assert "reentrant" in " ".join(report["hosts"][0]["reasons"])


def test_where_no_gunicorn_runs_the_log_is_told_all_the_same(older, killed, tmp_path):
    supervisor(older, "web1").stopProcess("app")
    try:
        run, report = check(older, tmp_path, "-l", "web1")
    finally:
        supervisor(older, "web1").startProcess("app")
    assert run.code == 2
    host = report["hosts"][0]
    assert host["runs"]["running"] is False and host["runs"]["gunicorn"] == "21.2.0"
    assert "no gunicorn arbiter is running" in host["reasons"]
    assert host["earlier"]["counts"]["worker_killed"] == 1
    assert "NO GUNICORN RUNS" in run.text
