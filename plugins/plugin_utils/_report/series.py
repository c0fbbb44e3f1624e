# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the balancers' counters at each look to curves: what users asked for, lost and waited for.

A curve has one value for each interval between two looks, the mean over it: nothing is known of
what went on within. A balancer whose process is another one counts from 0 again, unless it took its
counters over; where that cannot be told, what is likely is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._counters import (
    Process,
    Reading,
    readings,
)

INTERVALS = 240
# Looks at all hosts at once come together; a rate over less than this says nothing.
SHORTEST = 0.5

Counters = Mapping[str, Any]
Look = Mapping[str, Any]


def curves(told: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """By balancer: ``reloads`` (epoch seconds), ``total`` and ``servers``.

    Each curve has ``requests`` and ``errors`` (sums), ``edges`` (epoch seconds, one more than there
    are intervals), and per interval ``requests_per_s``, ``errors_per_s`` and ``response_ms`` (null
    where the balancer says nothing).
    """
    looks: dict[str, list[Look]] = {}
    for event in told:
        if event["kind"] == "counters":
            looks.setdefault(event["balancer"], []).append(event)
    return {name: _of_balancer(each) for name, each in looks.items()}


def _of_balancer(looks: Iterable[Look]) -> dict[str, Any]:
    ordered = sorted(looks, key=lambda look: float(look["at"]))
    names = list(dict.fromkeys(name for look in ordered for name in look["servers"]))
    whole = [look for look in ordered if look["totals"]]
    went_on = _Restarts()
    return {
        "reloads": [
            after["at"] for before, after in pairwise(ordered) if before["pid"] != after["pid"]
        ],
        "total": _curve(
            whole, lambda look: _sum(look["totals"].values()), _seen_by_users, went_on.of_totals
        ),
        "servers": {
            name: _curve(
                [look for look in ordered if name in look["servers"]],
                _server(name),
                _of_server,
                went_on.of(name),
            )
            for name in names
        },
    }


class _Restarts:
    """Whether the counters went on between two looks, where the process is another one."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], dict[tuple[str, str], Reading]] = {}

    def of_totals(self, before: Look, after: Look) -> bool:
        return all(
            each.likely == "continued"
            for (kind, _name), each in self._read(before, after).items()
            if kind == "totals"
        )

    def of(self, server: str) -> Callable[[Look, Look], bool]:
        return lambda before, after: (
            self._read(before, after)["servers", server].likely == "continued"
        )

    def _read(self, before: Look, after: Look) -> dict[tuple[str, str], Reading]:
        pair = id(before), id(after)
        if pair not in self._known:
            rows = {
                (kind, name): (before[kind].get(name) or {}, row)
                for kind in ("servers", "totals")
                for name, row in after[kind].items()
            }
            self._known[pair] = readings(_process(before), _process(after), rows)
        return self._known[pair]


def _process(look: Look) -> Process:
    return Process(look["pid"] or 0, look.get("uptime"), look.get("served"))


def _apart(ordered: Sequence[Look]) -> list[Look]:
    """The first, the last, and between them those that are far enough from each other."""
    if len(ordered) < 3:
        return list(ordered)
    first, last = ordered[0], ordered[-1]
    least = max((last["at"] - first["at"]) / INTERVALS, SHORTEST)
    kept = [first]
    for before, look in pairwise(ordered):
        # The last look at a process tells what would be lost with it.
        if look["pid"] != before["pid"] and kept[-1] is not before:
            kept.append(before)
        if look["at"] - kept[-1]["at"] >= least:
            kept.append(look)
    if kept[-1] is not last:
        # Not with two that are too near at the end either.
        keep = kept[-1]["pid"] != last["pid"] or len(kept) == 1
        kept = [*(kept if keep else kept[:-1]), last]
    return kept


def _server(name: str) -> Callable[[Look], Counters]:
    return lambda look: look["servers"].get(name) or {}


def _sum(rows: Iterable[Counters]) -> dict[str, Any]:
    """Of several backends; a mean time by their requests would need more than is known."""
    total: dict[str, Any] = {}
    for row in rows:
        for name, value in row.items():
            if not isinstance(value, (int, float)):
                continue
            together = max(value, total.get(name, 0)) if name.endswith("time") else value
            total[name] = together if name.endswith("time") else total.get(name, 0) + value
    return total


def _curve(
    ordered: Sequence[Look],
    read: Callable[[Look], Counters],
    count_errors: Callable[[Counters], int],
    went_on: Callable[[Look, Look], bool],
) -> dict[str, Any]:
    looks = _apart(ordered)
    requests, errors, times = [], [], []
    for before, after in pairwise(looks):
        old, new = read(before), read(after)
        if before["pid"] != after["pid"] and not went_on(before, after):
            old = {}
        requests.append(_risen(old, new, _requests))
        errors.append(_risen(old, new, count_errors))
        # The mean of the last 1024 requests, however old: without a request it is old news.
        asked = requests[-1] > 0 and isinstance(new.get("rtime"), (int, float))
        times.append(new["rtime"] if asked else None)
    spans = [max(after["at"] - before["at"], 0.001) for before, after in pairwise(looks)]
    return {
        "requests": sum(requests),
        "errors": sum(errors),
        "edges": [look["at"] for look in looks],
        "requests_per_s": [
            round(value / span, 3) for value, span in zip(requests, spans, strict=True)
        ],
        "errors_per_s": [round(value / span, 3) for value, span in zip(errors, spans, strict=True)],
        "response_ms": times,
    }


def _risen(old: Counters, new: Counters, count: Callable[[Counters], int]) -> int:
    before, after = count(old), count(new)
    # Fewer than before: they were cleared, or are of a process with the same pid.
    return after - before if after >= before else after


def _requests(row: Counters) -> int:
    value = row.get("req_tot")
    return int(value if value is not None else row.get("stot") or 0)


def _seen_by_users(row: Counters) -> int:
    """As the circuit breaker counts them; a broken connection only where there is no HTTP."""
    if row.get("hrsp_5xx") is not None:
        return int(row["hrsp_5xx"])
    return int(row.get("econ") or 0) + int(row.get("eresp") or 0)


def _of_server(row: Counters) -> int:
    """As the gate counts them: a user may have been sent to another server instead."""
    return sum(int(row.get(name) or 0) for name in ("hrsp_5xx", "econ", "eresp"))
