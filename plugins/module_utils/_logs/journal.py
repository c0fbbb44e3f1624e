# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What journalctl writes of a unit, as the lines that its processes wrote. No I/O.

Only fields that journald itself sets (they begin with ``_``) tell whose an entry is: any process
may give itself any identifier. They also tell more than a file does: a worker that claims to be the
arbiter is found out.
"""

import re
from collections import OrderedDict, deque
from typing import Any, Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.incidents import LAST_WORDS
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.journal_names import Unit
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.records import GUNICORN

# journald's own message that it has suppressed some.
DROPPED = "a596d6fe7bfa4994828e72309e95d61e"
FIELDS = (
    *("MESSAGE", "MESSAGE_ID", "N_DROPPED"),
    *("_TRANSPORT", "_PID", "_STREAM_ID", "_LINE_BREAK", "_SYSTEMD_INVOCATION_ID"),
)
# What gunicorn's and its application's words can come by. "kernel" and "audit" are others' words.
_TRANSPORTS = ("stdout", "syslog", "journal")
# The rest of a line follows in an entry of its own.
_CUT = (b"line-max", b"pid-change")
# More of one value than this is not kept: journald cuts lines at 48 KiB.
MAX_VALUE = 1 << 20
MAX_JOINED = 1 << 16
# A message whose next line does not come for so long is complete.
HOLD_SECONDS = 1.0
MAX_HELD = 1 << 18
# What begins a line that belongs to the one before.
_CONTINUES = re.compile(
    rb"[ \t]|Traceback \(most recent|Call stack:|Message: |Arguments: "
    rb"|During handling of the above|The above exception was"
)
_BOOTING = re.compile(rb"Booting worker with pid: (\d+)\s*$")
_WORKERS = 4096
_KEPT_WORKERS = 512

_DAMAGED = re.compile(r"^Journal file (.+?) (?:is truncated|corrupted|uses an unsupported)", re.M)


class Entry(NamedTuple):
    """One entry of the journal. ``when``: seconds since 1970, as journald took it."""

    cursor: str
    when: float
    pid: Optional[int]
    stream: bytes
    invocation: str
    message: bytes
    cut: bool
    # How many messages were suppressed; then it is journald that says so.
    dropped: int


def own(unit: Unit, uid: int, invocation: str = "", pid: int = 0) -> List[str]:
    """Which entries the unit's own processes wrote, of one start or one process if wanted."""
    words = [f"_SYSTEMD_UNIT={unit.name}"]
    if unit.user:
        words = [f"_SYSTEMD_USER_UNIT={unit.name}", f"_UID={uid}"]
    if invocation:
        words.append(f"_SYSTEMD_INVOCATION_ID={invocation}")
    if pid:
        words.append(f"_PID={pid}")
    return words + [f"_TRANSPORT={each}" for each in _TRANSPORTS]


def selection(unit: Unit, uid: int, invocation: str = "") -> List[str]:
    """The same, and what journald says that it has dropped of them."""
    # Its limit counts the whole of a user's manager as one unit.
    of = f"user@{uid}.service" if unit.user else unit.name
    dropped = ["_TRANSPORT=driver", f"MESSAGE_ID={DROPPED}", f"OBJECT_SYSTEMD_UNIT={of}"]
    return [*own(unit, uid, invocation), "+", *dropped]


def damaged_files(error: str) -> List[str]:
    """Files of the journal that journalctl has left out."""
    return _DAMAGED.findall(error)


def same_place(one: str, other: str) -> bool:
    """Are these cursors of one entry? Where a journal was moved to /var, it is numbered anew."""
    first, second = _parts(one), _parts(other)
    names = "si" if first.get("s") == second.get("s") else "bmtx"
    return all(name in first and first[name] == second.get(name) for name in names)


def _parts(cursor: str) -> Dict[str, str]:
    pairs = (part.partition("=") for part in cursor.split(";"))
    return {name: value for name, _equals, value in pairs}


# --- entries --------------------------------------------------------------------------------------


