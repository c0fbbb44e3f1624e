# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which run may change a host: whoever has taken the fleet's lock last, and nobody before.

A run that lost the lock (its controller was killed, or its lock was broken) may still have a module
at work. Each time the lock is taken a higher turn is given out (`_fleet_lock`); whoever changes
something writes it down first, on the very host, and looks once more right before each step that
cannot be taken back. A turn of 0 is none: somebody works by hand, without a lock.
"""

import hashlib
import json
import os
import re
import time
from typing import Any, Dict, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    Opened,
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import (
    Unbelievable,
    believe,
    fields,
    moment,
    plain,
)

SCHEMA = 1
# Root's own; not that of the balancers' state host, which others may read.
ROOTS_DIRECTORY = "/var/lib/fleetops-gunicorn-host"
_KINDS: Dict[str, Tuple[type, ...]] = {"turn": (int,), "by": (str,), "at": (int, float)}


class Turn(NamedTuple):
    """The highest that was seen, of whom and when (seconds since the epoch)."""

    turn: int
    by: str
    at: float


NOBODY = Turn(0, "", 0.0)


class Fenced(FleetError):
    """A newer run has been here: this one must not change anything any more."""


def key_of(*what: str) -> str:
    """A file's name that a person can read, for whatever is changed."""
    digest = hashlib.sha256("\0".join(what).encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', what[-1]).strip('_')[-80:] or 'root'}-{digest}"


def directory_of(given: str, home: str, euid: int) -> str:
    """Where a host keeps it: out of reach of the application's user, if that is possible."""
    if given:
        return given
    # Who is not root can write to the home, or could not switch anything there.
    return ROOTS_DIRECTORY if euid == 0 else f"{home}/.fleetops-gunicorn-{euid}"


def refuse_older(seen: Turn, turn: int, what: str, path: str) -> None:
    """The decision: a run may go on as long as no newer one has been here."""
    if 0 < turn < seen.turn:
        raise Fenced(
            f"A newer run works on {what} ({seen.by or 'unknown'}, here since {moment(seen.at)}):"
            " this one has lost the lock of the fleet, and changes nothing there any more. See"
            " with status.yml who is at work. If nobody is, the fleet's turn was lost beside its"
            f" lock: then remove {path} on this host."
        )


def parse(content: bytes) -> Turn:
    def read(found: Dict[str, Any]) -> Turn:
        seen = Turn(**fields(found, _KINDS))
        moment(seen.at)
        return seen

    return believe(content, SCHEMA, read)


def dump(turn: Turn) -> bytes:
    return json.dumps(dict(turn._asdict(), schema=SCHEMA), sort_keys=True).encode() + b"\n"


class Fence:
    """What is written down on one host about one thing that runs change."""

    def __init__(self, directory: StateDirectory, key: str, turn: int, by: str, what: str) -> None:
        if turn < 0:
            raise FleetError(f"turn is {turn}. It is given out with the lock of the fleet.")
        self._directory = directory
        self._name = f"{key}.turn"
        self._path = os.path.join(directory.path, self._name)
        self._turn = turn
        self._by = plain(by)
        self._what = what

    def claim(self) -> None:
        """From now on no older run changes it; an error if a newer one has been here."""
        if not self._turn:
            return
        with self._directory.locked(create=True) as box:
            seen = self._read(box)
            refuse_older(seen, self._turn, self._what, self._path)
            if box and self._turn > seen.turn:
                box.write(self._name, dump(Turn(self._turn, self._by, round(time.time(), 3))))

    def check(self) -> None:
        """The last thing before a step that cannot be taken back."""
        if not self._turn:
            return
        with self._directory.opened() as box:
            refuse_older(self._read(box), self._turn, self._what, self._path)

    def _read(self, box: Optional[Opened]) -> Turn:
        try:
            content = box.read(self._name) if box else None
            return NOBODY if content is None else parse(content)
        except Unbelievable as exc:
            raise Unbelievable(
                f"Which run worked on {self._what} last cannot be told ({self._path}): {exc}. Make"
                f" sure that none is at work, then remove it on this host: rm {self._path}"
            ) from None
