# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What HAProxy's runtime API says, and what may be decided from it. No I/O."""

import csv
import re
from typing import Collection, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

# srv_admin_state of `show servers state`: forced here, inherited from a tracked server,
# or taken out because its name does not resolve.
_FORCED_MAINT, _FORCED_DRAIN = 0x01, 0x08
_ANY_MAINT, _ANY_DRAIN = 0x01 | 0x02 | 0x20, 0x08 | 0x10
# srv_agent_state: whether there is an agent at all, and whether its answers count.
_AGENT_THERE, _AGENT_HEARD = 0x02, 0x04

_COUNTERS = [
    "stot",
    "req_tot",
    "lbtot",
    "bin",
    "bout",
    "econ",
    "eresp",
    "wretr",
    "wredis",
    "cli_abrt",
    "srv_abrt",
    "dreq",
    "dresp",
    "eint",
    "chkfail",
    "chkdown",
    "downtime",
    "lastchg",
    "hrsp_1xx",
    "hrsp_2xx",
    "hrsp_3xx",
    "hrsp_4xx",
    "hrsp_5xx",
    "hrsp_other",
    "qtime",
    "ctime",
    "rtime",
    "ttime",
    "connect",
    "reuse",
]


class NotHaproxy(FleetError):
    """Something answered that does not speak HAProxy's runtime API."""


class Moved(FleetError):
    """HAProxy was reloaded between two questions; asking again helps."""


class Node(NamedTuple):
    """The process that answered."""

    name: str
    version: str
    pid: int
    uptime: int
    # When it started (seconds since the epoch; 0 where HAProxy does not say), and what it has
    # counted itself: a statistics file brings along the counters of backends, never these.
    started: int = 0
    requests: Optional[int] = None
    connections: int = 0


class Glance(NamedTuple):
    """The process that answered, and what `set server … state` made of a server per backend."""

    pid: int
    uptime: int
    own: Dict[str, str]


class Server(NamedTuple):
    """One server of one backend, as HAProxy sees it now."""

    backend: str
    server: str
    status: str
    admin_bits: int
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
    # Of its configured share, in percent: below 100 while `slowstart` holds it back.
    throttle: int = 100
    # Of `agent-check`: empty without one, `on` while its answers count, `off` while muted.
    agent: str = ""
    agent_check: str = ""

    @property
    def admin(self) -> str:
        """What an operator, a tracked server or the resolver made of it."""
        if self.admin_bits & _ANY_MAINT:
            return "maint"
        return "drain" if self.admin_bits & _ANY_DRAIN else "ready"

    @property
    def own(self) -> str:
        """The part of `admin` that `set server … state` changes."""
        return own_state(self.admin_bits)

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
    # Of the backend itself: also what no server ever saw, such as HAProxy's own 503.
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


class State(NamedTuple):
    """One line of `show servers state`."""

    backend_id: str
    admin_bits: int
    weight_set: int
    weight_full: int
    agent_bits: int = 0

    @property
    def agent(self) -> str:
        if not self.agent_bits & _AGENT_THERE:
            return ""
        return "on" if self.agent_bits & _AGENT_HEARD else "off"


class Found(NamedTuple):
    """What a server was in before it was taken out here, to be put back."""

    own: str
    """`ready`, `drain` or `maint`; empty if only the agent is still to be given back."""
    agent: bool
    """Whether its agent was muted here."""
    stot: int = -1
    """Its sessions when none was left; below 0 if that is not known."""
    pid: int = 0


def own_state(admin_bits: int) -> str:
    if admin_bits & _FORCED_MAINT:
        return "maint"
    return "drain" if admin_bits & _FORCED_DRAIN else "ready"


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
    """The weight that is so much of a configured one; 0 if HAProxy knows none so small."""
    return full * percent // 100


def too_small(percent: int, whose: str, full: int) -> str:
    """Why a weight has no such share; empty if it has."""
    if part_of(full, percent):
        return ""
    return (
        f"{percent} % of the weight of {whose}, {full}, is less than 1, the smallest there is. Give"
        " every server of the backend a larger one, such as `weight 100`, in HAProxy's"
        " configuration: only their ratio counts."
    )


