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
import tempfile
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.reader import (
    MARK,
    LogFile,
    Print,
)

SCHEMA = 1
# Older generations remembered, so that they are never taken for new ones.
KNOWN = 64
# Fewer bytes than this may well be the same in two files.
WEAK = 64


class Place(NamedTuple):
    """A place in a generation, known by its first bytes and those before the place.

    The first bytes may reach beyond the place: into a last line that was unfinished.
    """

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
    """What to read, in order, what is known to be lost, and whether the place was found."""

    pieces: List[Piece]
    lost: List[str]
    found: bool = True


Fingerprint = Callable[[LogFile, int, int], Optional[Print]]


def holds(place: Place, file: LogFile, fingerprint: Fingerprint) -> bool:
    """Is this the generation that the place is in?"""
    found = fingerprint(file, place.head_size, place.offset)
    return found == Print(place.head, place.marker)


def is_known(file: LogFile, known: List[Known], fingerprint: Fingerprint) -> Optional[Known]:
    """Is this a generation that was older than the place already at the last look?"""
    for item in known:
        same = (item.dev, item.inode) == file.identity
        if same and (item.size, item.mtime) == (file.size, file.mtime):
            return item
        if not item.head_size:
            # It was empty, and an inode alone proves nothing: whatever is in it now is new.
            continue
        found = fingerprint(file, item.head_size, 0)
        if found is None or found.head != item.head:
            continue
        if same and item.head_size < WEAK and item.mtime != file.mtime:
            # The inode is used again, and the few bytes are the same by chance.
            continue
        # A short file is known by all that it held: a longer one that begins alike is another.
        if same or item.head_size == MARK or fingerprint(file, item.head_size + 1, 0) is None:
            return item
    return None


def find(places: List[Place], fresh: List[LogFile], fingerprint: Fingerprint) -> Tuple[int, int]:
    """Index and offset of the first place that is found; (-1, 0) if none is."""
    for number, place in enumerate(places):
        if not place.head_size:
            # It was empty, so there is no content to know it by. All that is new came after it.
            if any(f.compression or f.identity == (place.dev, place.inode) for f in fresh):
                return len(fresh) - 1, 0
            continue
        # The oldest that fits: a copy holds the same bytes as the file that it was copied from,
        # and the file itself may have begun again with the same line.
        fits = [i for i in range(len(fresh)) if holds(place, fresh[i], fingerprint)]
        if max(place.offset, place.head_size) < WEAK:
            # An empty line or so is no proof without the inode: of the file itself, or of the one
            # that it was copied from. A packed file has a new one.
            inodes = [f.compression or f.identity == (place.dev, place.inode) for f in fresh]
            if not any(inodes):
                continue
            # Nor is a file that is newer than one that came after the place.
            later = {(after.dev, after.inode) for after in places[number + 1 :]}
            fits = [i for i in fits if not any(f.identity in later for f in fresh[i + 1 :])]
        if fits:
            return fits[-1], place.offset
    return -1, 0


def plan(
    places: List[Place], known: List[Known], files: List[LogFile], fingerprint: Fingerprint
) -> Plan:
    """Decide what is new. ``files`` are the generations that exist, newest first.

    ``places`` are one place in the stream, said in several ways while the files after it are empty
    as yet. The first that is found counts.
    """
    old = [is_known(file, known, fingerprint) for file in files]
    own = {(place.dev, place.inode) for place in places}
    fresh = [f for f, match in zip(files, old) if match is None or f.identity in own]
    at, offset = find(places, fresh, fingerprint)
    if at < 0:
        # Something that looks like a known file, and yet holds the place.
        fresh = files
        at, offset = find(places, files, fingerprint)
    lost: List[str] = []
    found = at >= 0
    if not found:
        lost.append("the file that the last look ended in is gone or was truncated")
        pieces = [Piece(file, 0) for file, match in zip(files, old) if match is None]
        at = len(files)
    else:
        # What is newer than the place is new, even where it looks like something known: two short
        # files may hold the same.
        at = files.index(fresh[at])
        pieces = [Piece(file, 0) for file in files[:at]] + [Piece(files[at], offset)]
        numbers = [file.number for file in files[: at + 1] if file.number is not None]
        if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            lost.append("a rotated file between the last look and now is missing")
    for file, match in list(zip(files, old))[at + 1 :]:
        # A process may have gone on writing into a file after it was renamed.
        if match and match.size < file.size and (match.dev, match.inode) == file.identity:
            pieces.append(Piece(file, match.size))
    return Plan(pieces[::-1], lost, found)


def make_place(file: LogFile, offset: int, held: int, fingerprint: Fingerprint) -> Place:
    """The place ``offset`` in a file of which ``held`` bytes have been seen."""
    head = min(MARK, held)
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


class Told(NamedTuple):
    """What was found in the unfinished last line: how far behind the place, and what."""

    offset: int
    event: str


class Entry(NamedTuple):
    """What the cursor file holds of one log."""

    places: List[Place]
    known: List[Known]
    reported: List[Told]
    state: Dict[str, Any]
    # Where the files were that hold the place and what follows it, the oldest first.
    names: List[str]
    # The place in a unit's journal (``journalctl.Journal.place``); such a log has no files.
    journal: Dict[str, Any] = {}


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
        return {log: entry_of(entry) for log, entry in data["logs"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise FleetError(damaged(path, f"{type(exc).__name__} {exc}")) from exc


def entry_of(entry: Dict[str, Any]) -> Entry:
    """From JSON; KeyError, TypeError, ValueError or AttributeError if it is none."""
    return Entry(
        [checked(Place, item) for item in entry["places"]],
        [checked(Known, item) for item in entry["known"]],
        [checked(Told, item) for item in entry["reported"]],
        dict(entry["state"]),
        [str(name) for name in entry["names"]],
        dict(entry.get("journal", {})),
    )


def checked(kind: Any, item: Any) -> Any:
    """A tuple of the given kind from JSON; TypeError if its values are of another."""
    result = kind(*item)
    for name, value in result._asdict().items():
        wanted = kind.__annotations__[name]
        if not isinstance(value, (int, float) if wanted is float else wanted):
            raise TypeError(f"{name} is {value!r}")
        if wanted is int and value < 0:
            raise ValueError(f"{name} is {value!r}")
    return result


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
    scratch = ""
    try:
        # A name that nobody can foresee, and made anew: whoever may write to the directory could
        # have put a link to another file under a name of ours.
        fd, scratch = tempfile.mkstemp(".tmp", os.path.basename(path) + ".", os.path.dirname(path))
        with os.fdopen(fd, "w", encoding="utf-8") as handle:
            json.dump(data, handle, separators=(",", ":"))
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(scratch, path)
    except OSError as exc:
        if scratch and os.path.lexists(scratch):
            os.unlink(scratch)
        raise FleetError(
            f"Asked to write the cursor {path}. {exc.strerror or exc}. Nothing was judged:"
            " without the cursor the next look would judge the same lines again."
        ) from exc
