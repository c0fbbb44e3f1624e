# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what a module that changes a balancer was asked for to what it answers; the same for all."""

from typing import Any, Callable, Dict, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import (
    Access,
    Change,
    Wish,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import (
    Found,
    parse_need,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.watcher import (
    Leases,
    carry_out,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import AnsibleModule
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fencing import (
    Fence,
    Fenced,
    key_of,
)

# What every such module has, beside how its balancer is reached.
ARGUMENTS: Dict[str, Dict[str, Any]] = {
    "backends": {"type": "list", "elements": "str", "required": True},
    "server": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["drained", "ready"], "required": True},
    "min_available": {"type": "str", "default": "1"},
    "drain_timeout": {"type": "float", "default": 60},
    "on_timeout": {"type": "str", "choices": ["restore", "force", "fail"], "default": "restore"},
    "share": {"type": "int", "default": 0},
    "up_timeout": {"type": "float", "default": 60},
    "poll": {"type": "float", "default": 0.1},
    "turn": {"type": "int", "default": 0},
    "turn_by": {"type": "str", "default": ""},
    "lease": {"type": "float", "default": 0},
    "lease_directory": {"type": "path", "default": "/run/fleetops-gunicorn"},
}
Params = Dict[str, Any]


def check_order(params: Params) -> None:
    """Refuse an order that makes no sense for any balancer."""
    if not params["backends"]:
        raise FleetError("backends is empty. Name the backends that hold the server.")
    if params["poll"] <= 0:
        raise FleetError("poll is in seconds and must be above 0.")
    if params["lease"] < 0:
        raise FleetError("lease is in seconds: above 0, or 0 for none.")
    if not 0 <= params["share"] <= 100:
        raise FleetError("share is in percent, from 1 to 100, or 0 to leave the weight as it is.")
    if params["share"] and params["state"] != "ready":
        raise FleetError("share goes with state=ready: a drained server gets nothing.")


def wish_of(params: Params, patience: float) -> Wish:
    return Wish(
        server=params["server"],
        need=parse_need(params["min_available"]),
        drain_timeout=params["drain_timeout"],
        on_timeout=params["on_timeout"],
        up_timeout=params["up_timeout"],
        patience=patience,
        poll=params["poll"],
        share=params["share"],
    )


def fence_of(params: Params, access: Access) -> Fence:
    """What keeps an older run out; look at it right before each step that changes something."""
    return Fence(
        StateDirectory(params["lease_directory"], private=True),
        key_of(access.text, *params["backends"], params["server"]),
        params["turn"],
        params["turn_by"],
        f"{params['server']} on this balancer",
    )


def claimed(fence: Fence, params: Params, check_mode: bool) -> bool:
    """Whether the fence stands. Without the directory there is none, and nobody is kept out of
    rotation for it; a lease needs it, too."""
    try:
        if not check_mode:
            fence.claim()
        return True
    except Fenced:
        raise
    except FleetError:
        if params["lease"]:
            raise
        return False


def recalled(kept: Leases, change: Change) -> Dict[str, Found]:
    """What a drain before this one found. Without it, what is out counts as taken out here."""
    try:
        return kept.recall()
    except FleetError as exc:
        change.note(f"what the server was in before it was taken out cannot be told: {exc}")
        return {}


def run(
    module: AnsibleModule,
    reach: Callable[[], Access],
    look: Callable[[Params, bool], Change],
    patience: float,
) -> None:
    """Read, refuse, change, answer. `patience`: how long a lease waits for one exchange."""
    params = module.params
    state = params["state"]
    change: Optional[Change] = None
    kept: Optional[Leases] = None
    try:
        change = look(params, module.check_mode)
        kept = Leases(params["lease_directory"], reach(), params["server"], patience)
        change.remember(recalled(kept, change))
        before, after = change.found(), change.plan(state)
        change.check(state, later=state == "drained" and params["lease"] > 0)
        if not module.check_mode:
            carry_out(change, state, kept, params["lease"])
            after = change.found()
    except FleetError as exc:
        module.fail_json(
            msg=str(exc),
            changed=change is not None and change.changed,
            left_drained=change is not None and change.left_drained,
            lease=kept.look(change.note, params["backends"]) if kept and change else None,
            notes=change.notes if change else [],
        )
    lease = kept.look(change.note, params["backends"])
    module.exit_json(
        changed=before != after,
        diff={"before": before, "after": after},
        lease=lease,
        notes=change.notes,
        **change.told(),
        **change.measured,
    )
