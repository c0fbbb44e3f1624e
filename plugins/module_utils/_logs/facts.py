# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known and kept while a log is read: generations, incidents, blocks, dead workers."""

import re
import signal
from collections import OrderedDict
from functools import lru_cache
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.blocks import Trace
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.lines import Line
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.records import printable
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact

REMEMBERED = 1024
EXCERPT_LINES = 6
ARGUMENT_NUMBERS = re.compile(rb"\((\d+), (\d+)\)")


class Window(NamedTuple):
    """What the verdict is about; None for no bound."""

    since: Optional[float] = None
    until: Optional[float] = None
    arbiter_pid: Optional[int] = None


class Generation(NamedTuple):
    """The arbiter that wrote ``Starting gunicorn`` last."""

    pid: Optional[int]
    version: str
    time: Optional[float]
    ours: bool


class Incident:
    """One thing that happened."""

    def __init__(self, event: str, position: int) -> None:
        self.event = event
        self.position = position
        self.lines = 0
        self.first: Optional[float] = None
        self.last: Optional[float] = None
        self.arbiter_pid: Optional[int] = None
        self.worker_pid: Optional[int] = None
        self.signal: Optional[str] = None
        self.snippets: List[bytes] = []
        # Where it is, if an earlier look has found it.
        self.place: Optional[Tuple[str, int]] = None

    def state(self, place: Tuple[str, int]) -> List[Any]:
        """For JSON, fit to be shown; ``place``: file and offset, as a position is of one look."""
        numbers = [self.lines, self.first, self.last, self.arbiter_pid, self.worker_pid]
        texts = [printable(snippet) for snippet in self.snippets[:EXCERPT_LINES]]
        return [self.event, list(place)] + numbers + [self.signal, texts]

    @classmethod
    def restored(cls, state: List[Any]) -> "Incident":
        event, place, lines, first, last, arbiter, worker, number, texts = state
        self = cls(str(event), -1)
        self.place = (str(place[0]), int(place[1]))
        self.lines, self.first, self.last = int(lines), first, last
        self.arbiter_pid, self.worker_pid, self.signal = arbiter, worker, number
        self.snippets = [str(text).encode("utf-8", "replace") for text in texts]
        return self

    def add(self, lines: int, when: Optional[float], line: Optional[Line] = None) -> None:
        self.lines += lines
        if when is not None:
            self.first = when if self.first is None else min(self.first, when)
            self.last = when if self.last is None else max(self.last, when)
        if line is not None and len(self.snippets) < EXCERPT_LINES:
            self.snippets.append(line.snippet())

    def excerpt(self) -> str:
        # Once more as a whole: a secret may have several lines.
        return redact("\n".join(printable(snippet) for snippet in self.snippets))


class Block:
    """A ``Logging error`` block that is being read, or the phrase outside of one."""

    def __init__(self, position: int, when: Optional[float], ours: int) -> None:
        self.incident = Incident("logging_error", position)
        self.incident.first = self.incident.last = when
        self.last = position
        self.ours = ours
        self.reentrant = False
        # Python 3.9 and later: printed as it happens, so never printed again by a forked worker.
        self.at_once = False
        # What it was counted as already: it may turn out worse than it looked at first.
        self.reported = ""
        # The Message line, when an earlier look has read it and Arguments is still to come.
        self.message = b""
        self.trace = Trace()
        # Was the phrase in a line that no client can write, or in a traceback of its own?
        self.told = False
        # Did it begin with the phrase, in a traceback of its own?
        self.headless = False

    def event(self) -> str:
        if not self.reentrant:
            return "logging_error"
        return "reentrant_elsewhere" if self.trace.elsewhere else "reentrant"

    def believed(self) -> bool:
        """A header alone proves nothing: a client may have had it logged."""
        return self.told or self.reentrant or self.trace.traced


class Memory:
    """What has been seen lately, bounded: a key leads to when it was and to its incident."""

    def __init__(self) -> None:
        self.items: OrderedDict[str, Tuple[Optional[float], Optional[Incident]]] = OrderedDict()
        # How many workers had booted when a block was printed last.
        self.boots: Dict[str, int] = {}

    def get(
        self, key: str, when: Optional[float], horizon: float
    ) -> Optional[Tuple[Optional[float], Optional[Incident]]]:
        found = self.items.get(key)
        if found is None:
            return None
        if when is not None and found[0] is not None and abs(when - found[0]) > horizon:
            return None
        return found

    def adds(self, key: str) -> bool:
        """Is there an incident, told of in the report, to which more may be added?"""
        found = self.items.get(key)
        return found is not None and found[1] is not None

    def put(self, key: str, when: Optional[float], incident: Optional[Incident]) -> None:
        items = self.items
        if key in items:
            items.move_to_end(key)
        items[key] = (when, incident)
        if len(items) > REMEMBERED:
            self.boots.pop(items.popitem(last=False)[0], None)


DEATHS = (
    (b"Worker with pid %s was terminated due to signal %s", ARGUMENT_NUMBERS),
    (
        b"Worker with pid ",
        re.compile(rb"Worker with pid (\d+) was terminated due to signal (\d+)"),
    ),
    (
        b"Worker (pid:",
        re.compile(rb"Worker \(pid:(\d+)\) was sent (SIG[A-Z0-9+]+|(?:code|signal) \d+)!"),
    ),
)


def failed_message(text: bytes) -> Optional[Tuple[int, str]]:
    """The worker and the signal that a lost log line told of."""
    for needed, pattern in DEATHS:
        if needed in text:
            match = pattern.search(text)
            if match is not None:
                return int(match.group(1)), signal_name(match.group(2)) or ""
    return None


@lru_cache(maxsize=128)
def signal_name(value: Any) -> Optional[str]:
    """``9``, ``signal 9`` and ``SIGKILL`` are one thing."""
    if value is None:
        return None
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    digits = text[7:] if text.startswith("signal ") else text
    if digits.isdigit():
        try:
            return signal.Signals(int(digits)).name
        except ValueError:
            return "signal " + digits
    return text
