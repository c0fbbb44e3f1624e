# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every balancer tells, whatever it is: who serves, who else would, and what may be decided.

The results of the modules have this shape; the controller needs nothing else. No I/O.
"""

import re
from typing import Collection, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError


class Node(NamedTuple):
    """The process that answered."""

    name: str
    version: str
    pid: int
    uptime: int
    # When it started (seconds since the epoch; 0 if that is not told), and what it has counted
    # itself: what is taken over from a process before is in the counters of backends, never here.
    started: int = 0
    requests: Optional[int] = None
    connections: int = 0


class Glance(NamedTuple):
    """The process that answers, and what was made of a server per backend."""

    pid: int
    uptime: int
    own: Dict[str, str]


class Server(NamedTuple):
    """One server of one backend, as the balancer sees it now."""

    backend: str
    server: str
    status: str
    # What an operator, a tracked server or the resolver made of it, and the part of it that can be
    # changed from here: `ready`, `drain` or `maint`.
    admin: str
    own: str
    weight: int
    # What the effective weight comes from: as set now, and as the configuration has it.
    weight_set: int
    weight_full: int
    sessions: int
    queue: int
    check: str
    fall: int
    backup: bool
    address: str
    cookie: str
    counters: Dict[str, int]
    # Of its configured share, in percent: below 100 while a slow start holds it back.
    throttle: int = 100
    # Of `agent-check`: empty without one, `on` while its answers count, `off` while muted.
    agent: str = ""
    agent_check: str = ""

    @property
    def up(self) -> bool:
        """Whether it is surely UP: `UP 1/3` is on its way down, or has only just started."""
        return self.status in ("UP", "no check")

    @property
    def wavers(self) -> bool:
        """Whether it serves, and its next check decides: one failed, or the first ones passed."""
        return self.status.startswith("UP ")

    @property
    def full(self) -> bool:
        """Whether it also takes all that it ever will: a server that has just come UP does not."""
        return self.up and self.throttle >= 100

    @property
    def busy(self) -> int:
        return self.sessions + self.queue

    def describe(self) -> str:
        """For an error text: `web2 is DOWN (L4CON Connection refused)`."""
        told = f" ({self.check})" if self.check else ""
        if self.agent_check and not self.up:
            told += f" (its agent says: {self.agent_check})"
        if self.throttle < 100:
            told += f", held back by slowstart at {self.throttle} %"
        return f"{self.server} is {self.status}{told}{', weight 0' if self.weight == 0 else ''}"


class Backend(NamedTuple):
    name: str
    mode: str
    balance: str
    cookie: str
    table: bool
    active: int
    servers: Tuple[Server, ...]
    # Of the backend itself: also what no server ever saw, such as the balancer's own 503.
    counters: Dict[str, int]

    def serves(self, server: Server) -> bool:
        """Whether new requests go to it (a backup gets them only when nobody else is left)."""
        return server.weight > 0 and (not server.backup or self.active == 0)


class Picture(NamedTuple):
    """One look at one balancer."""

    node: Node
    level: str
    backends: Tuple[Backend, ...]
    # Names of all stick tables: a backend may use one of another.
    tables: Tuple[str, ...] = ()
    # Why nothing may be changed from here; empty if something may.
    refusal: str = ""

    def mine(self, server: str) -> List[Server]:
        """The wanted server in every backend; an error names the ones there are."""
        found = []
        for backend in self.backends:
            rows = [row for row in backend.servers if row.server == server]
            if not rows:
                raise FleetError(
                    f"Server {server!r} is not in backend {backend.name!r} of the balancer"
                    f" {self.node.name}, which has: {some(r.server for r in backend.servers)}. Set"
                    " the server's name as this balancer's configuration spells it."
                )
            found += rows
        return found

    def backend(self, name: str) -> Backend:
        return next(backend for backend in self.backends if backend.name == name)


class Need(NamedTuple):
    """How many servers must stay UP: a count, or a share of the backend's servers."""

    number: int
    percent: bool

    def of(self, total: int) -> int:
        # Rounded up: 50% of 3 servers are 2.
        return -(-total * self.number // 100) if self.percent else self.number

    @property
    def text(self) -> str:
        return f"{self.number}{'%' if self.percent else ''}"


class Available(NamedTuple):
    """The servers of a backend that are UP beside the wanted one."""

    up: List[str]
    total: int
    wanted: int
    possible: bool
    reason: str

    @property
    def enough(self) -> bool:
        return not self.reason


class Found(NamedTuple):
    """What a server was in before it was taken out here, to be put back."""

    own: str
    """`ready`, `drain` or `maint`; empty if only the agent is still to be given back."""
    agent: bool
    """Whether its agent was muted here."""
    stot: int = -1
    """Its sessions when none was left; below 0 if that is not known."""
    pid: int = 0


def some(names: object, limit: int = 20) -> str:
    """A list for an error text that stays readable with 500 servers."""
    names = [str(name) for name in names]  # type: ignore[attr-defined]
    more = f", and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "none") + more


def parse_need(text: str) -> Need:
    found = re.match(r"^\s*(\d+)\s*(%?)\s*$", text)
    if not found or (found.group(2) and int(found.group(1)) > 100):
        raise FleetError(
            f"min_available is {text!r}. Give how many servers must stay UP, as a count ('1') or"
            " as a share of the backend ('50%')."
        )
    return Need(int(found.group(1)), bool(found.group(2)))


def part_of(full: int, percent: int) -> int:
    """The weight that is so much of a configured one; 0 if there is none so small."""
    return full * percent // 100


def too_small(percent: int, whose: str, full: int) -> str:
    """Why a weight has no such share; empty if it has."""
    if part_of(full, percent):
        return ""
    return (
        f"{percent} % of the weight of {whose}, {full}, is less than 1, the smallest there is. Give"
        " every server of the backend a larger one, such as 100, in the balancer's configuration:"
        " only their ratio counts."
    )


def why_out(row: Server) -> str:
    """By whose doing it is out of rotation, for a person: what cannot be undone here is named."""
    if row.own != "ready":
        return f"in {row.own.upper()}"
    if row.admin == "ready":
        return ""
    if "via" in row.status:
        return f"in {row.status}: the server that it tracks is out"
    return f"in {row.status}: the name of its address does not resolve, or what it tracks is out"


def available(backend: Backend, server: str, need: Need, steady: Collection[str] = ()) -> Available:
    """Who would serve this backend without `server`, and whether that is enough.

    Of those that waver only the ``steady`` count: of them it is known that they were fully UP.
    """
    others = [row for row in backend.servers if row.server != server]
    serving = [row for row in others if row.admin == "ready" and backend.serves(row)]
    up = [row.server for row in serving if row.full or (row.wavers and row.server in steady)]
    total = len([row for row in backend.servers if not row.backup])
    wanted = need.of(total)
    possible = wanted <= len([row for row in others if not row.backup])
    asked = f"min_available asks for {wanted} of {total}"
    reason = ""
    if not possible:
        reason = (
            f"{asked} in backend {backend.name}, which can never hold while {server} is out of it."
            " Add a server to the backend or lower min_available."
        )
    elif len(up) < wanted:
        rest = some((row.describe() for row in others if row.server not in up), 5)
        reason = (
            f"backend {backend.name} would be left with {len(up)} server(s) UP ({some(up)}), and"
            f" {asked}: {rest}. Bring them UP, or lower min_available."
        )
    return Available(up, total, wanted, possible, reason)


def shortage(
    picture: Picture,
    server: str,
    need: Need,
    backends: Sequence[str],
    steady: Mapping[str, Collection[str]],
) -> str:
    """Why `server` may not be missing from those backends now; empty when it may.

    ``steady``: by backend, who was fully UP a moment ago.
    """
    reasons = [
        available(picture.backend(name), server, need, steady.get(name, ())).reason
        for name in backends
    ]
    return "; ".join(reason for reason in reasons if reason)


def wavering(picture: Picture, server: str, need: Need, backends: Sequence[str]) -> bool:
    """Whether `server` may be missing as soon as the checks of those that waver have passed."""
    passed = {backend.name: [row.server for row in backend.servers] for backend in picture.backends}
    return bool(shortage(picture, server, need, backends, {})) and not shortage(
        picture, server, need, backends, passed
    )


def elsewhere(places: Sequence[Tuple[str, str, str]], rows: Sequence[Server]) -> List[str]:
    """Other backends that send requests to the same address, from which nothing is taken out."""
    known = {row.backend for row in rows}
    wanted = {row.address for row in rows if row.address}
    found = [
        f"{backend}/{server}"
        for backend, server, address in places
        if address in wanted and backend not in known
    ]
    if not found:
        return []
    return [
        f"other backends send requests to {some(sorted(wanted), 2)} too, as {some(found, 5)}: what"
        " they send would be lost. Name every backend of the server (load_balancer_backends)"
    ]


def out_by_others(rows: Sequence[Server], memory: Dict[str, Found]) -> List[Tuple[Server, str]]:
    """The rows that are out of rotation, and not by a drain of ours, and how they are out."""
    ours = {r.backend for r in rows if r.own != "ready" and _found_ready(r, memory)}
    found = []
    for row in rows:
        why = why_out(row)
        if not why or row.backend in ours:
            continue
        # What tracks a server that we took out is out with it.
        if row.own == "ready" and ours:
            continue
        found.append((row, why))
    return found


def _found_ready(row: Server, memory: Dict[str, Found]) -> bool:
    return row.backend in memory and memory[row.backend].own == "ready"


def left_out(row: Server, memory: Dict[str, Found]) -> bool:
    """Whether it is out of rotation as it was found, and `ready` leaves it so."""
    before = memory.get(row.backend)
    return row.own != "ready" and before is not None and before.own in ("drain", "maint")


def describe(
    picture: Picture, server: str, need: Need, memory: Dict[str, Found]
) -> Dict[str, object]:
    """What both modules return of a picture, as plain data."""
    rows = picture.mine(server) if server else []
    return {
        "node": dict(picture.node._asdict()),
        "level": picture.level,
        "refusal": picture.refusal,
        "servers": rows_of(rows, memory),
        "available": {
            backend.name: {
                "up": found.up,
                "total": found.total,
                "wanted": found.wanted,
                "possible": found.possible,
                "enough": found.enough,
            }
            for backend in picture.backends
            for found in [available(backend, server, need)]
        },
    }


def rows_of(rows: Sequence[Server], memory: Dict[str, Found]) -> List[Dict[str, object]]:
    """The rows of one server as plain data."""
    return [dict(as_data(row), left_out=left_out(row, memory)) for row in rows]


def as_data(row: Server) -> Dict[str, object]:
    keys = (
        "backend server status admin sessions queue check weight weight_set weight_full backup"
        " address counters throttle agent agent_check"
    )
    return {key: getattr(row, key) for key in keys.split()}
