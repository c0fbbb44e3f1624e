# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a state file says, if it can be believed: JSON of one schema, whole, of the right kinds."""

import json
import time
from typing import Any, Callable, Dict, Tuple, TypeVar

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

_WORDS = 300
T = TypeVar("T")


class Unbelievable(FleetError):
    """The file is not a whole one of ours: what it should say is unknown."""


class Newer(Unbelievable):
    """A later version of the collection wrote it."""


def believe(content: bytes, schema: int, build: Callable[[Dict[str, Any]], T]) -> T:
    """What `build` makes of the file's record; anything else than a whole one is `Unbelievable`."""
    if not content.strip():
        raise Unbelievable("it is empty")
    try:
        record = json.loads(content.decode("utf-8"))
        found = record["schema"]
        if isinstance(found, int) and found > schema:
            raise Newer(f"a newer version wrote it (schema {found}, known here: {schema})")
        if found != schema:
            raise ValueError("schema")
        return build(record)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError):
        raise Unbelievable(f"it is damaged: {plain(repr(content[:80]))}") from None


def fields(record: Dict[str, Any], kinds: Dict[str, Tuple[type, ...]]) -> Dict[str, Any]:
    """Those of a record that was read; an error if one is absent or of another kind."""
    for key, kind in kinds.items():
        if not isinstance(record[key], kind) or isinstance(record[key], bool):
            raise ValueError(key)
    return {key: record[key] for key in kinds}


def plain(text: str) -> str:
    """One line without control characters, for a file and a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_WORDS]


def moment(epoch: float) -> str:
    """A time as people write it, in UTC; raises for one that no calendar has."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(epoch))
