# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What HAProxy's runtime API says, and what may be decided from it. No I/O."""

import csv
import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import (
    Backend,
    Node,
    Picture,
    Server,
    some,
)
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


def admin_state(admin_bits: int) -> str:
    """What an operator, a tracked server or the resolver made of it."""
    if admin_bits & _ANY_MAINT:
        return "maint"
    return "drain" if admin_bits & _ANY_DRAIN else "ready"


def own_state(admin_bits: int) -> str:
    """The part of `admin_state` that `set server … state` changes."""
    if admin_bits & _FORCED_MAINT:
        return "maint"
    return "drain" if admin_bits & _FORCED_DRAIN else "ready"


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
        admin=admin_state(state.admin_bits),
        own=own_state(state.admin_bits),
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


def refusal(level: str, name: str) -> str:
    """Why this socket may not change anything; empty if it may, or does not tell."""
    if level in ("admin", ""):
        return ""
    return (
        f"The socket of {name} has the level {level}, and draining needs admin: write `level admin`"
        " on its `stats socket` line, and reload HAProxy."
    )


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
