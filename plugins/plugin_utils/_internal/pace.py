# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the next server may be begun: by the clock, those that failed, and who works on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._held import (
    any_held,
    cannot_hold,
    held_out,
    held_words,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.left_behind import left_behind
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.window import window_verdict


def _words(server: str, seconds: Any, now: Any, balancers: Any) -> str:
    """ansible-core 2.16 makes texts of numbers."""
    return held_words(server, float(seconds), float(now), list(balancers))


INTERNAL: dict[str, Callable[..., Any]] = {
    "cannot_hold": cannot_hold,
    "any_held": any_held,
    "held_out": held_out,
    "held_words": _words,
    "left_behind": left_behind,
    "window_verdict": window_verdict,
}
