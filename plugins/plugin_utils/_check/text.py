# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a check as lines for a person, bounded: what is worst comes first and in full."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.verdict import (
    CLEAN,
    VERDICTS,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.diagnosis import (
    CONFIRMED,
    EARLIER,
    KNOWN,
    POSSIBLE,
    UNSEEN,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._times import shown, span

# Of a fleet of hundreds, so many hosts are told in full, and so many more in a line.
IN_FULL = 12
IN_A_LINE = 100
REASONS = 8
EXCERPTS = 3
EXCERPT_LINES = 6
WIDTH = 400
SUMMARY = 200
_INDENT = 13

Host = Mapping[str, Any]


def check_text(report: Mapping[str, Any]) -> list[str]:
    """Return the lines of the report that `_check.verdict.check_fleet` made."""
    hosts = report["hosts"]
    lines = [headline(report)]
    for host in hosts[:IN_FULL]:
        lines += ["", *host_text(host)]
    rest = hosts[IN_FULL : IN_FULL + IN_A_LINE]
    lines += [""] if rest else []
    lines += [_host_line(host) for host in rest]
    left = len(hosts) - IN_FULL - len(rest)
    if left > 0:
        lines.append(f"... and {left} more hosts; all of them are in check_file")
    return [line[:WIDTH] for line in lines]


def headline(report: Mapping[str, Any]) -> str:
    """The whole in one line."""
    hosts = report["hosts"]
    counts = {word: sum(host["verdict"] == word for host in hosts) for word in VERDICTS}
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "no host"
    return f"check: {report['verdict'].upper()} ({told})"


def host_text(host: Host) -> list[str]:
    """The lines of one host."""
    rows: list[tuple[str, str]] = []
    rows += _some("why", host["reasons"], REASONS)
    if host["stable_for"] is not None:
        rows.append(("stable", f"for {span(host['stable_for'])}, judged since {_since(host)}"))
    rows += [("processes", text) for text in _processes(host["runs"])]
    rows += [("", text) for text in host["findings"][:REASONS]]
    rows += _incidents(host)
    rows += [("balancer", _balancer(each)) for each in host["balancers"]]
    rows += _diagnosis(host["diagnosis"], _before(host))
    lines = [_host_line(host)]
    before = ""
    for name, text in rows:
        label = "" if name == before else name
        before = name or before
        lines.append(f"  {label:<{_INDENT - 2}}{text}")
    return lines


def _host_line(host: Host) -> str:
    runs = host["runs"]
    if runs["running"]:
        what = f"gunicorn {runs['gunicorn'] or '?'} on Python {runs['python'] or '?'}"
        place = runs["release"] or f"venv is a {runs['venv'] or '?'}"
        what += f" ({place}), up {span(runs['up_for'])} since {shown(runs['started'])}"
    elif runs["running"] is False:
        what = f"NO GUNICORN RUNS; the service manager says {runs['state']}"
        if runs["gunicorn"]:
            what += f"; it would start gunicorn {runs['gunicorn']} on Python {runs['python']}"
    else:
        what = "what runs is not known"
    return f"{host['host']}  {host['verdict'].upper()}  {what}"


def _since(host: Host) -> str:
    if host["since"] == host["runs"]["started"]:
        return "its start"
    return shown(host["since"])


def _some(name: str, texts: Iterable[str], most: int) -> list[tuple[str, str]]:
    shown_texts = list(texts)
    rows = [(name, text) for text in shown_texts[:most]]
    if len(shown_texts) > most:
        rows.append((name, f"... and {len(shown_texts) - most} more"))
    return rows


def _processes(runs: Mapping[str, Any]) -> list[str]:
    if not runs["running"]:
        return []
    wanted = f" of {runs['workers_wanted']}" if runs["workers_wanted"] else ""
    words = [f"arbiter {runs['pid']}, {runs['workers']}{wanted} workers, {runs['state']}"]
    for kind in ("orphans", "unmanaged"):
        if runs[kind]:
            words.append(f"{len(runs[kind])} {kind}")
    return [", ".join(words)]


def _incidents(host: Host) -> list[tuple[str, str]]:
    earlier = host["earlier"]
    rows = []
    if host["log_error"]:
        rows.append(("incidents", "not known: the log could not be read"))
    elif host["runs"]["running"]:
        rows.append(("incidents", f"{_counts(host['counts'])} since {_since(host)}"))
    if earlier["error"] and not host["log_error"]:
        rows.append(("before", f"not known: {earlier['error']}"))
    elif (
        not earlier["error"]
        and earlier["since"] is not None
        and (earlier["counts"] or not host["runs"]["running"])
    ):
        judged = earlier["judged"] or not host["runs"]["running"]
        asked = "" if judged else "; to judge it as well, say -e check_since=..."
        words = f"{_counts(earlier['counts'])} since {shown(earlier['since'])}"
        rows.append(("before", words + (asked if earlier["counts"] else "")))
    described = [incident for incident in host["incidents"] if incident.get("excerpt")]
    # One of each kind says more than many of one.
    first = list({incident["event"]: incident for incident in reversed(described)}.values())[::-1]
    for incident in first[:EXCERPTS]:
        when = f", {incident['first']}" if incident["first"] else ""
        place = f"{incident['path']}, byte {incident['offset']}"
        old = "" if incident["of_what_runs"] else _before(host)
        rows.append(("evidence", f"{incident['event']}{when}{old}, {place}"))
        text = str(incident["excerpt"]).splitlines()[:EXCERPT_LINES]
        rows += [("evidence", f"| {line}") for line in text]
    return rows


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {event}" for event, count in sorted(counts.items())) or "none"


def _balancer(each: Mapping[str, Any]) -> str:
    if each["error"]:
        return f"{each['balancer']} could not be asked: {each['error']}"
    words = f"{each['balancer']} {each['backend']}: {each['status']}"
    words += f", {each['sessions']} sessions now"
    counted = [
        f"{each[name]} {label}"
        for name, label in (
            ("requests", "requests"),
            ("http_5xx", "answers of 500 and above"),
            ("connection_errors", "connection errors"),
        )
        if each[name] is not None
    ]
    if counted and each["counted_for"] is not None:
        words += f"; since it began to count {span(each['counted_for'])} ago: {', '.join(counted)}"
    return words


def _before(host: Host) -> str:
    """What is said of an incident that is not of what runs; where nothing runs, all are such."""
    return ", before this start" if host["runs"]["running"] else ""


def _diagnosis(found: Mapping[str, Any], before: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []

    def add(text: str) -> None:
        rows.append(("diagnosis", text))

    by_state: dict[str, list[Mapping[str, Any]]] = {}
    for problem in found["known"]:
        by_state.setdefault(problem["state"], []).append(problem)
    for state in (CONFIRMED, EARLIER):
        for problem in by_state.get(state, []):
            told = _counts(problem["evidence"])
            word = "CONFIRMED" if state == CONFIRMED else f"seen in the log{before}"
            add(f"{problem['name']}: {word} ({told})")
            add(f"  {problem['effect']}")
            add(f"  today: {problem['today']}")
            add(f"  cure: {_cure(problem)}")
            add(f"  source: {problem['source']}")
    for state, words in ((UNSEEN, "its signs could not be looked for"), (POSSIBLE, "not seen")):
        for problem in by_state.get(state, []):
            add(f"{problem['name']}: possible with these versions, {words}")
            add(f"  today: {problem['today']}; cure: {_cure(problem)}")
    if by_state.get(KNOWN):
        names = ", ".join(problem["name"] for problem in by_state[KNOWN])
        add(f"also of these versions, and not to be seen here: {names}")
    for each in found["unexplained"]:
        counted = [f"{each['count']} since the start"] if each["count"] else []
        counted += [f"{each['earlier']} in the log{before}"] if each["earlier"] else []
        add(f"{each['event']}: {', '.join(counted)}. {each['meaning']}")
    return rows


def _cure(problem: Mapping[str, Any]) -> str:
    if not problem["cured_in"]:
        return str(problem["cure"])
    if problem["cured_by"]:
        return f"{problem['cured_by']} of rollout_stages"
    return (
        f"a stage of gunicorn {problem['cured_in']} or newer"
        f" (needs Python {problem['cured_in_python']}); rollout_stages has none"
    )


def summaries(report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """By host, whether it is ``clean``, and the `summary` as ``text``."""
    return {
        str(host["host"]): {"clean": host["verdict"] == CLEAN, "text": summary(host)}
        for host in report["hosts"]
    }


def summary(host: Host) -> str:
    """One line for the end of a run: the verdict, and why; all of it is in the text."""
    if host["verdict"] != CLEAN:
        reasons = [reason[:SUMMARY] for reason in host["reasons"]] or ["no reason given"]
        more = f"; and {len(reasons) - 2} more" if len(reasons) > 2 else ""
        return f"{host['verdict']}; {'; '.join(reasons[:2])}{more}"
    stable = host["stable_for"]
    return CLEAN + (f"; stable for {span(stable)}" if stable is not None else "")
