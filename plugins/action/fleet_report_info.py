# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of ``fleet_report_info``: a report that was fetched becomes its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_reports import (
    check_name,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.files import write
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.kept import unpacked

MODULE = "fleetops.gunicorn.fleet_report_info"


class ActionModule(ActionBase):
    """Runs the module, and writes what it brings."""

    _supports_check_mode = True
    _supports_async = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        wanted = str(self._task.args.get("report") or "")
        to = str(self._task.args.get("to") or "").strip()
        if wanted and not to:
            return {**result, "failed": True, "msg": "report needs to: where shall it be written?"}
        answer = self._execute_module(
            module_name=MODULE, module_args=dict(self._task.args), task_vars=task_vars
        )
        content = answer.pop("content", None)
        result.update(answer)
        if content is None or result.get("failed"):
            return result
        try:
            # The other host says what it is called, and what is in it.
            name = check_name(str(answer.get("name")))
            if wanted not in ("newest", name):
                raise FleetError(f"{wanted} was asked for, and {name} came.")
            place = Path(to).expanduser().absolute()
            file = place / f"{name}.html"
            data = unpacked(str(content))
            if not self._task.check_mode:
                if not file.exists():
                    file = write(data, place, 0, name)
                    result["changed"] = True
                result["file"] = str(file)
        except (FleetError, OSError) as exc:
            return {**result, "failed": True, "msg": f"No report was written to {to}: {exc}"}
        return result
