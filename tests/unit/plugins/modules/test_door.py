# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever a module says goes through one door, where it is made fit for a terminal."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import AnsibleModule

# What runs on the controller alone is an action, and its module the documentation of it.
ACTIONS = ("balancer_server", "balancer_server_info", "validate_settings")
MODULES = sorted(
    path
    for path in (Path(__file__).resolve().parents[4] / "plugins/modules").glob("*.py")
    if path.stem not in ACTIONS
)
DOOR = "ansible_collections.fleetops.gunicorn.plugins.module_utils._module"
HOSTILE = "\x1b[2J\x1b[H\x9b1A\rDone.\u202e"
HARMLESS = "\\x1b[2J\\x1b[H\\x9b1A\\x0dDone.\\u202e"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_every_module_uses_it(module):
    imports = [
        node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.ImportFrom)
    ]
    doors = [
        node.module for node in imports if any(name.name == "AnsibleModule" for name in node.names)
    ]
    assert doors == [DOOR]
    assert "ansible.module_utils.basic" not in module.read_text()
    # Nothing else writes to where Ansible reads.
    assert "print(" not in module.read_text() and "sys.stdout" not in module.read_text()


def test_there_are_modules():
    assert len(MODULES) >= 13


def said(capsys, say):
    with patch_module_args({}), pytest.raises(SystemExit):
        say(AnsibleModule(argument_spec={}))
    return json.loads(capsys.readouterr().out)


def test_a_result(capsys):
    told = said(capsys, lambda module: module.exit_json(rows=[{HOSTILE: HOSTILE}], changed=False))
    assert told["rows"] == [{HARMLESS: HARMLESS}] and told["changed"] is False


def test_a_failure(capsys):
    told = said(capsys, lambda module: module.fail_json(msg=HOSTILE, evidence={"log": [HOSTILE]}))
    assert (told["msg"], told["evidence"], told["failed"]) == (HARMLESS, {"log": [HARMLESS]}, True)


def test_a_warning(monkeypatch):
    heard = []
    monkeypatch.setattr(basic.AnsibleModule, "warn", lambda _module, text: heard.append(text))
    with patch_module_args({}):
        AnsibleModule(argument_spec={}).warn(HOSTILE)
    assert heard == [HARMLESS]
