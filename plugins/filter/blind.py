# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a gate would hear the arbiter, for internal use by our roles."""

from __future__ import annotations

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.unread_logs import blind


class FilterModule:
    """Register the filter; the underscore says that it is internal."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by their names."""
        return {"_blind": blind}
