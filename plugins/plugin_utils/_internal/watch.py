# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes on while a server is watched."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._clock import deadline, left
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate import soak as _soak
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.error_budget import (
    budget_look,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.stage_servers import (
    logs_of,
    on_stage,
    server_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.tolerance import (
    fixed,
    limits,
    plain_patterns,
    relative_events,
)


def begin(results: Any, given: Any) -> Any:
    """Begin now."""
    return _soak.begin(results, time.monotonic(), given)


def look(state: Any, seen: Any, number: Any) -> Any:
    """Judge what is seen now."""
    return _soak.look(state, seen, int(number), time.monotonic())


INTERNAL: dict[str, Callable[..., Any]] = {
    "fixed_tolerances": fixed,
    "from_now": deadline,
    "gate_events": relative_events,
    "gate_limits": limits,
    "log_history": _soak.history_of,
    "logs_of": logs_of,
    "odd_events": _soak.odd_events,
    "on_stage": on_stage,
    "own_rows": _soak.own_look,
    "plain_patterns": plain_patterns,
    "seconds_left": left,
    "server_of": server_of,
    "soak_begin": begin,
    "soak_look": look,
    "soak_past": _soak.past_of,
    "budget_look": budget_look,
}
