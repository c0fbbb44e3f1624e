# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What operators want done at the points of a run: whether it can be, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact
from ansible_collections.fleetops.gunicorn.plugins.module_utils._visible import visible

# Whatever goes wrong there, the host goes back.
NEVER_STOP = ("before_rollback", "after_rollback")
_LINES, _LIMIT = 3, 500


def hook_problems(hooks: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with ``rollout_hooks``, beyond what their declaration says."""
    found = []
    for hook in hooks:
        name = f"Hook {hook['name']} of rollout_hooks"
        if ("tasks" in hook) == ("command" in hook):
            found.append(f"{name} needs either tasks (a file) or command (a list of words).")
        if not hook.get("command", True):
            found.append(f"{name}: its command is empty.")
        if hook["at"] in NEVER_STOP and hook.get("on_failure", "stop") != "warn":
            found.append(
                f"{name} is at {hook['at']}: say on_failure: warn. A hook does not keep a host from"
                " going back."
            )
        if hook["at"] == "after_trial" and hook.get("on_failure", "stop") != "warn":
            found.append(
                f"{name} is at after_trial: say on_failure: warn. It is done after a trial that"
                " failed as well, and does not hide why."
            )
    return found


def hook_outcome(result: Mapping[str, Any]) -> str:
    """How a command ended that did not end well: its code and the end of what it said."""
    if result.get("unreachable"):
        return f"the host cannot be reached: {result.get('msg', '')}"
    if result.get("timedout"):
        return f"it took longer than {result['timedout'].get('period', 'its timeout')} s"
    said = str(result.get("stderr") or result.get("stdout") or result.get("msg") or "")
    lines = visible(said[-16 * _LIMIT :]).strip().split("\n")
    tail = redact(" / ".join(line.strip() for line in lines[-_LINES:]))[-_LIMIT:]
    return f"it ended with {result.get('rc', 'no code')}" + (f": {tail}" if tail else "")
