# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release will hold, as far as that can be known before it is built."""

from typing import Any, Dict, Mapping, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.carried_pins import (
    pins_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.build_plan import Plan


def expected(plan: Plan, record: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """What the release of a plan holds (``record``: it is there), or which of it is known."""
    told: Dict[str, Any] = {
        "id": plan.identity,
        "there": record is not None,
        "python": plan.interpreter.version,
        "source": "carried" if plan.carried else "requirements",
        "dropped": list(plan.carried.dropped) if plan.carried else [],
        "may_move": plan.may_relax,
        "open": [],
        "caps": [str(cap) for cap in plan.caps],
        "error": "",
    }
    if record is not None:
        packages = dict(line.split("==", 1) for line in record["freeze"] if "==" in line)
        return dict(told, known="all", packages=packages)
    pins, open_ = pins_of(plan.prepared.recorded, plan.interpreter.markers)
    # With hashes nothing is installed that is not pinned.
    known = "all" if plan.prepared.hashed else "pins"
    return dict(told, known=known, packages=pins, open=open_)
