# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The end screen of ``make demo`` and its verdict: pure, from what was measured."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from demo.rotation import Change, Outage

NAMES = {"new": "new connections", "keepalive": "kept connections", "slow": "slow, 2 to 3 s"}


class Restart(NamedTuple):
    """A bare restart (``command``) of a server that nobody uses, in seconds.

    ``startsecs``: how long supervisord waits before it calls a start one; None without it.
    """

    server: str
    gone: float
    until_200: float
    startsecs: int | None
    command: str = "supervisorctl restart"


class Measured(NamedTuple):
    """Everything one ``make demo`` saw."""

    drain: bool
    exit_code: int
    seconds: float
    stages: Sequence[Mapping[str, str]]
    changes: Mapping[str, Sequence[Change]]
    outages: Mapping[str, Sequence[Outage]]
    # For each outage, how long the server itself did not answer.
    silences: Mapping[str, Sequence[float]]
    traffic: Mapping[str, Any]
    restart: Restart | None
    remark: str
    logs: Sequence[str]
    # Whether the balancer checks its servers by itself.
    checks: bool = True


def arrived(changes: Sequence[Change], stages: Sequence[Mapping[str, str]]) -> bool:
    """Whether a server ended on the last stage."""
    if not changes:
        return False
    now, wanted = changes[-1], stages[-1]
    python = wanted.get("python", "").split(".")
    # A stage may name no Python, or one by its path: then there is no version to compare with.
    same = not python[0].isdigit() or now.python.split(".")[: len(python)] == python
    return now.gunicorn == wanted["gunicorn"] and same


def verdict(seen: Measured) -> tuple[bool, str]:
    """Whether the demo showed what it is there to show, in one line."""
    sent, failed = seen.traffic["sent"], seen.traffic["failed"]
    behind = [name for name, changes in seen.changes.items() if not arrived(changes, seen.stages)]
    silent = [NAMES[kind] for kind, counts in seen.traffic["kinds"].items() if not counts["sent"]]
    if seen.exit_code:
        return False, f"FAILED: upgrade.yml ended with {seen.exit_code} ({failed} of {sent} lost)."
    if behind:
        return False, f"FAILED: upgrade.yml ended well, but not on its last stage: {wide(behind)}."
    if silent:
        return False, f"FAILED: nothing was sent on {wide(silent)}, so this run proves nothing."
    if seen.drain:
        if failed:
            return False, f"FAILED: upgraded, but {failed} of {sent} requests were lost."
        return True, f"Upgraded under traffic: {sent} requests sent, none lost."
    if failed:
        return True, f"Negative control: without draining, lost {failed} of {sent} requests."
    return False, (
        f"FAILED: the negative control lost none of {sent} requests. It should lose some: "
        "this traffic cannot tell a good rollout from a bad one."
    )


def wide(words: Sequence[str]) -> str:
    return ", ".join(words)


def screen(seen: Measured) -> list[str]:
    """The one screen that a run ends with."""
    lines = ["", verdict(seen)[1], ""]
    for name, changes in seen.changes.items():
        way = " -> ".join(f"{c.gunicorn} on {c.python}" for c in changes) or "never answered"
        lines.append(f"  {name}    {way}")
    stages = [f"{s['gunicorn']} on {s.get('python', 'the same Python')}" for s in seen.stages]
    lines.append(f"  stages  {', then '.join(stages)}; the run took {seen.seconds:.0f} s")
    if seen.remark:
        lines.append(f"  note    {seen.remark}")
    lines += ["", *requests(seen.traffic), "", *rotation(seen), ""]
    lines += ["  logs    " + seen.logs[0], *("          " + path for path in seen.logs[1:]), ""]
    return lines


def requests(traffic: Mapping[str, Any]) -> list[str]:
    lines = ["  requests                sent  failed"]
    for kind, counts in traffic["kinds"].items():
        lines.append(f"    {NAMES[kind]:<18}{counts['sent']:>8}{counts['failed']:>8}")
    lines.append(f"    {'all':<18}{traffic['sent']:>8}{traffic['failed']:>8}")
    if traffic["errors"]:
        how = ", ".join(f"{count} x {reason}" for reason, count in traffic["errors"].items())
        lines.append(f"    lost as: {how}")
    if traffic["skipped"]:
        lines.append(f"    not sent, all threads being busy: {traffic['skipped']}")
    return lines


def rotation(seen: Measured) -> list[str]:
    lines = outage_table(seen) if seen.drain else down_table(seen)
    bare = seen.restart
    if bare is None:
        return lines
    lines += [
        f"    a bare `{bare.command}` of {bare.server} without traffic, for comparison:",
        f"    no answer for {bare.gone:.2f} s; {bare.until_200:.2f} s until it had returned"
        " and a 200 came" + ("" if bare.startsecs is None else f" (startsecs={bare.startsecs})"),
    ]
    switches = [outage.switching for outages in seen.outages.values() for outage in outages]
    if seen.drain and switches:
        times = max(switches) / bare.until_200
        lines.append(f"    the longest switch above took {times:.2f} times as long as that")
    return lines


def outage_table(seen: Measured) -> list[str]:
    lines = ["  out of rotation, s      draining  switching  checked    total  (no answer)"]
    for name, outages in seen.outages.items():
        for outage, silence in zip(outages, seen.silences[name], strict=True):
            still = "" if outage.over else "  still out"
            lines.append(
                f"    {name} {reached(seen.changes[name], outage):<12}{outage.draining:>11.2f}"
                f"{outage.switching:>11.2f}{outage.checked:>9.2f}{outage.total:>9.2f}{silence:>13.2f}{still}"
            )
        if not outages:
            lines.append(f"    {name} was never taken out")
    return lines


def down_table(seen: Measured) -> list[str]:
    """Without draining nothing was taken out: what is left is what the checks noticed, late."""
    if not seen.checks:
        return ["  nothing was taken out, and nginx checks nobody: it sent requests all the while"]
    lines = ["  called down by HAProxy's own checks, s"]
    for name, outages in seen.outages.items():
        listed = ", ".join(
            f"{outage.total:.2f} {reached(seen.changes[name], outage)}".strip()
            for outage in outages
        )
        lines.append(f"    {name} {listed or 'never'}")
    return lines


def reached(changes: Sequence[Change], outage: Outage) -> str:
    """What a server ran on when this outage was over, such as ``-> 21.2.0``."""
    # The server is asked now and then, so it may have been seen a moment late.
    until = outage.began + outage.total + 1.0
    within = [change for change in changes if outage.began <= change.time <= until]
    return f"-> {within[-1].gunicorn}" if within else ""
