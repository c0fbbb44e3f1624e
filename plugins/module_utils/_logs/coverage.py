# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Do logs tell of one arbiter at all: of its start, or by a line that it wrote itself?

A log of requests, or of an application, goes on whoever serves it: that it is written to says
nothing of whether the arbiter would be heard in it. Read from the end, since a new arbiter's start
is near it. What a client may have sent (behind a quote, or anywhere but at the begin of a message)
is not believed.
"""

import json
import os
import re
import stat
import time
from itertools import islice
from typing import Any, Callable, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.journal_names import (
    Unit,
    unit_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.reader import family
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.records import (
    GUNICORN,
    PID_KEYS,
    Clock,
    first,
)

START, LINE, LOST, SILENT = "start", "line", "lost", ""

CHUNK = 1 << 20
HEAD = 1 << 16
# What an old arbiter wrote before that much is not looked for.
MAX_BYTES = 1 << 28
MAX_LINE = 1 << 14
MAX_CANDIDATES = 5000
# The arbiter says that it starts among the first lines of its generation.
MAX_JOURNAL_LINES = 20000
# Seconds within which an arbiter's first words may still be on their way.
YOUNG = 60.0
# The start of a process by /proc and by its first log line differ by the rounding of two clocks.
SLACK = 2.0
# A preloaded application is imported before gunicorn says that it starts.
PRELOAD = 900.0
# Whose log is rotated more often than this has rotated files beside it.
ROTATION = 86400.0

_MESSAGE_KEYS = ("message", "msg", "log", "MESSAGE", "event")
_START = re.compile(rb"Starting gunicorn [0-9][\w.+-]{0,40}\s*$")
# What service managers, shippers and terminals put before a line.
_HEAD = re.compile(
    rb"(?:\x1b\[[0-9;]*m"
    rb"|<\d{1,3}>"
    rb"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S{1,64} [\w./@-]{1,64}(?:\[\d+\])?: "
    rb"|\d{4}-\d\d-\d\d[T ]\S{8,24}(?: [\w./@-]{1,64} [\w./@-]{1,64}(?:\[\d+\])?:)? ?"
    rb"|std(?:out|err) [FP] "
    rb"|[\w.-]{1,64} *\| ?"
    rb"|\[[\w.-]{1,64}\] ?"
    rb")*"
)
# A format of one's own: a time, a level, a name, a pid, in any order and dressing.
_OWN_HEAD = re.compile(rb"(?:[\w\s.,:;|+\-\[\]()<>=*#\x1b]|(?<=\w)/(?=\w)){0,200}")


class Who(NamedTuple):
    """The arbiter that is looked for."""

    pid: int
    since: Optional[float]
    # By device and inode, how much was in a log already when it began.
    begin: Mapping[Tuple[int, int], int] = {}


def told(paths: Iterable[str], who: Who, now: float) -> str:
    """`START`, `LINE`, `LOST` (the begin was rotated away, so nobody knows) or `SILENT`."""
    found = [_told_by(path, who, now) for path in paths]
    return next((each for each in (START, LINE, LOST) if each in found), SILENT)


def settle(
    paths: List[str], who: Who, now: float, sleep: Callable[[float], None] = time.sleep
) -> None:
    """journald writes a moment after gunicorn has: wait for the first words of a young arbiter."""
    if who.since is None or now - who.since > YOUNG or not any(map(unit_of, paths)):
        return
    for _turn in range(12):
        if told(paths, who, now):
            return
        sleep(0.25)


def line_tells(line: bytes, who: Who, clock: Clock) -> str:
    """What one line says of the arbiter: `START`, `LINE` or `SILENT`."""
    text = line.strip()[:MAX_LINE]
    if text.startswith(b"{"):
        return _record_tells(text, who, clock)
    head = _HEAD.match(text)
    at = head.end() if head else 0
    match = GUNICORN.match(text, at) or GUNICORN.match(text)
    if match:
        if int(match.group(3)) != who.pid:
            return SILENT
        if not _in_time(clock.gunicorn(match.group(1), match.group(2)), who, None):
            return SILENT
        return START if _START.match(text, match.end()) else LINE
    if text.find(b"{", 0, 200) == at > 0:
        return _record_tells(text[at:], who, clock)
    if GUNICORN.search(text):
        # Not where gunicorn puts it.
        return SILENT
    start = _START.search(text)
    own = _OWN_HEAD.match(text)
    if start is None or own is None or own.end() < start.start():
        return SILENT
    when = clock.stamp(text, start.start()).time
    return START if _in_time(when, who, PRELOAD) else SILENT


def _record_tells(text: bytes, who: Who, clock: Clock) -> str:
    try:
        record = json.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return SILENT
    if not isinstance(record, dict):
        return SILENT
    message = first(record, _MESSAGE_KEYS)
    words = message.encode("utf-8", "replace") if isinstance(message, str) else b""
    pid = first(record, PID_KEYS)
    stamp = clock.from_json(text)
    when = stamp.time if stamp else None
    if pid is not None:
        if str(pid) != str(who.pid) or not _in_time(when, who, None):
            return SILENT
        return START if _START.match(words) else LINE
    if _START.match(words):
        return START if _in_time(when, who, PRELOAD) else SILENT
    # A wrapper around a whole line.
    return SILENT if words.lstrip().startswith(b"{") else line_tells(words, who, clock)


def _in_time(when: Optional[float], who: Who, within: Optional[float]) -> bool:
    """Can it be this arbiter's? What has no time can; an earlier process may have had its pid."""
    if when is None or who.since is None:
        return True
    return when >= int(who.since - SLACK) and (within is None or when <= who.since + within)


