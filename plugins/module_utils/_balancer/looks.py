# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From one look at a balancer to what its info module answers; the same for all."""

from abc import ABC, abstractmethod
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import Access
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import (
    Found,
    Picture,
    Server,
    as_data,
    describe,
    elsewhere,
    out_by_others,
    parse_need,
    rows_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.watcher import Leases
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

# What every such module has, beside how its balancer is reached.
ARGUMENTS: Dict[str, Dict[str, Any]] = {
    "backends": {"type": "list", "elements": "str", "default": []},
    "server": {"type": "str", "default": ""},
    "servers": {"type": "list", "elements": "str", "default": []},
    "min_available": {"type": "str", "default": "1"},
    "lease_directory": {"type": "path", "default": "/run/fleetops-gunicorn"},
    "rows": {"type": "str", "choices": ["all", "server"], "default": "all"},
}
Params = Dict[str, Any]


class Scene(ABC):
    """One look at a balancer, and what only its provider can say of it."""

    picture: Picture
    places: Sequence[Tuple[str, str, str]] = ()
    """Backend, server and address of every server, also of backends that were not asked for."""

    @abstractmethod
    def hazards(self, rows: Sequence[Server]) -> List[str]:
        """What the balancer itself would do to a drain or a ramp of these."""

    @abstractmethod
    def undo(self, row: Server) -> str:
        """How a person puts it back whom somebody else has taken out, in a few words."""

    def memory(self, rows: Sequence[Server], kept: Dict[str, Found]) -> Dict[str, Found]:
        """What a drain found in each backend; `kept` is what the lease's directory knows."""
        return kept

    def notes(self) -> List[str]:
        return []


class Look(NamedTuple):
    """What only concerns one server."""

    lease: Optional[Dict[str, object]]
    notes: List[str]
    memory: Dict[str, Found]
    rows: List[Server]
    elsewhere: List[str]


NOTHING = Look(None, [], {}, [], [])


def look_at(scene: Scene, server: str, access: Access, directory: str) -> Look:
    """What only concerns one server; an error if it is not in every backend."""
    notes: List[str] = []
    kept = Leases(directory, access, server, 0)
    rows = scene.picture.mine(server)
    lease = kept.look(notes.append, [row.backend for row in rows])
    memory = scene.memory(rows, recalled(kept, notes))
    return Look(lease, notes, memory, rows, elsewhere(scene.places, rows))


def recalled(kept: Leases, notes: List[str]) -> Dict[str, Found]:
    """What a drain found before it took the server out."""
    try:
        return kept.recall()
    except FleetError as exc:
        notes.append(f"what the server was in before it was taken out cannot be told: {exc}")
        return {}


def told(scene: Scene, look: Look) -> Dict[str, object]:
    """A look as plain data."""
    return {
        "lease": look.lease,
        "notes": look.notes + scene.notes(),
        "hazards": scene.hazards(look.rows) + look.elsewhere,
        "out_by_others": [
            {"backend": row.backend, "server": row.server, "how": why, "undo": scene.undo(row)}
            for row, why in out_by_others(look.rows, look.memory)
        ],
    }


def about(scene: Scene, server: str, access: Access, directory: str) -> Dict[str, object]:
    """All that is told of one server of many; why it cannot be told, as C(msg)."""
    try:
        look = look_at(scene, server, access, directory)
    except FleetError as exc:
        return {"msg": str(exc)}
    return dict(told(scene, look), servers=rows_of(look.rows, look.memory))


def answer(scene: Scene, access: Access, params: Params) -> Dict[str, object]:
    """The whole result."""
    need = parse_need(params["min_available"])
    directory = params["lease_directory"]
    look = NOTHING
    if params["server"]:
        look = look_at(scene, params["server"], access, directory)
    others = {each: about(scene, each, access, directory) for each in params["servers"]}
    picture = scene.picture
    backends = [
        {
            "name": backend.name,
            "mode": backend.mode,
            "balance": backend.balance,
            "sticky": backend.cookie or ("stick table" if backend.table else ""),
            "servers": [
                as_data(row)
                for row in backend.servers
                if params["rows"] == "all" or row.server == params["server"]
            ],
        }
        for backend in picture.backends
    ]
    return {
        "backends": backends,
        "totals": [{"backend": row.name, "counters": row.counters} for row in picture.backends],
        **({"about": others} if params["servers"] else {}),
        **told(scene, look),
        **describe(picture, params["server"], need, look.memory),
    }
