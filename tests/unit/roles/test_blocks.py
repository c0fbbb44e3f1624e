# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The condition of a block is asked again by each task in it, and in the files that it includes.

Also after one of them has changed what it is about: the rest is then left out. (A gate's verdict
once was, and the stop where a stage fell ill.) That of an include itself is asked once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
NAME = re.compile(r"\b_?[a-z][a-z0-9_]*\b")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text()) or []


def variables(role: str) -> dict[str, Any]:
    """What the role's own variables are made of."""
    path = ROLES / role / "vars/main.yml"
    return dict(load(path)) if path.exists() else {}


def reads(text: Any, known: Mapping[str, Any], seen: frozenset[str] = frozenset()) -> set[str]:
    """The names in an expression, and in whatever they stand for."""
    names = set(NAME.findall(str(text)))
    for name in names & set(known) - seen:
        names |= reads(known[name], known, seen | {name})
    return names


def leaves(tasks: list[dict[str, Any]], role: str, seen: frozenset[str]) -> Iterator[set[str]]:
    """The names that each task sets, in order, with those of the files that are included."""
    for task in tasks:
        yield {*(task.get("ansible.builtin.set_fact") or {}), *[task.get("register", "")]} - {""}
        for part in ("block", "rescue", "always"):
            yield from leaves(task.get(part) or [], role, seen)
        file = task.get("ansible.builtin.include_tasks")
        called = task.get("ansible.builtin.include_role") or {}
        other = str(called.get("name", "")).rpartition(".")[2]
        for name, where in ((file, role), (f"{called.get('tasks_from', 'main')}.yml", other)):
            path = ROLES / where / "tasks" / str(name)
            if where and isinstance(name, str) and str(path) not in seen and path.is_file():
                yield from leaves(load(path), where, seen | {str(path)})
                if "loop" in task:
                    # After its last task comes its first one.
                    yield set()


def conditions() -> Iterator[Any]:
    for file in sorted(ROLES.glob("*/tasks/**/*.yml")):
        role = file.relative_to(ROLES).parts[0]
        for task in _tasks(load(file)):
            if "block" in task and "when" in task:
                what = f"{file.relative_to(ROLES)}: {task['name']}"
                yield pytest.param(role, task, id=what)


def _tasks(tasks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for task in tasks:
        yield task
        for part in ("block", "rescue", "always"):
            yield from _tasks(task.get(part) or [])


@pytest.mark.parametrize("role, block", list(conditions()))
def test_a_condition_stays_what_it_was_until_the_block_is_over(
    role: str, block: dict[str, Any]
) -> None:
    told = reads(block["when"], {**variables(role), **(block.get("vars") or {})})
    # Nor does the time, which goes on.
    assert "seconds_left" not in told
    *before_the_last, _last = leaves(block["block"], role, frozenset())
    assert not told & set().union(*before_the_last)


def test_there_are_some():
    assert len(list(conditions())) >= 3
