# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the balancers allow a plan, for internal use by the role preflight."""

from __future__ import annotations

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.balancers import (
    balancer_problems,
    hazards_of,
    seen_by,
)


def _problems(hosts: Any, balancers: Any, record: Any, out: Any) -> dict[str, str]:
    """ansible-core 2.16 makes texts of numbers."""
    return balancer_problems(hosts, balancers, record or {}, int(out))


class FilterModule:
    """Register the filters; the underscore says that they are internal."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by their names."""
        return {
            "_balancer_problems": _problems,
            "_hazards_of": hazards_of,
            "_seen_by": seen_by,
        }
