# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whoever looks with the gate gives all that it needs: a file of tasks behind its entry point does
not check that, and fails in the middle of a run when it begins to need more."""

from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
GATE = "fleetops.gunicorn.gate"


def blocks(tasks):
    for task in tasks:
        yield task
        for inside in ("block", "rescue", "always"):
            yield from blocks(task.get(inside) or [])


def looks():
    for file in sorted(ROLES.glob("*/tasks/**/*.yml")):
        for task in blocks(yaml.safe_load(file.read_text()) or []):
            role = task.get("ansible.builtin.include_role") or {}
            if role.get("name") == GATE:
                yield pytest.param(role, task, id=f"{file.relative_to(ROLES)}: {task['name']}")


@pytest.mark.parametrize("role, task", list(looks()))
def test_a_look_goes_through_the_door_and_gives_what_is_required(role, task):
    specs = yaml.safe_load((ROLES / "gate/meta/argument_specs.yml").read_text())["argument_specs"]
    needed = {name for name, option in specs["main"]["options"].items() if option.get("required")}
    assert role.get("tasks_from", "main") == "main"
    assert needed <= set(task.get("vars") or {})
