# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operator's own metrics (``gate_metrics``): what to ask, and what an answer means. Pure.

A metric is ``{"name", "prometheus": {"url", "query"} or "http_json": {"url", "path"}, "rule",
"limit", "tolerance", "ignore_under", "window", "headers", "timeout"}``. More is worse. An answer is
one of the module metric_info: ``{"name", "who", "state", "value", "at", "error"}``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._few import few

UNDER, BEFORE, BESIDE = "under", "no_worse_than_before", "no_worse_than_beside"
RULES = (UNDER, BEFORE, BESIDE)
KINDS = ("prometheus", "http_json")
NEEDS = {"prometheus": ("url", "query"), "http_json": ("url", "path")}
OPTIONS = {
    *KINDS,
    *("name", "rule", "limit", "tolerance", "ignore_under", "window", "headers", "timeout"),
}
NUMBERS = {"tolerance": 0.1, "ignore_under": 0.0, "timeout": 5.0}
# The server itself, and the same one before its drain; any other `who` is a server beside it.
SELF, PAST = "", "before"
MOST_BESIDE = 4
_RANGE = re.compile(r"\[\s*((?:\d+(?:ms|[smhdwy]))+)")
_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}

Metric = Mapping[str, Any]


class Said(NamedTuple):
    """What one metric says: a verdict, and why."""

    verdict: str
    reason: str


def window_of(metric: Metric) -> float:
    """How many seconds an answer reads back: ``window``, or the widest range of the query."""
    if metric.get("window") is not None:
        return float(metric["window"])
    query = str((metric.get("prometheus") or {}).get("query", ""))
    widths = [
        math.fsum(int(count) * _SECONDS[unit] for count, unit in _PART.findall(found))
        for found in _RANGE.findall(query)
    ]
    return max(widths, default=0.0)


def questions(metrics: Sequence[Metric], who: str = SELF, at: float = 0) -> list[dict[str, Any]]:
    """What metric_info is to ask of one server's metrics.

    ``who``: `SELF`, or the name of a server beside it. With ``at``, seconds since the epoch, those
    of `BEFORE` are asked for that moment too.
    """
    asked = []
    for metric in metrics:
        if who != SELF and metric["rule"] != BESIDE:
            continue
        kind = "prometheus" if metric.get("prometheus") else "http_json"
        question = {
            "name": str(metric["name"]),
            "who": who,
            "kind": kind,
            "url": str(metric[kind]["url"]),
            "query": str(metric[kind].get("query", "")),
            "path": str(metric[kind].get("path", "")),
            "headers": dict(metric.get("headers") or {}),
            "timeout": float(metric.get("timeout", NUMBERS["timeout"])),
            "at": 0.0,
        }
        asked.append(question)
        if metric["rule"] == BEFORE and who == SELF and at:
            asked.append({**question, "who": PAST, "at": float(at)})
    return asked


def neighbour_questions(
    hosts: Iterable[Mapping[str, Any]], servers: Sequence[str]
) -> list[dict[str, Any]]:
    """Of at most four of ``hosts`` (their variables) that are ``servers`` of the balancers."""
    beside = []
    for host in hosts:
        name = str(host["inventory_hostname"])
        if str(host.get("load_balancer_server", name)) in servers:
            beside.append((name, host.get("gate_metrics") or []))
    return [each for name, metrics in beside[:MOST_BESIDE] for each in questions(metrics, name)]


def seen(metrics: Sequence[Metric], told: Any, servers: Sequence[str]) -> dict[str, Any]:
    """What a verdict needs of one look; nothing where there are no metrics. Without credentials.

    ``servers``: those that this one is compared with. Who goes back is compared with none, and then
    no metric is judged by what others tell.
    """
    judged = [each for each in metrics if servers or each["rule"] != BESIDE]
    if not judged:
        return {}
    rules = [{key: value for key, value in each.items() if key != "headers"} for each in judged]
    return {"metrics": rules, "told": dict(told or {})}


