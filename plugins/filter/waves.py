# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the waves of a run mean, for internal use by our roles."""

from __future__ import annotations

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.waves import (
    at_work,
    largest_wave,
    wave_order,
    wave_pattern,
    wave_sizes,
)


class FilterModule:
    """Register the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by their names; the underscore says that they are internal."""
        return {
            "_at_work": at_work,
            "_largest_wave": largest_wave,
            "_wave_order": wave_order,
            "_wave_pattern": wave_pattern,
            "_wave_sizes": wave_sizes,
        }