def check_name(kind: str, name: str) -> None:
    """Names become part of a command line: `;` or a line break would be a second command."""
    if not re.match(r"^[A-Za-z0-9_.:-]+\Z", name):
        raise FleetError(
            f"{name[:80]!r} cannot be the name of a {kind} in HAProxy: letters, digits and -_.:"
            " only."
        )


def split_answers(text: str, commands: Sequence[str]) -> List[str]:
    """Cut what came back for several commands: HAProxy ends each answer with an empty line."""
    *whole, rest = text.split("\n")
    answers: List[str] = []
    lines: List[str] = []
    for line in whole:
        if line.strip():
            lines.append(line)
        else:
            answers.append("\n".join(lines))
            lines = []
    while len(answers) > len(commands) and not answers[-1]:
        answers.pop()
    if rest or lines or len(answers) != len(commands):
        raise NotHaproxy(
            f"Asked {some(repr(command) for command in commands)}. What came back is not an answer"
            f" of HAProxy's runtime API: {repr(text[:120]) if text else 'nothing'}. Is this the"
            " path of a `stats socket` (not of a `bind`, and not the master's)?"
        )
    return answers


def parse_node(text: str) -> Node:
    """`show info`."""
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    try:
        return Node(
            name=fields.get("node", ""),
            version=fields["Version"],
            pid=int(fields["Pid"]),
            uptime=int(fields["Uptime_sec"]),
            started=_int(fields.get("Start_time_sec")),
            requests=int(fields["CumReq"]) if "CumReq" in fields else None,
            connections=_int(fields.get("CumConns")),
        )
    except (KeyError, ValueError):
        raise NotHaproxy(
            f"Asked 'show info'. The answer does not come from HAProxy: {text[:120]!r}. Set the"
            " path or address of HAProxy's `stats socket`."
        ) from None


def parse_tables(text: str) -> List[str]:
    """`show table`: the names of the stick tables."""
    return re.findall(r"^# table: ([^,]+),", text, re.MULTILINE)


def parse_states(text: str) -> Dict[Tuple[str, str], State]:
    """`show servers state`, by (backend, server)."""
    states = {}
    columns: List[str] = []
    for line in text.splitlines():
        if line.startswith("# "):
            columns = line[2:].split()
        elif columns and len(line.split()) >= 7:
            row = dict(zip(columns, line.split()))
            states[row["be_name"], row["srv_name"]] = State(
                row["be_id"],
                int(row["srv_admin_state"]),
                _int(row.get("srv_uweight")),
                _int(row.get("srv_iweight")),
                _int(row.get("srv_agent_state")),
            )
    return states


def parse_backends(
    stat: str, states: Dict[Tuple[str, str], State], tables: Sequence[str], counted: str = ""
) -> List[Backend]:
    """`show stat`, joined with the administrative state, which its status column can hide.

    With `counted`, only that server has counters: of thousands, reading them takes the longest.
    """
    if not stat.startswith("# pxname,"):
        raise NotHaproxy(f"Asked 'show stat'. The answer is not HAProxy's: {stat[:120]!r}.")
    servers: Dict[str, List[Server]] = {}
    backends = []
    for row in csv.DictReader(stat[2:].splitlines()):
        name = row["pxname"]
        if row["svname"] == "BACKEND":
            backends.append(
                Backend(
                    name=name,
                    mode=row.get("mode") or "",
                    balance=row.get("algo") or "",
                    cookie=row.get("cookie") or "",
                    table=name in tables,
                    active=_int(row.get("act")),
                    servers=tuple(servers.get(name, [])),
                    counters=_counters(row),
                )
            )
        elif row["svname"] != "FRONTEND":
            if (name, row["svname"]) not in states:
                raise Moved(f"Server {name}/{row['svname']} appeared while HAProxy was read.")
            found = _server(row, states[name, row["svname"]])
            if not counted or row["svname"] == counted:
                found = found._replace(counters=_counters(row))
            servers.setdefault(name, []).append(found)
    return backends


