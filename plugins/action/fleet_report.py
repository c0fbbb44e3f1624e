# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of ``fleet_report``: what the run that this task is of has told so far."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._controller import (
    myself,
    token_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.kept import (
    about,
    name_of,
    packed,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.reporter import hearing

MODULE = "fleetops.gunicorn.fleet_report"
# What only this half reads.
_OURS = ("words", "failed_hosts")


class ActionModule(ActionBase):
    """Makes the report, and has the module keep it."""

    _supports_check_mode = True
    _supports_async = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        reporter = hearing()
        if reporter is None:
            return {
                **result,
                "skipped": True,
                "msg": "No callback of this collection hears this run: it has no report. Name"
                " fleetops.gunicorn.report in callbacks_enabled.",
            }
        arguments = dict(self._task.args)
        failed = [str(name) for name in arguments.get("failed_hosts") or []]
        host = str(known.get("inventory_hostname", ""))
        data = reporter.so_far(failed, host, str(arguments.get("words") or ""))
        try:
            content = packed(data)
        except FleetError as exc:
            return {**result, "failed": True, "msg": str(exc)}
        arguments = {name: each for name, each in arguments.items() if name not in _OURS}
        arguments.update(name=name_of(data, token_of(myself())), about=about(data))
        arguments.update(content=content)
        answer = self._execute_module(
            module_name=MODULE, module_args=arguments, task_vars=task_vars
        )
        result.update(answer)
        result["on"] = str(self._task.delegate_to or host)
        return result
