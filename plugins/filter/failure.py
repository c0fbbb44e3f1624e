# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last words of a run that failed, for internal use by the role C(rollout)."""

from __future__ import annotations

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.failure import (
    failure_text,
    why,
)


class FilterModule:
    """Register the filters."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by their names; the underscore says that they are internal."""
        return {"_failure_text": failure_text, "_why": why}
