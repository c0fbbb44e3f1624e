# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From literals in a stream to incidents: what happened, once each, and to which generation.

Lines are no measure: Python 3.6 to 3.8 prints one failed log line again from every forked worker,
3.9 and later print the phrase twice or more per block and may leave the block unfinished, an exit
code is logged twice, and other processes' lines are spliced in anywhere. And lines are no proof:
clients' words stand in a log, too (``_log_voice``).
"""

import json
import re
import zlib
from collections import OrderedDict, deque
from functools import partial
from typing import Any, Callable, Deque, Dict, Iterator, List, Match, Optional, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.authorship import (
    ENVELOPE,
    NOBODY,
    PREFIXED,
    REST_OF_REQUEST,
    TIMED,
    WRAPPED,
    Voice,
    after_torn,
    common_head,
    frame,
    hear,
    like,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.blocks import (
    ARGUMENTS_WHOLE,
    PHRASE_LINE,
    QUOTES,
    REPR,
    TRACEBACK,
    Trace,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.catalogue import (
    ANYONE,
    ARBITER,
    BOOT,
    BOOT_PATTERN,
    DIRTY_PATTERN,
    FATAL,
    HELPER,
    LOUD,
    START,
    START_PATTERN,
    TRACE,
    WORKER,
    Custom,
    Rule,
    rules,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.facts import (
    Block,
    Generation,
    Incident,
    Memory,
    Window,
    failed_message,
    signal_name,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.lines import (
    SNIPPET,
    Line,
    Lines,
    earliest,
    looks_like_text,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.records import (
    GUNICORN,
    NOTHING,
    Clock,
    Stamp,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.scan import (
    MAX_LINE,
    NEWLINE,
    Scanner,
)

# A nested failure prints its blocks into each other, and a full pipe of others' lines (64 KiB) may
# stand in between; farther apart they are two.
EPISODE_BYTES = 96 * 1024
# A block that is not torn is much shorter.
WHOLE_BYTES = 32 * 1024
EPISODE_SECONDS = 2.0
# An inherited block is printed when the new worker writes its first line; by this time after the
# block itself, what is alike has happened again.
REPRINT_SECONDS = 60.0
# The same where no worker's first line can be seen.
BLIND_SECONDS = 2.0
# After this long a pid may belong to somebody else.
PID_SECONDS = 600.0
LOOP_SECONDS = 60.0
# The start of a process by /proc and by its first log line differ by the rounding of two clocks.
START_SLACK = 2.0
KEPT_PER_EVENT = 20
EXCERPT_BYTES = 2048
# No client can send so many NULs.
HOLE = 8192 - 1024
# A process that ends is seen for so long after the line that tells of it.
ENDING_SECONDS = 10.0
REMEMBERED_WORKERS = 4096
# Counting lines takes a tenth of the time, and beyond this nobody reads the number.
COUNTED_BYTES = 16 * 1024 * 1024

HEADER = b"--- Logging error ---"
PHRASE = b"reentrant call inside"
ARGUMENTS = b"Arguments: "
ARGUMENTS_LINE = b"\nArguments: "
MESSAGE = b"Message: "
MESSAGE_LINE = b"\nMessage: "
# A member of an exception group (Python 3.11 on), and the rule below it.
IN_GROUP = re.compile(rb"^ +\| ")
END_OF_MEMBER = re.compile(rb" +\+-")
# An exception as a traceback ends with it: by a name that says so, or with its module.
LAST_WORDS = re.compile(
    rb"(?:(?:[A-Za-z_]\w*\.)*\w*(?:Error|Exception|Exit|Interrupt|Iteration|Timeout)"
    rb"|(?:[a-z_]\w*\.)+_?[A-Z]\w*)(?::|$)"
)
TRACEBACK_LINE = b"\n" + TRACEBACK + b"\n"
# "During handling of the above exception", "The above exception was the direct cause".
CHAINED = b" above exception"
# Whose an event is: somebody else's, ours as far as can be told, ours for certain.
NOT_OURS, UNSURE, OURS = 0, 1, 2
DEATH = Rule("worker_killed", ARBITER, b"", None, None)


class Judge:
    """Reads a stream through ``scanner`` and keeps its incidents in constant memory."""

    def __init__(
        self,
        window: Window,
        clock: Clock,
        customs: Tuple[Custom, ...] = (),
        use_ctypes: bool = True,
        guard: Optional[Callable[[str, Callable[[], Any]], Any]] = None,
        limits: Optional[Dict[str, int]] = None,
        placed: bool = False,
        living: Optional[Dict[int, float]] = None,
    ) -> None:
        self.window = window
        # Does the stream begin where the generation did? Then place tells whose a line is.
        self.placed = placed
        # The processes of the generation that are alive now, and since when; None: not known.
        self.living = living
        self.clock = clock
        self.customs = customs
        self.guard = guard or (lambda _name, work: work())
        self.generation: Optional[Generation] = None
        # The last that wrote as an arbiter: all that is known while the start is out of sight.
        self.writer: Optional[int] = None
        self.block: Optional[Block] = None
        self.memory = Memory()
        self.counts: Dict[str, int] = {}
        # How many of them neither time nor place nor pid tells to be of the generation.
        self.unsure: Dict[str, int] = {}
        # Texts of events where a client's words may stand: not counted.
        self.doubtful = 0
        # The best layout that this log has, what stands before each line, and its first line.
        self.rank = NOBODY
        self.head = b""
        # The worst layout of what was believed so far.
        self.weakest = PREFIXED
        # Is there a line from which the layout of gunicorn's lines can be told?
        self.understood = False
        self.first_line = b""
        self._spoken: Tuple[int, int, Optional[Voice]] = (-1, -1, None)
        # Workers of this generation by their first line, and whether all of them are known.
        self.booted: OrderedDict[int, None] = OrderedDict()
        self.complete = False
        self.boots = 0
        self.dirty: Set[int] = set()
        self.kept: Dict[str, List[Incident]] = {}
        # Times of the last incidents of events with a tolerance "N/h": enough to tell the rate.
        self.times: Dict[str, Deque[Optional[float]]] = {}
        for event, limit in (limits or {}).items():
            self.times[event] = deque(maxlen=limit + 1)
        self.peak: Dict[str, float] = {}
        # Has anything been written within the window? None: nothing told its time.
        self.heard: Optional[bool] = None
        self.latched = False
        self.text = False
        self.lines: Optional[int] = 0
        self.started = False
        # Does the log hold gunicorn's own INFO lines? Then a missing start is a lost one.
        self.informative: Optional[bool] = None
        # What an earlier look found in the unfinished last line: place and event.
        self.reported: Set[Tuple[int, str]] = set()
        # The same of this look, by the distance from where the unfinished line begins.
        self.told: List[Tuple[int, str]] = []
        self.unfinished: Optional[int] = None
        self.oldest: Optional[float] = None
        self.newest: Optional[float] = None
        self.sums: Dict[str, Any] = {}
        self.sums_kept: Dict[str, List[Incident]] = {}
        # Where the event is that is looked at, and up to where the window was seen not to begin.
        self._at = 0
        self._looked = 0
        # The chain of exceptions of the last MemoryError, and where it was.
        self._chain = self._ended = -1
        self._collect(use_ctypes)

    # -- what is searched ---------------------------------------------------------------------

    def _collect(self, use_ctypes: bool) -> None:
        table: OrderedDict[bytes, List[Rule]] = OrderedDict()
        for rule in rules():
            table.setdefault(rule.literal, []).append(rule)
        literals = list(table)
        self.rules = list(table.values())
        self.handlers: List[Callable[[int, int], None]] = []
        self.spoken = {
            r.event for group in self.rules for r in group if r.writer not in (ANYONE, TRACE)
        }
        for group in self.rules:
            named = {"reentrant": self._on_phrase, "logging_error": self._on_header}
            last_words = group[0].writer == TRACE
            self.handlers.append(
                named.get(group[0].event, self._on_last_words if last_words else self._on_rule)
            )
        self.phrase = literals.index(PHRASE)
        literals.append(START)
        self.handlers.append(self._on_start)
        literals.append(BOOT)
        self.handlers.append(self._on_boot)
        self.arguments = len(literals)
        literals.append(ARGUMENTS)
        self.handlers.append(self._on_arguments)
        self.searched: Dict[int, Custom] = {}
        for custom in self.customs:
            if custom.literal:
                self.searched[len(literals)] = custom
                literals.append(custom.literal)
                self.handlers.append(self._on_custom)
        self.slow = [custom for custom in self.customs if not custom.literal]
        self.scanner = Scanner(literals, self._on_hit, self._on_chunk, use_ctypes)
        self.reading = Lines(self.scanner, self.clock)
        self.reading.known = self._is_known
        self.reading.leads = self._leads
        self.scanner.armed[self.arguments] = False

    def _on_hit(self, kind: int, at: int) -> None:
        self._at = at
        self.handlers[kind](kind, at)

    # -- time and generation ------------------------------------------------------------------

    def _after_since(self, when: Optional[float]) -> bool:
        if self.window.since is None or self.latched or when is None:
            return True
        # Log lines have whole seconds. What follows one in the file is later, whatever it says.
        self.latched = when >= int(self.window.since) or self._window_began()
        return self.latched

    def _window_began(self) -> bool:
        """Has a line of this chunk been inside already? Then the clock has jumped back since."""
        scanner, since = self.scanner, int(self.window.since or 0)
        begin = max(scanner.start, self._looked - scanner.base)
        self._looked = scanner.base + self._at
        return any(when >= since for when in self._times(begin, max(begin, self._at)))

    def _times(self, begin: int, end: int) -> Iterator[float]:
        """What gunicorn's prefixes say that stand where lines begin."""
        buffer = self.scanner.buffer
        for match in GUNICORN.finditer(buffer, begin, end):
            at = match.start()
            line = buffer.rfind(b"\n", max(self.scanner.low, at - 1000), at) + 1
            if not self._leads(bytes(buffer[line or at : at])):
                continue
            yield self.clock.gunicorn(match.group(1), match.group(2)) or 0.0

    def _leads(self, before: bytes) -> bool:
        """Is this only what a shipper puts before a line?"""
        found = ENVELOPE.match(before)
        return before in (b"", self.head) or (found is not None and found.end() == len(before))

    def _ours(self, writer: str, own: Stamp, when: Optional[float]) -> int:
        window = self.window
        if window.until is not None and when is not None and earliest(when) > window.until:
            return NOT_OURS
        if window.arbiter_pid is None:
            if not self._after_since(when):
                return NOT_OURS
            return OURS if self._placed(when) else UNSURE
        generation = self.generation
        if writer == ARBITER and own.pid is not None:
            if own.pid != window.arbiter_pid:
                return NOT_OURS
            return OURS if (generation and generation.ours) or self._after_since(when) else NOT_OURS
        if generation is not None:
            if not generation.ours:
                return NOT_OURS
            told = generation.pid is not None or generation.time is not None
            return OURS if told or self._placed(when) else UNSURE
        if not self._after_since(when):
            return NOT_OURS
        return OURS if self._placed(when) else UNSURE

    def _placed(self, when: Optional[float]) -> bool:
        """Do time or place tell that a line is of the window?"""
        window = self.window
        if self.placed or self.latched or (window.since is None and window.arbiter_pid is None):
            return True
        return when is not None and window.since is not None

    def _arbiter(self) -> Optional[int]:
        """Whose line it is, if it does not say so itself."""
        return self.generation.pid if self.generation else self.writer

    def _is_known(self, pid: int) -> bool:
        """Whether a pid is of those that have spoken here; until one has, anybody may."""
        arbiter = self._arbiter() or self.window.arbiter_pid
        return pid in self.booted or arbiter in (None, pid)

    # -- who speaks ---------------------------------------------------------------------------

    def _hear(self, at: int) -> Tuple[int, Voice]:
        """Where the line around ``at`` begins, and what it says as whom."""
        scanner = self.scanner
        begin, finish = scanner.line(at)
        place = (scanner.base + begin, scanner.base + finish)
        if self._spoken[:2] == place and self._spoken[2] is not None:
            return begin, self._spoken[2]
        text = bytes(scanner.buffer[begin:finish])
        whole = scanner.base + begin <= 0 or scanner.buffer[begin - 1] == NEWLINE
        if not whole and not text[:HOLE].strip(b"\0"):
            # A hole, where somebody has truncated a file that is written to.
            text, whole = text.lstrip(b"\0 "), True
        if not whole:
            # The beginning is too far away to tell what this is.
            voice = Voice(NOBODY, b"", NOTHING, b"", b"")
        else:
            voice = hear(self.clock, text, self.head)
            if voice.rank == PREFIXED and GUNICORN.search(voice.message) is not None:
                arbiter = self._arbiter() or self.window.arbiter_pid
                if voice.stamp.pid not in self.booted and arbiter in (None, voice.stamp.pid):
                    voice = after_torn(self.clock, voice)
            if voice.rank < WRAPPED and not self.head:
                self.head = self._common(text, begin, finish)
                if self.head:
                    voice = hear(self.clock, text, self.head)
        self._spoken = place + (voice,)
        if voice.rank >= WRAPPED:
            self._raise(voice)
        return begin, voice

    def _common(self, text: bytes, begin: int, finish: int) -> bytes:
        """What an unknown shipper puts before the lines of this log, if it does."""
        scanner = self.scanner
        if self.rank >= WRAPPED or GUNICORN.search(text) is None:
            return b""
        if not self.first_line and scanner.base + scanner.low == 0:
            self.first_line = bytes(scanner.buffer[scanner.low : scanner.low + 2000]).split(b"\n")[
                0
            ]
        first = self.first_line if self.first_line != text else b""
        others = bytes(scanner.buffer[finish + 1 : finish + 8192]).split(b"\n")[:5][:-1]
        others += bytes(scanner.buffer[max(scanner.low, begin - 4096) : begin]).split(b"\n")[1:][
            -4:
        ]
        head = common_head(text, [other for other in [first] + others if other.strip()])
        found = GUNICORN.search(text)
        if head and first and found is not None and int(found.group(3)) != self.window.arbiter_pid:
            # An application that logs nothing but what clients ask for has such a file, too.
            match = like(head).match(first)
            begins = START in text and b"] Listening at: " in others[0]
            if not begins and (match is None or GUNICORN.match(first, match.end()) is None):
                return b""
        return head

    def _raise(self, voice: Voice) -> None:
        """The log has lines of a better layout: what a worse one told may be a client's words."""
        if voice.rank <= self.rank:
            return
        since, when = self.window.since, voice.stamp.time
        if since is not None and when is not None and when < int(since) and not self.placed:
            # It is of an older generation, which may have had another format.
            return
        self.rank = voice.rank
        self.understood = True
        if self.weakest >= voice.rank:
            return
        self.weakest = PREFIXED
        for event in self.spoken:
            for kept in (self.counts, self.unsure, self.kept, self.peak):
                kept.pop(event, None)
            if event in self.times:
                self.times[event].clear()
        self.told = [item for item in self.told if item[1] not in self.spoken]
        self.memory = Memory()
        self.generation = None
        self.started = False

    def _believed(self, rule: Rule, voice: Voice, worker: Optional[int]) -> bool:
        """Can this be what gunicorn says, and does nothing that is known contradict it?"""
        own = voice.stamp
        if voice.rank == NOBODY or voice.rank < self.rank:
            return False
        if rule.writer in (ARBITER, HELPER) and own.pid in self.booted:
            # An application that logs through gunicorn's handlers: a worker, not the arbiter.
            return False
        if voice.rank < PREFIXED and rule.event in LOUD and own.level.upper() in ("INFO", "DEBUG"):
            return False
        ends = worker if rule.writer != WORKER else own.pid
        return not self._refuted(rule, ends, own.pid, own.time)

    def _refuted(
        self, rule: Rule, worker: Optional[int], own: Optional[int], when: Optional[float]
    ) -> bool:
        """Is somebody alive who would be dead if this were true?"""
        if self.living is None or when is None or self.clock.now - when < ENDING_SECONDS:
            return False
        if rule.event in FATAL:
            arbiter = self.window.arbiter_pid
            return arbiter in self.living and own in (None, arbiter)
        if worker is None or worker == self.window.arbiter_pid:
            return False
        return self.living.get(worker, when + ENDING_SECONDS) < when - START_SLACK

    def _on_start(self, _kind: int, at: int) -> None:
        _begin, voice = self._hear(at)
        match = START_PATTERN.match(voice.message)
        own, window = voice.stamp, self.window
        if match is None or voice.rank == NOBODY or own.pid in self.booted:
            return
        if voice.rank < self.rank:
            # Unless the arbiter itself says so: it has a new format.
            if own.pid is None or own.pid != window.arbiter_pid or voice.rank < TIMED:
                return
            before = self.generation
            begun = before is not None and before.pid == own.pid and before.ours
            if begun and window.since is not None:
                # So this is somebody who knows its pid.
                return
            self.rank = voice.rank
        self._raise(voice)
        self.weakest = min(self.weakest, voice.rank)
        self.understood = True
        self._close(at=at)
        before = self.generation
        when = own.time if own.time is not None else self.reading.before(at)
        self._begin(own.pid, match.group("version").decode("ascii"), when)
        self.booted.clear()
        self.complete = True
        if before is not None and before.pid == own.pid:
            # A container that began anew: its workers have the pids of their predecessors.
            self.memory = Memory()
        if self.generation is None or not self.generation.ours:
            return
        if window.arbiter_pid is not None and (
            not (before is not None and before.ours) or (own.pid is None and when is None)
        ):
            # All that came before was written by somebody else, whatever second it carries. Where
            # neither pid nor time tells which start is ours, it is the last.
            self._forget()
        self.started = True
        if when is None:
            told = own.pid is not None and own.pid == window.arbiter_pid
        else:
            told = window.until is None or earliest(when) <= window.until
        self.heard = self.heard or told or None

    def _begin(self, pid: Optional[int], version: str, when: Optional[float]) -> None:
        """From here on this generation writes."""
        window = self.window
        ours = window.arbiter_pid is None or pid is None or pid == window.arbiter_pid
        if ours and window.since is not None and when is not None:
            ours = when >= window.since - START_SLACK
        self.generation = Generation(pid, version, when, ours)

    def _on_boot(self, kind: int, at: int) -> None:
        """A worker is known by its first line, wherever that was spliced in: it proves no harm."""
        match = BOOT_PATTERN.match(self.scanner.buffer, at)
        if match is not None:
            if self.rank < PREFIXED:
                _begin, voice = self._hear(at)
                if voice.rank != NOBODY and voice.message.startswith(BOOT):
                    self.understood = True
                    self._raise(voice)
            self._booted(int(match.group("worker")))
        if self.rank >= PREFIXED:
            # Of those that follow at once only the pids are news, and some logs have many.
            for text in self.scanner.run(kind):
                match = BOOT_PATTERN.match(BOOT + text[:10])
                if match is not None:
                    self._booted(int(match.group("worker")))

    def _booted(self, worker: int) -> None:
        self.boots += 1
        self.booted[worker] = None
        if len(self.booted) > REMEMBERED_WORKERS:
            self.booted.popitem(last=False)
            self.complete = False

    def _forget(self) -> None:
        self.counts.clear()
        self.unsure.clear()
        self.kept.clear()
        self.peak.clear()
        for times in self.times.values():
            times.clear()
        self.memory = Memory()

    # -- events -------------------------------------------------------------------------------

    def _tally(self, event: str, position: int, when: Optional[float], ours: int = OURS) -> bool:
        """One more; False if an earlier look has told of it."""
        if self.unfinished is not None and position >= self.unfinished:
            self.told.append((position - self.unfinished, event))
        if self.reported and (position, event) in self.reported:
            return False
        self.counts[event] = self.counts.get(event, 0) + 1
        if ours == UNSURE:
            self.unsure[event] = self.unsure.get(event, 0) + 1
        times = self.times.get(event)
        if times is not None:
            times.append(when)
            if len(times) == times.maxlen:
                oldest = times[0]
                # Times unknown: take them to have come at once.
                span = 0.0 if oldest is None or when is None else max(0.0, when - oldest)
                self.peak[event] = min(span, self.peak.get(event, span))
        if when is not None:
            self.heard = True
        return True

    def _enough(self, event: str) -> bool:
        """Are as many kept as the report shows? Of the others only the number matters."""
        return len(self.kept.get(event, ())) >= KEPT_PER_EVENT

    def _count(self, incident: Incident, ours: int) -> None:
        event = incident.event
        told = self._tally(event, incident.position, incident.first, ours)
        if told and not self._enough(event):
            self.kept.setdefault(event, []).append(incident)

    def _once(
        self, event: str, key: str, horizon: float, line: Line, ours: int
    ) -> Optional[Incident]:
        """Count an incident, or add the line to the one that it belongs to (then None)."""
        known = self.memory.get(key, line.when, horizon) if key else None
        if known is not None:
            if known[1] is not None:
                known[1].add(1, line.when, line)
            return None
        incident = Incident(event, line.position)
        kept = bool(ours) and not self._enough(event)
        incident.add(1, line.when, line if kept else None)
        if key:
            self.memory.put(key, line.when, incident if kept else None)
        if ours:
            self._count(incident, ours)
        return incident

    def _on_rule(self, kind: int, at: int) -> None:
        begin, voice = self._hear(at)
        if voice.inner.startswith(MESSAGE):
            # The text of a log line that failed. Mostly _on_arguments reads it; not when the end
            # of another block has come in between.
            if self.block is None:
                self._torn_message(begin, voice)
            return
        for rule in self.rules[kind]:
            # Who is known to be the arbiter may have said more than is known.
            known = voice.rank == PREFIXED and voice.stamp.pid == self._arbiter()
            pattern = rule.pattern if known else rule.whole
            match = pattern.match(voice.message) if pattern is not None else None
            if match is None:
                continue
            if known and REST_OF_REQUEST.search(voice.message, own_words(rule, match)):
                break
            found = match.groupdict()
            worker = found.get("worker") or found.get("failed")
            pid = int(worker) if worker else None
            if not self._believed(rule, voice, pid) or not self._proven(rule, voice, at):
                break
            self.weakest = min(self.weakest, voice.rank)
            self._event(rule, found, pid, self._line(at, begin, voice))
            return
        dirty = DIRTY_PATTERN.match(voice.message)
        if dirty is not None and voice.rank >= self.rank:
            self.dirty.add(int(dirty.group("pid")))
        else:
            self.doubtful += 1

    def _line(self, at: int, begin: int, voice: Voice) -> Line:
        """The line of a voice, and when it was written as far as that can be told."""
        scanner = self.scanner
        text = bytes(scanner.buffer[begin : scanner.line(at)[1]])
        own = voice.stamp
        when = own.time if own.time is not None else self.reading.before(at)
        return Line(text, at - begin, scanner.base + at, own, when)

    def _proven(self, rule: Rule, voice: Voice, at: int) -> bool:
        """A worker can have a client's words in its mouth; a worker that ends shows a trace."""
        if rule.event != "worker_exception" or voice.stamp.pid not in self.booted:
            return True
        scanner = self.scanner
        after = scanner.line(at)[1] + 1
        follows = bytes(scanner.buffer[after : min(scanner.end, after + EXCERPT_BYTES * 8)])
        return TRACEBACK in follows or bool(follows and TRACEBACK.startswith(follows))

    def _on_last_words(self, kind: int, at: int) -> None:
        """The last line of a traceback: an exception that ended it."""
        begin, voice = self._hear(at)
        for rule in self.rules[kind]:
            if rule.whole is None:
                continue
            arbiter = self._arbiter()
            speaks = voice.rank == PREFIXED and arbiter is not None and voice.stamp.pid == arbiter
            # Members of an exception group stand behind a bar.
            last = IN_GROUP.sub(b"", voice.message if speaks else voice.inner)
            match = rule.whole.match(last)
            if match and speaks and REST_OF_REQUEST.search(last, own_words(rule, match)):
                break
            if match:
                proven = speaks or self._in_traceback(begin)
            else:
                lines = voice.traces.rstrip().split(b"\n")
                proven = TRACEBACK in voice.traces and any(map(rule.whole.match, lines))
            line = self._line(at, begin, voice) if proven else None
            if line is not None and not self._refuted(rule, None, line.own.pid, line.when):
                self._event(rule, {}, None, line)
                return
        self.doubtful += 1

    def _in_traceback(self, begin: int, of_logging: bool = False) -> bool:
        """Is the line before this one of a traceback, and the next one no more?"""
        scanner = self.scanner
        finish = scanner.line(begin)[1]
        after = self._inner(finish + 1, self._line_end(finish + 1))
        if after[:2] == b"  " and END_OF_MEMBER.match(after) is None:
            return False
        # A client's line that came between the last frame and the words that belong to it, or
        # between logging's call stack and the message that it could not write.
        if of_logging:
            # Of a reentrant call the words may stand there twice, and the call stack be missing.
            stranger = bool(LAST_WORDS.match(after)) and PHRASE_LINE.match(after) is None
        else:
            stranger = bool(LAST_WORDS.match(after)) or after[:9] == b"Message: "
        if stranger:
            return False
        # The last frame: its file, then perhaps its source and what is marked in it.
        for _turn in range(4):
            if begin <= scanner.low:
                return False
            start = scanner.line(begin - 1)[0]
            inner = self._inner(start, begin - 1)
            if frame(inner) is not None:
                return True
            if inner[:2] != b"  ":
                return False
            begin = start
        return False

    def _line_end(self, at: int) -> int:
        scanner = self.scanner
        stop = min(scanner.end, at + MAX_LINE)
        found = scanner.buffer.find(b"\n", at, stop)
        return found if found >= 0 else max(at, stop)

    def _inner(self, begin: int, end: int) -> bytes:
        """A line without what a shipper put around it."""
        text = bytes(self.scanner.buffer[begin:end])
        # The lines of a traceback, as they mostly are.
        return text if text[:2] == b"  " else hear(self.clock, text, self.head).inner

    def _event(self, rule: Rule, found: Dict[str, Any], worker: Optional[int], line: Line) -> None:
        event = rule.event
        own = line.own.pid
        ours = self._ours(rule.writer, line.own, line.when)
        if rule.writer == ARBITER and own is not None:
            self.writer = own
        arbiter = own if rule.writer == ARBITER and own is not None else self._arbiter()
        number = signal_name(found.get("signal"))
        horizon = PID_SECONDS
        if number == "SIGTERM":
            event = "worker_terminated"
        if rule.writer == WORKER:
            worker = own
        if event == "worker_exited" and self.complete and self.booted and worker not in self.booted:
            event = "child_exited"
        if worker in self.dirty and rule.writer == ARBITER and event != "worker_terminated":
            event = "dirty_arbiter_ended"
        if worker is not None:
            # A worker dies once, however many lines tell of it.
            key = f"worker {worker}"
        elif event == "memory_error":
            # Each is one, unless a traceback says that the one came of the other.
            key = self._chained(line)
        elif event == "connection_in_use":
            key, horizon = f"taken by {own}", LOOP_SECONDS
        else:
            key = f"{event} {arbiter} {number}"
        incident = self._once(event, key, horizon, line, ours)
        if incident is not None:
            incident.arbiter_pid = arbiter
            incident.worker_pid = worker
            incident.signal = number
            if event == "connection_in_use":
                self._restart_loop(incident, line, ours)

    def _chained(self, line: Line) -> str:
        """A key for what a chain of exceptions has in common."""
        scanner = self.scanner
        at = line.position - scanner.base
        low = max(scanner.low, self._ended - scanner.base)
        if scanner.buffer.find(CHAINED, low, at) < 0 or self._ended < 0:
            self._chain = line.position
        self._ended = line.position
        return f"memory {self._chain}"

    def _restart_loop(self, incident: Incident, line: Line, ours: int) -> None:
        """A second arbiter that finds the address taken soon after a first one."""
        before = self.memory.get("taken", line.when, LOOP_SECONDS)
        self.memory.put("taken", line.when, None)
        if before is not None:
            loop = self._once("restart_loop", "loop", LOOP_SECONDS, line, ours)
            if loop is not None:
                loop.arbiter_pid = incident.arbiter_pid

    def _on_custom(self, kind: int, at: int) -> None:
        custom = self.searched[kind]
        line = self.reading.at(at)
        # The line was looked at for the first literal in it.
        if line.text.find(custom.literal) == line.event and self.guard(
            custom.name, partial(custom.pattern.search, line.text)
        ):
            self._custom(custom, line)

    def _custom(self, custom: Custom, line: Line) -> None:
        self._once(custom.name, "", 0.0, line, self._ours("", line.own, line.when))

    # -- blocks -------------------------------------------------------------------------------

    def _open_block(self, at: int, header: bool) -> Block:
        block = self.block
        near = block is not None and self.scanner.base + at - block.last < EPISODE_BYTES
        # What follows a header nearby belongs to it; only another header may begin anew.
        line = self.reading.at(at, context=header or not near)
        if block is not None:
            last = block.incident.last
            if near and (
                line.when is None
                or last is None
                or abs(line.when - last) <= (EPISODE_SECONDS if header else REPRINT_SECONDS)
            ):
                block.last = line.position
                block.incident.add(1, line.when, line)
                return block
            self._close(at=at)
        block = Block(line.position, line.when, self._ours("", line.own, line.when))
        block.trace.looked = line.position
        self.block = block
        block.incident.add(1, line.when, line)
        self.scanner.arm(self.arguments, True, at)
        return block

    def _on_header(self, kind: int, at: int) -> None:
        scanner = self.scanner
        buffer = scanner.buffer
        raw = buffer[at - 1] == NEWLINE or scanner.base + at == 0
        if not raw or buffer[at + len(HEADER)] != NEWLINE:
            _begin, voice = self._hear(at)
            if voice.inner.rstrip() != HEADER and not self._says(voice, HEADER):
                # Tracebacks since 3.9 quote the source line that writes the header.
                if buffer[at - 1] in QUOTES and self.block is not None and voice.inner[:2] == b"  ":
                    self.block.at_once = True
                elif buffer[at - 1] not in QUOTES:
                    self.doubtful += 1
                return
        finish = self._whole(kind, at) if self.block is None else -1
        if finish < 0:
            opened = self._open_block(at, header=True)
            opened.told = opened.told or (not raw and self._says(self._hear(at)[1], HEADER))
            return
        # All of it is here: gone through once, for speed.
        if self._in_passing(kind, at, finish):
            return
        line = self.reading.at(at)
        block = self.block = Block(line.position, line.when, self._ours("", line.own, line.when))
        block.trace.looked = line.position
        block.at_once = self._quoted(kind, finish)
        block.incident.add(1, line.when, line)
        phrase = self._phrase(at, finish)
        if phrase >= 0:
            block.reentrant = True
            if not self._enough("reentrant"):
                block.incident.snippets.append(self.reading.at(phrase, context=False).snippet())
            block.incident.lines += sum(1 for _phrase in self._phrases(phrase, finish))
        scanner.skip(self.phrase, finish)
        scanner.skip(kind, finish)
        message = buffer.rfind(MESSAGE_LINE, at, finish)
        self._on_arguments(kind, finish)
        if message >= 0:
            end = buffer.find(b"\n", message + 1, finish)
            scanner.skip_between(message, end, len(self.rules))

    def _says(self, voice: Voice, text: bytes) -> bool:
        """Does the arbiter itself begin a message so?"""
        return (
            voice.rank == PREFIXED
            and voice.stamp.pid is not None
            and voice.stamp.pid == self._arbiter()
            and voice.message.startswith(text)
            and REST_OF_REQUEST.search(voice.message, len(text)) is None
        )

    def _quoted(self, kind: int, finish: int) -> bool:
        """Is there a header as source code, before ``finish``? Any other would be a block."""
        return self.scanner.following(kind) < finish

    def _phrase(self, at: int, finish: int) -> int:
        """Where a line that is an exception's own has the phrase; -1 for nowhere."""
        if self.scanner.following(self.phrase) >= finish:
            return -1
        return next(self._phrases(at, finish), -1)

    def _phrases(self, at: int, finish: int) -> Iterator[int]:
        buffer = self.scanner.buffer
        found = buffer.find(PHRASE, at, finish)
        while found >= 0:
            begin = buffer.rfind(b"\n", at, found) + 1
            end = buffer.find(b"\n", found, finish)
            if PHRASE_LINE.match(bytes(buffer[begin or at : end if end >= 0 else finish])):
                yield found
            found = buffer.find(PHRASE, found + 1, finish)

    def _in_passing(self, kind: int, at: int, finish: int) -> bool:
        """Count a whole block of which no line will be shown. False: nothing was done.

        With thousands of blocks all but the first few go this way: it leaves out the lines, and
        nothing else, of what the long way does.
        """
        scanner = self.scanner
        buffer = scanner.buffer
        message = buffer.rfind(MESSAGE_LINE, max(at, finish - EXCERPT_BYTES), finish) + 1
        if message <= 0 or buffer[at - 1] != NEWLINE:
            return False
        if buffer.find(b"\n", message, finish) != finish - 1:
            return False
        event = "reentrant" if self._phrase(at, finish) >= 0 else "logging_error"
        trace = Trace()
        if event == "reentrant":
            trace.read(buffer, at, finish)
            if trace.elsewhere:
                event = "reentrant_elsewhere"
        elif buffer.find(TRACEBACK_LINE, at, finish) < 0:
            return False
        text = bytes(buffer[message : buffer.find(b"\n", finish)])
        death = failed_message(text)
        when = self.reading.before(at)
        ours = self._ours("", NOTHING, when)
        key = block_key(event, text)
        if (ours and not self._enough(event)) or self.memory.adds(key):
            return False
        if death is not None:
            end, worker = death_event(death), f"worker {death[0]}"
            if (ours and not self._enough(end)) or self.memory.adds(worker):
                return False
        at_once = self._quoted(kind, finish)
        scanner.skip_between(message, finish, len(self.rules), (self.phrase, kind))
        self.reading.context = (scanner.base + finish, when)
        position = scanner.base + at
        if (death or not at_once) and self._printed(key, when, bool(death), None):
            return True
        if ours:
            self._tally(event, position, when, ours)
        if death is not None and self.memory.get(worker, when, PID_SECONDS) is None:
            self.memory.put(worker, when, None)
            if ours:
                self._tally(end, position, when, ours)
        return True

    def _printed(
        self, key: str, when: Optional[float], death: bool, incident: Optional[Incident]
    ) -> bool:
        """Has this block been printed already, and is this the same, printed by a forked worker?

        A death is told once. Anything else may happen again at any time: only the first line of a
        new worker shows that it had the block inherited.
        """
        memory = self.memory
        known = memory.get(key, when, PID_SECONDS if death else REPRINT_SECONDS)
        if known is not None and not death:
            if self.boots or self.complete:
                if self.boots <= memory.boots.get(key, self.boots):
                    known = None
            else:
                known = memory.get(key, when, BLIND_SECONDS)
        memory.boots[key] = self.boots
        if known is None:
            memory.put(key, when, incident)
        return known is not None

    def _whole(self, kind: int, at: int) -> int:
        """Where the Arguments of the block are, if they are here, and no other block begins before.

        A block that is torn is none: another header in it is an event of its own to look at.
        """
        scanner = self.scanner
        buffer = scanner.buffer
        finish = scanner.ahead(ARGUMENTS_LINE, at) + 1
        if finish + len(ARGUMENTS) > at + WHOLE_BYTES:
            return -1
        end = buffer.find(b"\n", finish, min(scanner.end, finish + EXCERPT_BYTES))
        if end < 0 or ARGUMENTS_WHOLE.match(bytes(buffer[finish:end])) is None:
            return -1
        if buffer[at - 1] != NEWLINE and scanner.base + at > 0:
            # Behind what a shipper puts before each line.
            return -1
        other = scanner.following(kind)
        while other < finish:
            if buffer[other - 1] not in QUOTES:
                return -1
            other = buffer.find(HEADER, other + 1, finish)
            if other < 0:
                break
        return finish

    def _on_phrase(self, _kind: int, at: int) -> None:
        scanner = self.scanner
        begin, voice = self._hear(at)
        block = self.block
        near = block is not None and scanner.base + at - block.last < EPISODE_BYTES
        if block is not None and near and block.headless and self._begun_anew(block, at):
            self._close(at=begin)
            block, near = None, False
        match = PHRASE_LINE.match(voice.inner)
        if match is not None and not near:
            # Without a header: only in a traceback, or in the last words of an interpreter.
            quoted = voice.inner.startswith(REPR)
            if not quoted and not self._in_traceback(begin, of_logging=True):
                match = None
        if match is None:
            inside = TRACEBACK in voice.traces and PHRASE_LINE.search(voice.traces) is not None
            if not inside and not self._says(voice, voice.message[:400].split(PHRASE)[0] + PHRASE):
                self.doubtful += 1
                return
        block = self._open_block(at, header=False)
        block.reentrant = True
        block.told = True
        if not near:
            block.headless = True
            # Its trace came before it.
            low = max(scanner.low, begin - EXCERPT_BYTES * 2)
            trace = self._trace_before(low, begin)
            block.trace.read(scanner.buffer, trace, begin)

    def _begun_anew(self, block: Block, at: int) -> bool:
        """Has another traceback begun since, that did not come of the one before?"""
        scanner = self.scanner
        low = max(scanner.low, block.last - scanner.base)
        found = scanner.buffer.find(TRACEBACK, low, at)
        return found >= 0 and scanner.buffer.find(CHAINED, low, found) < 0

    def _trace_before(self, low: int, begin: int) -> int:
        """Where the traceback begins that ends at ``begin``."""
        found = self.scanner.buffer.rfind(TRACEBACK, low, begin)
        return found if found >= 0 else begin

    def _on_arguments(self, _kind: int, at: int) -> None:
        block = self.block
        if block is None:
            self.scanner.arm(self.arguments, False, at)
            return
        scanner = self.scanner
        begin, voice = self._hear(at)
        if ARGUMENTS_WHOLE.match(voice.inner) is None:
            return
        raw = scanner.buffer[at - 1] == NEWLINE
        _begin, finish = scanner.line(at)
        # What a foreign prefix or another process puts between the two differs in each reprint.
        stop = min(finish, at + EXCERPT_BYTES)
        lines = [bytes(scanner.buffer[at:stop]) if raw else voice.inner[:EXCERPT_BYTES]]
        message = self._message_before(begin) or block.message
        if message:
            lines.insert(0, message)
        text = b"\n".join(lines)
        block.last = scanner.base + at
        block.incident.lines += len(lines)
        block.incident.snippets += [line[:SNIPPET] for line in lines]
        # What comes next need not look back beyond this block.
        self.reading.context = (block.last, self.reading.context[1])
        self._close(text, at)

    def _message_before(self, begin: int) -> bytes:
        """The Message line before the Arguments, which another process's lines may follow."""
        scanner = self.scanner
        low = max(scanner.low, begin - EXCERPT_BYTES)
        start = scanner.buffer.rfind(MESSAGE, low, begin)
        while start >= 0:
            first, finish = scanner.line(start)
            if first == start:
                return bytes(scanner.buffer[start : min(finish, begin)])
            inner = hear(self.clock, bytes(scanner.buffer[first:finish]), self.head).inner
            if inner.startswith(MESSAGE):
                return inner
            start = scanner.buffer.rfind(MESSAGE, low, start)
        return b""

    def _close(self, text: bytes = b"", at: int = 0) -> None:
        """The block is complete, or nothing more of it will come."""
        block, self.block = self.block, None
        if block is None:
            return
        self.scanner.arm(self.arguments, False, at)
        self._look_at_trace(block, at)
        incident = block.incident
        when = incident.last
        incident.event = block.event()
        incident.arbiter_pid = self._arbiter()
        if not block.believed():
            self.doubtful += 1
            return
        death = failed_message(text)
        if death is not None:
            incident.worker_pid, incident.signal = death
        if text and (death or not block.at_once):
            # A worker's death is logged once: the same text is the same block, printed again.
            key = block_key(incident.event, text)
            known = self.memory.get(key, when, PID_SECONDS)
            if self._printed(key, when, bool(death), incident if block.ours else None):
                if known is not None and known[1] is not None:
                    known[1].add(incident.lines, when)
                block.reported = incident.event
                return
        if block.ours and block.reported != incident.event:
            self._count(incident, block.ours)
        block.reported = incident.event
        if death is not None:
            self._death(death, Line(text, 0, incident.position, NOTHING, when), block.ours)

    def _look_at_trace(self, block: Block, at: int) -> None:
        """Read on in the stream, up to where the block ends or ``at``."""
        scanner = self.scanner
        begin = max(block.trace.looked - scanner.base, scanner.low)
        end = min(at, block.last + EPISODE_BYTES - scanner.base)
        block.trace.read(scanner.buffer, begin, end)
        block.trace.looked = max(block.trace.looked, scanner.base + end)

    def _torn_message(self, begin: int, voice: Voice) -> None:
        """A message without its block: the worker's death that it tells of is true all the same."""
        scanner = self.scanner
        message = voice.inner.rstrip()
        quote = message[len(MESSAGE) : len(MESSAGE) + 1]
        if quote not in (b"'", b'"') or message[-1:] != quote:
            return
        finish = scanner.line(begin)[1]
        stop = min(scanner.end, finish + EXCERPT_BYTES)
        after = bytes(scanner.buffer[finish + 1 : stop]).split(b"\n", 20)[:20]
        arguments = next(
            (
                inner
                for inner in (hear(self.clock, line, self.head).inner for line in after)
                if inner.startswith(ARGUMENTS)
            ),
            b"",
        )
        if not arguments and stop == finish + EXCERPT_BYTES:
            return
        text = message + b"\n" + arguments
        death = failed_message(text)
        if death is not None:
            when = self.reading.before(begin)
            line = Line(text, 0, scanner.base + begin, NOTHING, when)
            self._death(death, line, self._ours("", NOTHING, when))

    def _death(self, death: Tuple[int, str], line: Line, ours: int) -> None:
        """The log line that was lost told of a dead worker."""
        worker, number = death
        if self._refuted(DEATH, worker, None, line.when):
            return
        event = death_event(death)
        line = line._replace(text=line.text.replace(b"\n", b" "))
        incident = self._once(event, f"worker {worker}", PID_SECONDS, line, ours)
        if incident is not None:
            incident.arbiter_pid = self._arbiter()
            incident.worker_pid = worker
            incident.signal = number

    # -- the stream ---------------------------------------------------------------------------

    def _on_chunk(self, start: int, cut: int) -> None:
        scanner = self.scanner
        if self.lines is not None:
            self.lines += scanner.buffer.count(b"\n", start, cut)
            if scanner.base + cut > COUNTED_BYTES:
                self.lines = None
        if not self.first_line:
            self.first_line = bytes(scanner.buffer[start : start + 2000]).split(b"\n")[0]
        if self.block is not None:
            self._look_at_trace(self.block, cut)
        if self.rank < WRAPPED:
            self._look_for_prefix(start, min(cut, start + 65536))
        if not self.text:
            self.text = looks_like_text(bytes(scanner.buffer[start : min(cut, start + 4096)]))
        for custom in self.slow:
            self._search_slowly(custom, start, cut)
        if self.oldest is None:
            self.oldest = self.reading.first(start, min(cut, start + 16384))
            match = GUNICORN.search(scanner.buffer, start, min(cut, start + 16384))
            if match is not None and self.informative is None:
                self.informative = match.group(4) in (b"INFO", b"DEBUG")
        window = self.window
        if window.since is None and window.until is None:
            return
        if self.heard and (window.since is None or self.latched):
            return
        first = self.reading.first(start, min(cut, start + 8192))
        last_stamp = self.reading.last(max(start, cut - 8192), cut)
        last = last_stamp.time if last_stamp else first
        if first is None or last is None:
            return
        since = -1.0 if window.since is None else float(int(window.since))
        until = float("inf") if window.until is None else window.until
        inside = since <= first <= until or since <= last <= until
        if not inside and first < since and last > until:
            inside = any(since <= when <= until for when in self._times(start, cut))
        self.heard = bool(self.heard) or inside
        if last >= since and window.since is not None:
            self.latched = True

    def _look_for_prefix(self, start: int, stop: int) -> None:
        """Does this log have lines with gunicorn's prefix? Then nothing less is believed."""
        buffer = self.scanner.buffer
        for match in GUNICORN.finditer(buffer, start, stop):
            at = match.start()
            if buffer[at - 1] == NEWLINE or self.scanner.base + at == 0:
                self._raise(Voice(PREFIXED, b"", self.clock.prefix(match), b"", b""))
                if self.rank == PREFIXED:
                    return

    def _search_slowly(self, custom: Custom, start: int, cut: int) -> None:
        """A regex without a literal: every byte goes through it, one incident per line."""
        scanner = self.scanner
        at = start
        while at < cut:
            match = self.guard(custom.name, partial(custom.pattern.search, scanner.buffer, at, cut))
            if match is None:
                return
            found = max(match.start(), at)
            self._custom(custom, self.reading.at(found))
            at = max(scanner.line(found)[1], match.end()) + 1

    def finish(self) -> Dict[str, Any]:
        """All has been read: what is still open counts as it is. Returns the state for next time,
        in which the unfinished last line is still to come."""
        block = self.block
        if block is not None:
            scanner = self.scanner
            message = self._message_before(scanner.start)
            if message:
                block.message = message[:SNIPPET]
        state = self.state()
        # As a later look must find it that goes on with this one's sums, and reads the last line
        # and an open block anew.
        self.sums = json.loads(json.dumps({"state": state, "totals": self._totals()}))
        self.sums_kept = {event: list(kept) for event, kept in self.kept.items()}
        self.unfinished = self.scanner.position()
        self.scanner.search_rest()
        stamp = self.reading.last(max(self.scanner.low, self.scanner.end - 16384), self.scanner.end)
        self.newest = stamp.time if stamp else None
        last = self.block
        if last is not None:
            self._look_at_trace(last, self.scanner.end)
            last.incident.event = last.event()
            last.incident.arbiter_pid = self._arbiter()
            if last.ours and last.believed() and last.reported != last.incident.event:
                self._count(last.incident, last.ours)
                last.reported = last.incident.event
        if block is not None:
            state["block"][2] = block.reported
        return state

    # -- between two looks --------------------------------------------------------------------

    def _totals(self) -> Dict[str, Any]:
        """What has been found so far but for the incidents themselves, for JSON."""
        return {
            "counts": self.counts,
            "unsure": self.unsure,
            "doubtful": self.doubtful,
            "peak": self.peak,
            "times": {event: list(times) for event, times in self.times.items()},
            "heard": self.heard,
            "text": self.text,
            "lines": self.lines,
            "started": self.started,
            "informative": self.informative,
            "oldest": self.oldest,
            "placed": self.placed,
            "understood": self.understood,
        }

    def go_on(self, totals: Dict[str, Any], kept: Dict[str, List[Any]]) -> None:
        """Go on with the sums of an earlier look at the same window, besides its state."""
        self.counts = {str(event): int(count) for event, count in totals["counts"].items()}
        self.unsure = {str(event): int(count) for event, count in totals["unsure"].items()}
        self.peak = {str(event): float(span) for event, span in totals["peak"].items()}
        for event, times in totals["times"].items():
            self.times[event].extend(times)
        self.doubtful = int(totals["doubtful"])
        self.heard, self.text = totals["heard"], bool(totals["text"])
        self.lines, self.oldest = totals["lines"], totals["oldest"]
        self.started, self.informative = bool(totals["started"]), totals["informative"]
        self.placed = bool(totals["placed"])
        self.understood = bool(totals["understood"])
        self.kept = {
            str(event): [Incident.restored(state) for state in states]
            for event, states in kept.items()
        }

    def state(self) -> Dict[str, Any]:
        """What the next look must know, for JSON."""
        block = self.block
        generation = self.generation
        return {
            "generation": list(generation[:3]) if generation else None,
            "latched": self.latched,
            "context": self.reading.context[1],
            "block": None
            if block is None
            else [
                block.incident.last,
                block.reentrant,
                block.reported,
                block.message.decode("latin-1"),
                block.at_once,
                block.trace.state() + [block.told],
            ],
            "rank": self.rank,
            "weakest": self.weakest,
            "head": self.head.decode("latin-1"),
            "booted": list(self.booted)[-512:],
            "complete": self.complete and len(self.booted) <= 512,
            "boots": self.boots,
            "dirty": sorted(self.dirty)[:64],
            "memory": [
                [key, when] for key, (when, _known) in list(self.memory.items.items())[-256:]
            ],
        }

    def restore(self, state: Dict[str, Any]) -> None:
        """Go on from where ``state`` was; ValueError or the like if it is none."""
        if state["generation"]:
            pid, version, when = state["generation"]
            self._begin(None if pid is None else int(pid), str(version), seconds(when))
        self.latched = bool(state["latched"])
        self.reading.context = (0, seconds(state["context"]))
        self.rank = int(state.get("rank", NOBODY))
        self.weakest = int(state.get("weakest", PREFIXED))
        self.head = str(state.get("head", "")).encode("latin-1")
        self.booted = OrderedDict((int(pid), None) for pid in state.get("booted", ()))
        self.complete = bool(state.get("complete", False))
        self.boots = int(state.get("boots", 0))
        self.dirty = {int(pid) for pid in state.get("dirty", ())}
        for key, when in state["memory"]:
            self.memory.put(str(key), seconds(when), None)
        if state["block"]:
            last, reentrant, reported, message, at_once = state["block"][:5]
            ours = OURS
            if not (self.generation.ours if self.generation else self._after_since(seconds(last))):
                ours = NOT_OURS
            self.block = Block(0, seconds(last), ours)
            self.block.reentrant = bool(reentrant)
            self.block.reported = str(reported)
            self.block.message = message.encode("latin-1")
            self.block.at_once = bool(at_once)
            # A block that an older version of this module left open was believed already.
            trace = list(state["block"][5:6] or [[True, False, False, True]])[0]
            self.block.trace.restore(trace)
            self.block.told = bool(trace[3])
            self.scanner.armed[self.arguments] = True


def own_words(rule: Rule, match: Match[bytes]) -> int:
    """Where gunicorn's own words end: some go on with an address or an exception's text."""
    if b".{" in match.re.pattern or b".*" in match.re.pattern:
        return match.string.find(rule.literal) + len(rule.literal)
    return match.end()


def death_event(death: Tuple[int, str]) -> str:
    return "worker_terminated" if death[1] == "SIGTERM" else "worker_killed"


def block_key(event: str, text: bytes) -> str:
    """By what a block is known when it is printed again."""
    return f"{event} {len(text)} {zlib.crc32(text)} {zlib.adler32(text)}"


def seconds(value: Any) -> Optional[float]:
    return None if value is None else float(value)
