# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller's half of ``fleet_lock``: who asks, and whether the holder still lives here."""

from __future__ import annotations

import shlex
import time
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_lock import (
    Controller,
    why_dead,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._controller import (
    look,
    myself,
    token_of,
    user,
)

MODULE = "fleetops.gunicorn.fleet_lock"
# While it waits, the holder may die: that only the controller can see.
_LOOK_EVERY = 5.0


class ActionModule(ActionBase):
    """Runs the module, and once more for a lock whose holder is proven dead."""

    _supports_check_mode = True
    _supports_async = False

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        me = myself()
        arguments = dict(self._task.args, controller=me._asdict(), take_over="", proof="")
        for name, default in (
            ("owner", user()),
            ("token", token_of(me)),
            ("break_command", self._break_command(task_vars or {})),
        ):
            arguments[name] = arguments.get(name) or default

        def ask(**more: Any) -> dict[str, Any]:
            answer: dict[str, Any] = self._execute_module(
                module_name=MODULE, module_args={**arguments, **more}, task_vars=task_vars
            )
            return answer

        wait = self._wait()
        deadline = time.monotonic() + (wait or 0)
        # A wait that is no number is the module's to refuse.
        answer = ask() if wait is None else ask(wait=0)
        while answer.get("held_by_other") and arguments.get("state", "held") in ("held", "asked"):
            proof = why_dead(me, Controller(**answer["holder"]["controller"]), look)
            if proof:
                answer = ask(wait=0, take_over=answer["holder"]["token"], proof=proof)
                if not answer.get("held_by_other"):
                    break
                # Somebody else was faster.
            left = deadline - time.monotonic()
            if left <= 0 or self._task.check_mode:
                break
            answer = ask(wait=min(left, _LOOK_EVERY))
        result.update(answer)
        return result

    def _wait(self) -> float | None:
        try:
            return float(self._task.args.get("wait", 0))
        except (TypeError, ValueError):
            return None

    def _break_command(self, task_vars: dict[str, Any]) -> str:
        host = self._task.delegate_to or task_vars.get("inventory_hostname") or "localhost"
        wanted = [f"fleet={self._task.args.get('fleet', '')}", "state=broken"]
        if self._task.args.get("directory"):
            wanted.append(f"directory={self._task.args['directory']}")
        become = "-b " if self._play_context.become else ""
        words = shlex.quote(" ".join([*wanted, 'reason="WHY IT MAY BE BROKEN"']))
        return f"ansible {shlex.quote(str(host))} {become}-m {MODULE} -a {words}"
