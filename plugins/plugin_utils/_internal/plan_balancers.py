# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the balancers allow a plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.balancers import (
    hazards_of,
    seen_by,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.refusals import (
    bad_releases,
    refusals,
)


def _refusals(hosts: Any, balancers: Any, record: Any, out: Any) -> dict[str, dict[str, str]]:
    """ansible-core 2.16 makes texts of numbers."""
    return refusals(hosts, balancers, record or {}, int(out))


INTERNAL: dict[str, Callable[..., Any]] = {
    "bad_releases": bad_releases,
    "hazards_of": hazards_of,
    "plan_refusals": _refusals,
    "seen_by": seen_by,
}
