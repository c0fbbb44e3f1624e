# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the events of a run to its report: one dictionary, from which page, ticket and JUnit come.

Pure. `report` takes what `Story.events` kept and returns what docs/report.md describes. Every text
in it is without what looks like a secret, without characters that a page or XML cannot hold, and
bounded, so that those who write it out need only escape it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import NAME, redact
from ansible_collections.fleetops.gunicorn.plugins.module_utils._visible import visible
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.series import curves
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.stop_codes import stop_of

SCHEMA = 1
TEXT = 4000
INCIDENTS = 200
EVENTS_BYTES = 4_000_000
SAME_START = 30.0

Event = Mapping[str, Any]

# What a host is after a state of the story. ``failed`` is no state: it is where it was.
AFTER = {
    "draining": "draining",
    "drained": "drained",
    "switching": "switching",
    "switched": "checking",
    "restoring": "restoring",
    "serving": "serving",
    "soaking": "soaking",
    "passed": "serving",
    "returned": "rolled back",
    "out": "out",
}
IN_ROTATION = ("serving", "soaking", "rolled back")
# The last to be forgotten first.
_WORTH = (
    "failure",
    "record",
    "state",
    "versions",
    "plan",
    "play",
    "incident",
    "log",
    "verdict",
    "said",
    "looked",
    "counters",
)
_CUT_URL = re.compile(r"(//)[^/\s'\"@]*:[^/\s'\"@]*\Z")
_SECRET_NAME = re.compile(NAME, re.IGNORECASE)


class Run(NamedTuple):
    """What is known of a run besides its events. Times are epoch seconds."""

    playbook: str
    began: float
    ended: float
    failed: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    check_mode: bool = False
    user: str = ""
    controller: str = ""
    limit: str = ""
    version: str = ""


def report(events: Iterable[Event], run: Run) -> dict[str, Any]:
    """The report of a run; its shape is in docs/report.md."""
    told = [_clean(event) for event in events]
    ended = max([run.ended, run.began, *(event["at"] for event in told)])
    plans = {event["host"]: event["plan"] for event in told if event["kind"] == "plan"}
    hosts = {name: _host(name, told, plans, run.began, ended) for name in _names(told, plans)}
    incidents = _incidents(told)
    return {
        "schema": SCHEMA,
        "version": clean(run.version),
        "playbook": clean(run.playbook),
        "check_mode": run.check_mode,
        "began": round(run.began, 3),
        "ended": round(ended, 3),
        "outcome": _outcome(told, run, hosts),
        "people": _people(told, run),
        "hosts": hosts,
        "stages": _stages(told, plans, ended),
        "plan": _plan(plans),
        "balancers": curves(told),
        "logs": {name: _generations(name, told) for name in hosts},
        "incidents": incidents[:INCIDENTS],
        "looks": _looks(told),
        **_bounded_events(told, more_incidents=max(len(incidents) - INCIDENTS, 0)),
    }


# -- texts -----------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def clean(text: str, limit: int = TEXT) -> str:
    """A text that may be shown: no secret, nothing that cannot be shown, not too long."""
    # First the secrets: half of one might not be known as one any more.
    shown = redact(text[: 4 * limit])
    if len(text) > limit // 2:
        # It may have been cut before, within a URL's credentials.
        shown = _CUT_URL.sub(r"\1***", shown)
    shown = visible(shown)
    return shown if len(shown) <= limit else shown[: limit - 2] + " …"