def judge_metrics(metrics: Sequence[Metric], told: Mapping[str, Any], started: float) -> list[Said]:
    """What each metric has against the server; nothing where all pass.

    ``told``: the result of metric_info. ``started``: when the generation began, seconds since the
    epoch. An answer that reads of an earlier time tells nothing of this generation.
    """
    if "answers" not in told:
        why = str(told.get("msg", "no result"))
        return [Said("error", f"could not ask for gate_metrics: {why}")] if metrics else []
    answers = {(each["name"], each["who"]): each for each in told["answers"]}
    return [said for metric in metrics for said in _judge(metric, answers, float(started or 0))]


def _judge(
    metric: Metric, answers: Mapping[tuple[str, str], Mapping[str, Any]], started: float
) -> Iterable[Said]:
    name = str(metric["name"])
    mine = answers.get((name, SELF))
    if mine is None:
        return [Said("error", f"metric {name} was not asked")]
    value, trouble = _value(name, mine, "")
    if trouble:
        return [trouble]
    read_from = float(mine["at"]) - window_of(metric)
    if read_from < started:
        late = started - read_from
        return [Said("inconclusive", f"metric {name} reads of {late:.0f} s before the switch")]
    if metric["rule"] == UNDER:
        limit = float(metric["limit"])
        if value < limit:
            return []
        return [Said("fail", f"metric {name} is {value:g}, not under {limit:g}")]
    others = {
        who: answer
        for (asked, who), answer in answers.items()
        if asked == name and who != SELF and (who == PAST) == (metric["rule"] == BEFORE)
    }
    values: dict[str, float] = {}
    troubles: list[Said] = []
    for who, answer in others.items():
        other, trouble = _value(name, answer, who)
        if trouble:
            troubles.append(trouble)
        else:
            values[who] = other
    if not values:
        return troubles or [
            Said(
                "inconclusive", f"metric {name} has nothing to be compared with ({metric['rule']})"
            )
        ]
    # Worse than each of them: no two servers are quite alike.
    worst = max(values.values())
    allowed = worst + abs(worst) * float(metric.get("tolerance", NUMBERS["tolerance"]))
    if value <= max(allowed, float(metric.get("ignore_under", NUMBERS["ignore_under"]))):
        return []
    where = (
        f"before {worst:g}" if metric["rule"] == BEFORE else f"{few(values)} beside it {worst:g}"
    )
    return [Said("fail", f"metric {name} is {value:g}, {where}: worse by more than tolerated")]


def _value(name: str, answer: Mapping[str, Any], who: str) -> tuple[float, Said | None]:
    of = f" of {who}" if who else ""
    state = answer["state"]
    if state == "error":
        return 0.0, Said("error", f"metric {name}{of} could not be asked: {answer['error']}")
    if state != "value":
        return 0.0, Said("inconclusive", f"metric {name}{of}: {answer['error']}")
    value = float(answer["value"])
    if not math.isfinite(value):
        return 0.0, Said("inconclusive", f"metric {name}{of} is {value}")
    return value, None


def refusals(told: Mapping[str, Any]) -> list[str]:
    """Why a run must not begin: metrics that cannot be asked, or whose answer is no one number."""
    if "answers" not in told:
        return [f"gate_metrics cannot be asked: {told.get('msg', 'no result')}"]
    return [
        f"gate_metrics: {each['name']}: {each['error'] or each['state']}. Nothing is touched:"
        " correct it, or take it out."
        for each in told["answers"]
        # Nothing measured yet, or no traffic: the soak may see more.
        if each["state"] in ("error", "several")
    ]


def alone_problems(metrics: Sequence[Metric], compared: bool) -> list[str]:
    """Of a run in which no server is `compared` with another."""
    return [
        f"gate_metrics: {each['name']} is to be {BESIDE}, and this server is compared with no other"
        f" (one server in the fleet, or rollout_canary is nothing). Give {UNDER} or {BEFORE}."
        for each in metrics
        if each["rule"] == BESIDE and not compared
    ]


