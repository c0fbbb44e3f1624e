# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one nginx is to a drain: its upstreams as backends, and each server as it runs.

nginx checks nobody's health by itself, so who is UP is asked by a probe of ours. Probing is passed
in.
"""

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.looks import Scene
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.config import (
    Config,
    Line,
    Upstream,
    find,
    goes_by_whole,
    names,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.control import (
    Control,
    Settings,
    Sight,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.counted import (
    Counted,
    advice,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.processes import (
    place_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import (
    Backend,
    Found,
    Node,
    Picture,
    Server,
    some,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.http_request import (
    Target,
    ask,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.machine import boottime

# So many are asked at once.
_AT_ONCE = 16
# Of an upstream with more servers a look at one of them does not probe the others.
_MANY = 64
Counters = Dict[str, int]


class Answer(NamedTuple):
    """What a probe found: ``UP``, ``DOWN`` or ``no check``, and why."""

    status: str
    why: str


NOT_ASKED = Answer("no check", "")
# Scheme and address of a server -> what it answers.
Probe = Callable[[Sequence[Tuple[str, str]]], Dict[Tuple[str, str], Answer]]


def prober(settings: Settings) -> Probe:
    """Asks each server for its health page, once and in bounded time."""

    def one(whom: Tuple[str, str]) -> Answer:
        scheme, address = whom
        if not settings.probe or scheme not in ("http", "https"):
            return NOT_ASKED
        host, port, path = place_of(address, 443 if scheme == "https" else 80)
        kind = "unix" if path else scheme
        target = Target(kind, host or "localhost", port, path, settings.probe)
        found = ask(target, settings.probe_timeout, time.monotonic, settings.probe_headers)
        if found.status is None:
            return Answer("DOWN", found.error)
        good = 200 <= found.status < 400 or found.status in settings.probe_status
        return Answer("UP" if good else "DOWN", f"HTTP {found.status} for {settings.probe}")

    def probe(whom: Sequence[Tuple[str, str]]) -> Dict[Tuple[str, str], Answer]:
        wanted = list(dict.fromkeys(whom))
        if not wanted:
            return {}
        with ThreadPoolExecutor(min(_AT_ONCE, len(wanted))) as pool:
            return dict(zip(wanted, pool.map(one, wanted)))

    return probe


class Row(NamedTuple):
    """One server as it runs, and where it stands in the files."""

    server: Server
    line: Line
    filed_down: bool
    """Whether the files say that it is out; what runs may differ until a reload."""
    loaded: bool = True
    """Whether it is out in the way that the files say, if it is."""


class View(NamedTuple):
    """A `Sight` in every balancer's words."""

    picture: Picture
    rows: Tuple[Row, ...]
    sight: Sight

    def mine(self, server: str) -> List[Row]:
        self.picture.mine(server)
        return [row for row in self.rows if row.server.server == server]

    def memory(self, server: str) -> Dict[str, Found]:
        """What `ready` puts the server back to, from the comments in the files."""
        return {
            row.server.backend: Found(
                "ready" if row.line.entry.own or not row.filed_down else "maint", False
            )
            for row in self.rows
            if row.server.server == server
        }


def view(
    sight: Sight,
    backends: Sequence[str],
    asked: Sequence[str],
    probe: Probe,
    refusal: str = "",
    version: str = "",
    counters: Optional[Dict[Tuple[str, str], Counters]] = None,
    wall: Callable[[], float] = time.time,
    most: int = 0,
) -> View:
    """`asked`: names of servers, which tell how the operator calls them. `counters`: by upstream
    and address; of the upstream itself by an empty address. With `most`, of an upstream that has
    more servers only the `asked` ones are probed."""
    config = sight.config
    found = [find(config, name) for name in dict.fromkeys(backends)] or list(config.upstreams)
    whole = goes_by_whole(config, asked)
    lines = [
        (up, line)
        for up in found
        for line, name in zip(up.lines, names(up.lines, whole))
        if not most or len(up.lines) <= most or name in asked
    ]
    whom = [(up.scheme, line.entry.address) for up, line in lines if _up(sight, up, line)]
    answers = probe(whom)
    rows: List[Row] = []
    told = []
    known = counters or {}
    for up in found:
        mine = [
            _row(sight, up, line, name, answers, known)
            for line, name in zip(up.lines, names(up.lines, whole))
        ]
        rows += mine
        active = [r for r in mine if not r.server.backup and r.server.admin == "ready"]
        told.append(
            Backend(
                name=up.name,
                mode=up.mode,
                balance=up.balance,
                cookie="",
                table=False,
                active=len(active),
                servers=tuple(row.server for row in mine),
                counters=known.get((up.name, ""), {}),
            )
        )
    master = sight.workers.master
    node = Node(
        name=socket.gethostname(),
        version=version,
        pid=master.pid,
        uptime=max(0, int(_age(master.ticks))),
        started=int(wall() - _age(master.ticks)),
    )
    level = "user" if refusal else "admin"
    return View(Picture(node, level, tuple(told), (), refusal), tuple(rows), sight)


def _age(ticks: int) -> float:
    return boottime() - ticks / os.sysconf("SC_CLK_TCK")


def running_state(sight: Sight, up: Upstream, line: Line) -> Tuple[int, int]:
    """Out (0, 1: `down`, 2: `drain`), and weight, in what runs; what the files say where that is
    not known."""
    filed = (line.entry.out, line.entry.weight)
    return sight.running.states.get(f"{up.name}\0{line.entry.address}", filed)


def _up(sight: Sight, up: Upstream, line: Line) -> bool:
    return not running_state(sight, up, line)[0]


