# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release will hold, as far as that can be known before it is built."""

import re
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._carry import marker_holds
from ansible_collections.fleetops.gunicorn.plugins.module_utils._order import Plan
from ansible_collections.fleetops.gunicorn.plugins.module_utils._requirements import canonical

_PIN = re.compile(
    r"^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*([^;]*?)\s*(?:;\s*(.*?))?\s*$"
)
_EXACT = re.compile(r"^={2,3}\s*([^\s,*]+)$")
MAX_OPEN = 200


def pins_of(lines: Iterable[str], markers: Mapping[str, str]) -> Tuple[Dict[str, str], List[str]]:
    """(exact pins, names without one) of requirements lines, in an environment."""
    pins: Dict[str, str] = {}
    open_: List[str] = []
    for line in lines:
        match = _PIN.match(re.sub(r"\s--[a-z].*$", "", line))
        if line.startswith("-") or not match:
            continue
        name, wanted, marker = canonical(match.group(1)), match.group(2), match.group(3) or ""
        if marker and not marker_holds(marker, dict(markers, extra="")):
            continue
        exact = _EXACT.match(wanted)
        if exact:
            pins[name] = exact.group(1)
        else:
            open_.append(name)
    return pins, sorted(set(open_))[:MAX_OPEN]


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
        "error": "",
    }
    if record is not None:
        packages = dict(line.split("==", 1) for line in record["freeze"] if "==" in line)
        return dict(told, known="all", packages=packages)
    pins, open_ = pins_of(plan.prepared.recorded, plan.interpreter.markers)
    # With hashes nothing is installed that is not pinned.
    known = "all" if plan.prepared.hashed else "pins"
    return dict(told, known=known, packages=pins, open=open_)
