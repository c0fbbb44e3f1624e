# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The door of every playbook: all operator inputs of one host, checked by one task."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._declared import declared
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._probe_inputs import PREFIX as PROBE
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._settings import (
    misspelt,
    no_balancer,
    of_host,
    settings_problems,
)

# Ansible imports this in the process that starts the others: they have it already.
DECLARED = declared()


class ActionModule(ActionBase):
    """Runs on the controller alone."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        wanted = {name: known[name] for name in DECLARED if name in known}
        given: dict[str, Any] = self._templar.template(wanted)
        checked = ArgumentSpecValidator(DECLARED).validate(given, validate_role_argument_spec=True)
        if checked.error_messages:
            errors = [*map(str, checked.error_messages)]
            text = "Validation of arguments failed:\n" + "\n".join(errors)
            return {**result, "failed": True, "msg": text, "argument_errors": errors}
        # Of these it is not the text that is judged, and one word may stand for a list of one.
        as_declared = ["rollout_promote", "rollout_wait"]
        as_declared += [name for name in DECLARED if name.startswith(PROBE) and name in wanted]
        given = {**given, **{name: checked.validated_parameters[name] for name in as_declared}}
        groups, host = known["groups"], str(known["inventory_hostname"])
        problems = [
            *misspelt(known, DECLARED),
            *settings_problems(given, groups),
            *no_balancer(given, groups, host),
        ]
        if problems:
            return {**result, "failed": True, "msg": " ".join(problems)}
        return {
            **result,
            "changed": False,
            "host": of_host(given, groups, host),
            "metrics": {
                "fleet": str(given["rollout_fleet"]),
                "directory": str(given["metrics_textfile_directory"]),
            },
            "judged_by": {
                "stages": given["rollout_stages"],
                "log_quiet": given["gate_log_quiet"],
                "drain": checked.validated_parameters["load_balancer_drain"],
                "min_available": str(given["rollout_min_available"]),
                "ramp": given["rollout_ramp"],
                "requirements": given["app_requirements"],
                "log_paths": given["gate_log_paths"],
                "python_provider": given["release_python_provider"],
                "force": checked.validated_parameters["rollout_force"],
                "stop_timeout": given["service_stop_timeout"],
            },
        }