def _server(row: Dict[str, str], state: State) -> Server:
    check = [row.get("check_status"), row.get("last_chk")]
    agent = [row.get("agent_status"), row.get("last_agt")]
    return Server(
        backend=row["pxname"],
        server=row["svname"],
        status=row["status"],
        admin_bits=state.admin_bits,
        weight=_int(row.get("weight")),
        weight_set=state.weight_set,
        weight_full=state.weight_full,
        sessions=_int(row.get("scur")),
        queue=_int(row.get("qcur")),
        # While a check runs, HAProxy puts "* " before the result of the last one.
        check=" ".join(part.replace("* ", "") for part in check if part)[:120],
        fall=_int(row.get("check_fall")),
        backup=_int(row.get("bck")) > 0,
        address=row.get("addr") or "",
        cookie=row.get("cookie") or "",
        counters={},
        throttle=int(row["throttle"]) if (row.get("throttle") or "").isdigit() else 100,
        agent=state.agent,
        agent_check=" ".join(part.replace("* ", "") for part in agent if part)[:120],
    )


def _counters(row: Dict[str, str]) -> Dict[str, int]:
    return {key: int(row[key]) for key in _COUNTERS if (row.get(key) or "").isdigit()}


def _int(text: Optional[str]) -> int:
    return int(text) if text and text.isdigit() else 0


def sticky(backend: Backend, server: Server) -> str:
    """Why requests are still sent to a draining server, as far as HAProxy tells of it: rules
    (`use-server`) and the table of another backend do not show."""
    if backend.cookie and server.cookie:
        return f"cookie {backend.cookie}"
    return "stick table" if backend.table else ""


def persistent(picture: Picture, server: Server) -> bool:
    """Whether some users may belong to the server, whatever its state is."""
    return bool(picture.tables or sticky(picture.backend(server.backend), server))


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


def check_written(command: str, answer: str) -> None:
    """HAProxy answers a `set server` that worked with nothing at all."""
    if not answer:
        return
    if "Permission denied" in answer:
        advice = (
            "This socket may only read. It needs `stats socket <path> level admin` in HAProxy's"
            " configuration."
        )
    elif "No such" in answer or "Can't find" in answer:
        advice = "The balancer's configuration changed. Compare the names with `show stat`."
    elif "static LB" in answer:
        advice = "Shares of a weight need `balance roundrobin`, `leastconn` or `random`."
    elif "Unknown command" in answer:
        advice = "This is not the runtime API of a HAProxy that knows the command."
    else:
        advice = "Try the command by hand on the socket."
    raise FleetError(f"Asked HAProxy {command!r}. It answered: {answer[:200]}. {advice}")


def parse_places(text: str) -> List[Tuple[str, str, str]]:
    """`show servers state`: backend, server and address of every server; dynamic ones included."""
    found = []
    columns: List[str] = []
    for line in text.splitlines():
        if line.startswith("# "):
            columns = line[2:].split()
        elif columns and len(line.split()) >= 7:
            row = dict(zip(columns, line.split()))
            host = row.get("srv_addr", "-")
            where = f"[{host}]" if ":" in host else host
            found.append((row["be_name"], row["srv_name"], f"{where}:{row.get('srv_port', '')}"))
    return found


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


def hazards(picture: Picture, rows: Sequence[Server]) -> List[str]:
    """What HAProxy itself would do to a drain or a ramp of these, and what is done about it."""
    found = []
    for row in rows:
        name = f"{row.backend}/{row.server}"
        if row.agent == "on":
            found.append(
                f"{name} has an agent (agent-check), which can put it back or change its weight: it"
                " is muted (`disable agent`) while the server is out or has a share of its weight,"
                " and heard again after"
            )
        why = sticky(picture.backend(row.backend), row)
        if why:
            found.append(
                f"backend {row.backend} is sticky ({why}): users of {row.server} come to it until"
                " it goes on to MAINT, and then go elsewhere. With `option persist` or a"
                " `force-persist` rule they would come even then: such a server is put back and"
                " not switched"
            )
        if row.throttle < 100:
            found.append(
                f"{name} is held back by slowstart at {row.throttle} %: no other server is taken"
                " out before that is over, and each that comes back is waited for as long"
            )
    return found


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
