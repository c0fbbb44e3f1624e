# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Taking one server out of a balancer and putting it back, each step read back.

Sockets, time and the look at other processes are passed in.
"""

import re
from typing import (
    Callable,
    Dict,
    List,
    Optional,
    Sequence,
    Set,
    TypeVar,
)

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy import (
    state as haproxy,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.balancer import (
    Balancer,
    Elders,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.runtime import (
    Unreachable,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.state import (
    Moved,
    NotHaproxy,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import (
    Change as SeamChange,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import (
    Clock,
    Wish,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import (
    Found,
    Server,
    describe,
    part_of,
    shortage,
    some,
    too_small,
    wavering,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

T = TypeVar("T")

# One read of zero can fall between the choice of a server and the counting of its session.
_ZEROS = 2
# How long nothing may come to a server in MAINT before it is believed to be out, and how long
# where users may belong to it (a cookie, a stick table).
_QUIET = 1.0
_QUIET_STICKY = 3.0
# So young a HAProxy may have an older process beside it that still has requests.
_YOUNG = 600
# Its clients may still send it something, and it knows nothing of the drain: only when it had
# nothing for the server for so long is it left to itself.
_CALM = 10.0
# So often a reload may begin it all anew.
_TURNS = 4


class TimedOut(FleetError):
    """Sessions were left when the wait ended."""


def _since(first: Dict[str, Server], row: Server) -> int:
    """Requests that came to it since; after a reload nobody knows, and more will show."""
    before = first[row.backend].counters.get("stot", 0)
    return max(row.counters.get("stot", 0) - before, 0)


class Change(SeamChange):
    """One wish, carried out on one balancer."""

    def __init__(
        self,
        balancer: Balancer,
        wish: Wish,
        clock: Clock,
        elders: Optional[Elders] = None,
        patience: float = 0,
        memory: Optional[Dict[str, Found]] = None,
    ) -> None:
        """`memory` is what a drain found in each backend before it changed it.

        For `patience` seconds from now a balancer that gives no answer is asked again.
        """
        haproxy.check_name("server", wish.server)
        super().__init__(wish)
        self._balancer = balancer
        self._clock = clock
        self._until = clock.now() + patience
        self._cost = 0.0
        self._calm: Optional[float] = None
        self.before = self.picture = self._insist(balancer.read, self._until)
        self.mine: List[Server] = self.before.mine(wish.server)
        self.memory: Dict[str, Found] = dict(memory or {})
        self._recalled = dict(self.memory)
        self._elders = elders or Elders()
        # If not: a container, or another host.
        self._sees = self._elders.meet(self.before.node.pid, self.before.node.uptime)
        self._seen = {self.before.node.pid}
        self._reasserted = False
        self._wanted: Dict[str, str] = {}
        self._guarded: List[str] = []
        # By backend, whom this process of HAProxy has seen fully UP since the drain began.
        self._steady: Dict[str, Set[str]] = {}

    def _start_over(self) -> None:
        """Whatever was read before, somebody else may have changed it since."""
        self._look()
        self.before = self.picture
        self.mine = self.before.mine(self.wish.server)

    # -- what would happen -------------------------------------------------------------------

    def plan(self, state: str) -> Dict[str, str]:
        """The administrative state of the server per backend when all has gone well."""
        goal = self._goal_ready if state == "ready" else self._goal_drained
        return {
            f"{row.backend}/{row.server}": self._told(goal(row), self._goal_weight(row))
            for row in self.mine
        }

    def _told(self, admin: str, weight: int) -> str:
        return f"{admin}, weight {weight}" if self.wish.share else admin

    def _goal_ready(self, row: Server) -> str:
        # What a tracked server or the resolver took out cannot be put back here.
        return row.admin if row.own == "ready" else self._found(row)

    def _found(self, row: Server) -> str:
        """What `ready` puts a server into that is out: somebody else's hand is respected."""
        before = self.memory.get(row.backend)
        return (before.own if before else "") or "ready"

    def _left_out(self, row: Server) -> bool:
        return row.own != "ready" and self._found(row) != "ready"

    def _goal_weight(self, row: Server) -> int:
        # A weight of 0 in the configuration has no shares: somebody else decides what it gets.
        wanted = self.wish.share and row.weight_full
        return part_of(row.weight_full, self.wish.share) if wanted else row.weight_set

    def _goal_drained(self, row: Server) -> str:
        # DRAIN turns away nobody whom a cookie, a table or a `use-server` rule sends.
        return "maint"

    def found(self) -> Dict[str, str]:
        rows = self.picture.mine(self.wish.server)
        return {
            f"{row.backend}/{row.server}": self._told(row.admin, row.weight_set) for row in rows
        }

    def check(self, state: str, later: bool = False, patient: bool = True) -> None:
        """Everything that can be refused, before the first write (now, or by a lease later).

        One check that failed on another server is no reason to refuse yet: unless not ``patient``,
        its next ones are waited for.
        """
        writes = later or self.plan(state) != self.found()
        if writes and self.before.level not in ("admin", ""):
            raise FleetError(
                f"Asked to change {self.wish.server} on the balancer {self.before.node.name}. The"
                f" socket is of level {self.before.level!r}, which may only read. It needs `stats"
                " socket <path> level admin` in HAProxy's configuration."
            )
        for row in self.mine:
            if self.wish.share and row.weight_full:
                whose = f"{row.backend}/{row.server} on the balancer {self.before.node.name}"
                text = too_small(self.wish.share, whose, row.weight_full)
                if text:
                    raise FleetError(text)
        if state == "drained":
            if patient:
                self._await_wavering()
            text = self._shortage(self._lowers(self.mine))
            if text:
                raise FleetError(
                    f"{self.wish.server} was not drained on the balancer {self.before.node.name}:"
                    f" {text}"
                )
            self._note_already()

    def _await_wavering(self) -> None:
        until = self._clock.now() + self.wish.up_timeout
        while wavering(self.picture, self.wish.server, self.wish.need, self._lowers(self.mine)):
            if self._clock.now() >= until:
                return
            self._pause()
            self._start_over()

    def _note_already(self) -> None:
        for row in self.mine:
            if row.admin != "ready":
                whose = ", and is left so afterwards" if self._left_out(row) else ""
                self.note(f"{row.backend}/{row.server} already was in {row.admin}{whose}")
            elif not self.before.backend(row.backend).serves(row) or row.status.startswith("DOWN"):
                self.note(f"{row.backend} sent it no requests before: {row.describe()}")
        for backend in self.before.backends:
            blind = [row.server for row in backend.servers if row.status == "no check"]
            if blind:
                self.note(
                    f"backend {backend.name} does not check {some(blind, 5)}: HAProxy"
                    " counts them as UP whatever they do"
                )

    def _lowers(self, rows: Sequence[Server]) -> List[str]:
        """The backends that lose somebody when these servers go."""
        return [
            row.backend
            for row in rows
            if row.admin == "ready"
            and (row.up or row.status.startswith("UP"))
            and self.picture.backend(row.backend).serves(row)
        ]

    def _shortage(self, backends: Sequence[str]) -> str:
        steady = self._steady if self._guarded else {}
        return shortage(self.picture, self.wish.server, self.wish.need, backends, steady)

    def _sticky(self, row: Server) -> str:
        return haproxy.sticky(self.picture.backend(row.backend), row)

    def told(self) -> Dict[str, object]:
        return describe(self.picture, self.wish.server, self.wish.need, self.memory)

    def carry_out(self, state: str) -> None:
        started = self._clock.now()
        if state == "drained":
            self._drain()
        else:
            self._restore()
        self.measured["waited"] = round(self._clock.now() - started, 3)

    # -- drained -----------------------------------------------------------------------------

    def _drain(self) -> None:
        """Out of rotation and without a session, or as it was before, and an error."""
        try:
            with self.guard.alone():
                self._start_over()
                self.memory = self.guard.recall(self.memory)
                self._recalled = dict(self.memory)
                self._note_found()
                self.check("drained")
                self.guard.remember(self.memory)
                self.guard.begin()
                self._take_out()
            self._settle()
            self._note_arrivals_so_far()
            self._tell(drained=True)
        except FleetError as exc:
            raise FleetError(f"{exc} {self._give_up(exc)}") from None

    def _note_found(self) -> None:
        """What is to be put back: what is there now, or what is known of a drain before."""
        for row in self.mine:
            before = self.memory.get(row.backend)
            known = before.own if before and row.own != "ready" else ""
            muted = row.agent == "on" or bool(before and before.agent and row.agent == "off")
            self.memory[row.backend] = Found(known or row.own, muted)
        if not self._sees and self.before.node.uptime < _YOUNG:
            self.note(
                f"HAProxy started {self.before.node.uptime} s ago: requests that a process before"
                " may still serve go uncounted, as it is not to be seen from here"
            )

    def _note_arrivals_so_far(self) -> None:
        for row in self.picture.mine(self.wish.server):
            self.memory[row.backend] = self.memory[row.backend]._replace(
                stot=row.counters.get("stot", -1), pid=self.picture.node.pid
            )
        self.guard.remember(self.memory)

    def _mute(self, rows: Sequence[Server]) -> None:
        """No agent undoes it: what it answers sets a server ready, and its weight."""
        for row in rows:
            if row.agent == "on":
                self._write(row, "agent", "off")
                self.note(f"the agent of {row.backend}/{row.server} is muted until it is back")

    def _take_out(self) -> None:
        self._guarded = self._lowers(self.mine)
        self._wanted = {r.backend: "drain" if r.admin == "ready" else r.admin for r in self.mine}
        self._mute(self.mine)
        for row in self.mine:
            if row.admin == "ready":
                self._write(row, "state", "drain")
        self._tell()

    def _tell(self, drained: bool = False) -> None:
        rows = self.picture.mine(self.wish.server)
        out = {row.backend: row.own for row in rows if row.own != "ready"}
        self.guard.keep(out, self.picture.node, drained)

    def take_out_again(self, states: Dict[str, str]) -> None:
        """For somebody who keeps it out: as the drain would, and without the wait."""
        self.check("drained", patient=False)
        for row in self.mine:
            if row.own == "ready":
                self._mute([row])
                self._write(row, "state", states[row.backend])

    def _settle(self) -> None:
        first = {row.backend: row for row in self.picture.mine(self.wish.server)}
        left = self._wait_idle()
        came = sum(_since(first, row) for row in self.picture.mine(self.wish.server))
        if came > 0:
            self.note(
                f"{came} request(s) came to it while it was in DRAIN: a cookie, a stick table or a"
                " use-server rule sends them; in MAINT none should"
            )
        late = [row for row in self.picture.mine(self.wish.server) if row.admin != "maint"]
        for row in late:
            self._wanted[row.backend] = "maint"
            self._write(row, "state", "maint")
        if late:
            left = self._wait_idle()
        if left:
            self.measured["sessions_cut"] = left
            self.note(f"{left} session(s) did not end in time and were given up")
        self._stay_quiet(forced=left is not None)
        self.measured["drained_at"] = self._clock.wall()

    def _stay_quiet(self, forced: bool) -> None:
        """See that nothing comes to it any more. Who is sent to it even in MAINT would be lost."""
        for _turn in range(_TURNS):
            rows = self._watch_arrivals(forced)
            if rows is None:
                # Reloaded, or in rotation for a moment: what it has now must end as well.
                self._wait_idle()
                continue
            if rows:
                text = self._why_not_quiet(rows)
                if self.wish.on_timeout != "force":
                    raise FleetError(text)
                self.note(text)
            return
        raise FleetError(
            f"HAProxy on {self.picture.node.name} was reloaded again and again while"
            f" {self.wish.server} was drained. Find out who does it, then try again."
        )

    def _watch_arrivals(self, forced: bool) -> Optional[Dict[str, int]]:
        """How many requests came, per backend; None if it must be looked at anew."""
        self._pause()
        lost, node = self._keep_out(), self.picture.node.pid
        first = {row.backend: row for row in self.picture.mine(self.wish.server)}
        may_persist = any(haproxy.persistent(self.picture, row) for row in first.values())
        until = self._clock.now() + (_QUIET_STICKY if may_persist else _QUIET)
        while not lost and self._clock.now() < until:
            self._pause()
            lost = self._keep_out()
            if self.picture.node.pid != node:
                return None
            rows = self.picture.mine(self.wish.server)
            came = {row.backend: _since(first, row) or (0 if forced else row.busy) for row in rows}
            if any(came.values()):
                return {backend: count for backend, count in came.items() if count}
        return None if lost else {}

    def _why_not_quiet(self, came: Dict[str, int]) -> str:
        found = ", ".join(f"{count} in backend {backend}" for backend, count in came.items())
        return (
            f"Requests reach {self.wish.server} on the balancer {self.picture.node.name} even in"
            f" MAINT ({found}): `option persist` or a `force-persist` rule sends it users of a"
            " cookie, of a stick table or of a `use-server` rule whatever its state is, and a"
            " switch would lose them. Take that out of HAProxy's configuration, then try again."
        )

    def _wait_idle(self) -> Optional[int]:
        """Wait for the sessions to end. With on_timeout=force, how many did not; else None."""
        deadline = self._clock.now() + self.wish.drain_timeout
        zeros = 0
        while True:
            lost = self._keep_out()
            rows = self.picture.mine(self.wish.server)
            busy = sum(row.busy for row in rows)
            older = self._older(rows)
            zeros = 0 if lost or busy or older else zeros + 1
            if zeros >= _ZEROS:
                return None
            if self._clock.now() >= deadline:
                break
            self._pause()
        if not lost and not busy and not self._elders.busy([row.address for row in rows]):
            return None
        if lost:
            raise FleetError(
                f"HAProxy lost the drained state of {self.wish.server}, which could not be drained"
                f" again within {self.wish.drain_timeout:g} s: {lost}"
            )
        if self.wish.on_timeout != "force":
            raise TimedOut(self._why_busy(rows, older))
        return busy

    def _older(self, rows: Sequence[Server]) -> List[int]:
        """The processes of before a reload that are to be waited for."""
        alive = self._elders.alive() if self._sees else []
        busy = self._elders.busy([row.address for row in rows]) if alive else []
        if not alive or busy:
            self._calm = None
            return busy
        if self._calm is None:
            self._calm = self._clock.now()
        if self._clock.now() - self._calm < _CALM:
            return alive
        self.note(
            f"an older process of HAProxy (pid {some(alive)}) has connections left, none of"
            f" them to {self.wish.server}: it was not waited for any longer"
        )
        return []

    def _why_busy(self, rows: Sequence[Server], older: Sequence[int]) -> str:
        held = [f"{r.sessions} session(s) and {r.queue} queued in {r.backend}" for r in rows]
        text = (
            f"{self.wish.server} still had {', '.join(held)} after {self.wish.drain_timeout:g} s"
            f" of draining on the balancer {self.picture.node.name}. Raise drain_timeout, or take"
            " on_timeout=force."
        )
        for row in rows:
            why = self._sticky(row)
            if row.busy and why:
                text += (
                    f" Backend {row.backend} is sticky ({why}): its users go on coming to a server"
                    " in DRAIN; only force, which goes on to MAINT, turns them away."
                )
            elif row.busy and self.picture.backend(row.backend).mode == "tcp":
                text += (
                    f" Backend {row.backend} is in mode tcp: open connections count, idle or not."
                )
        if older:
            text += (
                " HAProxy was reloaded, and its older process (pid"
                f" {some(older)}) still finishes requests that cannot be counted. It ends"
                " with its last connection; `hard-stop-after` in its configuration ends it sooner."
            )
        return text

    def _keep_out(self) -> str:
        """Look again. Returns why the server is in rotation although it should not be."""
        self._look()
        self._tell()
        if not self._lost():
            self._mute(self.picture.mine(self.wish.server))
            text = self._shortage(self._guarded)
            if text:
                raise FleetError(
                    f"While {self.wish.server} was drained, too few others were left: {text}"
                )
            return ""
        with self.guard.alone():
            self._look()
            return self._again()

    def _lost(self) -> List[Server]:
        return [row for row in self.picture.mine(self.wish.server) if row.admin == "ready"]

    def _again(self) -> str:
        lost = self._lost()
        if not lost:
            return "somebody drained it again just now"
        guarded = self._guarded + [b for b in self._lowers(lost) if b not in self._guarded]
        text = self._shortage(guarded)
        if self._reasserted:
            raise FleetError(
                f"{self.wish.server} came back into rotation on the balancer"
                f" {self.picture.node.name} twice while it was drained: somebody reloads HAProxy"
                " or sets the server ready. Find out who, then try again."
            )
        # After a reload nobody is surely UP until checks have run: until then it may serve.
        if text:
            return text
        self._mute(lost)
        for row in lost:
            self._write(row, "state", self._wanted[row.backend])
        self._tell()
        self._guarded = guarded
        self._reasserted = True
        self.note(f"{self.wish.server} was in rotation again and was drained again")
        return "it was drained again just now"

    def _give_up(self, exc: FleetError) -> str:
        """Undo what was done here, unless the operator asked to leave it. Says which."""
        if not self.changed:
            self._forget()
            return "It was left as it was."
        if isinstance(exc, TimedOut) and self.wish.on_timeout == "fail":
            self.left_drained = True
            return "It was left out of rotation, as on_timeout=fail asks."
        self.guard.let_go([row.backend for row in self.mine if row.own == "ready"])
        self._until = self._clock.now() + self.wish.up_timeout
        errors = []
        for row in self.mine:
            try:
                self._write(row, "state", row.own)
                if row.agent == "on":
                    self._write(row, "agent", "on")
            except FleetError as error:
                errors.append(str(error))
        if errors:
            return (
                f"IT MAY STILL BE OUT OF ROTATION: putting it back failed too. {' '.join(errors)}"
                " When the balancer answers again, ask for state=ready."
            )
        self.changed = False
        self._forget()
        states = some(sorted({row.own for row in self.mine}))
        return f"It was put back as it was before ({states})."

    def _forget(self) -> None:
        """All is as it was, and so is what is remembered."""
        self.memory = dict(self._recalled)
        try:
            self.guard.remember(self.memory)
        except FleetError as exc:
            self.note(f"what was remembered of {self.wish.server} could not be removed: {exc}")

    # -- ready -------------------------------------------------------------------------------

    def _restore(self) -> None:
        """In rotation and truly UP, or ready and an error that says what HAProxy sees.

        What somebody else had taken out before the drain goes back to that instead.
        """
        deadline = self._clock.now() + self.wish.up_timeout
        self.guard.let_go([row.backend for row in self.mine])
        self._start_over()
        self._note_arrivals()
        goals = {r.backend: self._found(r) if r.own != "ready" else "ready" for r in self.mine}
        left = [row for row in self.mine if self._left_out(row)]
        back = [row for row in self.mine if row not in left]
        waiting = [row for row in self.mine if row.own != goals[row.backend]]
        self._warm_up([row for row in waiting if row.own == "maint" and row in back], deadline)
        self._hold_share(back)
        for row in back:
            if row.weight_set != self._goal_weight(row):
                self._write(row, "weight", str(self._goal_weight(row)))
        for row in waiting:
            self._write(row, "state", goals[row.backend])
        self.measured["ready_at"] = self._clock.wall()
        self._give_agents_back(left)
        rows = self._wait_up(deadline, {row.backend for row in back})
        self.measured["up_at"] = self._clock.wall()
        for row in left:
            self.note(
                f"{row.backend}/{row.server} was in {goals[row.backend]} before, by somebody else's"
                f" hand, and is left so; `set server {row.backend}/{row.server} state ready` puts"
                " it into rotation"
            )
        for row in rows:
            if row.weight == 0:
                self.note(f"{row.backend}/{row.server} has weight 0: it gets no new requests")
            if row.status == "no check":
                self.note(f"{row.backend}/{row.server} is not checked by HAProxy")

    def _note_arrivals(self) -> None:
        for row in self.mine:
            before = self.memory.get(row.backend)
            if not before or before.stot < 0 or before.pid != self.picture.node.pid:
                continue
            came = row.counters.get("stot", 0) - before.stot
            if came > 0 and row.own != "ready":
                self.note(
                    f"{came} request(s) reached {row.backend}/{row.server} while it was out of"
                    " rotation, and may have been lost: look for `option persist` and"
                    " `force-persist` in HAProxy's configuration"
                )

    @property
    def _partial(self) -> bool:
        return 0 < self.wish.share < 100

    def _hold_share(self, rows: Sequence[Server]) -> None:
        """With a share of its weight the agent stays muted: its answers would set another."""
        heard = [row for row in rows if self._partial and row.agent == "on"]
        if not heard:
            return
        for row in heard:
            before = self.memory.get(row.backend)
            self.memory[row.backend] = Found(before.own if before else "", True)
        self.guard.remember(self.memory)
        self._mute(heard)

    def _give_agents_back(self, left: Sequence[Server]) -> None:
        """And remember what is still to be put back: what was left out, and what stays muted."""
        out = [row.backend for row in left]
        rest: Dict[str, Found] = {}
        for row in self.picture.mine(self.wish.server):
            before = self.memory.get(row.backend)
            if not before:
                continue
            muted = before.agent and self._partial and row.backend not in out
            if before.agent and not muted and row.agent == "off":
                self._write(row, "agent", "on")
            if row.backend in out:
                rest[row.backend] = Found(before.own, False)
            elif muted:
                rest[row.backend] = Found("", True)
        self.memory = rest
        self.guard.remember(rest)

    def _wait_up(self, deadline: float, backends: Set[str]) -> List[Server]:
        best = -1
        while True:
            self._look()
            rows = [r for r in self.picture.mine(self.wish.server) if r.backend in backends]
            down = [row for row in rows if not (row.up and row.admin == "ready")]
            slow = [row for row in rows if self.wish.wait_full and row not in down and not row.full]
            if not down and not slow:
                return rows
            share = sum(row.throttle for row in slow)
            if not down and share > best:
                # It goes on, and HAProxy alone knows how long that takes.
                best, deadline = share, max(deadline, self._clock.now() + self.wish.up_timeout)
            if self._clock.now() >= deadline:
                break
            self._pause()
        found = "; ".join(f"in {row.backend}, {row.describe()}" for row in down + slow)
        raise FleetError(
            f"{self.wish.server} is set ready on the balancer {self.picture.node.name}, and is not"
            f" UP after {self.wish.up_timeout:g} s: {found}. HAProxy will use it when its check"
            " passes. See whether the application answers that check, or raise up_timeout."
        )

    def _warm_up(self, rows: Sequence[Server], deadline: float) -> None:
        """Let checks run before requests come: out of MAINT a server counts as UP unseen.

        In DRAIN checks run and requests do not come. Whatever they say, `ready` follows:
        HAProxy itself keeps a server out whose check fails.
        """
        if not rows:
            return
        for row in rows:
            self._write(row, "state", "drain")
        wait = {row.backend for row in rows}
        for row in self.picture.mine(self.wish.server):
            if row.backend in wait and row.fall == 1 and row.status == "DRAIN":
                self._call_down(row)
        while wait and self._clock.now() < deadline:
            self._look()
            wait = {
                row.backend
                for row in self.picture.mine(self.wish.server)
                if row.backend in wait and re.match(r"(DRAIN|DOWN) \d", row.status)
            }
            if wait:
                self._pause()

    def _call_down(self, row: Server) -> None:
        """With `fall 1` one failure is all: out of MAINT it would be UP without any check. Called
        down, it must pass its checks first."""
        try:
            self._insist(lambda: self._balancer.write(row, "health", "down"), self._until)
        except FleetError as exc:
            self.note(f"{row.backend} checks with fall 1: out of MAINT it is UP unseen ({exc})")
        self._look()

    # -- reading and writing -----------------------------------------------------------------

    def _write(self, row: Server, what: str, value: str) -> None:
        try:
            self._insist(lambda: self._balancer.write(row, what, value), self._until)
        except Unreachable:
            # The command may have arrived.
            self.changed = True
            raise
        self.changed = True
        self._look()
        now = [r for r in self.picture.mine(self.wish.server) if r.backend == row.backend][0]
        found = {"state": now.own, "agent": now.agent}.get(what, str(now.weight_set))
        if found != value:
            raise FleetError(
                f"Asked HAProxy to set the {what} of {row.backend}/{row.server} to {value}. It took"
                f" the command without a word, and reads back as {found}. Was it reloaded in the"
                " meantime, or does somebody else change it?"
            )

    def _look(self) -> None:
        """Read, with patience for the moment in which a reload hands over the socket."""
        until = max(self._clock.now() + self.wish.patience, self._until)
        began = self._clock.now()
        self.picture = self._insist(self._balancer.read, until)
        self._cost = self._clock.now() - began
        if self.picture.node.pid not in self._seen:
            self._seen.add(self.picture.node.pid)
            self._steady = {}
            self.note(f"HAProxy was reloaded meanwhile (pid {self.picture.node.pid})")
            met = self._elders.meet(self.picture.node.pid, self.picture.node.uptime)
            self._sees = self._sees and met
            if not self._sees:
                self.note("requests that the process before the reload still serves go uncounted")
        for backend in self.picture.backends:
            # Who was down starts anew.
            known = self._steady.get(backend.name, set())
            self._steady[backend.name] = {
                row.server
                for row in backend.servers
                if row.full or (row.wavers and row.server in known)
            }

    def _pause(self) -> None:
        # A backend of thousands takes its time to tell: HAProxy has better things to do.
        self._clock.sleep(max(self.wish.poll, 2 * self._cost))

    def _insist(self, act: Callable[[], T], until: float) -> T:
        """Once, and again until then while there is no answer. What is written may be written
        twice."""
        while True:
            try:
                return act()
            except (Unreachable, Moved, NotHaproxy):
                if self._clock.now() >= until:
                    raise
                self._clock.sleep(self.wish.poll)