def _clean(value: Any, depth: int = 0) -> Any:
    """The same for all that a value holds; what JSON does not know becomes text."""
    if isinstance(value, str):
        return clean(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        # JSON has no NaN, and a clock has no infinity.
        return value if abs(value) < 1e15 else None
    if depth > 8:
        return "…"
    if isinstance(value, Mapping):
        return {
            clean(str(key), 200): "***"
            if item and isinstance(item, str) and _SECRET_NAME.search(str(key))
            else _clean(item, depth + 1)
            for key, item in list(value.items())[:2000]
        }
    if isinstance(value, (list, tuple)):
        return [_clean(item, depth + 1) for item in value[:2000]]
    return clean(str(value))


# -- how it ended ----------------------------------------------------------------------------


def _outcome(told: Sequence[Event], run: Run, hosts: Mapping[str, Any]) -> dict[str, Any]:
    """``result`` is done, planned or stopped; then the host that failed first, why, and the code
    of that stop."""
    ill = {clean(name) for name in (*run.failed, *run.lost)}
    last = {event["host"]: event for event in _of(told, "failure") if event.get("host") in ill}
    order = sorted(last.values(), key=lambda event: float(event["at"]))
    reasons = [
        {"host": event["host"], "reason": event["text"], "unreachable": event["unreachable"]}
        for event in order
    ]
    reasons += [
        {"host": name, "reason": "failed without a word", "unreachable": name in run.lost}
        for name in sorted(ill - set(last))
    ]
    reasons = [
        {**each, "code": stop_of(each["reason"], each["unreachable"]).code} for each in reasons
    ]
    result = "stopped" if ill else "planned" if run.check_mode else "done"
    first = reasons[0] if reasons else {"host": "", "reason": "", "unreachable": False, "code": ""}
    # The end tells all; what broke first says it in a line.
    causes = [
        event["text"].removeprefix(f"{event['task']}: ")
        for event in _of(told, "failure")
        if event.get("host") == first["host"]
    ]
    return {
        "result": result,
        **first,
        "cause": causes[0] if causes else first["reason"],
        "others": reasons[1:],
        "out": [name for name, host in hosts.items() if host["now"] == "out"],
    }


def _people(told: Sequence[Event], run: Run) -> dict[str, Any]:
    """Who, from where, why, with which overrides; the record of the fleet knows best."""
    records = _of(told, "record")
    known = records[-1]["run"] if records else {}
    return {
        "user": known.get("owner") or clean(run.user),
        "controller": known.get("controller") or clean(run.controller),
        "limit": clean(run.limit),
        "kind": known.get("kind") or "",
        "reason": known.get("reason") or "",
        "overrides": [str(name) for name in known.get("overrides") or []],
        "plan": known.get("plan") or "",
    }


# -- hosts -----------------------------------------------------------------------------------


def _names(told: Sequence[Event], plans: Mapping[str, Any]) -> list[str]:
    kinds = ("plan", "state", "versions", "failure", "log")
    names = [event["host"] for event in told if event["kind"] in kinds and event.get("host")]
    return list(dict.fromkeys([*plans, *names]))


def _host(
    name: str, told: Sequence[Event], plans: Mapping[str, Any], began: float, ended: float
) -> dict[str, Any]:
    mine = [event for event in told if event.get("host") == name]
    states = _of(mine, "state")
    spans = _spans(mine, began, ended)
    now = spans[-1]["state"] if spans else "unknown"
    if states and now not in IN_ROTATION:
        now = "out"
        spans[-1]["last"] = True
    versions: list[dict[str, Any]] = []
    for event in _of(mine, "versions"):
        version = {key: event[key] for key in ("at", "gunicorn", "python", "release")}
        # A release has a name only once it is adopted; that is no other version.
        if versions and all(versions[-1][key] == version[key] for key in ("gunicorn", "python")):
            versions[-1]["release"] = version["release"] or versions[-1]["release"]
        else:
            versions.append(version)
    reached = [event["state"] for event in states if event["state"] in ("passed", "returned")]
    steps = (plans.get(name) or {}).get("steps") or []
    return {
        "now": now,
        "server": next((event["server"] for event in _of(mine, "counters")), name),
        "reached": reached[-1] if reached else "",
        "passed": reached.count("passed"),
        "wanted": len([step for step in steps if step["action"] == "upgrade"]),
        "versions": versions,
        "spans": spans,
        "failures": [
            {key: event[key] for key in ("at", "task", "text", "unreachable")}
            for event in _of(mine, "failure")
        ],
        "outages": _outages(spans),
        "silent": [event["down"] for event in states if event.get("down") is not None],
        "steps": steps,
    }


def _spans(mine: Sequence[Event], began: float, ended: float) -> list[dict[str, Any]]:
    """Where a host was from when to when, without gaps, from the first time that it is known."""
    changes: list[tuple[float, str, str]] = []
    seen = next((event for event in mine if event["kind"] == "counters"), None)
    if seen:
        row = seen["servers"].get(seen["server"], {})
        up = str(row.get("status")) in ("UP", "no check")
        changes.append((began, "serving" if up else "out", f"{row.get('status')} at first sight"))
    for event in mine:
        if event["kind"] != "state":
            continue
        state = AFTER.get(event["state"])
        if state is None:
            # It failed: nobody watches it any more, and it is where it was.
            state = changes[-1][1] if changes else "unknown"
            state = "serving" if state == "soaking" else state
        changes.append((event["at"], state, event.get("what") or ""))
    spans: list[dict[str, Any]] = []
    for at, state, what in changes:
        if spans and spans[-1]["state"] == state:
            spans[-1]["what"] = spans[-1]["what"] or what
            continue
        if spans:
            spans[-1]["ended"] = at
        spans.append({"state": state, "began": at, "ended": ended, "what": what})
    return [span for span in spans if span["ended"] > span["began"] or span is spans[-1]]


def _outages(spans: Iterable[Mapping[str, Any]]) -> list[dict[str, float]]:
    """From when to when it was out of rotation."""
    found: list[dict[str, float]] = []
    out = False
    for span in spans:
        if span["state"] in IN_ROTATION or span["state"] == "unknown":
            out = False
        elif out:
            found[-1]["ended"] = span["ended"]
        else:
            found.append({"began": span["began"], "ended": span["ended"]})
            out = True
    return found


# -- stages and plan -------------------------------------------------------------------------


def _stages(told: Sequence[Event], plans: Mapping[str, Any], ended: float) -> list[dict[str, Any]]:
    """The plays in which something happened; a play that takes wave after wave is one."""
    wanted = _first(plans).get("stages") or []
    found: list[dict[str, Any]] = []
    for event in told:
        if event["kind"] == "play":
            if found and found[-1]["name"] == event["name"]:
                continue
            found.append({"name": event["name"], "began": event["at"], "number": 0, "events": 0})
        elif found:
            found[-1]["events"] += 1
    found = [stage for stage in found if stage.pop("events")]
    for stage, end in zip(found, [*(after["began"] for after in found[1:]), ended], strict=False):
        stage["ended"] = end
        number = re.fullmatch(r"Stage (\d{1,3})", stage["name"])
        stage["number"] = int(number.group(1)) if number else 0
        stage["title"] = stage["name"]
        if 0 < stage["number"] <= len(wanted):
            stage["title"] = f"{stage['name']}: gunicorn {wanted[stage['number'] - 1]['gunicorn']}"
    return found


def _first(plans: Mapping[str, Any]) -> Mapping[str, Any]:
    """All hosts have the same stages."""
    for plan in plans.values():
        return dict(plan)
    return {}


def _plan(plans: Mapping[str, Any]) -> dict[str, Any]:
    hazards: dict[str, Any] = {}
    for plan in plans.values():
        for step in plan.get("steps") or []:
            hazards.update({hazard["name"]: hazard for hazard in step.get("hazards") or []})
    return {
        "stages": _first(plans).get("stages") or [],
        "hazards": list(hazards.values()),
    }


# -- logs ------------------------------------------------------------------------------------


def _generations(name: str, told: Sequence[Event]) -> list[dict[str, Any]]:
    """What the log of each life of the arbiter told when it was last looked at, oldest first."""
    found: list[dict[str, Any]] = []
    last: tuple[Any, float | None] = (None, None)
    version: Event = {}
    for event in told:
        if event.get("host") != name:
            continue
        if event["kind"] == "versions":
            version = event
        if event["kind"] != "log":
            continue
        started = event.get("started")
        if not isinstance(started, (int, float)):
            started = last[1] if last[0] == event.get("pid") else None
        seconds = 0.0 if started is None else event["at"] - started
        # When a process started is computed from the clock, and differs a little each time.
        near = started == last[1] or abs((started or 0) - (last[1] or 0)) < SAME_START
        if found and last[0] == event.get("pid") and near:
            found.pop()
        last = (event.get("pid"), started)
        counts = {key: int(count) for key, count in (event.get("counts") or {}).items() if count}
        total = sum(counts.values())
        found.append(
            {
                "gunicorn": version.get("gunicorn", ""),
                "python": version.get("python", ""),
                "pid": event.get("pid"),
                "seconds": round(seconds, 1) if seconds > 0 else None,
                "verdict": event["verdict"],
                "counts": counts,
                "incidents": total,
                "per_hour": round(total * 3600 / seconds, 3) if seconds > 0 else None,
            }
        )
    # The first is what ran before anything was touched, as long as that was looked at in time.
    touched = next((event["at"] for event in _of(told, "state") if event["host"] == name), None)
    looks = [event["at"] for event in _of(told, "log") if event.get("host") == name]
    early = bool(looks) and (touched is None or looks[0] < touched)
    return [
        {**generation, "before": early and index == 0} for index, generation in enumerate(found)
    ]


def _incidents(told: Sequence[Event]) -> list[dict[str, Any]]:
    """The worst first; each knows whether it is of before its host was touched."""
    touched: dict[str, float] = {}
    for event in _of(told, "state"):
        touched.setdefault(event.get("host", ""), event["at"])
    rank = {"critical": 0, "error": 1, "warning": 2}
    found = []
    for event in _of(told, "incident"):
        first = touched.get(event.get("host", ""))
        incident = {key: value for key, value in event.items() if key != "kind"}
        excerpt = incident.get("excerpt") or ""
        if isinstance(excerpt, list):
            excerpt = "\n".join(str(line) for line in excerpt)
        incident["excerpt"] = "\n".join(str(excerpt).splitlines()[:40])
        incident["before"] = first is None or event["at"] < first
        found.append(incident)
    return sorted(
        found, key=lambda each: (each["before"], rank.get(str(each.get("severity")), 3), each["at"])
    )


def _looks(told: Sequence[Event]) -> list[dict[str, Any]]:
    """Verdicts, those that follow each other on a host with the same word as one."""
    found: list[dict[str, Any]] = []
    last: dict[str, dict[str, Any]] = {}
    for event in told:
        host = event.get("host", "")
        if event["kind"] == "state" and event["state"] not in ("soaking", "serving"):
            last.pop(host, None)
        if event["kind"] != "verdict":
            continue
        look = {key: event[key] for key in ("gate", "verdict", "summary", "reasons")}
        before = last.get(host)
        if before and (before["gate"], before["verdict"]) == (look["gate"], look["verdict"]):
            before.update(look, ended=event["at"], looks=before["looks"] + 1)
            continue
        last[host] = {"host": host, "began": event["at"], "ended": event["at"], "looks": 1, **look}
        found.append(last[host])
    return found


# -- the events themselves -------------------------------------------------------------------


def _bounded_events(told: Sequence[Event], more_incidents: int) -> dict[str, Any]:
    """The events as they were; of what there is too much of, evenly some, and how many are not."""
    left = EVENTS_BYTES
    kept: list[int] = []
    by_kind: dict[str, list[int]] = {}
    for index, event in enumerate(told):
        by_kind.setdefault(event["kind"], []).append(index)
    for kind in sorted(by_kind, key=lambda kind: _WORTH.index(kind) if kind in _WORTH else 99):
        places = by_kind[kind]
        sizes = {place: len(json.dumps(told[place])) + 2 for place in places}
        every = -(-sum(sizes.values()) // max(left, 1))
        for place in places[::every]:
            if sizes[place] <= left:
                left -= sizes[place]
                kept.append(place)
    return {
        "events": [told[place] for place in sorted(kept)],
        "left_out": {"events": len(told) - len(kept), "incidents": more_incidents},
    }


def _of(told: Iterable[Event], kind: str) -> list[Event]:
    return [event for event in told if event["kind"] == kind]
