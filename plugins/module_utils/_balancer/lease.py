# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The promise to put a drained server back by a time, and how its watcher keeps it. No I/O.

The watcher's time is the machine's own since boot: a clock that is set does not move it.
"""

import hashlib
import json
import re
from contextlib import suppress
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import (
    Access,
    Clock,
    Wish,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import (
    Found,
    Glance,
    Need,
    parse_need,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import (
    Newer,
    believe,
    fields,
)

SCHEMA = 1
LOG = "lease.log"
LOG_LIMIT = 64 * 1024
# How often the watcher looks whether it is still wanted, and whether the server is still out.
GLANCE = 0.5
# Where a hand cannot be told from what has forgotten a drain, it is taken for that so often.
AGAIN = 2
# How long one exchange with the balancer may take before the lease's end, and how seldom one that
# gives no answer is asked.
LOOK = 1.0
_SELDOM = 4.0
# A balancer that does not answer at the end of the lease is asked again for so long.
PATIENCE = 600.0
RETRY = 2.0
# How long the watcher waits for the others who work in the directory.
_ALONE = 30.0
# Out of MAINT a server is given so long for its checks, and any server to come UP.
_UP_TIMEOUT = 5.0


class Hold(NamedTuple):
    """What the server is to stay in until the lease ends, and the process that was told so."""

    out: Tuple[Tuple[str, str], ...]
    pid: int
    uptime: int
    need: str


NOTHING = Hold((), 0, 0, "1")


class Lease(NamedTuple):
    """One server's promise. `until` is in seconds since the boot that `boot_id` names."""

    token: str
    socket: str
    server: str
    backends: Tuple[str, ...]
    boot_id: str
    until: float
    pid: int
    start_ticks: int
    hold: Hold = NOTHING


_KINDS: Dict[str, Tuple[type, ...]] = {
    "token": (str,),
    "socket": (str,),
    "server": (str,),
    "boot_id": (str,),
    "until": (int, float),
    "pid": (int,),
    "start_ticks": (int,),
}


