# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the balancers tell during a soak: each look at them ends a window. Pure.

What is kept between looks is plain data, ``{"last": look, "windows": [...], "seconds": float}``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.bake import bake_look
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.balancer import (
    windows_from_looks,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.model import (
    Arm,
    Window,
)

MOST_WINDOWS = 240
Watch = Mapping[str, Any]


def watch_begin(results: Sequence[Mapping[str, Any]], at: float) -> dict[str, Any]:
    """Begin with results of haproxy_server_info for all balancers."""
    return {"last": bake_look(results, at), "windows": [], "seconds": 0.0, "problem": ""}


def watch_more(
    watch: Watch,
    results: Sequence[Mapping[str, Any]],
    at: float,
    server: str,
    beside: Sequence[str],
) -> dict[str, Any]:
    """Add the window that ends now. Where a balancer did not answer, the next look ends it."""
    now = bake_look(results, at)
    if len(now["balancers"]) < len(results) or not results:
        return dict(watch)
    try:
        found = windows_from_looks([watch["last"], now], [server], beside)
    except FleetError as error:
        return {**watch, "last": now, "problem": str(error)}
    windows = [*watch["windows"], *(_plain(window) for window in found)]
    if len(windows) > MOST_WINDOWS:
        windows = [merged(windows[i : i + 2]) for i in range(0, len(windows), 2)]
    seconds = float(watch["seconds"]) + math.fsum(window.seconds for window in found)
    return {"last": now, "windows": windows, "seconds": seconds, "problem": ""}


def _plain(window: Window) -> dict[str, Any]:
    arms = {"canary": window.canary._asdict(), "baseline": window.baseline._asdict()}
    return {"seconds": window.seconds, **arms}


def merged(windows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Neighbours in time as one."""
    arms = {}
    for side in ("canary", "baseline"):
        parts = [Arm(**window[side]) for window in windows]
        timed = [part for part in parts if part.time_ms is not None]
        requests = sum(part.requests for part in timed)
        arms[side] = Arm(
            sum(part.requests for part in parts),
            _sum([part.errors for part in parts]),
            _sum([part.connection_errors for part in parts]),
            _sum([part.incidents for part in parts]),
            math.fsum(part.server_seconds for part in parts),
            math.fsum(part.requests * (part.time_ms or 0) for part in timed) / requests
            if requests
            else None,
        )._asdict()
    return {"seconds": math.fsum(float(window["seconds"]) for window in windows), **arms}


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
