"""Every fault stops a run, in one kind of run each; ``make stop-rules`` tries all combinations."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.stop_rules.cells import HOSTS, ILL, SOME, Cell, Fault, collection, run, wrongs


@pytest.fixture(scope="module")
def collections(tmp_path_factory):
    return collection(tmp_path_factory.mktemp("collections"))


@pytest.mark.parametrize("cell", SOME, ids=[cell.name for cell in SOME])
def test_after_a_fault_no_other_host_is_drained(cell, collections, tmp_path):
    ended = run(cell, tmp_path / "run", collections, Path(sys.executable).parent)
    assert wrongs(cell, ended) == []


def test_who_runs_something_else_at_the_end_has_not_passed(collections, tmp_path):
    """After the last soak, before the run is over: exit code 0 would be a lie."""
    cell = Cell(
        Fault("it runs the old one again", "gunicorn_info", call=5, kind="reverts"), [1], ""
    )
    ended = run(cell, tmp_path / "run", collections, Path(sys.executable).parent)
    assert f"FAULT gunicorn_info {ILL}" in ended.journal
    assert ended.code == 2, ended.text[-3000:]
    assert f"{ILL} should be through every stage, and runs gunicorn 20.0.1" in ended.text
    assert "F-OPEN" in ended.text.splitlines()[-1]
    assert ended.record["run"]["status"] == "halted"
    assert not ended.locked


def test_a_first_wave_comes_back_step_by_step_and_the_others_at_once(collections, tmp_path):
    cell = Cell(Fault("nothing", "nothing"), [2], "")
    inputs = {"rollout_ramp": [1, 50], "rollout_ramp_soak": 1}
    ended = run(cell, tmp_path / "run", collections, Path(sys.executable).parent, **inputs)
    assert ended.code == 0, ended.text[-3000:]
    shares: dict[str, list[str]] = {}
    for words in map(str.split, ended.journal):
        if words[:2] == ["balancer_server", "ready"]:
            shares.setdefault(words[2], []).append(words[4])
    steps = ["1", "50", "100"]
    assert shares == {"web1": steps, "web2": steps, "web3": ["100"], "web4": ["100"]}


@pytest.mark.parametrize("kind", ["fails", "gone"])
def test_old_releases_that_cannot_be_removed_fail_no_run(kind, collections, tmp_path):
    cell = Cell(Fault("the old releases stay", "release_prune", kind=kind), [2], "")
    ended = run(cell, tmp_path / "run", collections, Path(sys.executable).parent)
    assert ended.code == 0, ended.text[-3000:]
    assert f"FAULT release_prune {ILL}" in ended.journal
    assert sum(line.startswith("release_prune - ") for line in ended.journal) == len(HOSTS) - 1
    assert "(goes on) prune | Remove old releases: " in ended.text
    assert ended.record["run"]["status"] == "done"
    assert not ended.locked


def theirs(phase: str, status: str) -> str:
    """The record of a run of somebody else that has been at web1."""
    run = dict.fromkeys(("kind", "controller", "reason", "plan", "host", "why"), "")
    run.update(id="theirs", owner="bob", status=status, overrides=[], began=1e9, updated=1e9)
    host = {"phase": phase, "release": "21.2.0-py3.6-00000000", "stage": 1, "plan": "", "why": ""}
    host.update(run="theirs", by="bob", at=1e9, seen={})
    record = {"schema": 1, "run": run, "hosts": {"web1": host}, "marks": {}, "events": []}
    return json.dumps(record)


def killed(directory: Path) -> None:
    """Somebody else was killed in the middle of web1, whose gunicorn is stopped."""
    locks = directory / "locks"
    locks.mkdir(parents=True, mode=0o755)
    (locks / "app.record.json").write_text(theirs("taken", "running"))
    (directory / "web1.stopped").touch()


def at_work(directory: Path) -> None:
    """Somebody else is in the middle of web1, on a controller that cannot be seen from here."""
    killed(directory)
    who = {"hostname": "elsewhere", "boot_id": "b", "pid_namespace": "", "pid": 1, "start_ticks": 1}
    times = {"since": 1e9, "heartbeat": 4e9, "boot_id": "", "beat_at": 0.0}
    holder = {"schema": 1, "fleet": "app", "token": "theirs", "owner": "bob", "reason": "upgrade"}
    (directory / "locks" / "app.lock").write_text(
        json.dumps({**holder, **times, "controller": who})
    )


def test_who_waits_for_the_lock_touches_no_host_of_the_run_that_holds_it(collections, tmp_path):
    """It brought up and switched web1, which the other run had stopped to switch it."""
    at_work(tmp_path / "run")
    cell = Cell(Fault("nothing", "nothing"), [1], "")
    binaries = Path(sys.executable).parent
    ended = run(cell, tmp_path / "run", collections, binaries, rollout_lock_wait=2)
    assert ended.code == 2 and "is held by bob on elsewhere" in ended.text, ended.text[-3000:]
    changes = ("active_release ", "balancer_server ")
    assert [line for line in ended.journal if line.startswith(changes)] == []
    # Nor does it ask or build before the other has ended: what it would find is not what will be.
    assert ended.journal == []


def test_what_a_killed_run_left_stopped_is_brought_up_with_a_turn_that_all_are_told(
    collections, tmp_path
):
    killed(tmp_path / "run")
    cell = Cell(Fault("nothing", "nothing"), [2], "")
    ended = run(cell, tmp_path / "run", collections, Path(sys.executable).parent)
    assert ended.code == 0 and not ended.locked, ended.text[-3000:]
    changes = [line.split()[:3] for line in ended.journal if line.startswith("active_release ")]
    assert changes[0] == ["active_release", "-", "web1"]
    told = [line.split() for line in (tmp_path / "run" / "turns").read_text().splitlines()]
    # Before it is known who has the lock, it is only waited for what the killed one still does.
    assert sorted(words for words in told if words[2] == "0") == [
        ["host_turn", host, "0"] for host in HOSTS
    ]
    turns = [int(words[2]) for words in told if words[2] != "0"]
    # One to bring it up, and from there on that of the run.
    assert len(set(turns)) == 2 and turns == sorted(turns)
    assert {words[0] for words in told} == {"host_turn", "active_release", "balancer_server"}
    assert {words[1] for words in told if int(words[2]) == turns[-1]} == set(HOSTS)


def test_who_was_overtaken_while_it_built_touches_nothing(collections, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "meanwhile.json").write_text(theirs("passed", "done"))
    cell = Cell(Fault("nothing", "nothing"), [2], "")
    ended = run(cell, tmp_path / "run", collections, Path(sys.executable).parent)
    assert ended.code == 2, ended.text[-3000:]
    assert "another one has worked on the fleet: web1 passed (21.2.0-py3.6-00000000" in " ".join(
        ended.text.split()
    )
    assert "F-LOCK" in ended.text.splitlines()[-1]
    assert not ended.locked and ended.record["run"]["id"] == "theirs"
    changes = ("active_release ", "balancer_server drained ", "balancer_server ready ")
    assert [line for line in ended.journal if line.startswith(changes)] == []
