# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the waves of a run mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.waves import (
    at_work,
    largest_wave,
    wave_order,
    wave_pattern,
    wave_sizes,
)

INTERNAL: dict[str, Callable[..., Any]] = {
    "at_work": at_work,
    "largest_wave": largest_wave,
    "wave_order": wave_order,
    "wave_pattern": wave_pattern,
    "wave_sizes": wave_sizes,
}
