# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One rollout at a time: who holds a fleet's lock, and what may be done about it.

The directory and the clocks are passed in.
"""

import json
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    Opened,
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import (
    Unbelievable,
    believe,
    fields,
    moment,
    plain,
)

SCHEMA = 1
HISTORY_LIMIT = 256 * 1024
_POLL = 0.5


class Controller(NamedTuple):
    """The process that runs the rollout. Its start tells it from a later one of the same pid."""

    hostname: str
    boot_id: str
    pid_namespace: str
    pid: int
    start_ticks: int

    def knows(self, other: "Controller") -> bool:
        """Whether a look at the processes here can tell what became of that one.

        A container shares its machine's boot and has processes of its own.
        """
        return bool(
            self.boot_id
            and self.pid_namespace
            and other.pid > 0
            and other.start_ticks > 0
            and (self.boot_id, self.pid_namespace) == (other.boot_id, other.pid_namespace)
        )


class Holder(NamedTuple):
    """Who holds the lock. Times are epoch seconds; `beat_at` is the state host's since its boot."""

    fleet: str
    token: str
    owner: str
    reason: str
    controller: Controller
    since: float
    heartbeat: float
    boot_id: str
    beat_at: float
    # Higher each time that the lock is taken; 0 in a file of a version that gave none out.
    turn: int = 0


class Now(NamedTuple):
    """The state host's clocks."""

    wall: float
    boot_id: str
    since_boot: float


class Wish(NamedTuple):
    """What is asked. `take_over` is the token of a holder that was proven dead, with `proof`."""

    fleet: str
    token: str
    owner: str
    reason: str
    controller: Controller
    stale_after: float
    break_command: str
    take_over: str
    proof: str


class Outcome(NamedTuple):
    """What was found, and what is (or would be) there now."""

    before: Optional[Holder]
    after: Optional[Holder]
    changed: bool
    text: str
    taken_over: Optional[Holder] = None
    broken: bool = False


class Held(FleetError):
    """Somebody else holds it."""

    def __init__(self, text: str, holder: Holder, probably_dead: bool) -> None:
        super().__init__(text)
        self.holder = holder
        self.probably_dead = probably_dead


def check_fleet(name: str) -> None:
    if not re.match(r"^[A-Za-z0-9._-]{1,100}\Z", name):
        raise FleetError(
            f"fleet is {name[:80]!r}. It names a file: letters, digits and ._- only, 100 at most."
        )


# -- the file -----------------------------------------------------------------------------------

_NUMBER = (int, float)
_KINDS: Dict[str, Tuple[type, ...]] = {
    "fleet": (str,),
    "token": (str,),
    "owner": (str,),
    "reason": (str,),
    "since": _NUMBER,
    "heartbeat": _NUMBER,
    "boot_id": (str,),
    "beat_at": _NUMBER,
    "turn": (int,),
}
_CONTROLLER_KINDS: Dict[str, Tuple[type, ...]] = {
    "hostname": (str,),
    "boot_id": (str,),
    "pid_namespace": (str,),
    "pid": (int,),
    "start_ticks": (int,),
}


def dump(holder: Holder) -> bytes:
    record = dict(holder._asdict(), schema=SCHEMA, controller=dict(holder.controller._asdict()))
    return json.dumps(record, sort_keys=True).encode() + b"\n"


def parse(content: bytes) -> Holder:
    """The holder; whatever else it is than a whole lock of this schema is an error."""
    return believe(content, SCHEMA, _read)


def _read(record: Dict[str, Any]) -> Holder:
    controller = Controller(**fields(record["controller"], _CONTROLLER_KINDS))
    holder = Holder(controller=controller, **fields(dict({"turn": 0}, **record), _KINDS))
    moment(holder.since)
    moment(holder.heartbeat)
    return holder


# -- what a person reads ------------------------------------------------------------------------


