# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fleet's record is not needed for: its events, and what the balancers had counted.

They live beside the record, bounded, and may be lost: nothing that is decided without them becomes
wrong, so whatever cannot be read or written here is a note and never an error.
"""

import json
import re
from typing import Any, Callable, Dict, List, Optional, Sequence, TypeVar

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import Opened
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import believe

SCHEMA = 1
EVENTS = 500
EVENTS_LIMIT = 512 * 1024
# Of those that passed last; a canary is among them.
LOOKS = 8
LOOK_LIMIT = 256 * 1024
LOOKS_LIMIT = (LOOKS + 1) * LOOK_LIMIT

Look = Dict[str, Any]
T = TypeVar("T")


# -- what the balancers had counted when a host passed ------------------------------------------


def parse_looks(content: Optional[bytes]) -> Dict[str, Look]:
    """``{host: {"at": seconds, "seen": look}}``; whatever else it is, none."""
    if not content:
        return {}
    try:
        return believe(content, SCHEMA, _read_looks)
    except FleetError:
        return {}


def _read_looks(found: Dict[str, Any]) -> Dict[str, Look]:
    return {
        str(host): {"at": float(look["at"]), "seen": dict(look["seen"])}
        for host, look in found["looks"].items()
    }


def dump_looks(looks: Dict[str, Look]) -> bytes:
    return json.dumps({"schema": SCHEMA, "looks": looks}, sort_keys=True).encode() + b"\n"


def add_look(looks: Dict[str, Look], host: str, at: float, seen: Look) -> Dict[str, Look]:
    """The newest of them with this one, which may be too large to be kept."""
    size = len(json.dumps(seen))
    if size > LOOK_LIMIT:
        raise FleetError(
            f"What the balancers had counted when {host} passed is not kept: {size} bytes, of"
            f" {LOOK_LIMIT} at most. It cannot be compared with the others later."
        )
    more = dict(looks)
    more[host] = {"at": at, "seen": seen}
    newest = sorted(more, key=lambda each: float(more[each]["at"]))[-LOOKS:]
    return {name: more[name] for name in newest}


# -- events -------------------------------------------------------------------------------------


def parse_events(content: Optional[bytes]) -> List[Dict[str, Any]]:
    """The last of them, the oldest first; a line that somebody spoilt tells nothing."""
    found = []
    for line in (content or b"").splitlines()[-EVENTS:]:
        try:
            event = json.loads(line.decode("utf-8"))
        except ValueError:
            continue
        if isinstance(event, dict) and "event" in event and "at" in event:
            found.append(event)
    return found


# -- files --------------------------------------------------------------------------------------


class FleetHistory:
    """The files of one fleet beside its record. ``notes`` is added to."""

    def __init__(self, fleet: str, notes: List[str]) -> None:
        self._events = f"{fleet}.events"
        self._looks = f"{fleet}.looks.json"
        self._notes = notes

    def events(self, box: Opened) -> List[Dict[str, Any]]:
        def read() -> List[Dict[str, Any]]:
            return parse_events(box.read(self._events, EVENTS_LIMIT))

        return self._try(read, self._events) or []

    def looks(self, box: Opened) -> Dict[str, Look]:
        def read() -> Dict[str, Look]:
            return parse_looks(box.read(self._looks, LOOKS_LIMIT))

        return self._try(read, self._looks) or {}

    def add_events(self, box: Opened, events: Sequence[Dict[str, Any]]) -> None:
        def write() -> None:
            lines = [json.dumps(event, sort_keys=True).encode() for event in events]
            if lines:
                box.append(self._events, b"\n".join(lines), EVENTS_LIMIT)

        self._try(write, self._events)

    def add_looks(self, box: Opened, looks: Dict[str, Look]) -> None:
        """``looks`` is shaped like those of `parse_looks`."""
        found = self.looks(box) if looks else {}
        for host, look in sorted(looks.items(), key=lambda item: float(item[1]["at"])):
            try:
                found = add_look(found, host, look["at"], look["seen"])
            except FleetError as exc:
                self._notes.append(str(exc))

        def write() -> None:
            box.write(self._looks, dump_looks(found), LOOKS_LIMIT)

        if looks:
            self._try(write, self._looks)

    def _try(self, act: Callable[[], T], name: str) -> Optional[T]:
        try:
            return act()
        except (OSError, FleetError) as exc:
            self._notes.append(f"{name}, which is history only, was left out: {exc}")
            return None


# -- records of versions before 0.2, which held all of it, at any size --------------------------

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}]', re.S)
_HOST_DEPTH = 3


def without_looks(content: bytes) -> bytes:
    """The text of a record with an empty ``seen`` for each host, without building what goes."""
    parts: List[bytes] = []
    depth = done = 0
    begin: Optional[int] = None
    key = top = b""
    for token in _TOKEN.finditer(content):
        text = token.group()
        if text == b"{":
            if depth == _HOST_DEPTH and key == b'"seen"' and top == b'"hosts"':
                begin = token.start()
            depth += 1
        elif text == b"}":
            depth -= 1
            if depth == _HOST_DEPTH and begin is not None:
                parts += [content[done:begin], b"{}"]
                done, begin = token.end(), None
        else:
            key = text
            if depth == 1:
                top = text
    return b"".join([*parts, content[done:]])
