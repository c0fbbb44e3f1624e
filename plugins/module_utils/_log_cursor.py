# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exactly once: where the last look ended, and what has been written since, over any rotation.

A log is one stream of bytes, cut into generations by rotation. The cursor names a place in it by
content (the first bytes of the generation and those before the place), so that it is found again
after a rename, a copy or a compression, and is not taken for another that happens to have the same
name or inode. What cannot be found is lost, and said to be lost: ``gap``.
"""

import json
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._log_reader import (
    MARK,
    LogFile,
    Print,
)

SCHEMA = 1
# Older generations remembered, so that they are never taken for new ones.
KNOWN = 64


class Place(NamedTuple):
    """A place in a generation."""

    dev: int
    inode: int
    offset: int
    head_size: int
    head: str
    marker: str


class Known(NamedTuple):
    """A generation older than the place: its identity, and how much of it has been seen."""

    dev: int
    inode: int
    size: int
    mtime: float
    head_size: int
    head: str


class Piece(NamedTuple):
    """A file to read, from an offset on."""

    file: LogFile
    start: int


class Plan(NamedTuple):
    """What to read, in order, and what is known to be lost."""

    pieces: List[Piece]
    lost: List[str]


Fingerprint = Callable[[LogFile, int, int], Optional[Print]]


def holds(place: Place, file: LogFile, fingerprint: Fingerprint) -> bool:
    """Is this the generation that the place is in?"""
    if not place.offset:
        # Nothing had been written: only the inode can tell, and only while nothing replaced it.
        return not file.compression and file.identity == (place.dev, place.inode)
    found = fingerprint(file, place.head_size, place.offset)
    return found == Print(place.head, place.marker)


def is_known(file: LogFile, known: List[Known], fingerprint: Fingerprint) -> Optional[Known]:
    """Is this a generation that was older than the place already at the last look?"""
    for item in known:
        same = (item.dev, item.inode) == file.identity
        if same and (item.size, item.mtime) == (file.size, file.mtime):
            return item
        if not item.head_size:
            if same and not file.compression:
                return item
            continue
        found = fingerprint(file, item.head_size, 0)
        if found is None or found.head != item.head:
            continue
        # A short file is known by all that it held: a longer one that begins alike is another.
        if same or item.head_size == MARK or fingerprint(file, item.head_size + 1, 0) is None:
            return item
    return None


def plan(
    places: List[Place], known: List[Known], files: List[LogFile], fingerprint: Fingerprint
) -> Plan:
    """Decide what is new. ``files`` are the generations that exist, newest first.

    ``places`` are one place in the stream, said in up to two ways: the end of a generation and the
    beginning of the next, which is empty as yet. The first that is found counts.
    """
    fresh: List[LogFile] = []
    late: List[Piece] = []
    for file in files:
        old = is_known(file, known, fingerprint)
        if old is None:
            fresh.append(file)
        elif old.size < file.size and (old.dev, old.inode) == file.identity:
            # A process went on writing into the file after it was renamed.
            late.append(Piece(file, old.size))
    # The oldest that fits: a copy holds the same bytes as the file that it was copied from, and
    # the file itself may have begun again with the same line.
    at, offset = next(
        (
            (index, place.offset)
            for place in places
            for index in range(len(fresh) - 1, -1, -1)
            if holds(place, fresh[index], fingerprint)
        ),
        (-1, 0),
    )
    lost: List[str] = []
    if at < 0:
        pieces = [Piece(file, 0) for file in reversed(fresh)]
        lost.append("the file that the last look ended in is gone or was truncated")
    else:
        pieces = [Piece(fresh[at], offset)]
        pieces += [Piece(file, 0) for file in reversed(fresh[:at])]
        numbers = [file.number for file in fresh[: at + 1] if file.number is not None]
        if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            lost.append("a rotated file between the last look and now is missing")
    return Plan(late[::-1] + pieces, lost)


def make_place(file: LogFile, offset: int, fingerprint: Fingerprint) -> Place:
    head = min(MARK, offset)
    found = fingerprint(file, head, offset)
    if found is None:
        # It shrank while it was read. A marker that fits nothing reports that next time.
        found = Print("shrunk", "shrunk")
    return Place(file.dev, file.inode, offset, head, found.head, found.marker)


def make_known(
    files: List[LogFile], seen: Dict[str, int], known: List[Known], fingerprint: Fingerprint
) -> List[Known]:
    """Remember the generations older than the place; ``seen``: how far each was read."""
    result: List[Known] = []
    for file in files[:KNOWN]:
        size = seen.get(file.path, file.size)
        same = [
            item
            for item in known
            if (item.dev, item.inode, item.size, item.mtime)
            == (file.dev, file.inode, size, file.mtime)
        ]
        if same:
            result.append(same[0])
            continue
        head = 0
        found: Optional[Print] = None
        # Compressed files do not tell how much they hold: try what a short one may have.
        for head in (MARK, 128, 32, 0) if file.compression else (min(MARK, size),):
            found = fingerprint(file, head, 0)
            if found is not None:
                break
        result.append(
            Known(file.dev, file.inode, size, file.mtime, head, found.head if found else "")
        )
    return result


class Entry(NamedTuple):
    """What the cursor file holds of one log."""

    places: List[Place]
    known: List[Known]
    reported: List[int]
    state: Dict[str, Any]
    real: str


def load(path: str) -> Dict[str, Entry]:
    """Read a cursor file; an absent one is a first look. FleetError if it cannot be trusted."""
    try:
        with open(path, encoding="utf-8") as handle:
            data = json.loads(handle.read(16 * 1024 * 1024))
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise FleetError(f"Asked to use the cursor {path}. {exc.strerror or exc}.") from exc
    except ValueError as exc:
        raise FleetError(damaged(path, f"it is no JSON ({exc})")) from exc
    try:
        if data["kind"] != "fleetops.gunicorn log cursor":
            raise FleetError(damaged(path, "it is something else"))
        if data["schema"] > SCHEMA:
            raise FleetError(
                f"Asked to use the cursor {path}. A newer version of this collection wrote it"
                f" (schema {data['schema']}, this one knows {SCHEMA})."
                " Use that version, or remove the file to begin anew."
            )
        return {
            log: Entry(
                [Place(*item) for item in entry["places"]],
                [Known(*item) for item in entry["known"]],
                [int(offset) for offset in entry["reported"]],
                dict(entry["state"]),
                str(entry["real"]),
            )
            for log, entry in data["logs"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise FleetError(damaged(path, f"{type(exc).__name__} {exc}")) from exc


def damaged(path: str, why: str) -> str:
    return (
        f"Asked to use the cursor {path}, but it cannot be trusted: {why}."
        " Remove the file to begin anew; what was written before will then be judged again."
    )


def save(path: str, entries: Dict[str, Entry]) -> None:
    """Replace the cursor file in one step."""
    data = {
        "kind": "fleetops.gunicorn log cursor",
        "schema": SCHEMA,
        "logs": {log: entry._asdict() for log, entry in entries.items()},
    }
    scratch = f"{path}.{os.getpid()}.tmp"
    try:
        fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as handle:
            json.dump(data, handle, separators=(",", ":"))
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(scratch, path)
    except OSError as exc:
        if os.path.exists(scratch):
            os.unlink(scratch)
        raise FleetError(
            f"Asked to write the cursor {path}. {exc.strerror or exc}. Nothing was judged:"
            " without the cursor the next look would judge the same lines again."
        ) from exc
