# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The condition of a block is asked again by each task in it, also after one of them has changed
what it is about: the rest of the block is then left out. (A gate's verdict once was.)"""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
KINDS = ("block", "rescue", "always")


def tasks(found):
    for task in found or []:
        yield task
        for inside in KINDS:
            yield from tasks(task.get(inside))


def conditional_blocks():
    for file in sorted(ROOT.glob("roles/*/tasks/**/*.yml")):
        for task in tasks(yaml.safe_load(file.read_text())):
            if "block" in task and "when" in task:
                yield pytest.param(task, id=f"{file.relative_to(ROOT)}: {task.get('name')}")


def changed_by(task):
    """The facts and results that the tasks of a block leave; its rescue ends in a failure."""
    for each in tasks(task["block"]):
        facts = each.get("ansible.builtin.set_fact") or {}
        yield from (name for name in facts if name != "cacheable")
        if "register" in each:
            yield each["register"]


@pytest.mark.parametrize("task", list(conditional_blocks()))
def test_no_task_of_a_block_changes_what_the_block_asks(task):
    when = task["when"] if isinstance(task["when"], list) else [task["when"]]
    asked = set(re.findall(r"[A-Za-z_]\w*", " ".join(map(str, when))))
    assert not asked & set(changed_by(task))
    # Nor does the time, which goes on.
    assert "_seconds_left" not in " ".join(map(str, when))


def test_there_are_some():
    assert len(list(conditional_blocks())) >= 3
