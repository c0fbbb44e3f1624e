# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What operators want done at the points of a run, for internal use by our roles."""

from __future__ import annotations

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._hooks import hook_outcome


class FilterModule:
    """Register the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by their names; the underscore says that they are internal."""
        return {
            "_hook_outcome": hook_outcome,
        }
