# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether what the files say is what runs. nginx tells nobody what it has read.

After each reload of ours it is written down what the files said, and which generation of workers
began with it. As long as that generation serves, that is what runs. Of one that somebody else began
it is known that it read the files before it began: what was changed later does not run. No I/O.
"""

import json
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.processes import (
    Generation,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import (
    believe,
    fields,
)

SCHEMA = 1
# A worker's start is known in hundredths of a second.
_TICK = 0.02
State = Tuple[int, int]


class Record(NamedTuple):
    """What was loaded. ``digests``: of each file without our marks; ``states``: whether each server
    of each upstream is out (0: in, 1: `down`, 2: `drain`), and its weight."""

    boot_id: str
    generation: Generation
    digests: Dict[str, str]
    states: Dict[str, State]


class Running(NamedTuple):
    """What is known of what runs. ``changed``: files that somebody changed and nobody loaded.

    ``states``: of what runs; None where nothing is known but what the files say.
    """

    changed: List[str]
    states: Dict[str, State]


def dump(record: Record) -> bytes:
    data = dict(record._asdict(), schema=SCHEMA, generation=list(record.generation))
    return json.dumps(data, sort_keys=True).encode() + b"\n"


def parse(content: bytes) -> Record:
    return believe(content, SCHEMA, _read)


def _read(found: Dict[str, Any]) -> Record:
    numbers = found["generation"]
    if len(numbers) != 3 or not all(isinstance(each, int) for each in numbers):
        raise ValueError("generation")
    return Record(
        generation=Generation(*numbers),
        digests={str(path): str(digest) for path, digest in found["digests"].items()},
        states={str(name): (int(one[0]), int(one[1])) for name, one in found["states"].items()},
        **fields(found, {"boot_id": (str,)}),
    )


def judge(
    record: Optional[Record],
    boot_id: str,
    generation: Generation,
    began: float,
    digests: Dict[str, str],
    states: Dict[str, State],
    written: Dict[str, float],
) -> Running:
    """``began``: when the generation began; ``written``: when each file was last changed (both
    seconds since the epoch); the rest is what the files say now."""
    if record and record.boot_id == boot_id and record.generation == generation:
        changed = sorted(
            path
            for path in set(digests) | set(record.digests)
            if digests.get(path) != record.digests.get(path)
        )
        return Running(changed, record.states)
    later = sorted(path for path, at in written.items() if at > began + _TICK)
    return Running(later, states)
