# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines around what was found, and when they were written."""

import time
from typing import Callable, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.records import (
    GUNICORN,
    NOTHING,
    Clock,
    Stamp,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.scan import Scanner

SNIPPET = 400
# No time fits into less than this, so what begins a line says nothing of itself.
SHORTEST_PREFIX = 16


class Line(NamedTuple):
    """A line, where the event begins in it and in the stream, and what is known of its writing."""

    text: bytes
    event: int
    position: int
    own: Stamp
    when: Optional[float]

    def snippet(self) -> bytes:
        """The event with what stands before it, as far as that is near."""
        if self.event <= 160:
            return self.text[:SNIPPET]
        return b"..." + self.text[self.event - 80 : self.event + SNIPPET]


class Lines:
    """Reads lines where the scanner stands. ``context`` is the last time found, and for where."""

    def __init__(self, scanner: Scanner, clock: Clock) -> None:
        self.scanner = scanner
        self.clock = clock
        self.context: Tuple[int, Optional[float]] = (-1, None)
        # Has a line of gunicorn's own been met? Then no other line tells the time: a request's path
        # may hold one.
        self.own = False
        # Whether a pid can be one of gunicorn's: an access line may begin with a client's words.
        self.known: Callable[[int], bool] = lambda _pid: True
        # Whether gunicorn's own words may stand behind this: what a shipper put there, or nothing.
        self.leads: Callable[[bytes], bool] = lambda _before: True

    def at(self, at: int, context: bool = True) -> Line:
        """The line around ``at``, and when it was written as far as that can be told."""
        begin, finish = self.scanner.line(at)
        return self.stamped(bytes(self.scanner.buffer[begin:finish]), at - begin, at, context)

    def stamped(self, text: bytes, event: int, at: int, context: bool = True) -> Line:
        own = NOTHING
        if event >= SHORTEST_PREFIX or text[:1] == b"{":
            own = self.clock.stamp(text, event)
        when = own.time
        if when is None and context:
            when = self.before(at)
        return Line(text, event, self.scanner.base + at, own, when)

    def before(self, at: int) -> Optional[float]:
        """What the last line before ``at`` that tells its time says."""
        scanner = self.scanner
        position = scanner.base + at
        known, when = self.context
        low = max(scanner.low, known - scanner.base)
        found = scanner.buffer.rfind(b"\n[", low, at)
        while found >= 0:
            match = GUNICORN.match(scanner.buffer, found + 1, at)
            if match is not None and self.known(int(match.group(3))):
                when = self.clock.gunicorn(*match.group(1, 2))
                self.context = (position, when)
                self.own = True
                return when
            found = scanner.buffer.rfind(b"\n[", low, found)
        complete = known >= scanner.base + scanner.low
        found_here = None if self.own else self.last(low, at)
        if found_here is not None:
            when = found_here.time
        elif not complete:
            when = None
        self.context = (position, when)
        return when

    def last(self, low: int, at: int) -> Optional[Stamp]:
        """The same in any layout, not before ``low``; line by line, so bounded."""
        finish = at
        for _turn in range(200):
            begin = self.scanner.buffer.rfind(b"\n", low, finish)
            start = max(begin + 1, low)
            # The lines of a traceback are indented.
            if self.scanner.buffer[start] != 32:
                line = bytes(self.scanner.buffer[start : min(finish, start + 1024)])
                if len(line) >= SHORTEST_PREFIX:
                    stamp = self.clock.stamp(line, len(line))
                    if stamp.time is not None and self._believed(line, stamp):
                        return stamp
            if begin < 0:
                return None
            finish = begin
        return None

    def _believed(self, line: bytes, stamp: Stamp) -> bool:
        """A client may have said of itself what gunicorn says, further on in the line."""
        found = GUNICORN.search(line) if stamp.layout == "gunicorn" else None
        if found is None:
            return True
        return self.known(int(found.group(3))) and self.leads(line[: found.start()])

    def first(self, start: int, stop: int) -> Optional[float]:
        """The first time that is told between two places."""
        for line in bytes(self.scanner.buffer[start:stop]).split(b"\n")[:50]:
            when = self.clock.stamp(line, len(line)).time
            if when is not None:
                return when
        return None


def earliest(when: float) -> float:
    """The hour that comes twice in autumn: a time read as of the second may be of the first."""
    try:
        before, after = time.localtime(when - 3600), time.localtime(when)
    except (ValueError, OverflowError, OSError):
        return when
    return when - 3600 if before[:6] == after[:6] else when


CONTROL = bytes(set(range(32)) - {9, 10, 13, 27})


def looks_like_text(sample: bytes) -> bool:
    """Is this part of a log? Leading NULs are: a truncated file may begin with a hole."""
    sample = sample.lstrip(b"\0")
    if not sample:
        return False
    odd = len(sample) - len(sample.translate(None, CONTROL))
    return odd * 20 <= len(sample)
