# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a run as one page that needs nothing else: no script, no font, no image."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report import words
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.markup import (
    Child,
    Markup,
    document,
    element,
    group,
    style,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.style import CSS
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.svg import (
    HOSTS,
    SERVERS,
    Row,
    Scale,
    legend,
    small_multiples,
    timeline,
)

SHOWN_HOSTS = 16
SHOWN_INCIDENTS = 50
SHOWN_LOOKS = 60
_NUMBER = re.compile(r"(\d) (s|ms|min|h|days)\b")
_MARKS = {"done": "✓", "stopped": "✕", "planned": "≡"}

Data = Mapping[str, Any]


def page(data: Data) -> str:
    """The page."""
    scale = Scale(data["began"], data["ended"])
    title = f"{words.headline(data)} – {data['playbook']} {words.moment(data['began'])}"
    return document(
        element(
            "html",
            element(
                "head",
                _meta(charset="utf-8"),
                _meta(**{"http-equiv": "Content-Security-Policy", "content": _policy()}),
                _meta(name="viewport", content="width=device-width, initial-scale=1"),
                _meta(name="color-scheme", content="light dark"),
                _meta(name="referrer", content="no-referrer"),
                _meta(name="robots", content="noindex"),
                # Or a browser asks the server of the page for one.
                element("link", attributes={"rel": "icon", "href": "data:,"}),
                element("title", title),
                style(CSS),
            ),
            element(
                "body",
                element(
                    "main",
                    _outcome(data),
                    _fleet(data),
                    _timeline(data, scale),
                    *(_balancer(name, data, scale) for name in list(data["balancers"])[:4]),
                    _incidents(data),
                    _plan(data),
                    _looks(data),
                    _last_words(data),
                ),
            ),
            attributes={"lang": "en"},
        )
    )


def _policy() -> str:
    """Nothing is fetched, nothing runs, and this style sheet is the only one."""
    digest = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def _meta(**attributes: str) -> Markup:
    return element("meta", attributes=attributes)


def _section(title: str, *children: Child, note: str = "") -> Markup:
    head = element("h2", title)
    return element("section", head, element("p", note, cls="note") if note else None, *children)


# -- the outcome -----------------------------------------------------------------------------


def _outcome(data: Data) -> Markup:
    outcome = data["outcome"]
    result = outcome["result"]
    mark = element("span", _MARKS[result], attributes={"aria-hidden": "true"}, cls="mark")
    out = outcome["out"]
    alarm = f"{words.few(out)} {'is' if len(out) == 1 else 'are'} OUT OF ROTATION" if out else ""
    facts = (
        element("div", element("dt", name), element("dd", text)) for name, text in words.facts(data)
    )
    return element(
        "header",
        element("h1", mark, words.headline(data)),
        element("p", alarm, cls="alarm") if alarm else None,
        element("p", outcome["cause"], cls="cause") if result == "stopped" else None,
        _whole_reason(outcome),
        element("dl", facts),
        cls=f"outcome {result}",
    )


def _whole_reason(outcome: Data) -> Markup | None:
    told = [outcome["reason"]] if outcome["reason"] != outcome["cause"] else []
    told += [f"{other['host']}: {other['reason']}" for other in outcome["others"]]
    return element("pre", "\n\n".join(told)) if told else None


def _fleet(data: Data) -> Markup:
    columns = ("Host", "Now", "Before", "After", "Out of rotation", "No answer")
    hosts = list(data["hosts"].items())
    if len(hosts) > SHOWN_HOSTS:
        hosts.sort(key=lambda item: _calm(item[1]))
    rows = []
    for name, host in hosts:
        silent = ", ".join(words.duration(each) for each in host["silent"]) or "–"
        before, after = words.version(host, 0), words.version(host, -1)
        release = (host["versions"] or [{"release": ""}])[-1]["release"]
        rows.append(
            (
                element("strong", name),
                element("span", words.now(host), cls=f"now-{host['now'].replace(' ', '-')}"),
                before,
                group(
                    after if after != before else "the same",
                    element("div", release, cls="muted small") if release else None,
                ),
                words.outages(host),
                silent,
            )
        )
    if not rows:
        return Markup("")
    shown, rest = rows[:SHOWN_HOSTS], rows[SHOWN_HOSTS:]
    more = element("summary", f"{len(rest)} more hosts, of which none needs a look more than these")
    return _section(
        "Where every host is",
        _table(columns, shown),
        element("details", more, _table(columns, rest)) if rest else None,
    )


def _calm(host: Data) -> int:
    """Of many hosts, those that somebody must look at come first."""
    if host["now"] == "out":
        return 0
    if host["now"] == "rolled back":
        return 1
    if host["failures"]:
        return 2
    return 4 if host["reached"] and host["passed"] >= host["wanted"] else 3


def _table(columns: Sequence[str], rows: Iterable[Sequence[Child]]) -> Markup:
    """A table that is a list of cards on a phone: each cell knows its column."""
    return element(
        "table",
        element("thead", element("tr", (element("th", column) for column in columns))),
        element(
            "tbody",
            (
                element(
                    "tr",
                    (
                        element(
                            "td", element("div", _together(cell)), attributes={"data-label": column}
                        )
                        for column, cell in zip(columns, row, strict=True)
                    ),
                )
                for row in rows
            ),
        ),
    )


def _together(cell: Child) -> Child:
    """A number and its unit stay on a line."""
    if isinstance(cell, str) and not isinstance(cell, Markup):
        return _NUMBER.sub("\\1\u00a0\\2", cell)
    return cell


# -- charts ----------------------------------------------------------------------------------


def _timeline(data: Data, scale: Scale) -> Markup:
    hosts = data["hosts"].values()
    states = {span["state"] for host in hosts for span in host["spans"]}
    if not states:
        return Markup("")
    more = f" The first {HOSTS} of {len(hosts)} hosts." if len(hosts) > HOSTS else ""
    failed = any(host["failures"] for host in hosts)
    cross = element("p", "✕ a failure", cls="legend-more") if failed else None
    return _section(
        "Timeline",
        legend(states),
        cross,
        timeline(data, scale),
        note=f"UTC. What is out of rotation is drawn lower.{more}",
    )


def _balancer(name: str, data: Data, scale: Scale) -> Markup:
    found = data["balancers"][name]
    by_server = {host["server"]: host for host in data["hosts"].values()}
    # Those that erred, then those that were touched: of a large fleet the others are all alike.
    ranked = sorted(
        found["servers"],
        key=lambda server: (
            -found["servers"][server]["errors"],
            not (server in by_server and words.touched(by_server[server])),
        ),
    )
    shown = [server for server in found["servers"] if server in ranked[:SERVERS]]
    curves = {"in total": found["total"], **{server: found["servers"][server] for server in shown}}
    figures = []
    for title, unit, key in (
        ("Requests per second", "/s", "requests_per_s"),
        ("Errors per second", "/s", "errors_per_s"),
        ("Response time, mean", "ms", "response_ms"),
    ):
        rows = [
            Row(server, curve["edges"], curve[key], by_server.get(server, {}).get("outages", ()))
            for server, curve in curves.items()
            if any(curve[key])
        ]
        if rows:
            figures.append(small_multiples(title, unit, rows, scale, found["reloads"]))
    requests, errors = found["total"]["requests"], found["total"]["errors"]
    told = f"{errors:,} of {requests:,} requests were answered with an error (5xx)."
    if not requests and not errors:
        told = "No request came while the run was looking."
    elif not errors:
        told = f"None of {requests:,} requests was answered with an error (5xx)."
    note = "Each step is the mean between two looks; shaded: the server is out of rotation."
    if len(found["servers"]) > len(shown):
        note += f" {len(shown)} of {len(found['servers'])} servers."
    title = f"What users saw at {name}"
    return _section(title, element("p", told), *figures, note=note if figures else "")


# -- incidents -------------------------------------------------------------------------------


def _incidents(data: Data) -> Markup:
    before, after = words.before_and_after(data)
    tiles = element(
        "div",
        (
            element(
                "div",
                element("div", name, cls="muted"),
                element("div", rate.text, cls="figure"),
                element("div", rate.basis, cls="muted"),
                cls="tile",
            )
            for name, rate in (("Before the run", before), ("Since the switch", after))
        ),
        cls="tiles",
    )
    columns = ("What ran", "When", "Hosts", "Watched for, in all", "Incidents", "Per hour", "Kinds")
    rows = [
        (
            each["what"],
            "before the run" if each["before"] else "since its switch",
            words.few(each["hosts"]),
            words.duration(each["rate"].seconds) if each["rate"].seconds else "unknown",
            str(each["rate"].incidents),
            each["rate"].per_hour,
            "; ".join(filter(None, [each["kinds"], *each["verdicts"]])) or "none",
        )
        for each in words.by_version(data)
    ]
    shown = data["incidents"][:SHOWN_INCIDENTS]
    left = len(data["incidents"]) - len(shown) + data["left_out"]["incidents"]
    return _section(
        "Incidents in the logs",
        tiles,
        element("p", after.blind, cls="note") if after.blind else None,
        _table(columns, rows) if rows else element("p", "No log was read."),
        (_incident(incident, number < 8) for number, incident in enumerate(shown)),
        element("p", f"{left} more are not shown here.", cls="note") if left else None,
    )


def _incident(incident: Data, is_open: bool) -> Markup:
    at = incident.get("first") or "time unknown"
    when = ", before the run" if incident["before"] else ""
    severity = str(incident.get("severity", ""))
    # A class is no place for what a log may say.
    known = severity if severity in ("critical", "error", "warning") else "notice"
    place = f"{incident.get('path', '')}, byte {incident.get('offset', '')}"
    return element(
        "details",
        element(
            "summary",
            element("span", severity, cls=f"severity {known}"),
            " ",
            element("strong", str(incident.get("event", "")).replace("_", " ")),
            f" on {incident.get('host', '')}, {at}{when}",
        ),
        element("p", place, cls="muted small"),
        element("pre", incident["excerpt"]) if incident["excerpt"] else None,
        attributes={"open": ""} if is_open else {},
    )


# -- plan and looks --------------------------------------------------------------------------


def _plan(data: Data) -> Markup:
    stages, hosts = data["plan"]["stages"], data["hosts"]
    rows = [
        (
            str(stage["number"]),
            f"gunicorn {stage['gunicorn']}",
            f"Python {stage['python']}" if stage["python"] else "the Python in place",
            _steps(hosts, stage["number"], "upgrade"),
            _steps(hosts, stage["number"], "skip"),
        )
        for stage in stages
    ]
    hazards = [
        element(
            "li",
            element("strong", str(hazard["name"])),
            f": {hazard['effect']}",
            element("div", f"Concerns: {hazard['when']}") if hazard.get("when") else None,
            element("div", f"Cure: {hazard['cure']}"),
            element("div", f"Source: {hazard['source']}", cls="muted small"),
        )
        for hazard in data["plan"]["hazards"]
    ]
    if not rows:
        return Markup("")
    return _section(
        "Plan",
        _table(("Stage", "gunicorn", "Python", "Hosts", "Nothing to do"), rows),
        element("h3", "Known hazards of these versions") if hazards else None,
        element("ul", hazards, cls="hazards") if hazards else None,
    )


def _steps(hosts: Mapping[str, Data], number: int, action: str) -> str:
    names = [
        name
        for name, host in hosts.items()
        if any(step["stage"] == number and step["action"] == action for step in host["steps"])
    ]
    return words.few(names) if names else "–"


def _looks(data: Data) -> Markup:
    looks = data["looks"]
    if not looks:
        return Markup("")
    shown = looks
    if len(looks) > SHOWN_LOOKS:
        shown = [look for look in looks if look["verdict"] != "pass"]
    more = len(looks) - len(shown)
    columns = ("Host", "When", "Gate", "Verdict", "Looks", "What was seen")
    rows = [
        (
            element("strong", look["host"]),
            words.clock(look["ended"]),
            look["gate"],
            element("span", look["verdict"], cls="ok" if look["verdict"] == "pass" else "bad"),
            str(look["looks"]),
            "; ".join(filter(None, [look["summary"], *look["reasons"]])),
        )
        for look in shown
    ]
    note = f"{more} more looks are not shown here; they passed." if more else ""
    return _section("Checks and verdicts", _table(columns, rows), note=note)


def _last_words(data: Data) -> Markup:
    by = f"fleetops.gunicorn {data['version']}".strip()
    told = f"{by}, report schema {data['schema']}. The JSON beside this page has everything."
    if data["left_out"]["events"]:
        told += f" {data['left_out']['events']:,} events were left out of it."
    return element("footer", told)
