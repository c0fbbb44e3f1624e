# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a server stands in rotation, and the first of a stage comes back, for our roles only."""

from __future__ import annotations

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.ramp import (
    baseline,
    ramp_shares,
    servers_beside,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.rotation import left_out


class FilterModule:
    """Register the filters; the underscore says that they are internal."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by their names."""
        return {
            "_left_out": left_out,
            "_baseline": baseline,
            "_ramp_shares": ramp_shares,
            "_servers_beside": servers_beside,
        }
