# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Did a balancer go on counting between two looks, or did it begin again at 0?

A counter that fell began again: after a restart, a reload, or ``clear counters all``. Of one that
did not fall another process proves nothing: HAProxy 3.0 takes its counters over from a
``stats-file``, and since 3.3 out of shared memory; and one that began at 0 may have passed what the
one before had counted. What the process says that it served itself (``node.requests``, which no
file brings along) decides where it can. Where nothing does, both readings stand, and whoever asks
takes the one that is safe there.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

Counters = Mapping[str, Any]
Key = TypeVar("Key", bound=Hashable)

# What only ever grows, in the rows of servers and of backends, and is taken over where any is.
GROWING = (
    "stot", "req_tot", "bin", "bout", "econ", "eresp", "wretr", "wredis",
    "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other",
)  # fmt: skip
# A connection that is tried again is counted again: up to `retries` times, 3 unless set otherwise.
_TRIES = 4
# Fewer than these are passed by chance; of more a restart would have to catch up.
_MANY = 1000
# How far from that of its own past a process' pace may be.
_PACE = 3.0


class Process(NamedTuple):
    """The process behind a look; 0 and None: not known."""

    pid: int
    uptime: float | None = None
    served: int | None = None


class Reading(NamedTuple):
    """What two looks at one balancer can mean.

    ``continued``: it may have gone on counting. ``anew``: it may have begun at 0. ``likely``: which
    of the two to show where only one can be shown, ``continued`` or ``anew``.
    """

    continued: bool
    anew: bool
    likely: str

    @property
    def sure(self) -> bool:
        """Whether only one reading is left."""
        return self.continued != self.anew

    def ways(self) -> tuple[bool, ...]:
        """Each reading that stands: True for one that went on counting."""
        return (True,) * self.continued + (False,) * self.anew


CONTINUED = Reading(True, False, "continued")
ANEW = Reading(False, True, "anew")


def process_of(node: Mapping[str, Any] | None) -> Process:
    """From ``node`` of haproxy_server_info, or what was kept of it."""
    node = node or {}
    uptime, served = node.get("uptime"), node.get("requests")
    return Process(
        int(node.get("pid") or 0),
        None if uptime in (None, "") else float(uptime),
        None if served in (None, "") else int(served),
    )


def readings(
    before: Process, after: Process, rows: Mapping[Key, tuple[Counters, Counters]]
) -> dict[Key, Reading]:
    """How the counters of each of the ``rows`` (before, after) of one balancer are to be compared.

    One that fell speaks for all of them: they were begun together. Only what cannot have come since
    was taken over all the same: a ``stats-file`` knows no object without a ``guid``.
    """
    known = {key: pair for key, pair in rows.items() if pair[0]}
    fell = {key for key, (old, new) in known.items() if _fell(old, new)}
    taken = {key for key, (_old, new) in known.items() if _beyond(new, after.served)}
    other = before.pid != after.pid or (
        before.uptime is not None and after.uptime is not None and after.uptime < before.uptime
    )
    if fell:
        return {key: CONTINUED if key in taken - fell else ANEW for key in rows}
    if not other:
        return dict.fromkeys(rows, CONTINUED)
    likely = "anew" if _could_catch_up(before, after, known.values()) else "continued"
    # Where nothing had been counted the two say the same.
    return {
        key: CONTINUED if taken or not _total(old) else Reading(True, True, likely)
        for key, (old, _new) in rows.items()
    }


def rows_of(result: Mapping[str, Any]) -> dict[tuple[str, ...], Counters]:
    """The counters in a result of haproxy_server_info: (backend,), (backend, server)."""
    found: dict[tuple[str, ...], Counters] = {}
    for total in result.get("totals") or []:
        found[(str(total["backend"]),)] = total["counters"]
    inside = [row for backend in result.get("backends") or [] for row in backend["servers"]]
    for row in [*inside, *(result.get("servers") or [])]:
        # What a run keeps of its begin names the servers, and has counted for whole backends.
        if "counters" in row:
            found[str(row["backend"]), str(row["server"])] = row["counters"]
    return found


def results_read(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[tuple[str, ...], Reading]:
    """`readings` of two results of haproxy_server_info for one balancer, by the keys of rows_of."""
    old, new = rows_of(before), rows_of(after)
    return readings(
        process_of(before.get("node")),
        process_of(after.get("node")),
        {key: (old.get(key, {}), row) for key, row in new.items()},
    )


def since(before: Counters, after: Counters, continued: bool, *names: str) -> int:
    """By how much the sum of counters rose."""
    new = sum(int(after.get(name) or 0) for name in names)
    return new - sum(int(before.get(name) or 0) for name in names) if continued else new


def _beyond(new: Counters, served: int | None) -> bool:
    return served is not None and _count(new, "stot", "req_tot") > _TRIES * served


def _fell(old: Counters, new: Counters) -> bool:
    return any(int(new.get(name) or 0) < int(old.get(name) or 0) for name in GROWING if name in new)


def _could_catch_up(
    before: Process, after: Process, pairs: Iterable[tuple[Counters, Counters]]
) -> bool:
    """Whether a process that began at 0 can well have passed what the one before had counted."""
    pairs = list(pairs)
    old = sum(_count(row, "stot", "req_tot") for row, _new in pairs)
    new = sum(_count(row, "stot", "req_tot") for _old, row in pairs)
    if old < _MANY:
        return True
    if before.uptime is not None and after.uptime is not None:
        return new / max(after.uptime, 1.0) <= _PACE * old / max(before.uptime, 1.0)
    # Nothing is known of their ages. To end right beyond the old count would be a coincidence.
    return new > 1.5 * old


def _count(row: Counters, *names: str) -> int:
    return max(int(row.get(name) or 0) for name in names)


def _total(row: Counters) -> int:
    return sum(int(row.get(name) or 0) for name in GROWING)
