# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a unit's journal by journalctl: from a place on, or from where a generation began.

A place is the cursor of an entry of the unit. It is asked for inclusively, and the first answer
must be that very entry: otherwise it is gone, and what followed it may be. (systemd before 255
loses an entry with ``--after-cursor``.)
"""

import os
import signal
import subprocess
import tempfile
import threading
import time
from itertools import chain
from typing import Any, Callable, Dict, List, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import in_child
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.journal import (
    FIELDS,
    Entry,
    Lines,
    Writers,
    damaged_files,
    entries,
    own,
    same_place,
    selection,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.journal_names import (
    PROBE,
    Unit,
    complaint,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.verdict import moment

# No look takes longer than this to read; what it has not read by then, it says.
READ_SECONDS = 120.0
# The start of a process by /proc and by the journal differ by the rounding of two clocks.
SLACK = 2.0
# The head of the journal may be this much younger than the window without anything being lost.
HEAD_SLACK = 5.0
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
    "LC_ALL": "C.UTF-8",
    "SYSTEMD_COLORS": "0",
    "SYSTEMD_PAGER": "",
}
COMMAND = ("journalctl", "--no-pager")
EXPORT = ("--all", "--output=export", f"--output-fields={','.join(FIELDS)}")

# Words of a command -> what it says.
Start = Callable[[List[str], float], "Asked"]


class Asked:
    """A journalctl that runs; it is killed when time is up."""

    def __init__(self, words: List[str], seconds: float) -> None:
        self._error = tempfile.TemporaryFile()  # noqa: SIM115
        self.late = False
        try:
            self._process = subprocess.Popen(
                [*COMMAND, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._error,
                env=ENVIRONMENT,
                cwd="/",
                preexec_fn=in_child(None, signal.SIGKILL),
            )
        except OSError as exc:
            self._error.close()
            raise FleetError(
                f"Asked to read the journal, and journalctl cannot be run: {exc.strerror or exc}."
                " Is systemd what runs this host?"
            ) from exc
        self.stream: Any = self._process.stdout
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _expire(self) -> None:
        self.late = True
        self._process.kill()

    def end(self, whole: bool) -> "Ended":
        """End it and return how it was; ``whole``: all that it said was read."""
        self._timer.cancel()
        if not whole:
            self._process.kill()
        self.stream.close()
        status = self._process.wait()
        self._error.seek(0)
        error = self._error.read(1 << 16).decode("utf-8", "replace")
        self._error.close()
        return Ended(status if whole and not self.late else 0, error, self.late)


class Ended:
    """How a journalctl ended: its exit status (negative: a signal), its complaints, and if late."""

    def __init__(self, status: int, error: str, late: bool) -> None:
        self.status = status
        self.error = error
        self.late = late


class Journal:
    """One look at a unit's journal. Give ``readinto`` to the scanner, then `finish`."""

    def __init__(
        self,
        unit: Unit,
        place: Dict[str, Any],
        since: Optional[float] = None,
        until: Optional[float] = None,
        arbiter: Optional[int] = None,
        start: Start = Asked,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``place``: what an earlier look returned as its place; empty for a first look."""
        self.unit = unit
        self._start = start
        self._now = now
        self._begun = now()
        self._place = place
        self._since = since
        self._lost: List[str] = []
        writers = Writers()
        cursor = str(place.get("cursor", ""))
        if place:
            writers.restore(place["writers"])
        uid = os.geteuid()
        # It says what it may not see, unless it is asked for an export.
        probe = start(PROBE, READ_SECONDS)
        probe.stream.read()
        self._check(probe.end(True))
        if cursor:
            words = [f"--cursor={cursor}", *selection(unit, uid)]
        else:
            words = self._first_words(uid, since, arbiter)
        self._asked = start([*EXPORT, *words], READ_SECONDS)
        found = entries(self._asked.stream)
        # Was the place found? A first look has none to be found.
        self.found = True
        if cursor:
            first = next(found, None)
            if first is None or not same_place(first.cursor, cursor):
                self.found = False
                self._lost.append(
                    f"the entry that the last look at the journal of {unit.name} ended with is gone"
                    " (vacuumed, or of another boot with Storage=volatile)"
                )
                found = chain([first] if first else [], found)
        self.lines = Lines(found, writers, now, until)
        self._writers = writers
        self.readinto = self.lines.readinto

    def _first_words(self, uid: int, since: Optional[float], arbiter: Optional[int]) -> List[str]:
        """Without a place: the generation, the window, or the last start that the journal has."""
        unit, earlier = self.unit, self._place.get("since")
        if earlier is not None:
            # There was nothing by then.
            since = self._since = float(earlier)
            return [f"--since=@{int(since)}", *selection(unit, uid)]
        if arbiter is not None:
            begin = [f"--since=@{int(since - SLACK)}"] if since is not None else []
            said = self._one([*begin, *own(unit, uid, pid=arbiter)])
            if said is not None:
                return [*begin, *selection(unit, uid, said.invocation)]
            return [*begin, *selection(unit, uid)]
        if since is not None:
            return [f"--since=@{int(since)}", *selection(unit, uid)]
        last = self._one(["--lines=1", *own(unit, uid)])
        invocation = last.invocation if last else ""
        first = self._one(own(unit, uid, invocation))
        begin = [f"--since=@{int(first.when)}"] if first else []
        return [*begin, *selection(unit, uid, invocation)]

    def _one(self, words: List[str]) -> Optional[Entry]:
        """The first entry of a question of its own."""
        asked = self._start([*EXPORT, *words], READ_SECONDS)
        found = next(entries(asked.stream), None)
        self._check(asked.end(found is None))
        return found

    def _check(self, ended: Ended) -> None:
        """Raise if the journal cannot be read."""
        why = complaint(self.unit.name, ended.status, ended.error)
        if why:
            raise FleetError(f"Asked to read the journal of {self.unit.name}, and {why}.")

    def finish(self, headless: bool) -> List[str]:
        """End it; what is lost. ``headless``: may something before the first entry be missing?"""
        ended = self._asked.end(self.lines.whole)
        self._check(ended)
        lines, unit = self.lines, self.unit.name
        if ended.late:
            self._lost.append(
                f"the journal of {unit} holds more than can be read in {READ_SECONDS:.0f} s: it was"
                f" read up to {moment(lines.last)}"
            )
        if lines.dropped:
            self._lost.append(
                f"journald has suppressed {lines.dropped} messages of {unit}: raise"
                " LogRateLimitBurst in the unit, or let it write less"
            )
        self._lost += [
            f"{path} of the journal is damaged"
            for path in damaged_files(ended.error)
            if _reaches(path, self._place.get("at") or self._since)
        ]
        if headless and not self._place.get("cursor"):
            self._lost += self._head()
        return self._lost

    def _head(self) -> List[str]:
        """Does the journal itself begin after the window?"""
        since, first = self._since, self.lines.first
        if since is None or (first is not None and first <= since + HEAD_SLACK):
            return []
        # Process 1 writes whenever anything starts or stops.
        heads = [self._one(["_PID=1"])]
        if heads[0] is not None and heads[0].when <= since + HEAD_SLACK:
            return []
        heads.append(self._one(own(self.unit, os.geteuid())))
        known = [each.when for each in heads if each is not None]
        if known and min(known) <= since + HEAD_SLACK:
            return []
        begin = moment(min(known)) if known else "nothing"
        return [f"the journal begins at {begin}, the window at {moment(since)}"]

    def place(self) -> Dict[str, Any]:
        """Where the next look begins, for JSON."""
        cursor = self.lines.cursor or str(self._place.get("cursor", ""))
        found: Dict[str, Any] = {
            "cursor": cursor,
            "writers": self._writers.state(),
            "at": self._begun,
        }
        if not cursor:
            found["since"] = self._place.get("since", self._begun)
        return found


def _reaches(path: str, since: Optional[float]) -> bool:
    """Was the file written to after that time, as far as that can be told?"""
    try:
        return since is None or os.stat(path).st_mtime >= since
    except OSError:
        return True
