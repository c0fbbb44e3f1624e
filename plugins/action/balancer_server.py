# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hands an order or a question to the module of whatever the balancer runs."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._balancers import (
    module_of,
    options_for,
)


class ActionModule(ActionBase):
    """The task is delegated to the balancer, in the name of a server."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False
    _orders = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        given = dict(self._task.args)
        provider = str(given.pop("provider"))
        reach = given.pop("reach", {})
        # The balancers' own values are looked up by name: what they have as defaults is the role's.
        balancer = known["hostvars"].get(str(self._task.delegate_to), {})
        options = options_for(
            provider,
            self._orders,
            balancer,
            reach,
            lambda name: self._templar.template(known[name]),
        )
        done: dict[str, Any] = self._execute_module(
            module_name=module_of(provider, self._orders),
            module_args={**options, **given},
            task_vars=known,
        )
        return {**result, **done}
