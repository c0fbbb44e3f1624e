# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words of a report: the same on the page, in the ticket and in JUnit."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from shlex import quote
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.stop_codes import (
    BY_CODE,
    who_stopped,
)

Data = Mapping[str, Any]

STATE_WORDS = {
    "serving": "in rotation",
    "soaking": "soaking, in rotation",
    "draining": "draining",
    "drained": "drained",
    "switching": "switching",
    "checking": "being checked",
    "restoring": "restoring",
    "rolled back": "rolled back, in rotation",
    "out": "out of rotation",
    "unknown": "not known",
}


def headline(data: Data) -> str:
    """The outcome in a line."""
    outcome = data["outcome"]
    if outcome["result"] == "stopped":
        who = who_stopped(outcome["host"], outcome["unreachable"], outcome["code"])
        return f"Stopped: {who}"
    if outcome["result"] == "planned":
        return "Planned: nothing was changed"
    moved: dict[str, list[str]] = {}
    for name, host in data["hosts"].items():
        if host["reached"]:
            back = "is back on" if host["reached"] == "returned" else "runs"
            moved.setdefault(f"{back} {version(host, -1)}", []).append(name)
    if not moved:
        return "Done: nothing had to be changed"
    told = []
    for what, names in moved.items():
        if len(names) > 1:
            what = what.replace("is back", "are back", 1).replace("runs", "run", 1)
        told.append(f"{few(names)} {what}")
    return "Done: " + "; ".join(told)


def few(names: Iterable[str]) -> str:
    """All of them, or how many."""
    known = list(names)
    if len(known) > 5:
        return f"{len(known)} hosts"
    return " and ".join(part for part in (", ".join(known[:-1]), known[-1]) if part)


def version(host: Data, index: int) -> str:
    """Which gunicorn on which Python a host ran first (0) or last (-1)."""
    if not host["versions"]:
        return "unknown"
    found = host["versions"][index]
    return f"gunicorn {found['gunicorn'] or '?'} on Python {found['python'] or '?'}"


def now(host: Data) -> str:
    """Where a host is."""
    state = host["now"]
    if state == "out":
        return "OUT OF ROTATION"
    if state == "serving" and host["reached"] == "passed":
        if host["passed"] < host["wanted"]:
            return f"passed {host['passed']} of {host['wanted']} stages, in rotation"
        return "upgraded, in rotation"
    if state == "serving" and not touched(host):
        return "untouched, in rotation"
    if state in ("serving", "soaking"):
        return "in rotation, not passed"
    return STATE_WORDS[state]


def touched(host: Data) -> bool:
    return any(span["state"] in ("draining", "drained", "switching") for span in host["spans"])


def outages(host: Data) -> str:
    """How often and how long a host was out of rotation."""
    spans = [outage["ended"] - outage["began"] for outage in host["outages"]]
    if not spans:
        return "never"
    if len(spans) == 1:
        return duration(spans[0])
    return f"{len(spans)} times, at most {duration(max(spans))}"


def duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172800 else f"{seconds / 86400:.1f} days"


def moment(epoch: float) -> str:
    return _format("%Y-%m-%d %H:%M:%S UTC", epoch)


def clock(epoch: float) -> str:
    return _format("%H:%M:%S", epoch)


def _format(pattern: str, epoch: float) -> str:
    try:
        return time.strftime(pattern, time.gmtime(epoch))
    except (OverflowError, OSError, ValueError):
        return "an unknown time"


def number(value: float) -> str:
    """With as many digits as say something, and thousands apart."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def stop(code: str) -> str:
    """What kind of stop it was, and where it is explained; nothing if it was none."""
    return BY_CODE[code].words() if code in BY_CODE else ""


def facts(data: Data) -> list[tuple[str, str]]:
    """Who, when, why."""
    people, took = data["people"], data["ended"] - data["began"]
    by = f"{people['user'] or 'unknown'} on {people['controller'] or 'an unknown controller'}"
    check = " --check" if data["check_mode"] else ""
    limit = f" -l {quote(str(people['limit']))}" if people["limit"] else ""
    told = [
        ("Stop", stop(data["outcome"]["code"])),
        ("Run", f"{data['playbook']}{check}{limit}"),
        ("When", f"{moment(data['began'])}, took {duration(took)}"),
        ("By", by),
        ("Kind", people["kind"]),
        ("Reason", people["reason"]),
        ("Overrides", ", ".join(people["overrides"]) or "none"),
        ("Plan", people["plan"]),
    ]
    return [(name, text) for name, text in told if text]


class Rate:
    """Incidents over a time, of the logs of one or many hosts."""

    def __init__(self, generations: Iterable[Data]) -> None:
        # Without a time there is no rate.
        known = [each for each in generations if each["seconds"] is not None]
        self.incidents = sum(each["incidents"] for each in known)
        self.seconds = sum(each["seconds"] for each in known)

    @property
    def per_hour(self) -> str:
        return number(self.incidents * 3600 / self.seconds) if self.seconds else "unknown"

    @property
    def text(self) -> str:
        return f"{self.per_hour} per hour" if self.seconds else "unknown"

    @property
    def basis(self) -> str:
        if not self.seconds:
            return "no log was read"
        what = "incident" if self.incidents == 1 else "incidents"
        return f"{self.incidents} {what} in {duration(self.seconds)} of all logs"

    @property
    def blind(self) -> str:
        """What so short a time cannot show: with none seen, 3 may be expected (95 %)."""
        if not self.seconds or self.incidents or self.seconds >= 3 * 3600:
            return ""
        return (
            f"{duration(self.seconds)} without an incident are compatible with up to"
            f" {number(3 * 3600 / self.seconds)} per hour: check again later."
        )


def by_version(data: Data) -> list[dict[str, Any]]:
    """What the logs told of each gunicorn on each Python, before the run and in it."""
    found: dict[tuple[Any, ...], list[tuple[str, Data]]] = {}
    for before in (True, False):
        for host, log in data["logs"].items():
            for each in log:
                if each["before"] == before:
                    key = (before, each["gunicorn"] or "?", each["python"] or "?")
                    found.setdefault(key, []).append((host, each))
    rows = []
    for (before, gunicorn, python), told in found.items():
        counts: dict[str, int] = {}
        for _host, each in told:
            for kind, count in each["counts"].items():
                counts[kind] = counts.get(kind, 0) + count
        rows.append(
            {
                "before": before,
                "what": f"gunicorn {gunicorn} on Python {python}",
                "hosts": list(dict.fromkeys(host for host, _each in told)),
                "rate": Rate(each for _host, each in told),
                "kinds": ", ".join(f"{n} × {kind.replace('_', ' ')}" for kind, n in counts.items()),
                "verdicts": sorted({each["verdict"] for _host, each in told} - {"clean", "dirty"}),
            }
        )
    return rows


def before_and_after(data: Data) -> tuple[Rate, Rate]:
    """Of the hosts whose last generation is another than the first."""
    logs = list(data["logs"].values())
    return (
        Rate(each for log in logs for each in log if each["before"]),
        Rate(log[-1] for log in logs if log and not log[-1]["before"]),
    )
