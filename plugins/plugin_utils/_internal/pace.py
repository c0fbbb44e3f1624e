# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the next server may be begun: by the clock, and by those that failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.left_behind import left_behind
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.window import window_verdict

INTERNAL: dict[str, Callable[..., Any]] = {
    "left_behind": left_behind,
    "window_verdict": window_verdict,
}