# --- files ----------------------------------------------------------------------------------------


def _told_by_journal(unit: Unit, who: Who, now: float) -> str:
    # Only who has one pays for this import.
    from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.journalctl import Journal

    clock, found, count = Clock(now), SILENT, 0
    journal = Journal(unit, {}, who.since, None, who.pid)
    for line in islice(journal.lines.each(), MAX_JOURNAL_LINES):
        count += 1
        tells = line_tells(line, who, clock)
        found = tells if tells == START else found or tells
        if found == START:
            break
    lost = journal.finish(headless=not found)
    return found or (LOST if lost or count == MAX_JOURNAL_LINES else SILENT)


def _told_by(path: str, who: Who, now: float) -> str:
    unit = unit_of(path)
    if unit is not None:
        return _told_by_journal(unit, who, now)
    names = [os.path.realpath(path)]
    names += [name for name, _number in family(names[0])]
    clock = Clock(now)
    oldest: Optional[float] = None
    rotated = False
    for index, name in enumerate(names):
        try:
            if index and who.since is not None and os.stat(name).st_mtime < who.since - 1:
                break
            if name.endswith((".gz", ".xz", ".bz2")):
                # Not unpacked for this: what is in there, nobody knows.
                return LOST
            found, begin = _search(name, who, clock)
        except OSError:
            continue
        if found:
            return found
        rotated = rotated or index > 0
        oldest = begin if begin is not None else oldest
    if who.since is None or (oldest is not None and oldest <= who.since + SLACK):
        return SILENT
    return LOST if rotated or now - who.since > ROTATION else SILENT


def _search(path: str, who: Who, clock: Clock) -> Tuple[str, Optional[float]]:
    """What the file tells, and when it begins."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | getattr(os, "O_CLOEXEC", 0))
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return SILENT, None
        head = file.read(HEAD)
        oldest = _begin(head, clock)
        record = any(f'"{key}"'.encode() in head for key in PID_KEYS)
        left = MAX_CANDIDATES
        place = who.begin.get((status.st_dev, status.st_ino))
        least = max(place or 0, status.st_size - MAX_BYTES)
        for line in _candidates(file, status.st_size, least, _texts(who, record)):
            if left <= 0 and b"Starting gunicorn " not in line:
                continue
            left -= 1
            found = line_tells(line, who, clock)
            # A line by its pid is enough; its start would only say it once more.
            if found:
                return found, oldest
        if least > (place or 0):
            return LOST, oldest
        # From its very begin it was silent here.
        return SILENT, oldest if place is None else who.since


def _begin(head: bytes, clock: Clock) -> Optional[float]:
    """The time of the first line that tells one."""
    for line in head.split(b"\n"):
        when = clock.stamp(line[:MAX_LINE], 0).time
        if when is not None:
            return when
    return None


def _texts(who: Who, record: bool) -> List[bytes]:
    """What a line that tells of it has in it; ``record``: they have pids by name, as JSON."""
    # Plain searches: one for any of these at once takes twenty times as long.
    texts = ["Starting gunicorn ", f"[{who.pid}] ["]
    if record:
        texts += [f'"{gap}{who.pid}{end}' for gap in (":", ": ") for end in (",", "}")]
        texts += [f'"{gap}"{who.pid}"' for gap in (":", ": ")]
    return [text.encode() for text in texts]


def _candidates(file: Any, size: int, least: int, literals: List[bytes]) -> Iterable[bytes]:
    """The lines that may tell of it, the last one first."""
    end, rest = size, b""
    while end > least:
        begin = max(least, end - CHUNK)
        file.seek(begin)
        block = file.read(end - begin) + rest
        cut = block.find(b"\n") + 1 if begin > least else 0
        if begin > least and cut == 0 and len(block) < 2 * CHUNK:
            rest, end = block, begin
            continue
        yield from _lines_with(block, cut, literals)
        rest, end = block[:cut], begin


def _lines_with(block: bytes, cut: int, literals: List[bytes]) -> Iterable[bytes]:
    """The lines of a block, from ``cut`` on, that hold one of the literals; the last one first."""
    found = {}
    for literal in literals:
        at = block.find(literal, cut)
        while at >= 0:
            start = max(block.rfind(b"\n", cut, at) + 1, cut)
            stop = block.find(b"\n", at)
            stop = stop if stop >= 0 else len(block)
            found[start] = min(stop, start + MAX_LINE)
            at = block.find(literal, stop)
    for start in sorted(found, reverse=True):
        yield block[start : found[start]]
