# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One look at the logs of one host: open, find out what is new, read it, judge it."""

import json
import os
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.catalogue import (
    SEVERITIES,
    Custom,
    default_tolerances,
    severity_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.cursor import (
    Entry,
    Piece,
    Place,
    Plan,
    Told,
    damaged,
    entry_of,
    load,
    make_known,
    make_place,
    plan,
    save,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.facts import Incident, Window
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.incidents import Judge
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.journal_names import (
    path_of,
    spoken,
    unit_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.journalctl import Journal
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.reader import (
    LogFile,
    Reader,
    family,
    fingerprint,
    length,
    open_log,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.records import (
    ISO,
    Clock,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.verdict import (
    Seen,
    Tolerance,
    decide,
    moment,
    tolerances,
)

MAX_INCIDENTS = 100
# The version of what is kept of a look for the next one, and how much of it at most.
PROGRESS = 1
MAX_PROGRESS = 256 * 1024
# The head of the log may be this much younger than the window without anything being lost.
HEAD_SLACK = 5.0
Guard = Callable[[str, Callable[[], Any]], Any]


class Begin(NamedTuple):
    """A place in a log that is known by its inode."""

    dev: int
    inode: int
    offset: int


class Request(NamedTuple):
    """What to look at and how to judge it."""

    paths: List[str]
    window: Window
    cursor: str
    tolerance: Dict[str, Any]
    customs: Tuple[Custom, ...]
    max_excerpts: int
    gunicorn: str
    advance: bool
    # Where each log stood when the generation began: what is before was written by others.
    begin: Tuple[Begin, ...] = ()
    # The arbiter and its children that are alive, and since when; None: not known.
    living: Optional[Dict[int, float]] = None
    # What an earlier look at the same has returned: only what was written since is read.
    progress: Dict[str, Any] = {}
    # Is progress to be returned?
    keep: bool = False


class Segment(NamedTuple):
    """Where in the stream of bytes a file begins."""

    position: int
    file: LogFile
    offset: int


class Look(NamedTuple):
    """What the look at one log found."""

    path: str
    judge: Judge
    segments: List[Segment]
    lost: List[str]
    silent: str
    size: int
    entry: Optional[Entry]
    progress: Optional[Dict[str, Any]] = None


def parse_moment(name: str, value: Any, now: float) -> Optional[float]:
    """Seconds since 1970, or an ISO time (local without a zone); None or "" for none."""
    text = str(value if value is not None else "").strip()
    if not text:
        return None
    if re.match(r"\d+(\.\d+)?$", text):
        return float(text)
    match = ISO.match(text.encode("utf-8"))
    found = Clock(now).iso(match) if match and match.end() == len(text.encode("utf-8")) else None
    if found is None:
        raise FleetError(
            f"{name}: {text!r} is no time. Give seconds since 1970 or ISO 8601,"
            " such as 2026-11-23T03:02:13+00:00 (local time without a zone)."
        )
    return found


def check_paths(paths: List[str]) -> List[str]:
    """Each path once, absolute: what a relative one is relative to is anybody's guess."""
    if not paths:
        raise FleetError("paths: there is no log to look at. Give at least one path.")
    found = []
    for path in paths:
        unit = unit_of(path)
        if unit is None and (not os.path.isabs(path) or "\0" in path):
            raise FleetError(f"paths: {path!r} is not absolute. Give the whole path of the log.")
        found.append(path_of(*unit) if unit else os.path.normpath(path))
    return list(dict.fromkeys(found))


def gather(path: str, entry: Optional[Entry]) -> Tuple[List[LogFile], List[str]]:
    """Open the log and its rotated generations, newest first; a rotation in between is noticed.

    The second list says which generations could not be opened.
    """
    for _attempt in range(10):
        real = os.path.realpath(path)
        files: List[LogFile] = []
        closed: List[str] = []
        names = family(real)
        missing: Optional[FleetError] = None
        try:
            files.append(open_log(real))
        except FleetError as exc:
            # Between rename and create there is no live file, and that is no error of anybody's.
            if os.path.lexists(real) or not (entry and names):
                raise
            missing = exc
        # A link may have been turned to a new file since, and the old one has a name of its own.
        others = [real] + [name for name, _number in names]
        for name in entry.names if entry else []:
            if name not in others and os.path.isfile(name):
                names.insert(0, (name, None))
        for name, number in names:
            try:
                files.append(open_log(name, number))
            except FleetError as exc:
                closed.append(str(exc))
        if settled(files, real, names) or (missing and not files):
            return unique(files), [text for text in closed if "no such file" not in text]
        close(files)
    raise FleetError(
        f"Asked to read the log {path}, but its files change names all the time."
        " Look at what rotates it."
    )


def settled(files: List[LogFile], real: str, names: List[Tuple[str, Optional[int]]]) -> bool:
    """Do the names still lead to the files that were opened?"""
    for file in files:
        try:
            status = os.stat(file.path)
        except OSError:
            return False
        if (status.st_dev, status.st_ino) != file.identity:
            return False
    opened = {file.path for file in files}
    return {name for name, _number in family(real)} <= opened | {name for name, _number in names}


def unique(files: List[LogFile]) -> List[LogFile]:
    """A hard link or a second name is the same file."""
    seen: Set[Tuple[int, int]] = set()
    result = []
    for file in files:
        if file.identity in seen:
            file.handle.close()
            continue
        seen.add(file.identity)
        result.append(file)
    return result


def close(files: List[LogFile]) -> None:
    for file in files:
        file.handle.close()


def first_plan(files: List[LogFile], window: Window) -> Plan:
    """Without a cursor: the live file, and the rotated ones that reach into the window."""
    wanted = files[:1]
    if window.since is not None:
        for file in files[1:]:
            if file.mtime < window.since - 1:
                break
            wanted.append(file)
    return Plan([Piece(file, 0) for file in reversed(wanted)], [])


def placed_plan(files: List[LogFile], begin: Tuple[Begin, ...]) -> Optional[Plan]:
    """From where the generation began; None if that place cannot be found any more."""
    for at, file in enumerate(files):
        for place in begin:
            if file.identity != (place.dev, place.inode) or file.compression:
                continue
            # It was cut and written anew since: all that is in it came later.
            start = place.offset if place.offset <= file.size else 0
            pieces = [Piece(file, start)] + [Piece(other, 0) for other in reversed(files[:at])]
            return Plan(pieces, [])
    return None


def look_at(path: str, entry: Optional[Entry], request: Request, judge: Judge) -> Look:
    """Read what is new of one log through ``judge``."""
    if unit_of(path):
        return read_journal(path, entry, request, judge)
    files, closed = gather(path, entry)
    try:
        return read(path, files, closed, entry, request, judge)
    finally:
        close(files)


def read(
    path: str,
    files: List[LogFile],
    closed: List[str],
    entry: Optional[Entry],
    request: Request,
    judge: Judge,
) -> Look:
    window = request.window
    if entry and entry.places:
        chosen = plan(entry.places, entry.known, files, fingerprint)
        restore(judge, entry, request, chosen.found)
        if chosen.found:
            judge.reported = {(told.offset, told.event) for told in entry.reported}
    else:
        placed = placed_plan(files, request.begin)
        judge.placed = placed is not None
        chosen = placed or first_plan(files, window)
    lost = list(chosen.lost)
    if lost or len(chosen.pieces) > 1:
        lost += closed
    scanner = judge.scanner
    segments: List[Segment] = []
    seen: Dict[str, int] = {}
    size = 0
    for piece in chosen.pieces:
        file = piece.file
        segments.append(Segment(size, file, piece.start))
        reader = Reader(file, piece.start, None if file.compression else file.size)
        got = scanner.read(reader.readinto)
        size += got
        if not file.compression:
            seen[file.path] = piece.start + got
            if piece.start + got < file.size:
                lost.append(f"{file.path} shrank while it was read")
        if reader.damaged:
            lost.append(f"{file.path} cannot be read to its end: {reader.damaged}")
    end = scanner.position()
    state = judge.finish()
    reported = [Told(offset, event) for offset, event in judge.told]
    if (entry is None or not entry.places) and not judge.placed:
        lost += headless(judge, window, files, chosen)
    new = None
    if request.cursor:
        new = remember(files, segments, end, size, reported, seen, state, entry)
    kept = None
    if request.keep:
        place = remember(files, segments, end, size, [], seen, judge.sums.pop("state"), entry)
        kept = sums(judge, segments, place, lost, size)
    silent = silence(judge, window, files, size, path)
    return Look(path, judge, segments, lost, silent, size, new, kept)


def restore(judge: Judge, entry: Entry, request: Request, found: bool = True) -> None:
    """Go on with what an earlier look knew; what it was in the middle of, if its place is found."""
    try:
        judge.restore(entry.state if found else dict(entry.state, block=None))
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise FleetError(damaged(request.cursor, f"state: {type(exc).__name__} {exc}")) from exc


def sums(
    judge: Judge, segments: List[Segment], place: Entry, lost: List[str], size: int
) -> Dict[str, Any]:
    """What a later look at the same window goes on with."""
    incidents = {
        event: [one.state(one.place or locate(segments, one.position)) for one in found]
        for event, found in judge.sums_kept.items()
    }
    return dict(judge.sums, entry=place._asdict(), kept=incidents, lost=lost, size=size)


def read_journal(path: str, entry: Optional[Entry], request: Request, judge: Judge) -> Look:
    """Read what is new in the journal of a unit."""
    window, unit = request.window, unit_of(path)
    if unit is None:
        raise FleetError(f"paths: {path!r} is no journal.")
    place = entry.journal if entry else {}
    until = None if request.cursor else window.until
    try:
        journal = Journal(unit, place, window.since, until, window.arbiter_pid)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise FleetError(damaged(request.cursor, f"journal: {type(exc).__name__} {exc}")) from exc
    if entry and entry.journal:
        restore(judge, entry, request, journal.found)
    # journald itself tells whose an entry is, and when it was written.
    judge.placed = True
    size = judge.scanner.read(journal.readinto)
    state = judge.finish()
    lost = journal.finish(headless=not (window.arbiter_pid and judge.started))
    last = journal.lines.last or 0.0
    # So that what is found has a place that can be told.
    whole = LogFile(path, None, 0, 0, size, last, "", 0)
    segments = [Segment(0, whole, 0)]
    now = Entry([], [], [], state, [], journal.place())
    kept = None
    if request.keep:
        resumed = now._replace(state=judge.sums.pop("state"))
        kept = sums(judge, segments, resumed, lost, size)
    # All of it is of the window, whatever time its lines have.
    arbiter = window.arbiter_pid if window.since is None else None
    silent = silence(judge, Window(arbiter_pid=arbiter), [whole], size, spoken(path))
    return Look(path, judge, segments, lost, silent, size, now if request.cursor else None, kept)


def identity(request: Request) -> str:
    """What a look is about: sums of another cannot be gone on with."""
    parts = (
        request.paths,
        request.window,
        request.begin,
        sorted(request.tolerance.items()),
        [(custom.name, custom.pattern.pattern, custom.tolerance) for custom in request.customs],
        PROGRESS,
    )
    return repr(parts)


def go_on(path: str, request: Request, judge: Judge) -> Optional[Look]:
    """Read what was written since an earlier look; None if all must be read (again)."""
    try:
        if request.progress.get("of") != identity(request):
            return None
        earlier = request.progress["logs"][path]
        entry = entry_of(earlier["entry"])
        if entry.journal:
            judge.go_on(earlier["totals"], earlier["kept"])
            found = read_journal(path, entry, request, judge)
            files: List[LogFile] = []
        else:
            files, _closed = gather(path, entry)
            try:
                chosen = plan(entry.places, entry.known, files, fingerprint)
                if not entry.places or not chosen.found or chosen.lost:
                    return None
                judge.go_on(earlier["totals"], earlier["kept"])
                found = read(path, files, [], entry, request, judge)
            finally:
                close(files)
        size = int(earlier["size"]) + found.size
        lost = [str(reason) for reason in earlier["lost"]] + found.lost
    except (KeyError, TypeError, ValueError, AttributeError, FleetError):
        return None
    heard = earlier["totals"]["heard"] or (entry.journal and earlier["size"])
    if heard or entry.journal:
        silent = "" if heard else found.silent
    else:
        silent = silence(judge, request.window, files, size, path)
    kept = dict(found.progress, size=size, lost=lost) if found.progress else None
    return found._replace(lost=lost, silent=silent, progress=kept)


def remember(
    files: List[LogFile],
    segments: List[Segment],
    end: int,
    size: int,
    reported: List[Told],
    seen: Dict[str, int],
    state: Dict[str, Any],
    entry: Optional[Entry],
) -> Entry:
    """Where the next look begins, and which files are older than that."""
    places: List[Place] = []
    older = files
    ends = []
    if segments:
        # Those that were not read, each at its end; then those that were.
        ends = [(file, -1, -1) for file in files[files.index(segments[0].file) + 1 :]][::-1]
        stops = [segment.position for segment in segments[1:]] + [size]
        for segment, stop in zip(segments, stops):
            if segment.position <= end:
                begin = segment.offset - segment.position
                ends.append((segment.file, begin + min(stop, end), begin + stop))
    for file, offset, held in reversed(ends):
        if held < 0:
            offset = held = length(file)
        places.insert(0, make_place(file, offset, held, fingerprint))
        older = files[files.index(file) + 1 :]
        # An empty file has no content to know it by: the end of the one before is as good.
        if held:
            break
    known = entry.known if entry else []
    return Entry(
        places,
        make_known(older, seen, known, fingerprint),
        reported,
        state,
        [file.path for file in files[: len(files) - len(older)]][::-1],
    )


def headless(judge: Judge, window: Window, files: List[LogFile], chosen: Plan) -> List[str]:
    """Did the log begin after the window did, because the beginning was rotated away?"""
    if window.since is None or judge.oldest is None or judge.oldest <= window.since + HEAD_SLACK:
        return []
    exhausted = len(files) > 1 and len(chosen.pieces) == len(files)
    if window.arbiter_pid is not None:
        if judge.started or not (exhausted or judge.informative):
            return []
    elif not exhausted:
        return []
    return [
        f"the oldest line found is of {moment(judge.oldest)}, the window begins at"
        f" {moment(window.since)}"
    ]


def silence(judge: Judge, window: Window, files: List[LogFile], size: int, path: str) -> str:
    """Why this log cannot be judged; empty if it can."""
    if not size and not judge.counts:
        return f"nothing was written to {path}"
    if not judge.text and not judge.counts:
        return f"{path}: the {size} bytes read are no text"
    if window.arbiter_pid is not None and window.since is None:
        known = judge.generation is not None and judge.generation.ours
        return (
            ""
            if known or judge.started
            else f"{path} does not tell of arbiter {window.arbiter_pid}"
        )
    if window.since is None and window.until is None:
        return ""
    if judge.heard:
        return ""
    if judge.heard is None:
        # No line tells its time. Then the whole of it was judged, and the file says when it was
        # written last.
        newest = max((file.mtime for file in files), default=0.0)
        if window.until is None and window.since is not None and newest >= int(window.since):
            return ""
        return f"{path}: no line tells its time in a way that is understood"
    return f"{path} holds nothing from the window"


def other_version(look: Look, request: Request) -> List[str]:
    """Does another gunicorn write here than the one that is expected?"""
    generation = look.judge.generation
    if not request.gunicorn or generation is None or not generation.ours:
        return []
    if generation.version == request.gunicorn:
        return []
    return [
        f"gunicorn {generation.version} was started (pid {generation.pid}),"
        f" {request.gunicorn} was expected"
    ]


def excerpt_order(incident: Incident, customs: Tuple[Custom, ...]) -> Tuple[int, float, int]:
    severity = severity_of(incident.event, customs)
    return SEVERITIES.index(severity), incident.first or 0.0, incident.position


def locate(segments: List[Segment], position: int) -> Tuple[str, int]:
    """File and offset of a place in the stream; what began in an earlier look has offset -1."""
    if position < 0 or not segments:
        return "", -1
    segment = next(s for s in reversed(segments) if s.position <= position)
    return segment.file.path, segment.offset + position - segment.position


def report(looks: List[Look], request: Request, limits: Dict[str, Tolerance]) -> Dict[str, Any]:
    """What the module returns."""
    counts: Dict[str, int] = {}
    peaks: Dict[str, float] = {}
    unsure: Dict[str, int] = {}
    first: Dict[str, str] = {}
    found: List[Tuple[Incident, Look]] = []
    for look in looks:
        for event, count in look.judge.counts.items():
            counts[event] = counts.get(event, 0) + count
        for event, count in look.judge.unsure.items():
            unsure[event] = unsure.get(event, 0) + count
        for event, span in look.judge.peak.items():
            peaks[event] = min(span, peaks.get(event, span))
        for event, kept in look.judge.kept.items():
            path, offset = kept[0].place or locate(look.segments, kept[0].position)
            when = moment(kept[0].first)
            where = spoken(path) if unit_of(path) else f"{path}, byte {offset}"
            first.setdefault(event, f"{'at ' + when + ' ' if when else ''}in {where}")
            found += [(incident, look) for incident in kept]
    heads = [look.judge.oldest for look in looks]
    understood = any(look.judge.understood or look.judge.counts for look in looks)
    silent = [look.silent for look in looks if look.silent]
    seen = Seen(
        counts,
        peaks,
        first,
        list(dict.fromkeys(text for look in looks for text in other_version(look, request))),
        [reason for look in looks for reason in look.lost],
        silent,
        len(silent) < len(looks),
        unsure,
        0 if understood else sum(look.judge.doubtful for look in looks),
    )
    verdict = decide(seen, limits)
    found.sort(key=lambda pair: excerpt_order(pair[0], request.customs))
    incidents: List[Dict[str, Any]] = []
    for index, (incident, look) in enumerate(found[:MAX_INCIDENTS]):
        path, offset = incident.place or locate(look.segments, incident.position)
        incidents.append(
            {
                "event": incident.event,
                "severity": severity_of(incident.event, request.customs),
                "count_lines": incident.lines,
                "first": moment(incident.first),
                "last": moment(incident.last),
                "arbiter_pid": incident.arbiter_pid,
                "worker_pid": incident.worker_pid,
                "signal": incident.signal,
                "path": path,
                "offset": offset,
                "excerpt": incident.excerpt() if index < request.max_excerpts else "",
            }
        )
    return {
        "verdict": verdict.verdict,
        "reasons": verdict.reasons,
        "incidents": incidents,
        "counts": counts,
        "unsure": unsure,
        "oldest": max((old for old in heads if old is not None), default=None),
        "doubtful": sum(look.judge.doubtful for look in looks),
        "scanned": {
            "bytes": sum(look.size for look in looks),
            "lines": total([look.judge.lines for look in looks]),
            "files": [s.file.path for look in looks for s in look.segments],
        },
    }


def total(numbers: List[Optional[int]]) -> Optional[int]:
    """The sum, unless one is not known."""
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def look(
    request: Request, now: float, guard: Optional[Guard] = None, use_ctypes: bool = True
) -> Dict[str, Any]:
    """Look at all paths, judge, and move the cursor on; FleetError if a log cannot be read."""
    limits = tolerances(default_tolerances(request.customs), request.tolerance)
    rates = {name: limit.limit or 0 for name, limit in limits.items() if limit.seconds}
    entries = load(request.cursor) if request.cursor else {}
    looks = []

    def judge() -> Judge:
        return Judge(
            request.window,
            Clock(now),
            request.customs,
            use_ctypes,
            guard,
            rates,
            living=request.living,
        )

    for path in request.paths:
        found = go_on(path, request, judge()) if request.progress and not request.cursor else None
        looks.append(found or look_at(path, entries.get(path), request, judge()))
    if request.cursor and request.advance:
        entries.update((item.path, item.entry) for item in looks if item.entry)
        save(request.cursor, entries)
    result = report(looks, request, limits)
    result["at"] = now
    if request.keep:
        logs = {item.path: item.progress for item in looks}
        progress = {"of": identity(request), "logs": logs}
        # What is too much to be sent to and fro is read again instead; so is a block of which a
        # part is missing, as its words may hold a secret, and progress may be seen.
        kept = [item["entry"] for item in logs.values() if item]
        open_block = any(
            each["state"]["block"] or each["journal"].get("writers", {}).get("parts")
            for each in kept
        )
        much = len(json.dumps(progress)) > MAX_PROGRESS
        result["progress"] = {} if open_block or much else progress
    return result
