# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From looks at the balancers to the windows of the canary analysis.

A look holds HAProxy's counters since it started. Two looks make a window of deltas; a balancer that
was reloaded between them began at zero for all its servers at once, so what it has counted since is
taken, for both arms alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._canary_types import Arm, Window

# HAProxy's TIME_STATS_SAMPLES (2.0 to 3.x). The manual says 1024, the source 512, with weights that
# fall off exponentially rather than a sharp edge.
MEMORY = 512
_ANSWERS = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")
_Key = tuple[str, str, str]


def fresh_average(old: float, old_count: int, new: float, new_count: int) -> float | None:
    """The mean of the samples between two readings of HAProxy's moving average; None without any.

    ``old`` and ``new`` are what ``show stat`` said (ms), after so many samples since it started.
    Up to ``MEMORY`` samples it is a plain mean, from there on each sample moves it by 1/512; what
    the old reading still weighs in the new one is taken out. Readings are whole ms: the result is
    off by up to about 512 / (new samples) ms in one window, which cancels over neighbouring ones.
    """
    if new_count <= old_count:
        return None
    if new_count <= MEMORY:
        return max(0.0, (new * new_count - old * old_count) / (new_count - old_count))
    # Where the plain part ends, at MEMORY samples, the old reading weighs old_count / MEMORY.
    weight = min(1.0, old_count / MEMORY)
    weight *= (1 - 1 / MEMORY) ** (new_count - max(old_count, MEMORY))
    return max(0.0, (new - weight * old) / (1 - weight))


def windows_from_looks(
    looks: Sequence[Mapping[str, Any]], canary: Sequence[str], baseline: Sequence[str]
) -> list[Window]:
    """One window between each two looks, in the order of time.

    A look is ``{"at": seconds, "balancers": [results of haproxy_server_info], "incidents": {server:
    count so far}}``; ``incidents`` may be absent. ``canary`` and ``baseline`` name servers as
    the balancers do. Raises ``FleetError`` if a server is in both, or in no backend.
    """
    both = sorted(set(canary) & set(baseline))
    if both:
        raise FleetError(
            f"Canary analysis: {', '.join(both)} cannot be the canary and its baseline."
        )
    found = []
    for before, after in zip(looks, looks[1:], strict=False):
        old, new = _counters(before), _counters(after)
        old = {key: ({} if _reset(key, old, new) else row) for key, row in old.items()}
        seconds = float(after["at"]) - float(before["at"])
        arms = []
        for names in (canary, baseline):
            mine = [key for key in new if key[2] in names]
            lost = sorted(set(names) - {key[2] for key in mine})
            if lost:
                raise FleetError(
                    f"Canary analysis: the balancers have no server {', '.join(lost)}; they have"
                    f" {', '.join(sorted({key[2] for key in new})) or 'none'}. Name servers as the"
                    " balancer's configuration does."
                )
            arms.append(
                _arm([(old.get(key, {}), new[key]) for key in mine])._replace(
                    incidents=_incidents(before, after, names),
                    server_seconds=seconds * len(names),
                )
            )
        found.append(Window(seconds, *arms))
    return found


def _counters(look: Mapping[str, Any]) -> dict[_Key, Mapping[str, Any]]:
    """(balancer, backend, server) -> counters, with the balancer's process beside them."""
    found: dict[_Key, Mapping[str, Any]] = {}
    for result in look.get("balancers") or []:
        node = result.get("node") or {}
        where = str(result.get("item", "")) or str(node.get("name", ""))
        for backend in result.get("backends") or []:
            for server in backend["servers"]:
                found[where, server["backend"], server["server"]] = {
                    **server["counters"],
                    "_pid": node.get("pid"),
                }
    return found


def _reset(
    key: _Key, old: Mapping[_Key, Mapping[str, Any]], new: Mapping[_Key, Mapping[str, Any]]
) -> bool:
    """Whether the balancer began to count anew: another process, or any of its counters fell."""
    for other, row in new.items():
        if other[0] != key[0] or other not in old:
            continue
        past = old[other]
        if past["_pid"] != row["_pid"]:
            return True
        if any(int(row.get(name) or 0) < int(past.get(name) or 0) for name in ("stot", *_ANSWERS)):
            return True
    return False


def _arm(pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Arm:
    def risen(*names: str) -> int | None:
        if not any(name in new for _old, new in pairs for name in names):
            return None  # such as the HTTP statuses of a backend in TCP mode
        return sum(
            int(new.get(name) or 0) - int(old.get(name) or 0)
            for old, new in pairs
            for name in names
        )

    times: list[tuple[int, float]] = []
    for old, new in pairs:
        was, now = _answers(old), _answers(new)
        fresh = fresh_average(float(old.get("ttime") or 0), was, float(new.get("ttime") or 0), now)
        if fresh is not None and "ttime" in new:
            times.append((now - was, fresh))
    weight = sum(count for count, _mean in times)
    return Arm(
        requests=risen("stot") or 0,
        errors=risen("hrsp_5xx"),
        connection_errors=risen("econ", "eresp"),
        time_ms=math.fsum(count * mean for count, mean in times) / weight if weight else None,
    )


def _answers(row: Mapping[str, Any]) -> int:
    return sum(int(row.get(name) or 0) for name in _ANSWERS)


def _incidents(
    before: Mapping[str, Any], after: Mapping[str, Any], names: Sequence[str]
) -> int | None:
    old, new = before.get("incidents") or {}, after.get("incidents") or {}
    if not all(name in new for name in names):
        return None
    return sum(int(new[name]) - int(old.get(name) or 0) for name in names)