def metrics_line(metrics: Sequence[Metric]) -> str:
    """All of them in one line, for the plan."""
    words = {BEFORE: "no worse than before", BESIDE: "no worse than beside"}
    return "Metrics in each soak: " + ", ".join(
        f"{each['name']} "
        + (f"under {float(each['limit']):g}" if each["rule"] == UNDER else words[each["rule"]])
        for each in metrics
    )


# --- the operator's input ------------------------------------------------------------------------


def metric_problems(given: Any, soak_most: float = math.inf) -> list[str]:
    """What is wrong with ``gate_metrics``; ``soak_most``: of gate_soak_max, in seconds."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        return ["gate_metrics is no list."]
    found, names = [], set()
    for number, metric in enumerate(given, 1):
        if not isinstance(metric, Mapping) or not str(metric.get("name") or ""):
            found.append(f"gate_metrics: number {number} has no name.")
            continue
        name = str(metric["name"])
        if name in names:
            found.append(f"gate_metrics: two are called {name}.")
        names.add(name)
        found += [f"gate_metrics: {name}: {each}" for each in _problems(metric, soak_most)]
    return found


def _problems(metric: Metric, soak_most: float) -> Iterable[str]:
    unknown = sorted(str(key) for key in set(metric) - OPTIONS)
    if unknown:
        yield f"there is no {few(unknown)}. Known are {', '.join(sorted(OPTIONS))}."
    kinds = [kind for kind in KINDS if metric.get(kind)]
    if len(kinds) != 1:
        yield "give one of prometheus and http_json."
        return
    source = metric[kinds[0]]
    if not isinstance(source, Mapping) or set(source) != set(NEEDS[kinds[0]]):
        yield f"{kinds[0]} takes {' and '.join(NEEDS[kinds[0]])}, and nothing else."
        return
    if not all(str(value).strip() for value in source.values()):
        yield f"{kinds[0]} has something empty."
    yield from _url_problems(str(source["url"]))
    rule = metric.get("rule")
    if rule not in RULES:
        yield f"rule is {rule}: give one of {', '.join(RULES)}."
    if rule == BEFORE and kinds[0] != "prometheus":
        yield f"{BEFORE} asks of the past, which only prometheus can. Give {UNDER} or {BESIDE}."
    if (rule == UNDER) != (metric.get("limit") is not None):
        yield f"limit belongs to the rule {UNDER}, and it needs one."
    for key in ("limit", "tolerance", "ignore_under", "window", "timeout"):
        if metric.get(key) is not None and not _is_number(metric[key], key):
            least = "" if key == "limit" else ", not below 0"
            yield f"{key} is {metric[key]}: give a number{least}."
            return
    if not 0 < float(metric.get("timeout", 5)) <= 60:
        yield "timeout is more than 0 and at most 60 seconds."
    if window_of(metric) >= soak_most:
        yield (
            f"it reads {window_of(metric):g} s back, and a soak takes {soak_most:g} s at most"
            " (gate_soak_max): it could never tell of the new release alone. Shorten its range, or"
            " watch longer."
        )
    headers = metric.get("headers") or {}
    if not isinstance(headers, Mapping) or any(
        not re.fullmatch(r"[A-Za-z0-9-]+", str(key)) or re.search(r"[\r\n\0]", str(value))
        for key, value in headers.items()
    ):
        yield "headers are names with one line of text each."


def _is_number(value: Any, key: str) -> bool:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return False
    return math.isfinite(number) and not isinstance(value, bool) and (key == "limit" or number >= 0)


def _url_problems(url: str) -> Iterable[str]:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        good = False
        parts = urlsplit("")
    if not good or re.search(r"[\s\0]", url):
        yield "its url is no http:// or https:// with a host."
    elif parts.username or parts.password is not None:
        yield "a user or password does not belong in its url: give headers."
