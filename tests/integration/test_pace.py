# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When the next server is begun, and when not: by the clock, and by those that failed.

Hosts are on paper (tests/stop_rules): it is the order of servers that is tried here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.stop_rules.cells import Cell, Ended, Fault, collection, run

OPEN = {"open": ["00:00-24:00"]}
SHUT = {"freeze": [{"from": "2020-01-01", "until": "2090-01-01", "why": "the big sale"}]}
FAILS = Fault("the switch fails", "active_release", kind="fails")
NOTHING = Fault("nothing", "nothing")
# web2 has passed when web1 fails.
SECOND = ["web2", 1]


@pytest.fixture(scope="module")
def collections(tmp_path_factory):
    return collection(tmp_path_factory.mktemp("collections"))


@pytest.fixture
def upgrade(collections, tmp_path):
    def begin(fault: Fault, waves: list[object], limit: str = "", **inputs: object) -> Ended:
        cell, python = Cell(fault, waves, limit), Path(sys.executable)
        return run(cell, tmp_path / "run", collections, python.parent, **inputs)

    return begin


def drained(ended: Ended) -> list[str]:
    return [
        line.split()[2] for line in ended.journal if line.startswith("balancer_server drained ")
    ]


def test_a_run_ends_between_two_servers_and_goes_on_later(upgrade, tmp_path):
    window = tmp_path / "window.json"
    window.write_text(json.dumps(OPEN))
    shut = ["sh", "-c", f"test $ROLLOUT_HOST = web1 || echo '{json.dumps(SHUT)}' > {window}"]
    inputs = {
        "rollout_window": f"{{{{ lookup('ansible.builtin.file', '{window}') | from_json }}}}",
        "rollout_hooks": [{"at": "after_soak", "name": "time goes on", "command": shut}],
    }
    paused = upgrade(NOTHING, [1], **inputs)
    assert paused.code == 2, paused.text[-3000:]
    assert "Window: open" in paused.text
    assert drained(paused) == ["web1", "web2"]
    last = paused.text[paused.text.rfind("STOPPED, since") :]
    assert "The run pauses before web3 is touched: rollout_window is closed now" in last
    assert "(the big sale)" in last and "Run the same command again" in last
    assert last.splitlines()[-1].startswith("F-WINDOW")
    assert not paused.locked
    # Closed, nothing is even built.
    built = sum(line.startswith("release ") for line in paused.journal)
    again = upgrade(NOTHING, [1], **inputs)
    assert again.code == 2, again.text[-3000:]
    assert "F-WINDOW" in again.text.splitlines()[-1]
    assert sum(line.startswith("release ") for line in again.journal) == built
    assert drained(again) == ["web1", "web2"]
    window.write_text(json.dumps(OPEN))
    rest = upgrade(NOTHING, [1], rollout_window=OPEN)
    assert rest.code == 0, rest.text[-3000:]
    assert drained(rest) == ["web1", "web2", "web3", "web4"]
    # Nothing is left to begin: a closed window is no reason to fail.
    nothing = upgrade(NOTHING, [1], rollout_window=SHUT)
    assert nothing.code == 0, nothing.text[-3000:]


def test_the_run_goes_on_without_as_many_as_may_fail(upgrade):
    ended = upgrade(FAILS, SECOND, rollout_max_failures=1)
    assert ended.code == 2, ended.text[-3000:]
    assert "Failures: once a server has passed a stage, 1 other may fail" in ended.text
    # Once more for the way back.
    assert drained(ended) == ["web2", "web1", "web1", "web3", "web4"]
    assert "The run goes on with the others: rollout_max_failures is 1." in ended.text
    last = ended.text[ended.text.rfind("STOPPED, since") :]
    assert "web1 of 4 servers failed, went back and serve as before" in last
    assert last.splitlines()[-1].startswith("F-SOME")
    assert (ended.record["run"]["status"], ended.record["run"]["host"]) == ("halted", "web1")
    phases = {name: host["phase"] for name, host in ended.record["hosts"].items()}
    assert phases == {"web1": "returned", "web2": "passed", "web3": "passed", "web4": "passed"}
    assert [mark["mark"] for mark in ended.record["marks"].values()].count("bad") == 1
    assert not ended.locked


def test_no_stage_begins_while_one_is_left_behind(upgrade):
    stages = [{"gunicorn": "21.2.0"}, {"gunicorn": "23.0.0", "python": "3.11"}]
    ended = upgrade(FAILS, SECOND, rollout_max_failures=1, rollout_stages=stages)
    assert ended.code == 2, ended.text[-3000:]
    assert drained(ended) == ["web2", "web1", "web1", "web3", "web4"]
    assert "Stage 2 is begun on no server" in ended.text
    assert "F-SOME" in ended.text.splitlines()[-1]
    assert not ended.locked


@pytest.mark.parametrize(
    ("waves", "fault", "code"),
    [
        ([1], FAILS, "F-GATE"),
        (SECOND, FAILS._replace(stays=True), "F-OUT"),
        (SECOND, FAILS._replace(kind="gone"), "F-LOST"),
    ],
    ids=["the first of a stage", "one stays out", "one is lost"],
)
def test_what_else_goes_wrong_ends_the_run_as_ever(waves, fault, code, upgrade):
    ended = upgrade(fault, waves, rollout_max_failures=3)
    assert ended.code == 2, ended.text[-3000:]
    assert "web3" not in drained(ended)
    assert code in ended.text.splitlines()[-1]
    assert ended.record["run"]["status"] == "halted"
    assert not ended.locked


def test_what_is_done_once_is_done_once_however_many_runs_it_takes(upgrade, tmp_path):
    done = tmp_path / "done"
    words = f'echo "$ROLLOUT_HOOK $ROLLOUT_HOST $ROLLOUT_RELEASE" >> {done}'
    hooks = [
        {"at": at, "name": at, "command": ["sh", "-c", words]}
        for at in ("once_before", "once_after", "after_soak")
    ]
    ill = [{**hooks[0], "command": ["sh", "-c", "echo the database is locked; exit 3"]}, *hooks]
    stopped = upgrade(NOTHING, [4], rollout_hooks=ill)
    assert stopped.code == 2, stopped.text[-3000:]
    assert (
        "Hook once_before (once_before) failed on web1: it ended with 3: the data" in stopped.text
    )
    assert "F-HOOK" in stopped.text.splitlines()[-1]
    assert drained(stopped) == [] and not stopped.locked and not done.exists()
    canaries = upgrade(NOTHING, [4], "web1:web2:web3", rollout_hooks=hooks)
    assert canaries.code == 0, canaries.text[-3000:]
    assert "Once for the fleet, before the first server: once_before" in canaries.text
    release = "21.2.0-py3.6-00000000"
    lines = done.read_text().splitlines()
    assert lines[0] == f"once_before web1 {release}"
    assert {line.split()[0] for line in lines[1:]} == {"after_soak"} and len(lines) == 4
    assert "What is done once after the last server waits for web4" in canaries.text
    rest = upgrade(NOTHING, [4], rollout_hooks=hooks)
    assert rest.code == 0, rest.text[-3000:]
    lines = done.read_text().splitlines()[4:]
    assert lines == [f"after_soak web4 {release}", f"once_after web1 {release}"]
    assert set(rest.record["once"]) == {"once_before", "once_after"}
    again = upgrade(NOTHING, [4], rollout_hooks=hooks)
    assert again.code == 0, again.text[-3000:]
    assert len(done.read_text().splitlines()) == 6
