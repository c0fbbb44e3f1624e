# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write extensions/awx/templates.yml anew: `make awx`.

Job templates, surveys and a workflow as data, in the variables of infra.controller_configuration.
What a question means is said once, in roles/settings/meta/argument_specs.yml.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from docs.variables import ROOT, Options, options

FILE = ROOT / "extensions/awx/templates.yml"
HEAD = """---
# Made by `make awx` from roles/settings/meta/argument_specs.yml: docs/awx.md says how to use it.
"""
WHY = ("rollout_reason",)
WORKFLOW = ("rollout_bake", "rollout_canary", "rollout_to", *WHY)
PLACE = {"organization": "Default", "project": "gunicorn", "inventory": "gunicorn"}
# By what it is called: the playbook, the kind of job, what its survey asks.
JOBS: dict[str, tuple[str, str, Sequence[str]]] = {
    "plan": ("upgrade", "check", WORKFLOW),
    "upgrade": ("upgrade", "run", (*WORKFLOW, "rollout_promote", "rollout_force")),
    "check": ("check", "run", ("check_since",)),
    "status": ("status", "run", ()),
    "release": ("release", "run", ("rollout_to",)),
    "drain": ("drain", "run", ("load_balancer_out_for", *WHY)),
    "ready": ("ready", "run", ()),
    "rollback": ("rollback", "run", ("rollout_release", "rollout_force", *WHY)),
}
_MARKUP = re.compile(r"\b(?:[BCEILMOPUV]|RV)\(([^)]*)\)")
_TYPES = {"int": "integer", "float": "float", "str": "text", "path": "text"}


def question(name: str, declared: Options) -> dict[str, Any]:
    """One question of a survey; no answer leaves the variable to the inventory."""
    option = declared[name]
    words = option["description"]
    kind = option["type"]
    if kind != "bool" and kind not in _TYPES:
        raise ValueError(f"{name} is a {kind}, for which a survey has no question")
    choices = ["false", "true"] if kind == "bool" else option.get("choices")
    asked: dict[str, Any] = {
        "question_name": name,
        "question_description": plain(words if isinstance(words, str) else words[0]),
        "variable": name,
        "required": False,
        "type": "multiplechoice" if choices else _TYPES[kind],
        # A default would be sent, and win over the inventory.
        "default": "",
    }
    if choices:
        asked["choices"] = [str(choice) for choice in choices]
    return asked


def plain(text: str) -> str:
    """Words without Ansible's markup, on one line."""
    return " ".join(_MARKUP.sub(r"\1", text).split())


def survey(names: Sequence[str], declared: Options) -> dict[str, Any]:
    """The part of a template that asks for ``names``; it asks nothing where there are none."""
    if not names:
        return {"survey_enabled": False}
    spec = [question(name, declared) for name in names]
    return {
        "survey_enabled": True,
        "survey_spec": {"name": "", "description": "", "spec": spec},
    }


def templates(declared: Options) -> dict[str, Any]:
    """All of the file."""
    jobs = [
        {
            "name": f"gunicorn {name}",
            **PLACE,
            "execution_environment": "fleetops.gunicorn",
            "playbook": f"{playbook}.yml",
            "job_type": kind,
            "ask_limit_on_launch": True,
            # Two at once would wait for each other's lock.
            "allow_simultaneous": False,
            **survey(names, declared),
        }
        for name, (playbook, kind, names) in JOBS.items()
    ]
    steps = [
        ("plan", _job("plan"), "canary"),
        ("canary", _job("upgrade"), "bake"),
        ("bake", _job("check"), "approve"),
        ("approve", _approval(), "rest"),
        ("rest", _job("upgrade"), ""),
    ]
    workflow = {
        "name": "gunicorn rollout",
        "organization": PLACE["organization"],
        "inventory": PLACE["inventory"],
        "allow_simultaneous": False,
        **survey(WORKFLOW, declared),
        "workflow_nodes": [
            {
                "identifier": name,
                "unified_job_template": what,
                "related": {"success_nodes": [{"identifier": then}] if then else []},
            }
            for name, what, then in steps
        ],
    }
    # Without a bake the canary's run would take every server, with nothing left to approve.
    for asked in workflow["survey_spec"]["spec"]:
        if asked["variable"] == "rollout_bake":
            asked.update(required=True, default="2h")
    return {"controller_templates": jobs, "controller_workflows": [workflow]}


def _job(name: str) -> dict[str, Any]:
    place = {"organization": {"name": PLACE["organization"]}}
    return {"name": f"gunicorn {name}", "type": "job_template", **place}


def _approval() -> dict[str, Any]:
    words = "Has the canary baked, and is it well? Then the others follow."
    # Without end: who approves late loses nothing.
    return {
        "name": "Let the others follow",
        "type": "workflow_approval",
        "description": words,
        "timeout": 0,
    }


class _Plain(yaml.SafeDumper):
    """Repeats what is the same twice, rather than to refer to it."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def text(declared: Options) -> str:
    """The file."""
    return HEAD + yaml.dump(templates(declared), Dumper=_Plain, sort_keys=False, width=110)


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else FILE).write_text(text(options()), encoding="utf-8")
