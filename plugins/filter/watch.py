# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes on while a server is watched, for internal use by our roles."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._clock import deadline, left
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.soak_windows import (
    watch_begin,
    watch_more,
    watch_verdict,
)


def begin(results: Any) -> dict[str, Any]:
    """Begin now."""
    return watch_begin(results, time.monotonic())


def more(watch: Any, results: Any, server: str, beside: Any) -> dict[str, Any]:
    """Add what was seen until now."""
    return watch_more(watch, results, time.monotonic(), server, beside)


class FilterModule:
    """Register the filters; the underscore says that they are internal."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by their names."""
        return {
            "_from_now": deadline,
            "_seconds_left": left,
            "_watch_begin": begin,
            "_watch_more": more,
            "_watch_verdict": watch_verdict,
        }
