# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes on while a server is watched, for internal use by our roles."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._clock import deadline, left
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate import soak as _soak
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


class FilterModule:
    """Register the filters; the underscore says that they are internal."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by their names."""
        return {
            "_fixed_tolerances": fixed,
            "_from_now": deadline,
            "_gate_events": relative_events,
            "_gate_limits": limits,
            "_log_history": _soak.history_of,
            "_logs_of": logs_of,
            "_odd_events": _soak.odd_events,
            "_on_stage": on_stage,
            "_own_rows": _soak.own_look,
            "_plain_patterns": plain_patterns,
            "_seconds_left": left,
            "_server_of": server_of,
            "_soak_begin": begin,
            "_soak_look": look,
            "_soak_past": _soak.past_of,
        }