def entries(stream: Any) -> Iterator[Entry]:
    """Read ``journalctl -o export``; what is torn at the end is left out."""
    fields: Dict[bytes, bytes] = {}
    while True:
        line = _line(stream)
        if not line:
            return
        if line == b"\n":
            entry = _entry(fields)
            fields = {}
            if entry is not None:
                yield entry
            continue
        name, equals, value = line[:-1].partition(b"=")
        if not equals:
            # A value with bytes that are no text: its length, itself, and a line end.
            size = int.from_bytes(stream.read(8), "little")
            value = stream.read(min(size, MAX_VALUE))
            _skip(stream, size - len(value) + 1)
        fields.setdefault(name, value)


def _line(stream: Any) -> bytes:
    """A line, of which no more than `MAX_VALUE` is kept; empty at the end."""
    line: bytes = stream.readline(MAX_VALUE)
    rest = line
    while rest and not rest.endswith(b"\n"):
        rest = stream.readline(MAX_VALUE)
    return line if line.endswith(b"\n") or not rest else line + b"\n"


def _skip(stream: Any, count: int) -> None:
    while count > 0:
        got = len(stream.read(min(count, MAX_VALUE)))
        if not got:
            return
        count -= got


def _entry(fields: Dict[bytes, bytes]) -> Optional[Entry]:
    cursor = fields.get(b"__CURSOR", b"").decode("ascii", "replace")
    when = _number(fields.get(b"__REALTIME_TIMESTAMP"))
    if not cursor or when is None:
        return None
    dropped = 0
    if fields.get(b"_TRANSPORT") == b"driver":
        if fields.get(b"MESSAGE_ID") != DROPPED.encode():
            return None
        dropped = _number(fields.get(b"N_DROPPED")) or 1
    return Entry(
        cursor,
        when / 1e6,
        _number(fields.get(b"_PID")),
        fields.get(b"_STREAM_ID", b""),
        fields.get(b"_SYSTEMD_INVOCATION_ID", b"").decode("ascii", "replace"),
        fields.get(b"MESSAGE", b""),
        fields.get(b"_LINE_BREAK") in _CUT,
        dropped,
    )


def _number(value: Optional[bytes]) -> Optional[int]:
    return int(value) if value is not None and value.isdigit() else None


# --- lines ----------------------------------------------------------------------------------------


class _Message:
    """A line and those that belong to it."""

    def __init__(self, line: bytes, when: float) -> None:
        self.lines = [line]
        self.size = len(line)
        self.last = when
        self.complete = False


Writer = Tuple[int, bytes]


