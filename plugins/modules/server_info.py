#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: server_info
short_description: Ask a server several questions in one call
version_added: 1.0.0
description:
  - Asks what runs, as M(fleetops.gunicorn.gunicorn_info) does, and whatever else is wanted, as the
    modules for it do. Each call of a module has its price at the controller; a fleet of a thousand
    servers pays it a thousand times.
  - An answer that cannot be had is told in its place, with C(failed) and C(msg), and keeps nobody
    from the others. What needs to know of a running gunicorn is not asked where none runs.
  - Nothing is changed.
author:
  - The fleetops.gunicorn authors (@fleetops)
extends_documentation_fragment:
  - fleetops.gunicorn.reads
  - fleetops.gunicorn.service_manager
  - fleetops.gunicorn.programs
options:
  home:
    description: Directory of the application, with C(venv) and C(releases) in it.
    type: path
    required: true
  program:
    description: As for M(fleetops.gunicorn.gunicorn_info).
    type: str
    required: true
  health:
    description: Ask the application, with the options of M(fleetops.gunicorn.http_health).
    type: dict
  log:
    description:
      - Read the log, with the options of M(fleetops.gunicorn.log_check). Without C(paths) those
        that the running gunicorn writes; without C(since) from its start, and not at all where none
        runs.
    type: dict
  preview:
    description:
      - See what the releases of stages will hold, with the options of
        M(fleetops.gunicorn.plan_info). What it needs to know of the running gunicorn is filled in,
        and only the stages that are yet to be taken are looked at; one with an empty C(python)
        keeps the one before it.
      - Two options more are C(allow_downgrade), whether a stage may go down, and C(keep), with
        which M(fleetops.gunicorn.release_prune) would be asked at the end; with 0 it is not.
    type: dict
  trial:
    description:
      - Boot what runs now once more, beside it on a spare port, as M(fleetops.gunicorn.release)
        does with O(fleetops.gunicorn.release#module:state=checked), of whose options it has those
        of the boot. What it needs to know of the running gunicorn is filled in.
      - Only where O(preview) finds a stage that is yet to be taken and nothing against it.
    type: dict
seealso:
  - module: fleetops.gunicorn.gunicorn_info
  - module: fleetops.gunicorn.http_health
  - module: fleetops.gunicorn.log_check
  - module: fleetops.gunicorn.plan_info
  - module: fleetops.gunicorn.release
"""

EXAMPLES = r"""
- name: Ask what runs, whether it is well, and what it wrote
  fleetops.gunicorn.server_info:
    home: /srv/app
    program: app
    health: {url: "http://127.0.0.1:8000/healthz"}
    log: {}
  register: server
"""

RETURN = r"""
service:
  description: What M(fleetops.gunicorn.gunicorn_info) returns, or C(failed) and C(msg).
  returned: success
  type: dict
health:
  description: What M(fleetops.gunicorn.http_health) returns, or C(failed) and C(msg).
  returned: with O(health)
  type: dict
log:
  description: What M(fleetops.gunicorn.log_check) returns, or C(failed) and C(msg).
  returned: with O(log)
  type: dict
preview:
  description: What M(fleetops.gunicorn.plan_info) returns, or C(failed) and C(msg).
  returned: with O(preview)
  type: dict
pythons:
  description: What M(fleetops.gunicorn.python_info) returns for each of these stages, with its
    C(stage).
  returned: with O(preview)
  type: list
  elements: dict
trial:
  description: What M(fleetops.gunicorn.release) returns, or C(failed) and C(msg).
  returned: with O(trial), if it was tried
  type: dict
prune:
  description: What M(fleetops.gunicorn.release_prune) would return, or C(failed) and C(msg).
  returned: with O(preview), if releases are to be removed
  type: dict
"""

from typing import Any, Callable, Dict, List

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import (
    AnsibleModule,
    runner,
    show_headers,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._questions import (
    health,
    log,
    preview,
    python,
    service,
    trial,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.build import os_errors
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.prune import (
    check_keep,
    choose,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.prune_state import (
    read_state,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.stage_order import (
    untaken,
)

Params = Dict[str, Any]

SYSTEM = ("systemd", "system")

PREVIEW: Dict[str, Dict[str, Any]] = dict(
    preview.OPTIONS,
    allow_downgrade={"type": "bool", "default": False},
    keep={"type": "int", "default": 0},
)
OPTIONS = {
    "health": health.OPTIONS,
    "log": log.OPTIONS,
    "preview": PREVIEW,
    "trial": trial.OPTIONS,
}


def answer(ask: Callable[[], Params]) -> Params:
    try:
        return ask()
    except FleetError as exc:
        return {"failed": True, "msg": str(exc)}


def checked(module: AnsibleModule, name: str, filled: Params) -> Params:
    """The options of a question, as the module for it would have them; none if it is not asked.

    What is empty is as if it were not given.
    """
    if module.params[name] is None:
        return {}
    given = {
        key: value for key, value in module.params[name].items() if value not in (None, [], "")
    }
    result = ArgumentSpecValidator(OPTIONS[name]).validate(dict(filled, **given))
    if result.error_messages:
        module.fail_json(msg="{}: {}".format(name, "; ".join(result.error_messages)))
    # As a whole they are not logged; what of them is secret is hidden, and nothing else.
    module.no_log_values |= set(result._no_log_values)
    options: Params = result.validated_parameters
    return options


def running(p: Params, told: Params) -> Dict[str, Params]:
    """What each other question needs to know of what runs; nothing where nothing is known."""
    arbiter, program = told.get("arbiter"), told.get("program") or {}
    if not arbiter:
        return {"log": {"paths": told.get("logs") or []}, "preview": {}, "trial": {}}
    start = {
        "home": p["home"],
        "like_pid": arbiter["pid"],
        "command": program.get("command") or "",
        "directory": program.get("directory") or None,
        "user": program.get("user") or "",
        # In whose sandbox a trial would run: that of the system's systemd.
        "unit": program["name"] if (p["manager"], p["systemd_scope"]) == SYSTEM else "",
    }
    return {
        "log": {
            "paths": told.get("logs") or [],
            "since": str(arbiter["started"]),
            "arbiter_pid": arbiter["pid"],
        },
        "preview": dict(start, venv=told["venv"]["path"]),
        "trial": dict(start, path=told["venv"]["path"]),
    }


def python_of(options: Params, stage: Params) -> Params:
    extra = [f"{options['venv']}/bin/python"]
    like = {"version": stage["python"], "user": None, "like_pid": options["like_pid"]}
    told = answer(lambda: python.ask(dict(like, extra_paths=extra)))
    return dict(told, stage=stage["stage"])


def prune_of(home: str, keep: int, coming: List[str]) -> Params:
    check_keep(keep)
    with os_errors("looking for old releases"):
        state = read_state(home.rstrip("/"))
    go, kept = choose(state, keep, (), coming) if state else ([], {})
    return {"removed": go, "kept": kept}


def preview_of(home: str, arbiter: Params, options: Params) -> Params:
    has = (arbiter.get("gunicorn") or "", arbiter.get("python") or "")
    stages = untaken(options["stages"], *has, options["allow_downgrade"]) if all(has) else []
    seen = answer(lambda: preview.ask(dict(options, stages=stages)))
    told = {"preview": seen, "pythons": [python_of(options, stage) for stage in stages]}
    if options["keep"]:
        coming = [stage["id"] for stage in seen.get("stages") or [] if stage["id"]]
        told["prune"] = answer(lambda: prune_of(home, options["keep"], coming))
    return told


def worth_a_trial(result: Params) -> bool:
    """Whether a stage is to be taken, and can be."""
    stages = result.get("preview", {}).get("stages") or []
    refused = result["service"].get("refusals") or any(stage["problems"] for stage in stages)
    return bool(stages) and not refused


def main() -> None:
    spec: Dict[str, Dict[str, Any]] = dict(service.OPTIONS)
    # Values in them may be secret: see `checked`.
    spec.update({name: {"type": "dict", "no_log": True} for name in OPTIONS})
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    p = module.params
    module.no_log_values = {p["supervisor_password"]} - {None, ""}
    run = runner(module)
    told = answer(lambda: service.ask(p, run))
    known = running(p, told)
    # All of them before the first is asked: what is wrong with one is no answer.
    health_options = checked(module, "health", {})
    log_options = checked(module, "log", known["log"])
    preview_options = checked(module, "preview", known["preview"]) if known["preview"] else {}
    trial_options = checked(module, "trial", known["trial"]) if known["trial"] else {}
    result: Params = {"service": told}
    if preview_options:
        result.update(preview_of(p["home"], told["arbiter"], preview_options))
    if trial_options:
        # Tried or not: what is no secret of them stands in the other answers, too.
        show_headers(module, trial_options["boot_headers"])
        module.no_log_values -= trial.shown(trial_options)
    if trial_options and worth_a_trial(result):
        result["trial"] = answer(lambda: trial.ask(trial_options))
    if health_options:
        show_headers(module, health_options["headers"])
        result["health"] = answer(lambda: health.ask(health_options))
    # Of whoever wrote it, without a beginning, nothing could be said.
    if log_options and log_options["since"]:
        result["log"] = answer(lambda: log.ask(log_options, run, not module.check_mode))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
