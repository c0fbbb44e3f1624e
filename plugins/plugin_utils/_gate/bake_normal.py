# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is counted of a server while a stage bakes there, against what is normal. Pure.

Once a stage is on every server there is nobody beside it to compare with, so normal is its own past
(`_normal`): what the balancers had counted of it when it passed, what its log told before its
gunicorn started. A bake is looked at once for the whole of its time, as at the end of a soak.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._counters import results_read
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.judge import Sample
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.normal import (
    Count,
    Measure,
    Plan,
    is_worse,
    over_its_past,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.normal_words import (
    measure_words,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.soak import (
    ASSUMED,
    BURST_LOG,
    BURST_TRAFFIC,
    FLOOR,
    WEIGHTS,
    odd_events,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.tolerance import is_told

COUNTERS = {"http_5xx": ("hrsp_5xx",), "connection_errors": ("econ", "eresp")}
# Cron comes every hour, for a day or so: each look is one more chance of a false alarm.
_LOOKS = 24
_VERSION = re.compile(r"(\d+(?:\.\d+)+)-py")


def judge_bake(gate: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict of the gate (`verdict.judge`), and of what is counted: ``verdict``, ``reasons``.

    ``given``: ``server``, as the balancers name it; ``then`` and ``now``, two looks of theirs (see
    `bake.bake_look`), the first when it passed; ``log``, a result of log_check for its generation;
    ``events`` of it that have a normal; ``age`` of the generation in seconds; ``history``
    (`_gate.soak.history_of`) and ``previous``, the release that ran before; ``servers`` that bake.
    """
    plan = Plan(1, 1, _LOOKS * max(1, int(given["servers"])))
    worse = [
        measure_words(each, [], "more than normal")
        for each in [*_traffic(given), *_log(given)]
        if is_worse(each, plan, 1)
    ]
    reasons = worse + list(gate.get("reasons") or [])
    return {"verdict": "fail" if worse else gate.get("verdict", "error"), "reasons": reasons}


def _traffic(given: Mapping[str, Any]) -> Iterator[Measure]:
    for name, counters in COUNTERS.items():
        before, since, asked_before, asked_since = 0, 0, 0, 0
        for then, now in _rows(given["then"], given["now"], str(given["server"])):
            before += _sum(then, *counters)
            since += _sum(now, *counters)
            asked_before += _sum(then, "stot")
            asked_since += _sum(now, "stot")
        mine, past = Count(since, float(asked_since)), Count(before, float(asked_before))
        sample = Sample(mine.events, mine.of, 0, 0.0)
        known = over_its_past([sample], past, BURST_TRAFFIC)
        yield Measure(name, WEIGHTS[name], WEIGHTS[name], FLOOR, mine, None, False, known)


def _rows(
    then: Mapping[str, Any], now: Mapping[str, Any], server: str
) -> Iterator[tuple[dict[str, int], dict[str, int]]]:
    """For each row of the server what had been counted, and what came since."""
    begun = {each["item"]: each for each in then.get("balancers") or []}
    for result in now.get("balancers") or []:
        old = begun.get(result["item"])
        if old is None:
            continue
        readings = results_read(old, result)
        known = _of(old, server)
        for key, counters in _of(result, server).items():
            if key not in known:
                continue
            was = known[key]
            taken_off = was if readings[key].likely == "continued" else {}
            yield was, {name: count - taken_off.get(name, 0) for name, count in counters.items()}


def _of(look: Mapping[str, Any], server: str) -> dict[tuple[str, ...], dict[str, int]]:
    return {
        (str(row["backend"]), server): {
            name: int(count or 0) for name, count in row["counters"].items()
        }
        for backend in look["backends"]
        for row in backend["servers"]
        if row["server"] == server
    }


def _sum(counters: Mapping[str, int], *names: str) -> int:
    return sum(counters.get(name, 0) for name in names)


def _log(given: Mapping[str, Any]) -> Iterator[Measure]:
    log, events = given.get("log") or {}, list(given["events"])
    history, hours = given.get("history") or {}, float(given.get("age") or 0) / 3600
    found = _VERSION.search(str(given.get("previous") or ""))
    before = found.group(1) if found else ""
    for name in odd_events(log, events):
        mine = int(log["counts"].get(name, 0)) - int((log.get("unsure") or {}).get(name, 0))
        told = bool(history) and is_told(name, before)
        past = ASSUMED
        if told:
            past = Count(
                int(history["counts"].get(name, 0)),
                (float(history["until"]) - float(history["since"])) / 3600,
            )
        sample = Sample(mine, hours, 0, 0.0)
        known = over_its_past([sample], past, BURST_LOG)
        weight = WEIGHTS["log"] / len(events)
        yield Measure(
            name, weight, WEIGHTS["log"], 0.0, Count(mine, hours), None, False, known, not told
        )
