# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From literals in a stream to incidents: what happened, once each, and to which generation.

Lines are no measure: Python 3.6 to 3.8 prints one failed log line again from every forked worker,
3.9 and later print the phrase twice or more per block and may leave the block unfinished, an exit
code is logged twice, and other processes' lines are spliced in anywhere.
"""

import zlib
from collections import OrderedDict, deque
from functools import partial
from typing import Any, Callable, Deque, Dict, List, Optional, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._log_catalogue import (
    ARBITER,
    START,
    START_PATTERN,
    WORKER,
    Custom,
    Rule,
    rules,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._log_facts import (
    Block,
    Generation,
    Incident,
    Memory,
    Window,
    failed_message,
    signal_name,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._log_lines import (
    SNIPPET,
    Line,
    Lines,
    earliest,
    looks_like_text,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._log_records import (
    GUNICORN,
    NOTHING,
    Clock,
    Stamp,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._log_scan import Scanner

# A nested failure prints its blocks into each other, and a full pipe of others' lines (64 KiB) may
# stand in between; farther apart they are two.
EPISODE_BYTES = 96 * 1024
# A block that is not torn is much shorter.
WHOLE_BYTES = 32 * 1024
EPISODE_SECONDS = 2.0
# An inherited block is printed when the new worker writes its first line.
REPRINT_SECONDS = 60.0
# After this long a pid may belong to somebody else.
PID_SECONDS = 600.0
LOOP_SECONDS = 60.0
# The start of a process by /proc and by its first log line differ by the rounding of two clocks.
START_SLACK = 2.0
KEPT_PER_EVENT = 20
EXCERPT_BYTES = 2048
# Counting lines takes a tenth of the time, and beyond this nobody reads the number.
COUNTED_BYTES = 16 * 1024 * 1024

HEADER = b"--- Logging error ---"
PHRASE = b"reentrant call inside"
ARGUMENTS = b"Arguments: "
ARGUMENTS_LINE = b"\nArguments: "
MESSAGE = b"Message: "
NEWLINE = 10


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
    ) -> None:
        self.window = window
        self.clock = clock
        self.customs = customs
        self.guard = guard or (lambda _name, work: work())
        self.generation: Optional[Generation] = None
        # The last that wrote as an arbiter: all that is known while the start is out of sight.
        self.writer: Optional[int] = None
        self.block: Optional[Block] = None
        self.memory = Memory()
        self.counts: Dict[str, int] = {}
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
        # Where the event is that is looked at, and up to where the window was seen not to begin.
        self._at = 0
        self._looked = 0
        self._collect(use_ctypes)

    # -- what is searched ---------------------------------------------------------------------

    def _collect(self, use_ctypes: bool) -> None:
        table: OrderedDict[bytes, List[Rule]] = OrderedDict()
        for rule in rules():
            table.setdefault(rule.literal, []).append(rule)
        literals = list(table)
        self.rules = list(table.values())
        self.handlers: List[Callable[[int, int], None]] = []
        for group in self.rules:
            self.handlers.append(
                {"reentrant": self._on_phrase, "logging_error": self._on_header}.get(
                    group[0].event, self._on_rule
                )
            )
        self.phrase = literals.index(PHRASE)
        literals.append(START)
        self.handlers.append(self._on_start)
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
        return any(
            (self.clock.gunicorn(match.group(1), match.group(2)) or 0.0) >= since
            for match in GUNICORN.finditer(scanner.buffer, begin, max(begin, self._at))
        )

    def _ours(self, writer: str, own: Stamp, when: Optional[float]) -> bool:
        window = self.window
        if window.until is not None and when is not None and earliest(when) > window.until:
            return False
        if window.arbiter_pid is None:
            return self._after_since(when)
        if writer == ARBITER and own.pid is not None:
            if own.pid != window.arbiter_pid:
                return False
            if self.generation is not None and self.generation.ours:
                return True
            return self._after_since(when)
        if self.generation is not None:
            return self.generation.ours
        return self._after_since(when)

    def _arbiter(self) -> Optional[int]:
        """Whose line it is, if it does not say so itself."""
        return self.generation.pid if self.generation else self.writer

    def _on_start(self, _kind: int, at: int) -> None:
        line = self.reading.at(at)
        match = START_PATTERN.match(line.text, line.event)
        if match is None:
            return
        self._close()
        before = self.generation
        self._begin(line.own.pid, match.group("version").decode("ascii"), line.when)
        window = self.window
        if before is not None and before.pid == line.own.pid:
            # A container that began anew: its workers have the pids of their predecessors.
            self.memory = Memory()
        if self.generation is None or not self.generation.ours:
            return
        if window.arbiter_pid is not None and not (before is not None and before.ours):
            # All that came before was written by somebody else, whatever second it carries.
            self._forget()
        self.started = True
        if line.when is None:
            told = line.own.pid is not None and line.own.pid == window.arbiter_pid
        else:
            told = window.until is None or earliest(line.when) <= window.until
        self.heard = self.heard or told or None

    def _begin(self, pid: Optional[int], version: str, when: Optional[float]) -> None:
        """From here on this generation writes."""
        window = self.window
        ours = window.arbiter_pid is None or pid is None or pid == window.arbiter_pid
        if ours and window.since is not None and when is not None:
            ours = when >= window.since - START_SLACK
        self.generation = Generation(pid, version, when, ours)

    def _forget(self) -> None:
        self.counts.clear()
        self.kept.clear()
        self.peak.clear()
        for times in self.times.values():
            times.clear()
        self.memory = Memory()

    # -- events -------------------------------------------------------------------------------

    def _tally(self, event: str, position: int, when: Optional[float]) -> bool:
        """One more; False if an earlier look has told of it."""
        if self.unfinished is not None and position >= self.unfinished:
            self.told.append((position - self.unfinished, event))
        if self.reported and (position, event) in self.reported:
            return False
        self.counts[event] = self.counts.get(event, 0) + 1
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

    def _count(self, incident: Incident) -> None:
        event = incident.event
        if self._tally(event, incident.position, incident.first) and not self._enough(event):
            self.kept.setdefault(event, []).append(incident)

    def _once(
        self, event: str, key: str, horizon: float, line: Line, ours: bool
    ) -> Optional[Incident]:
        """Count an incident, or add the line to the one that it belongs to (then None)."""
        known = self.memory.get(key, line.when, horizon) if key else None
        if known is not None:
            if known[1] is not None:
                known[1].add(1, line.when, line)
            # The horizon of a pid runs from the event; a repeating line keeps its own alive.
            if horizon != PID_SECONDS:
                self.memory.put(key, line.when, known[1])
            return None
        incident = Incident(event, line.position)
        kept = ours and not self._enough(event)
        incident.add(1, line.when, line if kept else None)
        if key:
            self.memory.put(key, line.when, incident if kept else None)
        if ours:
            self._count(incident)
        return incident

    def _on_rule(self, kind: int, at: int) -> None:
        begin, finish = self.scanner.line(at)
        text = bytes(self.scanner.buffer[begin:finish])
        event = at - begin
        message = text.rfind(MESSAGE, max(0, event - 80), event)
        if message >= 0:
            # The text of a log line that failed. Mostly _on_arguments reads it; not when the end
            # of another block has come in between.
            if self.block is None:
                self._torn_message(begin + message)
            return
        for rule in self.rules[kind]:
            found: Dict[str, Any] = {}
            if rule.pattern is not None:
                # A literal may stand in the middle of its pattern.
                match = rule.pattern.search(text, max(0, event - 40))
                if match is None:
                    continue
                found = match.groupdict()
            self._event(rule, found, self.reading.stamped(text, event, at))
            return

    def _event(self, rule: Rule, found: Dict[str, Any], line: Line) -> None:
        event = rule.event
        own = line.own.pid
        ours = self._ours(rule.writer, line.own, line.when)
        if rule.writer == ARBITER and own is not None:
            self.writer = own
        arbiter = own if rule.writer == ARBITER and own is not None else self._arbiter()
        worker = int(found["worker"]) if found.get("worker") else None
        number = signal_name(found.get("signal"))
        horizon = PID_SECONDS
        if event == "worker_killed" and number == "SIGTERM":
            event = "worker_terminated"
        if rule.writer == WORKER:
            worker = own
        if worker is not None:
            # A worker dies once, however many lines tell of it.
            key = f"worker {worker}"
        elif event == "memory_error":
            key, horizon = event, EPISODE_SECONDS
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

    def _restart_loop(self, incident: Incident, line: Line, ours: bool) -> None:
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
                line.when is None or last is None or abs(line.when - last) <= EPISODE_SECONDS
            ):
                block.last = line.position
                block.incident.add(1, line.when, line)
                return block
            self._close()
        block = Block(line.position, line.when, self._ours("", line.own, line.when))
        self.block = block
        block.incident.add(1, line.when, line)
        self.scanner.arm(self.arguments, True, at)
        return block

    def _on_header(self, kind: int, at: int) -> None:
        scanner = self.scanner
        buffer = scanner.buffer
        # Tracebacks since 3.9 quote the source line that writes the header.
        if buffer[at - 1] in b"'\"":
            if self.block is not None:
                self.block.at_once = True
            return
        finish = self._whole(kind, at) if self.block is None else -1
        if finish < 0:
            self._open_block(at, header=True)
            return
        # All of it is here: gone through once, for speed.
        if self._in_passing(kind, at, finish):
            return
        line = self.reading.at(at)
        block = self.block = Block(line.position, line.when, self._ours("", line.own, line.when))
        block.at_once = scanner.following(kind) < finish
        block.incident.add(1, line.when, line)
        phrase = buffer.find(PHRASE, at, finish)
        if phrase >= 0:
            block.reentrant = True
            if not self._enough("reentrant"):
                block.incident.snippets.append(self.reading.at(phrase, context=False).snippet())
            block.incident.lines += buffer.count(PHRASE, phrase, finish)
            scanner.skip(self.phrase, finish)
        scanner.skip(kind, finish)
        message = buffer.rfind(MESSAGE, at, finish)
        self._on_arguments(kind, finish)
        if message >= 0:
            end = buffer.find(b"\n", message, finish)
            scanner.skip_between(message, end, len(self.rules))

    def _in_passing(self, kind: int, at: int, finish: int) -> bool:
        """Count a whole block of which no line will be shown. False: nothing was done.

        With thousands of blocks all but the first few go this way: it leaves out the lines, and
        nothing else, of what the long way does.
        """
        scanner = self.scanner
        buffer = scanner.buffer
        message = buffer.rfind(MESSAGE, max(at, finish - EXCERPT_BYTES), finish)
        if message < 0 or buffer[at - 1] != NEWLINE:
            return False
        if buffer.find(b"\n", message, finish) != finish - 1:
            return False
        event = "reentrant" if scanner.following(self.phrase) < finish else "logging_error"
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
        at_once = scanner.following(kind) < finish
        scanner.skip_between(message, finish, len(self.rules), (self.phrase, kind))
        self.reading.context = (scanner.base + finish, when)
        position = scanner.base + at
        if death or not at_once:
            known = self.memory.get(key, when, PID_SECONDS if death else REPRINT_SECONDS)
            self.memory.put(key, when, None)
            if known is not None:
                return True
        if ours:
            self._tally(event, position, when)
        if death is not None and self.memory.get(worker, when, PID_SECONDS) is None:
            self.memory.put(worker, when, None)
            if ours:
                self._tally(end, position, when)
        return True

    def _whole(self, kind: int, at: int) -> int:
        """Where the Arguments of the block are, if they are here, and no other block begins before.

        A block that is torn is none: another header in it is an event of its own to look at.
        """
        scanner = self.scanner
        buffer = scanner.buffer
        finish = scanner.ahead(ARGUMENTS_LINE, at) + 1
        if finish + len(ARGUMENTS) > at + WHOLE_BYTES:
            return -1
        if buffer.find(b"\n", finish, min(scanner.end, finish + EXCERPT_BYTES)) < 0:
            return -1
        other = scanner.following(kind)
        while other < finish:
            if buffer[other - 1] not in b"'\"":
                return -1
            other = buffer.find(HEADER, other + 1, finish)
            if other < 0:
                break
        return finish

    def _on_phrase(self, _kind: int, at: int) -> None:
        self._open_block(at, header=False).reentrant = True

    def _on_arguments(self, _kind: int, at: int) -> None:
        block = self.block
        if block is None:
            self.scanner.arm(self.arguments, False, at)
            return
        scanner = self.scanner
        _begin, finish = scanner.line(at)
        start = scanner.buffer.rfind(MESSAGE, max(scanner.low, at - EXCERPT_BYTES), at)
        # What a foreign prefix or another process puts between the two differs in each reprint.
        lines = [bytes(scanner.buffer[at : min(finish, at + EXCERPT_BYTES)])]
        message = (
            bytes(scanner.buffer[start:at]).split(b"\n", 1)[0] if start >= 0 else block.message
        )
        if message:
            lines.insert(0, message)
        text = b"\n".join(lines)
        block.last = scanner.base + at
        block.incident.lines += len(lines)
        block.incident.snippets += [line[:SNIPPET] for line in lines]
        # What comes next need not look back beyond this block.
        self.reading.context = (block.last, self.reading.context[1])
        self._close(text, at)

    def _close(self, text: bytes = b"", at: int = 0) -> None:
        """The block is complete, or nothing more of it will come."""
        block, self.block = self.block, None
        if block is None:
            return
        self.scanner.arm(self.arguments, False, at)
        incident = block.incident
        when = incident.last
        incident.event = "reentrant" if block.reentrant else "logging_error"
        incident.arbiter_pid = self._arbiter()
        death = failed_message(text)
        if death is not None:
            incident.worker_pid, incident.signal = death
        if text and (death or not block.at_once):
            # A worker's death is logged once: the same text is the same block, printed again.
            key = block_key(incident.event, text)
            known = self.memory.get(key, when, PID_SECONDS if death else REPRINT_SECONDS)
            self.memory.put(key, when, known[1] if known else incident if block.ours else None)
            if known is not None:
                if known[1] is not None:
                    known[1].add(incident.lines, when)
                block.reported = incident.event
                return
        if block.ours and block.reported != incident.event:
            self._count(incident)
        block.reported = incident.event
        if death is not None:
            self._death(death, Line(text, 0, incident.position, NOTHING, when), block.ours)

    def _torn_message(self, at: int) -> None:
        """A message without its block: the worker's death that it tells of is true all the same."""
        scanner = self.scanner
        stop = min(scanner.end, at + EXCERPT_BYTES)
        finish = scanner.buffer.find(b"\n", scanner.buffer.find(b"\n", at, stop) + 1, stop)
        text = bytes(scanner.buffer[at : finish if finish >= 0 else stop])
        death = failed_message(text)
        if death is not None:
            when = self.reading.before(at)
            line = Line(text, 0, scanner.base + at, NOTHING, when)
            self._death(death, line, self._ours("", NOTHING, when))

    def _death(self, death: Tuple[int, str], line: Line, ours: bool) -> None:
        """The log line that was lost told of a dead worker."""
        worker, number = death
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
            inside = any(
                since <= (self.clock.gunicorn(m.group(1), m.group(2)) or 0.0) <= until
                for m in GUNICORN.finditer(scanner.buffer, start, cut)
            )
        self.heard = bool(self.heard) or inside
        if last >= since and window.since is not None:
            self.latched = True

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
            found = scanner.buffer.rfind(MESSAGE, scanner.low, scanner.start)
            if found >= 0 and scanner.base + found >= block.last:
                line = bytes(scanner.buffer[found : min(found + SNIPPET, scanner.start)])
                block.message = line.split(b"\n", 1)[0]
        state = self.state()
        self.unfinished = self.scanner.position()
        self.scanner.search_rest()
        stamp = self.reading.last(max(self.scanner.low, self.scanner.end - 16384), self.scanner.end)
        self.newest = stamp.time if stamp else None
        last = self.block
        if last is not None:
            last.incident.event = "reentrant" if last.reentrant else "logging_error"
            last.incident.arbiter_pid = self._arbiter()
            if last.ours and last.reported != last.incident.event:
                self._count(last.incident)
                last.reported = last.incident.event
        if block is not None:
            state["block"][2] = block.reported
        return state

    # -- between two looks --------------------------------------------------------------------

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
            ],
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
        for key, when in state["memory"]:
            self.memory.put(str(key), seconds(when), None)
        if state["block"]:
            last, reentrant, reported, message, at_once = state["block"]
            ours = self.generation.ours if self.generation else self._after_since(seconds(last))
            self.block = Block(0, seconds(last), ours)
            self.block.reentrant = bool(reentrant)
            self.block.reported = str(reported)
            self.block.message = message.encode("latin-1")
            self.block.at_once = bool(at_once)
            self.scanner.armed[self.arguments] = True


def death_event(death: Tuple[int, str]) -> str:
    return "worker_terminated" if death[1] == "SIGTERM" else "worker_killed"


def block_key(event: str, text: bytes) -> str:
    """By what a block is known when it is printed again."""
    return f"{event} {len(text)} {zlib.crc32(text)} {zlib.adler32(text)}"


def seconds(value: Any) -> Optional[float]:
    return None if value is None else float(value)
