# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whoever asks the application asks it with the operator's headers, or one of them gets a 400."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"
ASKING = {
    "fleetops.gunicorn.http_health": "headers",
    "fleetops.gunicorn.active_release": "headers",
    "fleetops.gunicorn.release": "boot_headers",
}


def tasks(node):
    if isinstance(node, list):
        for each in node:
            yield from tasks(each)
    elif isinstance(node, dict):
        yield node
        for name in ("block", "rescue", "always"):
            yield from tasks(node.get(name))


def asking():
    for path in sorted(ROLES.glob("*/tasks/**/*.yml")):
        for task in tasks(yaml.safe_load(path.read_text())):
            for module, option in ASKING.items():
                if module in task and path.name != "wheelhouse.yml":
                    where = f"{path.parent.parent.name}/{path.name}"
                    yield pytest.param(task[module], option, id=where)
            if health := task.get("fleetops.gunicorn.server_info", {}).get("health"):
                yield pytest.param(health, "headers", id=f"{path.parent.parent.name}/{path.name}")


@pytest.mark.parametrize(("options", "name"), list(asking()))
def test_every_question_has_the_headers(options, name):
    assert options[name] == "{{ gate_health_headers }}"


def test_nobody_is_left_out():
    assert len(list(asking())) >= 7
