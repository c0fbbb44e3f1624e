# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""fleet_lock with real processes: the module at once, and ansible on the controller's side."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from balancer_support import PATIENCE, REPO, Run, until

ANSIBLE = Path(sys.executable).parent
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Take the lock
      fleetops.gunicorn.fleet_lock:
        fleet: web
        directory: "{state}"
        reason: "{reason}"
        wait: {wait}
    - name: Say so and work
      ansible.builtin.shell: "touch {mark}; while ! [ -e {end} ]; do sleep 0.1; done"
    - name: Renew it
      fleetops.gunicorn.fleet_lock:
        fleet: web
        directory: "{state}"
      register: again
      failed_when: again is failed or again is changed
    - name: Give it back
      fleetops.gunicorn.fleet_lock:
        fleet: web
        directory: "{state}"
        state: free
"""


class Bench:
    """A directory for the lock, and those who want it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "state"
        self.started: list[subprocess.Popen[str]] = []
        self.environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(REPO / ".collections"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(root / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
        }

    def module(self, state: str = "held", **more: Any) -> Run:
        args: dict[str, Any] = {
            "fleet": "web",
            "directory": str(self.state),
            "owner": "alice",
            "token": "t1",
            "reason": "a test",
            "state": state,
        }
        return Run("fleet_lock", **{**args, **more})

    def ansible(self, arguments: str = "", check: bool = False) -> dict[str, Any]:
        """The action plugin, from the command line."""
        words = [f"fleet=web directory={shlex.quote(str(self.state))} {arguments}"]
        command = [str(ANSIBLE / "ansible"), "localhost", "-m", "fleetops.gunicorn.fleet_lock"]
        return self.answer([*command, "-a", *words, *(["--check"] if check else [])])

    def answer(self, command: list[str]) -> dict[str, Any]:
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        try:
            start = done.stdout.index("=> {") + 3
            answer: dict[str, Any] = json.JSONDecoder().raw_decode(done.stdout, start)[0]
        except ValueError:
            raise AssertionError(f"no answer: {done.stdout}\n{done.stderr}") from None
        return {**answer, "failed": done.returncode != 0}

    def play(self, name: str, wait: int = 0) -> subprocess.Popen[str]:
        """A rollout: it takes the lock, works until told, and gives it back."""
        book = self.root / f"{name}.yml"
        book.write_text(
            PLAY.format(
                state=self.state,
                reason=name,
                wait=wait,
                mark=self.root / f"{name}.works",
                end=self.root / "end",
            )
        )
        process = subprocess.Popen(
            [str(ANSIBLE / "ansible-playbook"), str(book)],
            env=self.environment,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=(self.root / f"{name}.out").open("w"),
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def works(self, name: str) -> bool:
        return (self.root / f"{name}.works").exists()

    def begin(self, name: str) -> subprocess.Popen[str]:
        process = self.play(name)

        def at_work() -> bool:
            assert process.poll() is None, self.output(name)
            return self.works(name)

        until(at_work, f"{name} has the lock", 120)
        return process

    def output(self, name: str) -> str:
        return (self.root / f"{name}.out").read_text()

    def let_end(self) -> None:
        (self.root / "end").touch()

    @property
    def holder(self) -> dict[str, Any]:
        return json.loads((self.state / "web.lock").read_text())

    def history(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.state / "web.history").read_text().splitlines()]

    def files(self) -> list[str]:
        """Without what is never removed."""
        names = {path.name for path in self.state.iterdir()}
        return sorted(names - {"web.turn", ".alone"})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.let_end()
    for process in found.started:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)


# -- the module ---------------------------------------------------------------------------------


def test_of_many_at_the_same_instant_one_gets_it(bench: Bench) -> None:
    runs = [bench.module(token=f"t{turn}", owner=f"user{turn}") for turn in range(16)]
    results = [run.result() for run in runs]
    [winner] = [result for result in results if not result.get("failed")]
    assert winner["changed"]
    assert bench.holder["token"] == winner["holder"]["token"]
    for result in results:
        if result is not winner:
            assert result["held_by_other"]
            assert result["holder"]["token"] == winner["holder"]["token"]
            assert winner["holder"]["owner"] in result["msg"]
    assert bench.files() == ["web.lock"]


