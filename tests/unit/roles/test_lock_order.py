# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing on a host or a balancer changes without the fleet's lock: the order of each playbook.

The files are read as they stand, so a task that is put in before the lock is found without a fleet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
# What changes what users are served by. A build or a trial beside it does not.
CHANGES = ("activate", "drained", "ready", "hook", "prune")
Vars = Mapping[str, Any]


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def short(task: Mapping[str, Any], name: str) -> Any:
    return task.get(f"ansible.builtin.{name}")


def steps(tasks: list[dict[str, Any]], role: str, given: Vars) -> Iterator[str]:
    """What these tasks do to the fleet, in order, and in each rescue."""
    for task in tasks:
        own = {**given, **(task.get("vars") or {})}
        yield from steps(task.get("block") or [], role, own)
        if "rescue" in task:
            # Every one ends in a failure: what comes after it does not come after its steps.
            yield "rescue"
            yield from steps(task["rescue"], role, own)
            yield "failed"
        yield from include(short(task, "include_tasks") or short(task, "import_tasks"), role, own)
        called = short(task, "include_role") or short(task, "import_role")
        if called:
            yield from call(called, own)
        if "fleetops.gunicorn.fleet_lock" in task and role == "rollout":
            yield str(own.get("rollout_lock_state", "asked"))
        if "fleetops.gunicorn.release_prune" in task and role == "rollout":
            yield "prune"


def include(name: Any, role: str, given: Vars) -> Iterator[str]:
    if not isinstance(name, str) or role != "rollout":
        return
    # The only names that are made up are those of trials.yml and take.yml.
    name = name.replace("{{ rollout_trial }}", str(given.get("rollout_trial")))
    for each in ("lost.yml", "repair.yml") if "{{" in name else (name,):
        ends = each in ("halt.yml", "lost.yml", "repair.yml")
        yield from ["rescue"] * ends
        yield from steps(load(ROOT / "roles" / role / "tasks" / each), role, given)
        yield from ["failed"] * ends


def call(called: Mapping[str, Any], given: Vars) -> Iterator[str]:
    role = called["name"].rpartition(".")[2]
    if str(called.get("tasks_from", "")) in ("look", "fleet"):
        # Questions, without a change.
        yield "info"
    elif role == "service":
        yield str(given["service_action"])
    elif role == "load_balancer":
        yield str(given["load_balancer_state"])
    elif role == "hook":
        # Around trials it is beside what serves, as they are.
        yield "hook beside" if given["hook_at"].endswith("_trial") else "hook"
    else:
        name = f"{called.get('tasks_from', 'main')}.yml"
        yield from steps(load(ROOT / "roles" / role / "tasks" / name), role, given)


def story(playbook: str) -> list[str]:
    found: list[str] = []
    for play in load(ROOT / "playbooks" / playbook):
        if "ansible.builtin.import_playbook" in play:
            found += story(play["ansible.builtin.import_playbook"])
        found += steps(play.get("tasks") or [], "", {})
    return found


@pytest.mark.parametrize("playbook", ["upgrade.yml", "rollback.yml"])
def test_nothing_changes_before_the_lock_is_held(playbook: str) -> None:
    found = story(playbook)
    assert set(CHANGES) - {"prune"} <= set(found), "the story was not read to its end"
    held, before = False, []
    for number, step in enumerate(found):
        if step in ("held", "kept"):
            held = True
        assert held or step not in CHANGES, (step, found[: number + 1])
        if step == "free":
            held = False
        elif step == "rescue":
            before.append(held)
        elif step == "failed":
            held = before.pop()


@pytest.mark.parametrize(("playbook", "change"), [("drain.yml", "drained"), ("ready.yml", "ready")])
def test_what_is_done_to_one_server_is_done_with_the_lock(playbook: str, change: str) -> None:
    found = story(playbook)
    assert found.count(change) == 1 and {each for each in found if each in CHANGES} == {change}
    before = found[: found.index(change)]
    assert "held" in before and "free" not in before
    assert "free" in found[found.index(change) :]


@pytest.mark.parametrize("playbook", ["check.yml", "status.yml", "release.yml"])
def test_who_only_looks_changes_nothing(playbook: str) -> None:
    assert not set(CHANGES) & set(story(playbook))


def test_whoever_waits_waits_before_the_first_question() -> None:
    found = story("upgrade.yml")
    assert found[0] == "asked", found
