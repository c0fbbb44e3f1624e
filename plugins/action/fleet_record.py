# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of ``fleet_record``: which run tells it, and who runs it."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._controller import (
    myself,
    token_of,
    user,
)

MODULE = "fleetops.gunicorn.fleet_record"


class ActionModule(ActionBase):
    """Runs the module."""

    _supports_check_mode = True
    _supports_async = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        me = myself()
        arguments = dict(self._task.args)
        for name, value in (("by", user()), ("run", token_of(me)), ("controller", me.hostname)):
            arguments[name] = arguments.get(name) or value
        answer = self._execute_module(
            module_name=MODULE, module_args=arguments, task_vars=task_vars
        )
        result.update(answer)
        return result
