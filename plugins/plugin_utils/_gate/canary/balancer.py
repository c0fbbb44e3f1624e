# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From looks at the balancers to the windows of the canary analysis.

A look holds HAProxy's counters since it started. Two looks make a window of deltas. A balancer that
began to count at 0 between them did so for all its servers at once, so what it has counted since is
taken, for both arms alike; where it cannot be told whether it did, nothing of it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._counters import (
    process_of,
    readings,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.model import (
    Arm,
    Window,
)

# HAProxy's TIME_STATS_SAMPLES (2.0 to 3.x). The manual says 1024, the source 512, with weights that
# fall off exponentially rather than a sharp edge.
MEMORY = 512
_ANSWERS = ("hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other")
_Key = tuple[str, str, str]
_HOURS = 600.0


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
        new = _counters(after)
        pairs = _pairs(before, after)
        seconds = _seconds(before, after)
        arms = []
        for names in (canary, baseline):
            lost = sorted(set(names) - {key[2] for key in new})
            if lost:
                raise FleetError(
                    f"Canary analysis: the balancers have no server {', '.join(lost)}; they have"
                    f" {', '.join(sorted({key[2] for key in new})) or 'none'}. Name servers as the"
                    " balancer's configuration does."
                )
            mine = [pair for key, pair in pairs.items() if key[2] in names]
            arms.append(
                _arm(mine)._replace(
                    incidents=_incidents(before, after, names),
                    server_seconds=seconds * len(names),
                )
            )
        found.append(Window(seconds, *arms))
    return found


def _seconds(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    """How long the window was. A balancer's own age is no matter of who sets which clock."""
    old = {_where(result): result.get("node") for result in before.get("balancers") or []}
    for result in after.get("balancers") or []:
        then, now = process_of(old.get(_where(result))), process_of(result.get("node"))
        if then.pid == now.pid and then.uptime is not None and now.uptime is not None:
            apart = now.uptime - then.uptime
            # In whole seconds, so only where it matters: hours, and clocks of two controllers.
            if apart > _HOURS:
                return apart
    return float(after["at"]) - float(before["at"])


def _where(result: Mapping[str, Any]) -> str:
    return str(result.get("item", "")) or str((result.get("node") or {}).get("name", ""))


def _counters(look: Mapping[str, Any]) -> dict[_Key, Mapping[str, Any]]:
    """(balancer, backend, server) -> counters."""
    return {
        (_where(result), server["backend"], server["server"]): server["counters"]
        for result in look.get("balancers") or []
        for backend in result.get("backends") or []
        for server in backend["servers"]
    }


def _pairs(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[_Key, tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """The counters of each server, as they were and as they are, to be subtracted."""
    old, new = _counters(before), _counters(after)
    was = {_where(result): result.get("node") for result in before.get("balancers") or []}
    found: dict[_Key, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    for result in after.get("balancers") or []:
        where = _where(result)
        if where not in was:
            # It was not asked, or did not answer: all that it has ever counted is no window.
            continue
        rows = {key: (old.get(key, {}), row) for key, row in new.items() if key[0] == where}
        read = readings(process_of(was.get(where)), process_of(result.get("node")), rows)
        if not all(each.sure for each in read.values()):
            continue
        for key, (past, row) in rows.items():
            found[key] = (past if read[key].continued else {}, row)
    return found


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
        if "rtime_count" in new:
            # Counted from each request: an exact sum needs no memory.
            count = int(new["rtime_count"]) - int(old.get("rtime_count") or 0)
            if count > 0:
                took = float(new["rtime_ms"]) - float(old.get("rtime_ms") or 0)
                times.append((count, max(0.0, took / count)))
            continue
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
