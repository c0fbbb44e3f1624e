# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""HAProxy itself, and the processes of before a reload. Sockets are passed in."""

from typing import Callable, Dict, List, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy import (
    state as haproxy,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.state import (
    Moved,
    State,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import (
    Glance,
    Picture,
    Server,
    some,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError


class Balancer:
    """HAProxy's runtime API as three verbs. `ask` sends commands and returns the raw text."""

    def __init__(
        self, ask: Callable[[Sequence[str]], str], backends: Sequence[str], counted: str = ""
    ) -> None:
        """With `counted`, only that server is read with its counters."""
        for name in backends:
            haproxy.check_name("backend", name)
        self._ask = ask
        self._counted = counted
        self._backends = list(dict.fromkeys(backends))
        self._ids: Dict[str, str] = {}

    def _answers(self, commands: Sequence[str]) -> List[str]:
        return haproxy.split_answers(self._ask(commands), commands)

    def read(self) -> Picture:
        """One look. `show stat` takes a backend's number: by name it may find the frontend."""
        if self._backends and not self._ids:
            self._ids = self._find()
        states = [f"show servers state {name}" for name in self._backends] or ["show servers state"]
        stats = [f"show stat {self._ids[name]} 6 -1" for name in self._backends] or [
            "show stat -1 6 -1"
        ]
        info, level, tables, *answers = self._answers(
            ["show info", "show cli level", "show table"] + states + stats
        )
        known: Dict[Tuple[str, str], State] = {}
        known_tables = haproxy.parse_tables(tables)
        backends = []
        for answer in answers[: len(states)]:
            known.update(haproxy.parse_states(answer))
        for answer in answers[len(states) :]:
            backends += haproxy.parse_backends(answer, known, known_tables, self._counted)
        if self._backends and [backend.name for backend in backends] != self._backends:
            self._ids = {}
            raise Moved("HAProxy was reloaded while it was read; its backends have new numbers.")
        # Before 1.9 there is no `show cli level`; then the first write will tell.
        known_level = level if level in ("admin", "operator", "user") else ""
        node = haproxy.parse_node(info)
        refusal = haproxy.refusal(known_level, node.name)
        return Picture(node, known_level, tuple(backends), tuple(known_tables), refusal)

    def _find(self) -> Dict[str, str]:
        info, listed, *answers = self._answers(
            ["show info", "show backend"]
            + [f"show servers state {name}" for name in self._backends]
        )
        node = haproxy.parse_node(info)
        ids = {}
        for name, answer in zip(self._backends, answers):
            found = [state.backend_id for state in haproxy.parse_states(answer).values()]
            if not found:
                there = [line for line in listed.splitlines() if not line.startswith("#")]
                raise FleetError(
                    f"Backend {name!r} is not on the balancer {node.name}, or has no server. Its"
                    f" backends: {some(there)}. Set the name as this balancer's"
                    " configuration spells it."
                )
            ids[name] = found[0]
        return ids

    def places(self) -> List[Tuple[str, str, str]]:
        """Every server of every backend, with its address."""
        return haproxy.parse_places(self._answers(["show servers state"])[0])

    def glance(self, server: str) -> Glance:
        """A look that costs little. Backends without the server are left out."""
        commands = [f"show servers state {name}" for name in self._backends]
        info, *answers = self._answers(["show info"] + commands)
        node = haproxy.parse_node(info)
        own = {
            backend: haproxy.own_state(state.admin_bits)
            for answer in answers
            for (backend, name), state in haproxy.parse_states(answer).items()
            if name == server
        }
        return Glance(node.pid, node.uptime, own)

    def write(self, server: Server, what: str, value: str) -> None:
        """``what`` is ``state``, ``weight``, ``health`` or ``agent`` (``on`` or ``off``)."""
        command = f"set server {server.backend}/{server.server} {what} {value}"
        if what == "agent":
            verb = "enable" if value == "on" else "disable"
            command = f"{verb} agent {server.backend}/{server.server}"
        # One command and no more: an error's text may have empty lines in it.
        haproxy.check_written(command, self._ask([command]).strip())


class Elders:
    """The processes of before a reload, which may still have requests. Here: none is to be seen."""

    def meet(self, pid: int, uptime: int) -> bool:
        """This process answers; whether it, and so what was before it, is to be seen from here."""
        return False

    def alive(self) -> List[int]:
        """Those that have not ended."""
        return []

    def busy(self, addresses: Sequence[str]) -> List[int]:
        """Those that may still have requests on a server with one of the addresses."""
        return []
