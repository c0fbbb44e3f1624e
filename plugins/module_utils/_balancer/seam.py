# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What every kind of balancer must be able to do; all that a lease and its watcher know of one.

A provider is an `Access` (how one balancer is reached) and a `Change` (one wish, carried out), and
tells what it sees in `shape`'s words.
"""

import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import (
    Found,
    Glance,
    Need,
    Node,
    Server,
)


class Clock(NamedTuple):
    now: Callable[[], float]
    wall: Callable[[], float]
    sleep: Callable[[float], None]


CLOCK = Clock(time.monotonic, time.time, time.sleep)


class Wish(NamedTuple):
    server: str
    need: Need
    drain_timeout: float
    on_timeout: str
    up_timeout: float
    patience: float
    poll: float
    share: int = 0
    """Percent of its configured weight when it is put back; 0 leaves its weight as it is."""
    wait_full: bool = True
    """Whether a server that `slowstart` still holds back is waited for."""


class Guard:
    """Who must know of a change, and who must not make another meanwhile. Here: nobody."""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """In here nobody else takes a server out of this balancer."""
        yield

    def begin(self) -> None:
        """Before the first write, alone. An error leaves everything as it is."""

    def keep(self, out: Dict[str, str], node: Node, drained: bool = False) -> None:
        """At every look while the server is out: in which state per backend, in which process.
        An error puts it back."""

    def let_go(self, backends: Sequence[str]) -> None:
        """Before it is put back: nobody may take it out again. Never an error."""

    def recall(self, memory: Dict[str, Found]) -> Dict[str, Found]:
        """What is remembered of the backends, alone; `memory` is what was when this began."""
        return memory

    def remember(self, memory: Dict[str, Found]) -> None:
        """What is to be put back, per backend; nothing else is remembered of them."""


class Change(ABC):
    """One wish, carried out on one balancer: read when it is made, and each step read back."""

    wish: Wish
    mine: Sequence[Server]
    """The server in each backend, as it was when this began."""
    memory: Dict[str, Found]
    """Per backend what `ready` puts it back to, where that is known."""
    guard: Guard
    notes: List[str]
    changed: bool
    """Whether something was changed here that has not been undone."""
    left_drained: bool
    """Whether it was left out though the drain failed, as `on_timeout=fail` asks."""
    measured: Dict[str, float]
    """``drained_at``; or ``ready_at``, then ``up_at`` (epoch seconds); ``waited``,
    ``sessions_cut``."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.guard = Guard()
        self.notes = []
        self.changed = False
        self.left_drained = False
        self.measured = {"sessions_cut": 0}

    @abstractmethod
    def plan(self, state: str) -> Dict[str, str]:
        """The administrative state of the server per backend when all has gone well."""

    @abstractmethod
    def found(self) -> Dict[str, str]:
        """The same, as last seen."""

    @abstractmethod
    def check(self, state: str, later: bool = False) -> None:
        """Everything that can be refused, before the first write (now, or by a lease later)."""

    @abstractmethod
    def carry_out(self, state: str) -> None:
        """``drained``: out of rotation, without a request, and none comes; or as it was, and an
        error. ``ready``: in rotation and really used, at the share that the wish has; or an error
        that says what the balancer sees. What somebody else had taken out stays out."""

    @abstractmethod
    def take_out_again(self, states: Dict[str, str]) -> None:
        """For somebody who keeps it out: as the drain would, and without the wait."""

    @abstractmethod
    def told(self) -> Dict[str, object]:
        """What was last seen, as `shape.describe` has it."""

    def remember(self, memory: Dict[str, Found]) -> None:
        """What a drain before this one found in each backend."""
        self.memory = memory

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


class Access(ABC):
    """How one balancer of this host is reached. It is still there in a lease's watcher, when the
    module that took the lease is gone from the disk."""

    kind = ""
    """What it is, for texts."""
    where: object = ""
    """What tells it from every other balancer of this host."""
    text = ""
    """The same as a lease's file has it, and a person reads it."""
    hand_counts = True
    """Whether who puts a drained server back by hand can be told from what has forgotten it."""

    def is_at(self, text: str) -> bool:
        """Whether a lease with this text is on this balancer."""
        return text == self.text

    @abstractmethod
    def glance(self, server: str, backends: Sequence[str], timeout: float) -> Glance:
        """A look that costs little, twice a second. Backends without the server are left out."""

    @abstractmethod
    def change(
        self,
        wish: Wish,
        backends: Sequence[str],
        clock: Clock,
        timeout: float,
        memory: Optional[Dict[str, Found]] = None,
    ) -> Change:
        """Read it and make ready for a change; each exchange may take so long."""

    @abstractmethod
    def anew(self, seen: Glance) -> str:
        """What has happened to a balancer that has forgotten a drain, for the log of leases."""