def span(seconds: float) -> str:
    """A length of time, as people say it."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def age(holder: Holder, now: Now) -> float:
    """Since its last heartbeat; within one boot of the state host no set clock changes that."""
    if holder.boot_id and holder.boot_id == now.boot_id:
        return max(now.since_boot - holder.beat_at, 0.0)
    return max(now.wall - holder.heartbeat, 0.0)


def describe(holder: Holder, now: Now) -> str:
    who = holder.controller
    return (
        f"{holder.owner} on {who.hostname} (ansible-playbook pid {who.pid}) since"
        f" {moment(holder.since)}, last heartbeat {span(age(holder, now))} ago:"
        f" {holder.reason or 'no reason given'}"
    )


def as_data(holder: Optional[Holder], now: Now) -> Optional[Dict[str, object]]:
    if holder is None:
        return None
    keys = ("fleet", "token", "owner", "reason", "since", "heartbeat", "turn")
    return dict(
        {key: getattr(holder, key) for key in keys},
        controller=dict(holder.controller._asdict()),
        heartbeat_age=round(age(holder, now), 3),
    )


def refusal(holder: Holder, now: Now, wish: Wish) -> Held:
    text = f"The lock of fleet {wish.fleet} is held by {describe(holder, now)}."
    dead = age(holder, now) > wish.stale_after
    if dead:
        text += (
            f" That is longer than {span(wish.stale_after)}: it is probably dead. Make sure on"
            f" {holder.controller.hostname} that it is, then break the lock: {wish.break_command}"
        )
    else:
        text += " Let it end, or set wait to wait for it."
    return Held(text, holder, dead)


def why_dead(
    me: Controller, other: Controller, look: Callable[[int], Optional[int]]
) -> Optional[str]:
    """The proof that the other has ended; None without one.

    `look` gives the start of a process, 0 if that cannot be told, None if there is no such one.
    """
    if not me.knows(other):
        return None
    found = look(other.pid)
    if found is None:
        return f"its ansible-playbook (pid {other.pid}) on this controller has ended"
    if found not in (0, other.start_ticks):
        return f"pid {other.pid} on this controller is another process by now"
    return None


# -- the lock -----------------------------------------------------------------------------------


class FleetLock:
    """One fleet's lock in a directory of the state host."""

    def __init__(
        self,
        directory: StateDirectory,
        wish: Wish,
        now: Callable[[], Now],
        sleep: Callable[[float], None],
        check_mode: bool,
    ) -> None:
        check_fleet(wish.fleet)
        self._directory = directory
        self._wish = wish
        self.now = now
        self._sleep = sleep
        self._check_mode = check_mode
        self._name = f"{wish.fleet}.lock"
        self._history = f"{wish.fleet}.history"
        self._turns = f"{wish.fleet}.turn"

    @property
    def _where(self) -> str:
        return f"{self._directory.path}/{self._name}"

    def held(self, wait: float) -> Outcome:
        """Take it, or renew it; held by another, wait so long and then refuse."""
        return self._until(0 if self._check_mode else wait)

    def asked(self, wait: float) -> Outcome:
        """Whether it could be had, once the other has ended: for a lock in check mode."""
        return self._until(wait)

    def _until(self, wait: float) -> Outcome:
        if not self._wish.token or not self._wish.owner:
            raise FleetError("state=held needs token and owner: who is it that holds the lock?")
        deadline = self.now().since_boot + wait
        while True:
            try:
                outcome = self._take() or self._have()
                if outcome:
                    return outcome
            except Held:
                if self.now().since_boot >= deadline:
                    raise
                self._sleep(_POLL)

    def kept(self) -> Outcome:
        """Renew one's own; whoever holds none may not go on."""
        outcome = self._have()
        if outcome:
            return outcome
        with self._directory.opened(create=False) as box:
            if box:
                self._refuse_broken(box)
        raise FleetError(
            f"This run does not hold the lock of fleet {self._wish.fleet} ({self._where}): it was"
            " freed when the run was stopped, or never taken. This run must not go on. Start a new"
            " one."
        )

    def _next_turn(self, box: Optional[Opened], found: Optional[Holder] = None) -> int:
        """Higher than every one before, also if the file that tells is lost or the clock is set.

        Hence both: what was given out last, and the time. Either alone would do on a good day.
        """
        known = box.read(self._turns) if box else None
        last = int(known) if known and known.strip().isdigit() else 0
        return max(last, found.turn if found else 0, int(self.now().wall * 1000)) + 1

    def _keep_turn(self, box: Opened, turn: int) -> None:
        known = box.read(self._turns) or b""
        if not known.strip().isdigit() or int(known) < turn:
            box.write(self._turns, b"%d\n" % turn)

    def _mine(self, turn: int, since: Optional[Holder] = None) -> Holder:
        wish, now = self._wish, self.now()
        return Holder(
            fleet=wish.fleet,
            token=wish.token,
            owner=plain(wish.owner),
            reason=plain(wish.reason) or (since.reason if since else ""),
            controller=wish.controller,
            since=since.since if since else now.wall,
            heartbeat=now.wall,
            boot_id=now.boot_id,
            beat_at=now.since_boot,
            turn=since.turn if since else turn,
        )

    def _take(self) -> Optional[Outcome]:
        """It is free: of all who find it so, one gets it. None if somebody has it."""
        with self._directory.opened(create=not self._check_mode) as box:
            if box:
                if box.exists(self._name):
                    return None
                self._refuse_broken(box)
            mine = self._mine(0 if self._check_mode else self._next_turn(box))
            if self._check_mode:
                return Outcome(None, mine, True, f"The lock of fleet {mine.fleet} would be taken.")
            if not box or not box.create(self._name, dump(mine)):
                return None
            # Killed right here, the lock itself tells it to whoever takes it over.
            self._keep_turn(box, mine.turn)
            return Outcome(None, mine, True, f"The lock of fleet {mine.fleet} was taken.")

    def _have(self) -> Optional[Outcome]:
        """Somebody has it: oneself, a dead one, or another. None if it is free by now."""
        with self._directory.locked() as box:
            found = self._found(box)
            if found is None or box is None:
                return None
            wish = self._wish
            if found.token == wish.token:
                mine = self._mine(0, found)
                if not found.turn and not self._check_mode:
                    # A version before took it.
                    mine = mine._replace(turn=self._next_turn(box))
                    self._keep_turn(box, mine.turn)
                if not self._check_mode:
                    box.write(self._name, dump(mine))
                return Outcome(found, mine, False, f"The lock of fleet {wish.fleet} is yours.")
            if found.token != wish.take_over:
                raise refusal(found, self.now(), wish)
            self._refuse_broken(box)
            mine = self._mine(0 if self._check_mode else self._next_turn(box, found))
            if not self._check_mode:
                self._keep_turn(box, mine.turn)
                self._record(box, "taken over", wish.proof, as_data(found, self.now()))
                box.write(self._name, dump(mine))
            would = "would be" if self._check_mode else "was"
            text = (
                f"The lock of fleet {wish.fleet} {would} taken over from"
                f" {describe(found, self.now())}; {plain(wish.proof)}."
            )
            return Outcome(found, mine, True, text, taken_over=found)

    def free(self) -> Outcome:
        """Give up one's own."""
        if not self._wish.token:
            raise FleetError("state=free needs the token that the lock was taken with.")
        with self._directory.locked() as box:
            found = self._found(box)
            if found is None or box is None:
                return Outcome(None, None, False, f"The lock of fleet {self._wish.fleet} is free.")
            if found.token != self._wish.token:
                raise Held(
                    f"The lock of fleet {self._wish.fleet} is not yours to free: it is held by"
                    f" {describe(found, self.now())}. To break it: {self._wish.break_command}",
                    found,
                    age(found, self.now()) > self._wish.stale_after,
                )
            if not self._check_mode:
                self._keep_turn(box, found.turn)
                box.remove(self._name)
            would = "would be" if self._check_mode else "was"
            return Outcome(found, None, True, f"The lock of fleet {found.fleet} {would} freed.")

    def broken(self) -> Outcome:
        """Remove whatever is there, and leave behind who did it and why."""
        if not plain(self._wish.reason) or not self._wish.owner:
            raise FleetError(
                "state=broken needs reason and owner: the history tells who broke the lock and why."
            )
        with self._directory.locked() as box:
            if box is None or not box.exists(self._name):
                return Outcome(None, None, False, f"The lock of fleet {self._wish.fleet} is free.")
            found: Optional[Holder] = None
            try:
                found = parse(box.read(self._name) or b"")
                text = f"held by {describe(found, self.now())}"
            except FleetError as exc:
                text = f"of which nobody can tell who held it: {exc}"
            if not self._check_mode:
                # Told before it is done: nothing is broken without a trace.
                lost = as_data(found, self.now()) if found else text
                self._record(box, "broken", self._wish.reason, lost)
                self._keep_turn(box, found.turn if found else 0)
                box.remove(self._name)
            would = "would be" if self._check_mode else "was"
            return Outcome(
                found,
                None,
                True,
                f"The lock of fleet {self._wish.fleet} {would} broken, {text}.",
                broken=True,
            )

    def _found(self, box: Optional[Opened]) -> Optional[Holder]:
        try:
            content = box.read(self._name) if box else None
            return None if content is None else parse(content)
        except FleetError as exc:
            raise Unbelievable(
                f"The lock of fleet {self._wish.fleet} cannot be believed ({self._where}): {exc}."
                " Whether a rollout is on cannot be told. Make sure that none is, then break the"
                f" lock: {self._wish.break_command}"
            ) from None

    def _refuse_broken(self, box: Opened) -> None:
        """A run whose lock was broken must not go on as if nothing had been."""
        for event in events(box.read(self._history) or b""):
            if _broken_token(event) == self._wish.token:
                by = event["by"]
                raise FleetError(
                    f"The lock that this run held on fleet {self._wish.fleet} was"
                    f" {event['event']} by {by['owner']} on {by['hostname']} at {event['at']}:"
                    f" {event['reason']}. This run must not go on. Start a new one."
                )

    def _record(self, box: Opened, event: str, reason: str, lost: object) -> None:
        line = {
            "at": moment(self.now().wall),
            "event": event,
            "by": {"owner": plain(self._wish.owner), "hostname": self._wish.controller.hostname},
            "reason": plain(reason),
            "lock": lost,
        }
        box.append(self._history, json.dumps(line, sort_keys=True).encode(), HISTORY_LIMIT)


def events(history: bytes) -> List[Dict[str, Dict[str, str]]]:
    """What the history tells; a line that somebody spoilt tells nothing."""
    found = []
    for line in history.splitlines():
        try:
            event = json.loads(line.decode("utf-8"))
        except ValueError:
            continue
        if _whole(event):
            found.append(event)
    return found


def _whole(event: object) -> bool:
    return (
        isinstance(event, dict)
        and {"at", "event", "by", "reason", "lock"} <= set(event)
        and isinstance(event["by"], dict)
        and {"owner", "hostname"} <= set(event["by"])
    )


def _broken_token(event: Dict[str, Dict[str, str]]) -> Optional[str]:
    lost = event["lock"]
    return lost.get("token") if isinstance(lost, dict) else None