# Takes and gives back as fast as it can; two inside at once would see each other's file.
RACER = """
import os, sys, time
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state import fleet_lock as locks
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.machine import (
    boot_id,
    boottime,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    StateDirectory,
)
directory, me, inside = sys.argv[1:]
controller = locks.Controller(me, "", "", 0, 0)
wish = locks.Wish("web", me, me, "race", controller, 900, "BREAK", "", "")
now = lambda: locks.Now(time.time(), boot_id(), boottime())
box = StateDirectory(directory, False)
lock = locks.FleetLock(box, wish, now, lambda seconds: time.sleep(0.001), False)
for turn in range(25):
    assert lock.held(120).changed
    handle = os.open(inside, os.O_CREAT | os.O_EXCL)
    lock.held(0)
    os.close(handle)
    os.unlink(inside)
    assert lock.free().changed
"""


def test_never_two_at_a_time(bench: Bench) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPO / ".collections")}
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(bench.state), f"r{n}", str(bench.root / "inside")],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(8)
    ]
    errors = [racer.communicate(timeout=300)[1] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 8, errors
    assert bench.files() == []


def test_held_renewed_and_freed(bench: Bench) -> None:
    taken = bench.module().result()
    assert taken["changed"] and taken["diff"] == {
        "before": {"web": "free"},
        "after": {"web": "held by alice: a test"},
    }
    again = bench.module().result()
    assert not again["changed"]
    assert again["holder"]["heartbeat"] > taken["holder"]["heartbeat"]
    assert again["holder"]["since"] == taken["holder"]["since"]
    other = bench.module("free", token="t2").result()
    assert other["failed"] and "not yours to free" in other["msg"] and "alice" in other["msg"]
    assert bench.module("free").result()["changed"]
    assert bench.files() == []
    assert not bench.module("free").result()["changed"]
    assert oct(bench.state.stat().st_mode & 0o777) == "0o755"


def test_a_killed_taker_leaves_a_whole_lock_or_none(bench: Bench) -> None:
    """Killed at any moment, the next one gets the lock or hears of a whole one."""
    for turn in range(6):
        run = bench.module(token=f"killed{turn}")
        if turn % 2:
            until(lambda: bench.state.exists() and bench.files(), "it is at it")
        os.kill(run._process.pid, signal.SIGKILL)
        run._process.wait(PATIENCE)
        result = bench.module(token="next").result()
        if result.get("failed"):
            assert result["holder"]["token"] == f"killed{turn}", result["msg"]
            assert bench.module("broken", reason="killed").result()["changed"]
        else:
            assert bench.module("free", token="next").result()["changed"]


def test_mistakes_are_messages(bench: Bench, tmp_path: Path) -> None:
    for wrong, words in (
        ({"fleet": "a/b"}, "fleet is 'a/b'"),
        ({"token": ""}, "needs token and owner"),
        ({"directory": "state"}, "absolute"),
        ({"directory": str(tmp_path / "no" / "where")}, "is not there"),
        ({"wait": -1}, "below 0"),
        ({"state": "broken", "reason": ""}, "needs reason"),
    ):
        result = bench.module(**wrong).result()
        assert result["failed"] and words in result["msg"], result["msg"]
        assert not result.get("changed")
    (tmp_path / "real").mkdir()
    bench.state.symlink_to(tmp_path / "real")
    assert "not followed" in bench.module().result()["msg"]
    bench.state.unlink()
    bench.state.mkdir()
    bench.state.chmod(0o777)
    assert "0777" in bench.module().result()["msg"]


@pytest.mark.parametrize("content", ["", '{"schema": 1, "tok', '{"schema": 99}'])
def test_a_spoilt_file_is_a_clear_refusal(bench: Bench, content: str) -> None:
    bench.state.mkdir()
    (bench.state / "web.lock").write_text(content)
    for state in ("held", "free"):
        result = bench.module(state, break_command="BREAK IT THIS WAY").result()
        assert result["failed"] and not result["held_by_other"]
        assert "cannot be believed" in result["msg"] and "BREAK IT THIS WAY" in result["msg"]
    # What the text says is what helps.
    broke = bench.ansible("state=broken reason='it was damaged'")
    assert broke["changed"] and broke["broken"]
    assert bench.history()[0]["reason"] == "it was damaged"
    assert bench.module().result()["changed"]


# -- the controller -----------------------------------------------------------------------------


def test_two_playbooks_at_once(bench: Bench) -> None:
    first = bench.begin("first")
    second = bench.play("second")
    assert second.wait(120) != 0
    told = " ".join(bench.output("second").split())
    assert re.search(rf"held by \S+ on {re.escape(socket.gethostname())}", told)
    assert f"ansible-playbook pid {first.pid}" in told and "ago: first" in told
    assert not bench.works("second")
    assert bench.holder["controller"]["pid"] == first.pid
    bench.let_end()
    assert first.wait(120) == 0, bench.output("first")
    assert bench.files() == []


def test_one_waits_for_the_other(bench: Bench) -> None:
    first = bench.begin("first")
    second = bench.play("second", wait=120)
    until(lambda: bench.output("second") != "" or second.poll() is None, "it runs")
    bench.let_end()
    assert first.wait(120) == 0, bench.output("first")
    assert second.wait(120) == 0, bench.output("second")
    assert bench.files() == []


def test_a_plain_run_after_kill_9_converges(bench: Bench) -> None:
    first = bench.begin("first")
    first.kill()
    first.wait(PATIENCE)
    planned = bench.ansible("reason=again", check=True)
    assert planned["changed"] and "would be taken over" in planned["msg"]
    assert bench.holder["reason"] == "first"
    bench.let_end()
    second = bench.play("second")
    assert second.wait(120) == 0, bench.output("second")
    [event] = bench.history()
    assert event["event"] == "taken over"
    assert event["lock"]["reason"] == "first"
    assert f"pid {first.pid}" in event["reason"]
    assert bench.files() == ["web.history"]


def test_one_who_waits_notices_a_death(bench: Bench) -> None:
    first = bench.begin("first")
    second = bench.play("second", wait=120)
    third = bench.ansible()
    assert third["failed"] and third["held_by_other"]
    first.kill()
    # Not buried either: a zombie is dead.
    bench.let_end()
    assert second.wait(120) == 0, bench.output("second")
    assert bench.history()[0]["event"] == "taken over"


def test_a_stopped_playbook_is_not_dead(bench: Bench) -> None:
    first = bench.begin("first")
    os.kill(first.pid, signal.SIGSTOP)
    try:
        result = bench.ansible()
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert result["failed"] and result["held_by_other"] and not result["probably_dead"]


def plant(bench: Bench, **more: Any) -> None:
    """A lock of another controller, or of this one's past."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    controller = {
        "hostname": "elsewhere",
        "boot_id": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        "pid_namespace": os.readlink("/proc/self/ns/pid"),
        "pid": gone.pid,
        "start_ticks": 1,
    }
    controller.update(more)
    result = bench.module(token="planted", controller=controller).result()
    assert result["changed"], result["msg"]


@pytest.mark.parametrize("other", ["boot_id", "pid_namespace"])
def test_elsewhere_nobody_is_provably_dead(bench: Bench, other: str) -> None:
    plant(bench, **{other: "another"})
    result = bench.ansible()
    assert result["failed"] and result["held_by_other"]
    assert not result["probably_dead"]
    result = bench.ansible("stale_after=0 reason=mine")
    assert result["failed"] and result["probably_dead"]
    assert "probably dead" in result["msg"] and "elsewhere" in result["msg"]
    # The command in the message, as it stands there.
    command = result["msg"][result["msg"].index("ansible localhost") :].strip()
    words = shlex.split(command)
    assert words[-1].endswith('reason="WHY IT MAY BE BROKEN"')
    broke = bench.answer([str(ANSIBLE / words[0]), *words[1:]])
    assert broke["changed"]
    [event] = bench.history()
    assert event["event"] == "broken" and event["reason"] == "WHY IT MAY BE BROKEN"
    assert event["by"]["hostname"] == socket.gethostname()
    assert event["lock"]["token"] == "planted"
    again = bench.module(token="planted").result()
    assert again["failed"] and "must not go on" in again["msg"]
    assert bench.ansible()["changed"]


@pytest.mark.parametrize("how", ["gone", "another process"])
def test_here_a_process_that_is_gone_or_another_is_dead(bench: Bench, how: str) -> None:
    plant(bench, **({"pid": os.getpid()} if how == "another process" else {}))
    result = bench.ansible("reason=mine")
    assert result["changed"], result["msg"]
    assert result["taken_over"]["token"] == "planted"
    assert ("another process" in result["msg"]) == (how == "another process")


def test_a_wait_that_is_no_number_is_a_message(bench: Bench) -> None:
    result = bench.ansible("wait=soon")
    assert result["failed"] and "wait" in result["msg"] and "Traceback" not in str(result)


@pytest.fixture(autouse=True)
def linux() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("a controller without /proc proves nobody dead")
