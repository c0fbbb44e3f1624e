"""Every fault stops a run, in one kind of run each; ``make stop-rules`` tries all combinations."""

from __future__ import annotations

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
        if words[:2] == ["haproxy_server", "ready"]:
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
