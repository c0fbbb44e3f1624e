# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a balancer that nobody can ask is to a drain: servers, and whose health page answers.

Nobody counts here what users see, and nobody gives a share: there are no counters and no weights.
"""

import socket
from typing import Dict, List, NamedTuple, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.looks import Scene
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.eyes import (
    Answer,
    Eyes,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.options import (
    Settings,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.switch import (
    State,
    Switch,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.traffic import Place
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import (
    Backend,
    Found,
    Node,
    Picture,
    Server,
    some,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.machine import boottime

# A look at one server of so many does not ask the others.
_MANY = 64
_NOT_ASKED = Answer("no check", "not asked")


class View(NamedTuple):
    """One look."""

    picture: Picture
    state: State
    own: Answer
    others: Dict[str, Answer]

    @property
    def foreign(self) -> bool:
        """Made ill by somebody else's hand, and left so."""
        return self.state.ill and not self.state.ours

    def memory(self) -> Dict[str, Found]:
        """What `ready` puts the server back to."""
        own = "maint" if self.foreign else "ready"
        return {backend.name: Found(own, False) for backend in self.picture.backends}


def view(
    server: str,
    backends: Sequence[str],
    state: State,
    own: Answer,
    others: Dict[str, Answer],
    address: str,
    refusal: str,
    wall: float,
) -> View:
    rows = [(server, own, state)] + [(name, others[name], State(False, False)) for name in others]
    age = boottime()
    node = Node(socket.gethostname(), "", 0, int(age), int(wall - age))
    told = []
    for name in dict.fromkeys(backends):
        servers = tuple(
            _server(name, each, answer, made, address if each == server else "")
            for each, answer, made in sorted(rows)
        )
        active = len([row for row in servers if row.admin == "ready"])
        told.append(Backend(name, "http", "", "", False, active, servers, {}))
    level = "user" if refusal else "admin"
    return View(Picture(node, level, tuple(told), (), refusal), state, own, others)


def _server(backend: str, name: str, answer: Answer, made: State, address: str) -> Server:
    return Server(
        backend=backend,
        server=name,
        status="MAINT" if made.ill else answer.status,
        admin="maint" if made.ill else "ready",
        # Where a run was killed before it took effect, it is to be made well all the same.
        own="maint" if made.ill or made.ours else "ready",
        weight=0 if made.ill else 1,
        weight_set=1,
        weight_full=1,
        sessions=0,
        queue=0,
        check=answer.why[:120],
        fall=0,
        backup=False,
        address=address,
        cookie="",
        counters={},
    )


def not_heard(places: Sequence[Place]) -> str:
    """Why connections to these would not be seen; empty without any."""
    if not places:
        return ""
    return (
        f"nobody listens on {some([each.text for each in places], 5)} of this server, so that who"
        " is connected to it would not be seen here. Name the ports that the balancer sends to, as"
        " the server itself has them (load_balancer_probe_ports); a container with a network of its"
        " own is to be looked at from inside"
    )


def hazards(settings: Settings) -> List[str]:
    """What is not known of such a balancer, in sentences."""
    found = [
        "the balancer is not asked (load_balancer_provider is probe): what users see is not"
        " counted, so that gates judge health, process and log alone, and no error budget is kept"
    ]
    if not settings.page_out:
        found.append(
            f"that the balancer sends nobody any more is told by time ({settings.settle:g} s,"
            " load_balancer_probe_settle) and by connections: should it need longer to believe that"
            " a server is ill, and be quiet for a second, requests are lost"
        )
    if settings.back_by == "time" and not settings.page_in:
        found.append(
            f"that the balancer sends users again is told by time alone ({settings.settle_back:g}"
            " s, load_balancer_probe_settle_back): until then nobody else is taken out"
        )
    if settings.ill_command:
        found.append(
            f"should `{' '.join(settings.ill_command)}` end what takes requests, those that the"
            " balancer sends before it believes that the server is ill are refused, and lost if it"
            " does not try another server: rather make the health page fail alone"
            " (load_balancer_probe_file)"
        )
    if settings.ill_command and not settings.state_command:
        found.append(
            "whether somebody else has made a server ill cannot be told from one that is broken"
            " (load_balancer_probe_state_command is empty): an upgrade would end with"
            f" `{' '.join(settings.well_command)}`"
        )
    return found


class ProbeScene(Scene):
    """One server at one moment, for its info module."""

    def __init__(
        self,
        settings: Settings,
        switch: Switch,
        eyes: Eyes,
        backends: Sequence[str],
        server: str,
        all_rows: bool,
        wall: float,
    ) -> None:
        self._settings = settings
        self._switch = switch
        self._eyes = eyes
        others = other_names(settings, server)
        ask = all_rows or len(others) < _MANY
        answers = eyes.others(others) if ask else dict.fromkeys(others, _NOT_ASKED)
        self.view = view(
            server,
            backends,
            switch.look(),
            eyes.own(),
            answers,
            settings.url,
            switch.refusal(),
            wall,
        )
        self.picture = self.view.picture

    def hazards(self, rows: Sequence[Server]) -> List[str]:
        found = hazards(self._settings)
        if not self.view.state.ill:
            text = not_heard(self._eyes.unheard())
            found += [text] if text else []
        return found

    def undo(self, row: Server) -> str:
        return self._switch.undo

    def memory(self, rows: Sequence[Server], kept: Dict[str, Found]) -> Dict[str, Found]:
        return self.view.memory()


def other_names(settings: Settings, server: str) -> Tuple[str, ...]:
    return tuple(sorted(name for name in settings.others if name != server))