def file_name(where: object, server: str, backends: Sequence[str] = (), end: str = "json") -> str:
    """One file per server of one balancer and set of backends, whose name a person can read.

    Two applications may call their servers alike: each has its own promise, in its own backends.
    Before, a file stood for all backends; such a file has a name without any.
    """
    key = "\0".join([f"{where}\0{server}"] + sorted(set(backends)))
    digest = hashlib.sha256(key.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', server)[:80]}-{digest}.{end}"


def dump(lease: Lease) -> bytes:
    hold = dict(lease.hold._asdict(), out=dict(lease.hold.out))
    record = dict(lease._asdict(), schema=SCHEMA, backends=list(lease.backends), hold=hold)
    return json.dumps(record, sort_keys=True).encode() + b"\n"


def parse(content: bytes) -> Lease:
    """The lease; anything else than a whole one of this schema is an error."""
    return believe(content, SCHEMA, _read)


def _read(record: Dict[str, Any]) -> Lease:
    backends = record["backends"]
    if not backends or not all(isinstance(name, str) for name in backends):
        raise ValueError("backends")
    found = Lease(backends=tuple(backends), **fields(record, _KINDS))
    return found._replace(hold=_parse_hold(record["hold"]))


def _parse_hold(record: Any) -> Hold:
    out = tuple(record["out"].items())
    if not all(state in ("drain", "maint") for _backend, state in out):
        raise ValueError
    return Hold(out=out, **fields(record, {"pid": (int,), "uptime": (int,), "need": (str,)}))


def held(out: Dict[str, str], pid: int, uptime: int, need: Need) -> Hold:
    return Hold(tuple(sorted(out.items())), pid, uptime, need.text)


def without(lease: Lease, backends: Sequence[str]) -> Optional[Lease]:
    """The lease for the other backends; None if there are none."""
    rest = tuple(name for name in lease.backends if name not in backends)
    if not rest:
        return None
    out = tuple(held for held in lease.hold.out if held[0] in rest)
    return lease._replace(backends=rest, hold=lease.hold._replace(out=out))


def as_data(lease: Lease, alive: bool, boottime: float, wall: float) -> Dict[str, object]:
    """What a person or a role sees. Without a watcher there is no pid, and nothing will happen."""
    left = round(max(lease.until - boottime, 0.0), 3)
    return {
        "until": round(wall + left, 3),
        "seconds_left": left,
        "pid": lease.pid if alive else None,
    }


def take_out_again(access: Access, lease: Lease, backends: Sequence[str], clock: Clock) -> str:
    """Out of rotation in those backends, each for which enough others are UP, and what was done;
    an error if it is still in rotation in any."""
    states = dict(lease.hold.out)
    done: List[str] = []
    errors: List[str] = []
    for backend in backends:
        wish = Wish(lease.server, parse_need(lease.hold.need), 0, "restore", 0, 0, 0.1)
        try:
            change = access.change(wish, [backend], clock, LOOK)
            change.take_out_again(states)
            if change.changed:
                done.append(f"{backend}: {states[backend]} again")
        except FleetError as exc:
            errors.append(f"{backend}: {exc}")
    if errors:
        raise FleetError("; ".join(errors + done))
    return "; ".join(done)


def put_back(
    access: Access,
    server: str,
    backends: Sequence[str],
    clock: Clock,
    patience: float,
    memory: Optional[Dict[str, Found]] = None,
) -> str:
    """As it was found in every backend, and what came of it; an error if any could not be set."""
    done: List[str] = []
    errors: List[str] = []
    for backend in backends:
        # Each by itself: a backend that is gone must not keep the server out of the others.
        try:
            found = {name: each for name, each in (memory or {}).items() if name == backend}
            done.append(f"{backend}: {_put_back(access, server, backend, clock, patience, found)}")
        except FleetError as exc:
            errors.append(f"{backend}: {exc}")
    if errors:
        raise FleetError("; ".join(errors + done))
    return "; ".join(done)


def left_out(memory: Dict[str, Found], backends: Sequence[str]) -> Dict[str, Found]:
    """What is still to be known of these backends when the lease has ended."""
    return {
        name: memory[name]._replace(agent=False, stot=-1)
        for name in backends
        if name in memory and memory[name].own in ("drain", "maint")
    }


def _put_back(
    access: Access,
    server: str,
    backend: str,
    clock: Clock,
    patience: float,
    memory: Dict[str, Found],
) -> str:
    # What a slow start still holds back serves already, and nobody waits for it here.
    wish = Wish(server, parse_need("0"), 0, "restore", _UP_TIMEOUT, patience, 0.1, 0, False)
    change = access.change(wish, [backend], clock, patience, memory)
    memory = change.memory
    goal = (memory[backend].own if backend in memory else "") or "ready"
    muted = backend in memory and memory[backend].agent
    there = all(row.own in ("ready", goal) for row in change.mine)
    if there and not (muted and any(row.agent == "off" for row in change.mine)):
        state = ", ".join(row.own for row in change.mine)
        return f"was {'in ' if state != 'ready' else ''}{state} already, nothing to do"
    before = ", ".join(row.own for row in change.mine)
    try:
        change.carry_out("ready")
    except FleetError as exc:
        if "ready_at" not in change.measured:
            raise
        return f"was in {before}, restored; {exc}"
    if goal != "ready":
        return f"was in {before}, and is in {goal} as it was found"
    return f"was in {before}, restored and UP"


class Post(NamedTuple):
    """What a watcher may do. Inside of `alone` nobody renews or cancels the lease."""

    access: Access

    read: Callable[[], Optional[Lease]]
    alone: Callable[[Callable[[], bool], float], bool]
    glance: Callable[[Lease, float], Glance]
    again: Callable[[Lease, Sequence[str]], str]
    restore: Callable[[Lease], str]
    log: Callable[[str], None]
    remove: Callable[[], None]
    now: Callable[[], float]
    sleep: Callable[[float], None]


class Memory:
    """Which process knows that the server is out: another one may just have forgotten it."""

    def __init__(self, hand_counts: bool = True) -> None:
        """Without `hand_counts`, whoever puts it back is taken for one who has forgotten it, so
        often and no more."""
        self._hand_counts = hand_counts
        self._left = AGAIN
        self._told = NOTHING
        self._pid = 0
        self._uptime = 0
        self._released: Set[str] = set()

    def lost(self, hold: Hold, seen: Glance) -> List[str]:
        """The backends in which the server is to be taken out again.

        Who sets it ready in the process that knows (its own pid, and no younger than before) is
        an operator, who is right.
        """
        if hold != self._told:
            self._told = hold
            self._left = AGAIN
            self._pid, self._uptime = hold.pid, hold.uptime
            self._released.clear()
        ready = [name for name, _state in hold.out if seen.own.get(name) == "ready"]
        if not self._hand_counts:
            return ready if self._left else []
        if seen.pid == self._pid and seen.uptime >= self._uptime:
            self._released.update(ready)
            self._uptime = seen.uptime
        lost = [name for name in ready if name not in self._released]
        if not lost:
            self._pid, self._uptime = seen.pid, seen.uptime
        return lost

    def taken_out_again(self) -> str:
        """What is to be known of the next time; nothing most often."""
        self._left -= 1
        if self._hand_counts or self._left:
            return ""
        return "; whoever puts it back once more is taken for an operator, and not overruled"


class Watcher:
    """Keeps a server out until the end of its lease, puts it back, and is gone."""

    def __init__(self, lease: Lease, post: Post) -> None:
        self._lease = lease
        self._post = post
        self._told = False
        self._memory = Memory(post.access.hand_counts)
        self._said = ""
        self._next_look = 0.0
        self._pause = GLANCE

    def run(self) -> None:
        while self._wanted():
            left = self._lease.until - self._post.now()
            if left > 0:
                self._keep_out(min(left, LOOK))
                left = max(self._lease.until - self._post.now(), 0)
                self._post.sleep(min(left, GLANCE))
                continue
            try:
                if self._post.alone(self._end, _ALONE):
                    return
            except FleetError as exc:
                if -left >= PATIENCE:
                    self._last_attempt(exc)
                    return
                if not self._told:
                    self._leave(f"the lease ended, and it cannot be restored yet: {exc}", False)
                    self._told = True
            self._post.sleep(RETRY)

    def _keep_out(self, patience: float) -> None:
        """Take it out again if the balancer was started anew and has forgotten. No error ends this:
        it is the end of the lease that counts."""
        if not self._lease.hold.out or self._post.now() < self._next_look:
            return
        try:
            seen = self._post.glance(self._lease, patience)
            self._pause = GLANCE
        except FleetError:
            # Wedged, or away for a moment. Connections that nobody takes must not pile up.
            self._pause = min(self._pause * 2, _SELDOM)
            self._next_look = self._post.now() + self._pause
            return
        lost = self._memory.lost(self._lease.hold, seen)
        if not lost:
            return

        def again() -> bool:
            # Whoever puts it back has said so before, in here.
            if self._wanted() and dict(self._lease.hold.out).keys() >= set(lost):
                self._say(seen, self._try(lost))
            return True

        # Somebody else is at work in here: then the next look finds what is left to do.
        with suppress(FleetError):
            self._post.alone(again, LOOK)

    def _try(self, lost: Sequence[str]) -> str:
        try:
            return self._post.again(self._lease, lost) + self._memory.taken_out_again()
        except FleetError as exc:
            return f"NOT TAKEN OUT AGAIN YET: {exc}"

    def _say(self, seen: Glance, done: str) -> None:
        text = f"{self._post.access.anew(seen)}: {done}"
        if done and text != self._said:
            self._post.log(text)
            self._said = text

    def _wanted(self) -> bool:
        """Whether the lease is still this watcher's; if so, as it was last renewed."""
        try:
            found = self._post.read()
        except Newer:
            return False
        except FleetError:
            # Nobody cancelled it. The promise as last read stands.
            return True
        if found is None or found.token != self._lease.token:
            return False
        self._lease = found
        return True

    def _end(self) -> bool:
        """Carry it out, unless it was renewed or cancelled in the last instant."""
        if not self._wanted():
            return True
        if self._lease.until > self._post.now():
            return False
        said = self._post.restore(self._lease)
        self._post.log(f"the lease ended: {said}")
        self._post.remove()
        return True

    def _last_attempt(self, exc: FleetError) -> None:
        """Without the lock: where that cannot be had for so long, nobody can renew either."""
        try:
            self._leave(f"the lease ended: {self._post.restore(self._lease)}")
        except FleetError:
            self._leave(f"GAVE UP after {PATIENCE:g} s, it may still be out of rotation: {exc}")

    def _leave(self, text: str, remove: bool = True) -> None:
        def go() -> bool:
            if self._wanted():
                self._post.log(text)
                if remove:
                    self._post.remove()
            return True

        # Where nothing can be written, nothing can be said.
        with suppress(FleetError):
            self._post.alone(go, _ALONE)
