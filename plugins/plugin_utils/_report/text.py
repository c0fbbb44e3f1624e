# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a run as Markdown for a ticket and as JUnit XML for CI."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report import words
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.markup import (
    Markup,
    element,
)

HOSTS = 30
INCIDENTS = 5
EXCERPT_LINES = 8
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&@])")
_ADDRESS = re.compile(r"(?i):(?=//)|(?<=mailto):|(?<=xmpp):|(?<=www)\.")

Data = Mapping[str, Any]


# -- Markdown --------------------------------------------------------------------------------


def markdown(data: Data) -> str:
    """Short: what happened, where every host is, what speaks against it."""
    outcome = data["outcome"]
    lines = [f"## {_plain(words.headline(data))}", ""]
    if outcome["out"]:
        names = words.few(outcome["out"])
        are = "is" if len(outcome["out"]) == 1 else "are"
        lines += [f"**{_plain(names)} {are} OUT OF ROTATION.**", ""]
    if outcome["reason"]:
        lines += [*_fence(outcome["reason"]), ""]
    lines += [f"- {name}: {_plain(text)}" for name, text in words.facts(data)]
    before, after = words.before_and_after(data)
    lines += [
        f"- Incidents before: {before.text} ({before.basis});"
        f" since the switch: {after.text} ({after.basis})",
        "",
    ]
    lines += [*_hosts(data), *_incidents(data)]
    return "\n".join(lines).rstrip() + "\n"


def _hosts(data: Data) -> list[str]:
    rows = [
        (
            name,
            words.now(host),
            words.version(host, 0),
            words.version(host, -1),
            words.outages(host),
        )
        for name, host in data["hosts"].items()
    ]
    if not rows:
        return []
    lines = ["| Host | Now | Before | After | Out of rotation |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(_plain(cell) for cell in row) + " |" for row in rows[:HOSTS]]
    if len(rows) > HOSTS:
        lines.append(f"\n{len(rows) - HOSTS} more hosts are in the report.")
    return [*lines, ""]


def _incidents(data: Data) -> list[str]:
    found = [incident for incident in data["incidents"] if not incident["before"]]
    lines: list[str] = []
    for incident in found[:INCIDENTS]:
        head = f"{incident.get('event', '')} on {incident.get('host', '')}, {incident.get('first')}"
        lines += [f"**{_plain(head)}**", ""]
        lines += [*_fence("\n".join(incident["excerpt"].splitlines()[:EXCERPT_LINES])), ""]
    if len(found) > INCIDENTS:
        lines.append(f"{len(found) - INCIDENTS} more incidents are in the report.")
    return lines


def _plain(text: str) -> str:
    """A text on one line in which nothing has a meaning; no @ calls anybody."""
    line = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    # Escaped, an @ would still be read as a mention by some, and an address as a link.
    line = line.replace("\\@", "&#64;").replace("\\<", "&lt;").replace("\\&", "&amp;")
    return _ADDRESS.sub(lambda found: f"&#{ord(found[0])};", line)


def _fence(text: str) -> list[str]:
    """As it is, behind a fence that is longer than any within."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", *text.splitlines(), fence]


# -- JUnit -----------------------------------------------------------------------------------


class Case(NamedTuple):
    """One host in one stage; at most one of ``failure`` and ``skipped`` is a text."""

    host: str
    seconds: float
    failure: str = ""
    skipped: str = ""
    code: str = ""


def junit(data: Data) -> str:
    """A suite per stage (the asking and the building are stages too), a case per host in it."""
    suites = [(stage, _cases(data, stage)) for stage in data["stages"]]
    # What the run did not come to is not forgotten.
    begun = {stage["number"] for stage in data["stages"]}
    for wanted in data["plan"]["stages"]:
        if wanted["number"] not in begun:
            title = f"Stage {wanted['number']}: gunicorn {wanted['gunicorn']}"
            at = {"began": data["ended"], "ended": data["ended"]}
            stage = {"title": title, "number": wanted["number"], **at}
            suites.append((stage, _cases(data, stage)))
    told = {(case.host, case.failure) for _stage, cases in suites for case in cases}
    # Whoever failed without a word, or outside of all stages, must not be missing.
    ill = [data["outcome"], *data["outcome"]["others"]] if data["outcome"]["host"] else []
    rest = [
        Case(each["host"], 0.0, each["reason"], code=each["code"])
        for each in ill
        if not any(host == each["host"] and failure for host, failure in told)
    ]
    if rest:
        suites.append(({"title": "Run", "began": data["began"], "ended": data["ended"]}, rest))
    cases = [case for _stage, cases in suites for case in cases]
    root = element(
        "testsuites",
        (_suite(stage, cases) for stage, cases in suites),
        attributes={"name": f"fleetops.gunicorn {data['playbook']}", **_counts(cases)},
    )
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + root + "\n"


def _cases(data: Data, stage: Data) -> list[Case]:
    return [_case(name, host, data, stage) for name, host in data["hosts"].items()]


def _case(name: str, host: Data, data: Data, stage: Data) -> Case:
    began, ended = stage["began"], stage["ended"]
    within = [failure for failure in host["failures"] if began <= failure["at"] <= ended]
    ill = {each["host"]: each["code"] for each in (data["outcome"], *data["outcome"]["others"])}
    spans = [span for span in host["spans"] if span["began"] < ended and span["ended"] > began]
    worked = [span for span in spans if span["state"] != "serving"]
    seconds = sum(min(span["ended"], ended) - max(span["began"], began) for span in worked)
    # What failed and was mended is no failure of the run.
    if within and name in ill:
        texts = "\n\n".join(failure["text"] for failure in within)
        return Case(name, seconds, texts, code=ill[name])
    step = next((step for step in host["steps"] if step["stage"] == stage["number"]), None)
    if step and step["action"] == "skip":
        return Case(name, 0.0, skipped=str(step["reason"]))
    if stage["number"] and (step is None or not worked):
        return Case(name, 0.0, skipped="the run did not come to it")
    return Case(name, seconds)


def _suite(stage: Data, cases: Sequence[Case]) -> Markup:
    return element(
        "testsuite",
        (_testcase(stage, case) for case in cases),
        attributes={
            "name": stage["title"],
            "timestamp": words.moment(stage["began"]).removesuffix(" UTC").replace(" ", "T"),
            **_counts(cases),
            "time": f"{stage['ended'] - stage['began']:.3f}",
        },
    )


def _testcase(stage: Data, case: Case) -> Markup:
    inner = None
    if case.failure:
        first = case.failure.splitlines()[0][:300]
        inner = element("failure", case.failure, attributes={"message": first, "type": case.code})
    elif case.skipped:
        inner = element("skipped", attributes={"message": case.skipped})
    return element(
        "testcase",
        inner,
        attributes={
            "name": case.host,
            "classname": stage["title"],
            "time": f"{max(case.seconds, 0):.3f}",
        },
    )


def _counts(cases: Iterable[Case]) -> dict[str, str]:
    known = list(cases)
    return {
        "tests": str(len(known)),
        "failures": str(sum(bool(case.failure) for case in known)),
        "errors": "0",
        "skipped": str(sum(bool(case.skipped) for case in known)),
    }