def _row(
    sight: Sight,
    up: Upstream,
    line: Line,
    name: str,
    answers: Dict[Tuple[str, str], Answer],
    counters: Dict[Tuple[str, str], Counters],
) -> Row:
    entry = line.entry
    down, weight = running_state(sight, up, line)
    answer = answers.get((up.scheme, entry.address), NOT_ASKED)
    state = ("ready", "maint", "drain")[down]
    server = Server(
        backend=up.name,
        server=name,
        status=("", "MAINT", "DRAIN")[down] or answer.status,
        admin=state,
        # Where a run was killed between the file and the reload, it is to be put back all the same.
        own="maint" if down or entry.own else "ready",
        weight=0 if down else weight,
        weight_set=weight,
        weight_full=entry.full,
        sessions=0,
        queue=0,
        check=answer.why[:120],
        fall=0,
        backup=entry.backup,
        address=entry.address,
        cookie="",
        counters=counters.get((up.name, entry.address), {}),
    )
    return Row(server, line, entry.down, down == entry.out)


# -- what may be said before anything is touched ---------------------------------------------------


def obstacles(view_of: View, server: str) -> List[str]:
    """Why the server cannot be taken out by `down`, whatever the others do."""
    found = []
    for row in view_of.mine(server):
        if row.server.admin == "drain" and not row.line.entry.own:
            found.append(
                f"{row.line.path}, line {row.line.line}, has it in `drain` by somebody else's hand:"
                " users that `sticky` binds to it still come. Write `down` instead, or take it out"
            )
        if row.server.admin != "ready":
            continue
        backend = view_of.picture.backend(row.server.backend)
        others = [each for each in backend.servers if each.server != server]
        name = f"upstream {backend.name}"
        place = f"{row.line.path}, line {row.line.line}"
        if not others:
            found.append(f"{name} ({place}) has no other server: who comes would get a 502")
        elif not [each for each in others if each.admin == "ready" and not each.backup]:
            found.append(
                f"all other servers of {name} ({place}) are down or backups: who comes would get a"
                " 502, or the backup that nobody has asked"
            )
        if row.line.entry.max_fails == 0:
            found.append(
                f"{row.server.server} of {name} ({place}) has max_fails=0: should it be put back"
                " and be dead, nginx would go on sending it requests for ever. Take that out"
            )
    return found


def not_loaded(sight: Sight) -> str:
    """Why a reload would do more than was asked for; empty if it would not."""
    changed = sight.running.changed
    if not changed:
        return ""
    return (
        f"{some(changed, 3)} {'was' if len(changed) == 1 else 'were'} changed after nginx was last"
        " reloaded: what the files say is not what runs, and a reload of ours would bring in what"
        " somebody else has not finished. Reload nginx, or take the change back."
    )


def hazards(view_of: View, rows: Sequence[Server]) -> List[str]:
    """What nginx itself would do to a drain or a ramp of these, and what is not known of it."""
    found = []
    config = view_of.sight.config
    text = not_loaded(view_of.sight)
    if text:
        found.append(text)
    for row in rows:
        up = find(config, row.backend)
        if up.sticky:
            found.append(
                f"upstream {up.name} binds users to servers ({up.sticky}): those of {row.server} go"
                " elsewhere while it is out"
            )
        if up.scheme not in ("http", "https"):
            found.append(
                f"upstream {up.name} speaks {up.scheme}: whether its servers are up cannot be asked"
            )
        elif row.status == "no check":
            found.append(
                f"no server of upstream {up.name} is asked whether it is up"
                " (load_balancer_nginx_probe is empty): each counts as up that is not down"
            )
        if row.address in config.direct:
            found.append(
                f"a `proxy_pass` names {row.address} itself, past every upstream: what comes that"
                " way cannot be kept from it"
            )
    if rows and config.variable:
        found.append(
            "a `proxy_pass` has a variable: where that leads is only known when it is used, and it"
            " may lead past the upstreams"
        )
    return list(dict.fromkeys(found))


def places(config: Config, asked: Sequence[str]) -> List[Tuple[str, str, str]]:
    """Every server of every upstream, with its address."""
    whole = goes_by_whole(config, asked)
    return [
        (up.name, name, line.entry.address)
        for up in config.upstreams
        for line, name in zip(up.lines, names(up.lines, whole))
    ]


class NginxScene(Scene):
    """nginx at one moment, for its info module."""

    def __init__(
        self,
        control: Control,
        backends: Sequence[str],
        asked: Sequence[str],
        counted: Counted,
        all_rows: bool = True,
    ) -> None:
        sight = control.look()
        self._tally = counted.count(sight.config)
        refusal = control.refusal(sight.config, backends)
        probe = prober(control.settings)
        version = control.version(sight.workers.master.pid)
        counts = self._tally.counts
        most = 0 if all_rows else _MANY
        self.view = view(sight, backends, asked, probe, refusal, version, counts, most=most)
        self.picture = self.view.picture
        self.places = places(sight.config, asked)

    def hazards(self, rows: Sequence[Server]) -> List[str]:
        mine = [row.backend for row in rows]
        return hazards(self.view, rows) + advice(self._tally.problems, mine)

    def undo(self, row: Server) -> str:
        line = next(
            each.line
            for each in self.view.rows
            if (each.server.backend, each.server.server) == (row.backend, row.server)
        )
        return f"take `down` out of {line.path}, line {line.line}, and reload nginx"

    def memory(self, rows: Sequence[Server], kept: Dict[str, Found]) -> Dict[str, Found]:
        return self.view.memory(rows[0].server) if rows else {}

    def notes(self) -> List[str]:
        return self._tally.notes
