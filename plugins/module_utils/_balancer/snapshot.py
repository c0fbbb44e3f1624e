# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a drain found of a server in each backend, for whoever puts it back. No I/O."""

import json
from typing import Any, Dict, NamedTuple, Sequence

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import Found
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import (
    believe,
    fields,
)

SCHEMA = 1


class Memory(NamedTuple):
    """Of one server of one balancer. After a reboot it is void."""

    boot_id: str
    socket: str
    server: str
    found: Dict[str, Found]


def dump(memory: Memory) -> bytes:
    found = {backend: dict(each._asdict()) for backend, each in memory.found.items()}
    return (
        json.dumps(dict(memory._asdict(), schema=SCHEMA, found=found), sort_keys=True).encode()
        + b"\n"
    )


def parse(content: bytes) -> Memory:
    """The memory; anything else than a whole one of this schema is an error."""
    return believe(content, SCHEMA, _read)


def _read(record: Dict[str, Any]) -> Memory:
    found = {str(backend): _found(each) for backend, each in record["found"].items()}
    return Memory(
        found=found, **fields(record, {"boot_id": (str,), "socket": (str,), "server": (str,)})
    )


def _found(record: Dict[str, Any]) -> Found:
    if record["own"] not in ("", "ready", "drain", "maint") or not isinstance(
        record["agent"], bool
    ):
        raise ValueError("found")
    return Found(agent=record["agent"], **_numbers(record))


def _numbers(record: Dict[str, Any]) -> Dict[str, Any]:
    return fields(record, {"own": (str,), "stot": (int,), "pid": (int,)})


def replaced(
    before: Dict[str, Found], backends: Sequence[str], after: Dict[str, Found]
) -> Dict[str, Found]:
    """With what is now known of those backends, and nothing lost of the others."""
    kept = {backend: each for backend, each in before.items() if backend not in backends}
    return dict(kept, **{name: after[name] for name in backends if name in after})
