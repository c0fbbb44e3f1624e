# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate of the soak, look by look: all of its decisions. Pure; the clock is passed in.

A soak has a state, plain data that is kept between looks. ``begin`` makes it, ``look`` takes what
was seen and returns the next one, with ``verdict`` (of `verdict.ORDER`), ``judged`` (as of its
``judge``) and ``done``: whether the gate needs no more looks. The playbook and ``make bench-gate``
call these.

What is broken (health, the arbiter, an absolute event, an operator's own limit) fails at once. What
is counted is judged against normal (`normal`). What may be over in a moment, a worker that is
being replaced, fails if it lasts. Where something speaks against the server and nothing is proven,
the gate looks on beyond the soak; what it still cannot tell then is undecided.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.judge import (
    Sample,
    judge_canary,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.model import (
    RULES,
    Rule,
    Settings,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.normal import (
    CLEAR,
    ODD,
    Count,
    Measure,
    Plan,
    believed,
    is_odd,
    is_proven,
    is_worse,
    over_its_past,
    over_same_time,
    speaks_against,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.normal_words import (
    measure_words,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.soak_windows import (
    watch_begin,
    watch_more,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.tolerance import (
    TOLD_SINCE,
    is_told,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.verdict import (
    BUDGET,
    PASSING,
    WAITS,
    Finding,
    carried,
    findings,
    last_seen,
    summary,
    worst,
)

State = Mapping[str, Any]
# Of what is counted, by the names that an operator knows: where it is in a window.
COUNTERS = {"http_5xx": "errors", "connection_errors": "connection_errors"}
# The share of a gate's false alarms, and the least rise of the rate that is acted upon.
WEIGHTS = {"http_5xx": 0.55, "connection_errors": 0.12, "log": 0.30, "times": 0.03}
FLOOR = RULES["errors"].tolerance
# So many events may count as one: in traffic, in a log (all workers at once, and again).
BURST_TRAFFIC, BURST_LOG = 100.0, 10.0
# What may be over in a moment fails when so many looks in a row have seen it.
LASTS = 3
# Where no log could have told: of each event that many are taken for usual.
ASSUMED = Count(480, 24.0)
# Most answers are errors, in this many windows in a row, and that many of them.
STORM_WINDOWS, STORM_SHARE, STORM_LEAST = 2, 0.5, 20
# Times are judged by blocks; fewer windows have none to speak of.
TIMED_FROM = 12
MOST_WINDOWS = 240


class Given(NamedTuple):
    """What a soak is told when it begins.

    ``server``: as the balancers name it. ``beside``: those that do not run the stage; ``passed``:
    those that do. ``soak``, ``most``: looks. ``gates``: gates of the whole run. ``started``: when
    the generation began, by the clock of its host. ``events``: of the log, that have a normal.
    ``undecided``: ``pass`` or ``stop``. ``past``: of `past_of`. ``before``: the arbiter that ran
    before the drain, ``gunicorn`` and ``started``.
    """

    server: str
    soak: int
    most: int
    gates: int = 1
    beside: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    started: float = 0.0
    events: tuple[str, ...] = ()
    tolerance: Mapping[str, Any] = {}
    undecided: str = "pass"
    past: Mapping[str, Any] = {}
    before: Mapping[str, Any] = {}


def begin(results: Sequence[Mapping[str, Any]], at: float, given: Mapping[str, Any]) -> State:
    """Begin with results of haproxy_server_info for all balancers; ``given``: shaped as `Given`."""
    told = Given(**given)
    return {
        "given": told._replace(
            soak=int(told.soak),
            most=max(int(told.soak), int(told.most)),
            gates=max(1, int(told.gates)),
            started=float(told.started or 0),
        )._asdict(),
        "watch": watch_begin(results, at),
        "baseline": list(results),
        "seen": list(results),
        "log": {"at": float(told.started or 0), "counts": {}, "windows": []},
        "log_past": {},
        "log_beside": {},
        "lasting": {},
        "look": 0,
        "done": False,
        "verdict": "error",
        "judged": {},
        "words": "",
    }


def look(state: State, seen: Mapping[str, Any], number: int, at: float) -> State:
    """Judge one more look.

    ``seen``: as `verdict.judge` takes it, without ``baseline``; with ``log_past`` (`history_of`)
    and ``log_beside`` (`_log_beside`) where they were asked for.
    """
    given = Given(**state["given"])
    plan = Plan(given.soak, given.most, given.gates)
    balancers = list(seen.get("balancers") or [])
    baseline = carried(state["baseline"], state["seen"], balancers)
    watch = watch_more(state["watch"], balancers, at, given.server, given.beside or given.passed)
    log = _log_more(state["log"], seen.get("log") or {}, given.events)
    now = {
        **state,
        "watch": watch,
        "baseline": baseline,
        "seen": last_seen(state["seen"], balancers),
        "log": log,
        "log_past": seen.get("log_past") or state["log_past"],
        "log_beside": _log_beside(seen.get("log_beside") or [], given.events),
        "look": number,
    }
    whole = {**seen, "baseline": baseline, "balancer_tolerance": given.tolerance}
    found, lasting = _lasting(findings(whole), state["lasting"])
    measures = list(_log_measures(now, given))
    if seen.get("balanced", True):
        measures = [*_traffic(watch, given), *measures]
    verdict, reasons, done = _decide(found, measures, watch, given, plan, number)
    judged = {
        "verdict": verdict,
        "reasons": reasons,
        "summary": summary(whole),
        "stop": any(each.kind == BUDGET for each in found),
    }
    return {
        **now,
        "lasting": lasting,
        "verdict": verdict,
        "judged": judged,
        "done": done,
        "words": _words(measures, given, number, plan),
    }


def _decide(
    found: Sequence[Finding],
    measures: Sequence[Measure],
    watch: Mapping[str, Any],
    given: Given,
    plan: Plan,
    number: int,
) -> tuple[str, list[str], bool]:
    """The verdict, why, and whether the gate is done."""
    hard = worst(found)
    reasons = [each.reason for each in found]
    worse = [
        measure_words(each, given.beside or given.passed, "more than normal")
        for each in measures
        if is_worse(each, plan, number)
    ]
    worse += _slower(watch, given, plan, number) + _storm(watch, given)
    if worse or hard == "fail":
        return "fail", worse + reasons, True
    strained = [each for each in found if each.kind in PASSING]
    others = [each for each in found if each not in strained]
    if number < plan.soak:
        return worst(others), reasons, False
    # Who is looked at beyond the soak is looked at until nothing is left that is odd.
    odd = [each for each in measures if is_odd(each, ODD if number == plan.soak else CLEAR)]
    open_ones = [each for each in measures if not _proven(each)]
    # A metric that tells nothing yet, or could not be asked, may do so by the next look.
    waits = [each for each in found if each.kind == WAITS]
    wanted = bool(odd or strained or waits) or (given.undecided == "stop" and bool(open_ones))
    if wanted and number < plan.most:
        return worst(others), reasons, False
    against = [each for each in measures if speaks_against(each, plan)]
    kept = against + (
        [each for each in open_ones if each not in against] if given.undecided == "stop" else []
    )
    undecided = [
        measure_words(each, given.beside or given.passed, "undecided")
        + ("" if each in against else " (gate_undecided is stop)")
        for each in kept
    ]
    if undecided or strained:
        return worst([*others, Finding("inconclusive", "")]), undecided + reasons, True
    return worst(others), reasons, True


def _proven(measure: Measure) -> bool:
    """Whether there is traffic enough to rule out a rise that is worth acting upon."""
    return measure.name != "http_5xx" or is_proven(measure, RULES["errors"].change)


# --- what may be over in a moment ----------------------------------------------------------------


def _lasting(
    found: Sequence[Finding], before: Mapping[str, int]
) -> tuple[list[Finding], dict[str, int]]:
    kinds = {each.kind for each in found if each.kind in PASSING}
    lasting = {kind: int(before.get(kind, 0)) + 1 for kind in kinds}
    told = [
        each._replace(verdict="inconclusive", reason=f"{each.reason} (perhaps for a moment)")
        if lasting.get(each.kind, LASTS) < LASTS
        else each
        for each in found
    ]
    return told, lasting


# --- what the balancers count --------------------------------------------------------------------


def past_of(then: Any, now: Any, server: str) -> dict[str, Any]:
    """What the balancers had counted of a server before its drain.

    ``then``, ``now``: results of haproxy_server_info, when the run began and right before the
    drain. ``{"recent": {"requests", "errors", "connection_errors"}, "long": the same}``; ``long``
    is since the balancers began to count.
    """
    return {"recent": _risen(then, now, server), "long": _risen([], now, server)}


def own_look(results: Any, server: str) -> list[dict[str, Any]]:
    """What `past_of` needs of results of haproxy_server_info for one server, to be kept."""
    found = []
    for result in results or []:
        rows = [row for each in result.get("backends") or [] for row in each.get("servers") or []]
        rows += result.get("servers") or []
        kept = {
            (row["backend"], row["server"]): {
                key: row[key] for key in ("backend", "server", "counters")
            }
            for row in rows
            if row.get("server") == server and "counters" in row
        }
        found.append({"item": result.get("item", ""), "servers": list(kept.values())})
    return found


def _risen(then: Any, now: Any, server: str) -> dict[str, int]:
    from_nothing = not then
    begun = {str(each.get("item", "")): each for each in then or []}
    found = {"requests": 0, "errors": 0, "connection_errors": 0}
    for result in now or []:
        old = begun.get(str(result.get("item", "")))
        if old is None and not from_nothing:
            continue
        rows, earlier = _own_rows(result, server), _own_rows(old or {}, server)
        for key, row in rows.items():
            was = earlier.get(key, {})
            if not from_nothing and (not was or any(row[name] < was[name] for name in row)):
                # It was not there, or began to count anew: nothing is known.
                continue
            for name in found:
                found[name] += row[name] - was.get(name, 0)
    return found


def _own_rows(result: Mapping[str, Any], server: str) -> dict[tuple[str, str], dict[str, int]]:
    rows = [row for each in result.get("backends") or [] for row in each.get("servers") or []]
    return {
        (row["backend"], row["server"]): {
            "requests": int(row["counters"].get("stot") or 0),
            "errors": int(row["counters"].get("hrsp_5xx") or 0),
            "connection_errors": sum(
                int(row["counters"].get(name) or 0) for name in ("econ", "eresp")
            ),
        }
        for row in [*rows, *(result.get("servers") or [])]
        if row.get("server") == server and "counters" in row
    }


def _traffic(watch: Mapping[str, Any], given: Given) -> Iterator[Measure]:
    for name, key in COUNTERS.items():
        samples = [
            Sample(
                window["canary"][key],
                float(window["canary"]["requests"]),
                window["baseline"][key] or 0,
                float(window["baseline"]["requests"]),
            )
            for window in watch["windows"]
            if window["canary"][key] is not None
        ]
        mine = Count(
            sum(each.canary for each in samples), sum(each.canary_exposure for each in samples)
        )
        long, recent = (
            Count(int(part.get(key) or 0), float(part.get("requests") or 0))
            for part in (given.past.get("long") or {}, given.past.get("recent") or {})
        )
        past = believed(long, recent)
        weight = WEIGHTS[name]
        yield Measure(
            name,
            weight,
            weight,
            FLOOR,
            mine,
            over_same_time(samples, BURST_TRAFFIC),
            not given.beside,
            over_its_past(samples, past, BURST_TRAFFIC),
        )


def _slower(watch: Mapping[str, Any], given: Given, plan: Plan, number: int) -> list[str]:
    """Response times against the servers beside it; nothing is known of other times."""
    if not given.beside or len(watch["windows"]) < TIMED_FROM:
        return []
    limit = plan.alpha * plan.share(number) * WEIGHTS["times"]
    rule = Rule(1.0, RULES["times"].tolerance, RULES["times"].change, False)
    alone = Settings(false_alarm=limit, false_alarm_rollout=limit, rules={"times": rule})
    try:
        judged = judge_canary(watch["windows"], alone)
    except FleetError:
        return []
    return list(judged["reasons"]) if judged["verdict"] == "fail" else []


def _storm(watch: Mapping[str, Any], given: Given) -> list[str]:
    """Most of the answers are errors, and those of nobody else are: no test is needed."""
    windows = watch["windows"][-STORM_WINDOWS:]
    if len(windows) < STORM_WINDOWS:
        return []
    sides = []
    for side in ("canary", "baseline"):
        shares = []
        for window in windows:
            arm = window[side]
            bad = (arm["errors"] or 0) + (arm["connection_errors"] or 0)
            shares.append((bad, int(arm["requests"])))
        sides.append(shares)
    mine, others = sides
    if sum(bad for bad, _of in mine) < STORM_LEAST:
        return []
    if not all(of and bad / of > STORM_SHARE for bad, of in mine):
        return []
    beside, asked = (sum(each) for each in zip(*others, strict=True))
    if asked and beside / asked > STORM_SHARE / 2:
        return []
    bad, of = (sum(each) for each in zip(*mine, strict=True))
    return [f"{bad} of its last {of} answers are 5xx or broken connections"]


# --- what the log tells --------------------------------------------------------------------------


def _log_more(
    before: Mapping[str, Any], log: Mapping[str, Any], events: Sequence[str]
) -> dict[str, Any]:
    """Add what the log told since the last look. A look that failed tells nothing."""
    if "counts" not in log or not log.get("at"):
        return dict(before)
    sure = _sure(log, events)
    seconds = max(0.0, float(log["at"]) - float(before["at"]))
    rise = {
        name: max(0, count - int(before["counts"].get(name, 0))) for name, count in sure.items()
    }
    windows = [*before["windows"], {"seconds": seconds, "counts": rise}]
    if len(windows) > MOST_WINDOWS:
        windows = [_joined(windows[i : i + 2]) for i in range(0, len(windows), 2)]
    return {"at": float(log["at"]), "counts": sure, "windows": windows}


def _joined(windows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = {name for window in windows for name in window["counts"]}
    return {
        "seconds": math.fsum(float(window["seconds"]) for window in windows),
        "counts": {
            name: sum(window["counts"].get(name, 0) for window in windows) for name in names
        },
    }


def _sure(log: Mapping[str, Any], events: Sequence[str]) -> dict[str, int]:
    """What is certain to be of the generation, of the events that have a normal."""
    unsure = log.get("unsure") or {}
    counts = log.get("counts") or {}
    found = {name: int(counts.get(name, 0)) - int(unsure.get(name, 0)) for name in events}
    return {name: count for name, count in found.items() if count > 0}


def odd_events(log: Any, events: Sequence[str]) -> list[str]:
    """Which events of a log are to be compared with what is normal, so that it is worth asking."""
    return sorted(_sure(log, events)) if isinstance(log, Mapping) else []


def history_of(log: Any, since: float, until: float) -> dict[str, Any]:
    """What a server's log told before its drain: ``{"since", "until", "counts"}``, or nothing.

    ``log``: of log_check, for the time from ``since`` to ``until``. A log that begins later tells
    of that much less.
    """
    if not isinstance(log, Mapping) or "counts" not in log or not log.get("oldest"):
        return {}
    begun = max(float(since), float(log["oldest"]))
    told = {"since": begun, "until": float(until), "counts": dict(log["counts"])}
    return told if begun < float(until) else {}


def _log_past(name: str, history: Mapping[str, Any], before: Mapping[str, Any]) -> Count | None:
    """Of one event, in hours of the time in which it would have been told."""
    if not history or not is_told(name, str(before.get("gunicorn") or "")):
        return None
    since = float(history["since"])
    if name in TOLD_SINCE:
        # What ran before that may have been silent of it.
        since = max(since, float(before.get("started") or 0))
    hours = (float(history["until"]) - since) / 3600
    return Count(int(history["counts"].get(name, 0)), hours) if hours > 0 else None


def _log_beside(results: Sequence[Any], events: Sequence[str]) -> dict[str, Any]:
    """What the logs of others told over the same time, of results of log_check in a loop.

    The items of the loop have ``gunicorn``. By event ``{"servers", "count"}``.
    """
    good = [each for each in results if isinstance(each, Mapping) and "counts" in each]
    found = {}
    for name in events:
        counts = [
            int(each["counts"].get(name, 0))
            for each in good
            if is_told(name, str((each.get("item") or {}).get("gunicorn") or ""))
        ]
        if counts:
            found[name] = {"servers": len(counts), "count": sum(counts)}
    return found


def _log_measures(now: State, given: Given) -> Iterator[Measure]:
    windows = now["log"]["windows"]
    hours = [float(window["seconds"]) / 3600 for window in windows]
    if not windows or not given.events:
        return
    weight = WEIGHTS["log"] / len(given.events)
    for name in given.events:
        counts = [int(window["counts"].get(name, 0)) for window in windows]
        if not any(counts):
            continue
        mine = Count(sum(counts), math.fsum(hours))
        samples = [Sample(x, each, 0, 0.0) for x, each in zip(counts, hours, strict=True)]
        same = None
        beside = now["log_beside"].get(name)
        if beside:
            # Their logs are read as a whole: the time is the same, whatever came when.
            others = _spread(samples, int(beside["count"]), int(beside["servers"]))
            same = over_same_time(others, BURST_LOG)
        known = _log_past(name, now["log_past"], given.before)
        assumed = known is None and same is None
        past = over_its_past(samples, ASSUMED if assumed else known or Count(0, 0.0), BURST_LOG)
        yield Measure(
            name, weight, WEIGHTS["log"], 0.0, mine, same, not given.beside, past, assumed
        )


def _spread(samples: Sequence[Sample], others: int, servers: int) -> list[Sample]:
    """Give each window of others its time, and all of their events to the last."""
    told = [each._replace(baseline_exposure=each.canary_exposure * servers) for each in samples]
    return [*told[:-1], told[-1]._replace(baseline=others)]


def _words(measures: Sequence[Measure], given: Given, number: int, plan: Plan) -> str:
    """What was compared with what, once the soak is over."""
    if number < plan.soak:
        return ""
    others = given.beside or given.passed
    return "; ".join(
        measure_words(each, others, "as before" if not is_odd(each) else "more, and not proven")
        for each in measures
        if each.mine.events or each.name == "http_5xx"
    )
