# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inputs are checked once, at the door; and what is done once for all hosts is fatal to none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
DOORS = ("check.yml", "report.yml", "rollback.yml", "status.yml", "upgrade.yml")
FILES = [*ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/tasks/**/*.yml")]


def tasks(node: Any) -> Iterator[dict[str, Any]]:
    for each in node or []:
        yield each
        for name in ("tasks", "block", "rescue", "always"):
            yield from tasks(each.get(name))


def everything() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(FILES):
        for task in tasks(yaml.safe_load(path.read_text())):
            yield str(path.relative_to(ROOT)), task


def test_no_role_has_its_arguments_checked_again() -> None:
    called = [
        (path, task.get(f"ansible.builtin.{verb}"))
        for path, task in everything()
        for verb in ("include_role", "import_role")
        if f"ansible.builtin.{verb}" in task
    ]
    assert len(called) > 40, "they were not found"
    assert [
        (path, role) for path, role in called if role.get("rolespec_validate") is not False
    ] == []


@pytest.mark.parametrize("name", DOORS)
def test_every_playbook_begins_at_the_door(name: str) -> None:
    first = yaml.safe_load((ROOT / "playbooks" / name).read_text())[0]["tasks"][0]
    role = first["ansible.builtin.import_role"]
    assert (role["name"], role["tasks_from"]) == ("fleetops.gunicorn.settings", "validate")


def test_what_is_run_once_and_may_be_unreachable_ignores_errors_too() -> None:
    """Otherwise Ansible ends the run for every host, whatever was to be ignored."""
    found = [
        (path, task["name"])
        for path, task in everything()
        if task.get("run_once") and "ignore_unreachable" in task
    ]
    assert len(found) >= 3, "they were not found"
    assert [
        (path, task["name"])
        for path, task in everything()
        if task.get("run_once") and "ignore_unreachable" in task and not task.get("ignore_errors")
    ] == []
