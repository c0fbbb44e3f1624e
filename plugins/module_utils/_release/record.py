# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release is: its name, its record, and when to believe one that is there.

A release is built in ``.build-<random>`` and then gets its name by one rename. Scripts and
byte-code hold the path they were built at, so the temporary name is exactly as long as the
final one: the path is replaced in place, in text and binary files alike, and nothing moves.
"""

import hashlib
import json
import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

SCHEMA = 1
RECORD = "release.json"
LOCK = ".build.lock"
BUILD = ".build-"
SCRATCH = ".tmp-"
_ID = re.compile(r"^(adopted-)?[0-9][0-9A-Za-z.+]*-py[0-9]+\.[0-9]+-[0-9a-f]{8}$")

# A build writes a few thousand small files; a full inode table says "No space left" too.
MIN_FREE_INODES = 20000

# How a release is tried, by what an operator may say.
_TRIALS = {"boot": "boot", "true": "boot", "yes": "boot", "on": "boot", "1": "boot"}
_TRIALS.update({"import": "import", "false": "import", "no": "import", "off": "import"})
_TRIALS.update({"0": "import", "none": "none"})


def trial_of(value: Any) -> str:
    """``boot``, ``import`` or ``none``; what was a boolean once is still taken."""
    told = _TRIALS.get(str(value).lower()) if value is not None else None
    if told is None:
        raise FleetError(
            f"release_boot_test is {value!r}: give boot, import or none (true is boot, false is"
            " import)."
        )
    return told


def inputs_sha256(inputs: Mapping[str, Any]) -> str:
    """One hash of everything that decides what a release holds."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def release_id(gunicorn: str, python: str, sha256: str) -> str:
    """The name of a release: ``23.0.0-py3.11-1a2b3c4d``."""
    return "{}-py{}-{}".format(gunicorn, ".".join(python.split(".")[:2]), sha256[:8])


def is_release_id(name: str) -> bool:
    """Whether a directory's name is a release's."""
    return bool(_ID.match(name))


def build_name(identity: str, random_hex: str) -> str:
    """A temporary name, as long as the final one and found nowhere else."""
    room = len(identity) - len(BUILD)
    if room < 6:
        raise FleetError(f"{identity!r} is too short for the name of a release")
    return BUILD + (random_hex * room)[:room]


def is_build_name(name: str) -> bool:
    """Whether a directory is a build's, finished or not: the place or its scratch."""
    return name.startswith((BUILD, SCRATCH))


def dumps(record: Mapping[str, Any]) -> str:
    """The text of release.json."""
    return json.dumps(record, indent=2, sort_keys=True) + "\n"


def parse_record(text: str, identity: str) -> Dict[str, Any]:
    """release.json as it must be, or why it is not."""
    try:
        record = json.loads(text)
    except ValueError as exc:
        raise FleetError(f"its {RECORD} is not JSON ({exc})") from exc
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise FleetError(f"its {RECORD} is of a schema that is not known here")
    if record.get("id") != identity:
        raise FleetError(
            "its {} is that of another release ({!r})".format(RECORD, record.get("id"))
        )
    if record.get("adopted"):
        # Somebody else built it: nothing is promised of it but its name.
        return dict({"freeze": [], "gunicorn": "", "python_version": "", "checks": {}}, **record)
    for key, kind in (("gunicorn", str), ("python_version", str), ("freeze", list)):
        if not isinstance(record.get(key), kind):
            raise FleetError(f"its {RECORD} lacks {key!r}")
    return record


def changed_since(recorded: Sequence[str], installed: Sequence[str]) -> List[str]:
    """What somebody installed into, or removed from, a release after it was built."""
    gone = ["-" + name for name in sorted(set(recorded) - set(installed))]
    return gone + ["+" + name for name in sorted(set(installed) - set(recorded))]


class Space(NamedTuple):
    """What is free where releases are built."""

    free_mb: int
    free_inodes: Optional[int]


def check_space(space: Space, min_free_mb: int, place: str) -> None:
    """Refuse to begin what would fill the disk."""
    if space.free_mb < min_free_mb:
        raise FleetError(
            f"{place} has {space.free_mb} MiB free and a build wants {min_free_mb} "
            "(release_min_free_mb). Remove old releases or make room; nothing was written."
        )
    if space.free_inodes is not None and space.free_inodes < MIN_FREE_INODES:
        raise FleetError(
            f"{place} has {space.free_inodes} free inodes and a build wants {MIN_FREE_INODES}. "
            "Remove old releases or make room; nothing was written."
        )


def summary(record: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """The part of a record that a diff shows."""
    if record is None:
        return {}
    return {
        "id": record["id"],
        "gunicorn": record["gunicorn"],
        "python": record["python_version"],
        "packages": list(record["freeze"]),
    }