class Writers:
    """Puts together what one process wrote: the parts of a line, the lines of a message.

    Messages come out in the order in which they began.
    """

    def __init__(self) -> None:
        self._parts: Dict[Writer, Tuple[bytes, float]] = {}
        self._messages: Deque[_Message] = deque()
        self._open: Dict[Writer, _Message] = {}
        self._held = 0
        # Workers that have said so themselves: from there on each speaks for itself.
        self._workers: OrderedDict[int, None] = OrderedDict()
        self._invocation = ""

    def add(self, entry: Entry) -> bytes:
        """One more entry; what is complete now."""
        if entry.invocation and entry.invocation != self._invocation:
            # A new generation may have the pids of an old one.
            self._workers.clear()
            self._invocation = entry.invocation
        writer = (entry.pid or 0, entry.stream)
        text = entry.message
        if writer in self._parts:
            text = self._parts.pop(writer)[0] + text
        if entry.cut:
            self._parts[writer] = text[:MAX_JOINED], entry.when
            return b""
        self._take(writer, text, entry.when)
        return self._ripe(entry.when)

    def finish(self, now: float) -> bytes:
        """All that there is, but for lines of which the rest may still come."""
        for writer, (text, when) in list(self._parts.items()):
            if now - when > HOLD_SECONDS:
                del self._parts[writer]
                self._take(writer, text, when)
        self._open.clear()
        for message in self._messages:
            message.complete = True
        return self._ripe(now)

    def _take(self, writer: Writer, text: bytes, when: float) -> None:
        line = self._own(writer[0], text) + b"\n"
        self._held += len(line)
        message = self._open.get(writer)
        if message is not None:
            near = when - message.last <= HOLD_SECONDS and message.size < MAX_JOINED
            if near and (_CONTINUES.match(line) or LAST_WORDS.match(line)):
                message.lines.append(line)
                message.size += len(line)
                message.last = when
                return
            message.complete = True
        self._open[writer] = message = _Message(line, when)
        self._messages.append(message)

    def _own(self, pid: int, text: bytes) -> bytes:
        """A line as it may be believed: a worker does not speak for another process."""
        match = GUNICORN.match(text)
        if match is None or not pid:
            return text
        if int(match.group(3)) == pid:
            booting = _BOOTING.match(text, match.end())
            if booting is not None and int(booting.group(1)) == pid:
                self._workers[pid] = None
                if len(self._workers) > _WORKERS:
                    self._workers.popitem(last=False)
        elif pid in self._workers:
            # Before its own first line it may print what it inherited of its parent's buffer.
            return b"process %d wrote: %s" % (pid, text)
        return text

    def _ripe(self, now: float) -> bytes:
        done: List[bytes] = []
        messages = self._messages
        while messages:
            first = messages[0]
            if not (first.complete or now - first.last > HOLD_SECONDS or self._held > MAX_HELD):
                break
            messages.popleft()
            self._held -= first.size
            done += first.lines
            if not first.complete:
                self._open = {key: each for key, each in self._open.items() if each is not first}
        return b"".join(done)

    def state(self) -> Dict[str, Any]:
        """What the next look must know, for JSON."""
        parts = [
            [pid, stream.decode("latin-1"), text.decode("latin-1"), when]
            for (pid, stream), (text, when) in self._parts.items()
        ]
        return {
            "parts": parts[-16:],
            "workers": list(self._workers)[-_KEPT_WORKERS:],
            "invocation": self._invocation,
        }

    def restore(self, state: Dict[str, Any]) -> None:
        """Go on from where ``state`` was; ValueError or the like if it is none."""
        self._parts = {
            (int(pid), str(stream).encode("latin-1")): (str(text).encode("latin-1"), float(when))
            for pid, stream, text, when in state["parts"]
        }
        self._workers = OrderedDict((int(pid), None) for pid in state["workers"])
        self._invocation = str(state["invocation"])


class Lines:
    """Entries as a stream of bytes for the scanner; what it says is lost."""

    def __init__(
        self,
        found: Iterator[Entry],
        writers: Writers,
        now: Callable[[], float],
        until: Optional[float] = None,
    ) -> None:
        self._found = found
        self._writers = writers
        self._now = now
        self._until = until
        self._rest = b""
        self._ended = False
        # Was all of it read?
        self.whole = False
        self.dropped = 0
        self.cursor = ""
        # When the first and the last entry were written; None: there is none.
        self.first: Optional[float] = None
        self.last: Optional[float] = None

    def next(self) -> bytes:
        """Some whole lines; empty at the end."""
        while not self._ended:
            entry = next(self._found, None)
            if entry is None or (self._until is not None and entry.when > self._until):
                self._ended, self.whole = True, entry is None
                return self._writers.finish(self._now())
            self.cursor = entry.cursor
            self.first = entry.when if self.first is None else self.first
            self.last = entry.when
            if entry.dropped:
                self.dropped += entry.dropped
                continue
            lines = self._writers.add(entry)
            if lines:
                return lines
        return b""

    def each(self) -> Iterator[bytes]:
        """One line after the other."""
        lines = self.next()
        while lines:
            yield from lines[:-1].split(b"\n")
            lines = self.next()

    def readinto(self, view: Any) -> int:
        pieces, size = [self._rest], len(self._rest)
        while size < len(view):
            lines = self.next()
            if not lines:
                break
            pieces.append(lines)
            size += len(lines)
        text = b"".join(pieces)
        got = min(len(text), len(view))
        view[:got] = text[:got]
        self._rest = text[got:]
        return got
