# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs now, judged: one host, and the fleet. The shape of both is in docs/check.md.

The verdict is the gate's own (`_gate.verdict.judge`) in the words of a check: ``clean`` is its
``pass``, ``dirty`` its ``fail``, ``inconclusive`` both its ``inconclusive`` and its ``error``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.findings import findings
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.verdict import judge
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.application import (
    application_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.diagnosis import (
    diagnose,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.table import (
    MISSING,
    ORPHANS,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._times import epoch

SCHEMA = 1
CLEAN, DIRTY, INCONCLUSIVE = "clean", "dirty", "inconclusive"
# The worst first.
VERDICTS = (DIRTY, INCONCLUSIVE, CLEAN)
EXIT_CODES = {CLEAN: 0, DIRTY: 2, INCONCLUSIVE: 3}
_WORDS = {"pass": CLEAN, "fail": DIRTY, "inconclusive": INCONCLUSIVE, "error": INCONCLUSIVE}
_COUNTED = ("stot", "hrsp_5xx", "econ", "eresp")
# log_check describes no more of one event than this.
_DESCRIBED = 20


def check(look: Mapping[str, Any]) -> dict[str, Any]:
    """Judge one host.

    ``look`` is what `_gate.verdict.judge` takes, with ``host``, ``at`` (epoch seconds of the look),
    ``since`` (from when on is judged, epoch seconds; nothing for the arbiter's start), ``history``
    (a log_check of what came before, or with ``since`` of all since then), ``history_since`` and
    ``stages`` (rollout_stages). What is empty was not looked at.
    """
    look = _without_lost(_as_numbers(look))
    process = look.get("process") or {}
    arbiter = process.get("arbiter") or {}
    since = look.get("since")
    log = _judged_log(look, arbiter)
    judged = judge({**look, "log": log})
    own, earlier = _counts(look, arbiter)
    log_error = _blind(log) if log else "it could not be looked at"
    runs = _runs(process, look["at"])
    begin = since if since is not None else arbiter.get("started")
    incidents = _incidents(look, arbiter)
    return {
        "host": look["host"],
        "verdict": _WORDS[judged["verdict"]],
        "reasons": judged["reasons"],
        "since": begin,
        "stable_for": None
        if log_error or not arbiter
        else _stable_for(look["at"], begin, incidents, own, earlier, since),
        "runs": runs,
        "incidents": incidents,
        "counts": own,
        "log_error": log_error,
        "earlier": {
            "since": look.get("history_since"),
            "counts": earlier,
            "judged": since is not None,
            "error": _blind(look.get("history")),
        },
        "balancers": _balancers(look.get("balancers") or []),
        "findings": findings(process) if "program" in process else [],
        "diagnosis": diagnose(
            runs,
            {**own, **_signs(process)},
            earlier,
            look.get("stages") or [],
            looked="program" in process and not log_error,
            application=application_of(process.get("settings")),
        ),
    }


def _as_numbers(look: Mapping[str, Any]) -> dict[str, Any]:
    """ansible-core 2.16 makes texts of numbers, and of none an empty one."""
    times = {name: float(look.get(name) or 0) or None for name in ("since", "history_since")}
    parts = {name: look.get(name) or None for name in ("process", "health", "log", "history")}
    return {**look, **parts, **times, "at": float(look["at"])}


def _without_lost(look: Mapping[str, Any]) -> dict[str, Any]:
    """A host that was lost while it was looked at: nothing is known, nothing speaks against it."""
    parts = {name: look.get(name) or {} for name in ("process", "health", "log", "history")}
    lost = next((part for part in parts.values() if part.get("unreachable")), None)
    if lost is None:
        return dict(look)
    blind = {"msg": " ".join(str(lost.get("msg", "unreachable")).split())}
    return {**look, "process": blind, "log": None, "health": None, "history": None}


def _judged_log(look: Mapping[str, Any], arbiter: Mapping[str, Any]) -> Any:
    """The look at the log that counts: of this generation, or since the time asked for."""
    own, asked = look.get("log"), look.get("history")
    if look.get("since") is None or not asked or not arbiter:
        return own
    silent = asked.get("verdict") == "no_data"
    if silent and (own or {}).get("verdict", "no_data") != "no_data":
        # It is the right log, and nothing went wrong since: gunicorn is silent then.
        return {**asked, "verdict": "clean"}
    return asked


def _counts(
    look: Mapping[str, Any], arbiter: Mapping[str, Any]
) -> tuple[dict[str, int], dict[str, int]]:
    """Incidents by event: of what runs now, and of what ran before."""
    own = dict((look.get("log") or {}).get("counts") or {})
    other = dict((look.get("history") or {}).get("counts") or {})
    if not arbiter:
        return {}, own
    since = look.get("since")
    if since is None:
        return own, other
    if since >= arbiter["started"]:
        return other, {}
    rest = {event: count - own.get(event, 0) for event, count in other.items()}
    return own, {event: count for event, count in rest.items() if count > 0}


def _incidents(look: Mapping[str, Any], arbiter: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those of what runs, then those from before, each once; the worst first, as log_check does."""
    own = list((look.get("log") or {}).get("incidents") or [])
    other = list((look.get("history") or {}).get("incidents") or [])
    since, started = look.get("since"), arbiter.get("started")
    if since is not None and started is not None and since >= started:
        own = []
    mine = {(incident["path"], incident["offset"]) for incident in own}
    told = [(incident, bool(arbiter)) for incident in own]
    # What a narrower look of this generation found is of this generation.
    narrow = since is not None and started is not None and since >= started
    told += [
        (incident, narrow)
        for incident in other
        if (incident["path"], incident["offset"]) not in mine
    ]
    return [{**incident, "of_what_runs": current} for incident, current in told]


def _stable_for(
    at: float,
    begin: float | None,
    incidents: list[dict[str, Any]],
    own: Mapping[str, int],
    earlier: Mapping[str, int],
    since: float | None,
) -> float | None:
    """Seconds since the last incident that is judged, or since the begin; none if not known."""
    counts = dict(own)
    for event, count in earlier.items() if since is not None else ():
        counts[event] = counts.get(event, 0) + count
    judged = [
        incident
        for incident in incidents
        if (incident["of_what_runs"] or since is not None) and incident["severity"] != "notice"
    ]
    described = {incident["event"] for incident in judged}
    if begin is None or any(counts.get(event, 0) > _DESCRIBED for event in described):
        return None
    moments = [epoch(incident["last"]) for incident in judged]
    if None in moments:
        return None
    return round(max(0.0, at - max([begin, *(moment for moment in moments if moment)])), 1)


def _runs(process: Mapping[str, Any], at: float) -> dict[str, Any]:
    """What runs; where nothing does, what the virtualenv would start."""
    arbiter, venv = process.get("arbiter") or {}, process.get("venv") or {}
    asked = "program" in process
    return {
        "running": bool(arbiter) if asked else None,
        "state": process["program"].get("state") if asked else None,
        "gunicorn": arbiter.get("gunicorn") or venv.get("gunicorn"),
        "python": arbiter.get("python") or venv.get("python"),
        "release": arbiter.get("release") or venv.get("release"),
        "venv": venv.get("kind"),
        "pid": arbiter.get("pid"),
        "started": arbiter.get("started"),
        "up_for": round(at - arbiter["started"], 1) if arbiter else None,
        "workers": len(process.get("workers") or []) if asked else None,
        "workers_wanted": arbiter.get("workers_wanted"),
        "listeners": list(process.get("listeners") or []),
        "orphans": [stray["pid"] for stray in process.get("orphans") or []],
        "unmanaged": [stray["pid"] for stray in process.get("unmanaged") or []],
        "logs": list(process.get("logs") or []),
    }


def _signs(process: Mapping[str, Any]) -> dict[str, int]:
    """What the processes tell that no log does."""
    wanted = (process.get("arbiter") or {}).get("workers_wanted") or 0
    missing = wanted - len(process.get("workers") or [])
    signs = {ORPHANS: len(process.get("orphans") or []), MISSING: max(0, missing)}
    return {name: count for name, count in signs.items() if count}


def _balancers(results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each balancer's view of the server. It counts since its own start, not the server's."""
    told = []
    for result in results:
        name, error = str(result.get("item", "")), _blind(result)
        for server in result.get("servers") or ([] if not error else [{}]):
            counters = server.get("counters") or {}
            requests, failed, refused, broken = (counters.get(each) for each in _COUNTED)
            broke = None if refused is None and broken is None else (refused or 0) + (broken or 0)
            told.append(
                {
                    "balancer": name,
                    "backend": server.get("backend"),
                    "status": server.get("status"),
                    "sessions": server.get("sessions"),
                    "requests": requests,
                    "http_5xx": failed,
                    "connection_errors": broke,
                    "counted_for": (result.get("node") or {}).get("uptime"),
                    "error": error,
                }
            )
    return told


def _blind(result: Mapping[str, Any] | None) -> str:
    """Why a module could not look; empty if it could."""
    if not result or ("msg" not in result and not result.get("failed")):
        return ""
    return " ".join(str(result.get("msg") or "no answer").split())


# -- the fleet ----------------------------------------------------------------------------------


def check_fleet(hosts: Mapping[str, Any], at: Any) -> dict[str, Any]:
    """Return the report of a fleet; ``hosts`` leads from names to what `check` returned.

    A host without one could not be looked at to the end, and is ``inconclusive``.
    """
    judged = [_complete(name, told) for name, told in hosts.items()]
    judged.sort(key=lambda host: (VERDICTS.index(host["verdict"]), host["host"]))
    verdict = judged[0]["verdict"] if judged else INCONCLUSIVE
    return {
        "schema": SCHEMA,
        "at": round(float(at), 3),
        "verdict": verdict,
        "exit_code": EXIT_CODES[verdict],
        "hosts": judged,
    }


def _complete(name: str, told: Any) -> dict[str, Any]:
    if isinstance(told, Mapping) and told:
        return dict(told)
    broken = {"msg": "the check of this host broke off; its error is above"}
    return check({"host": name, "at": 0.0, "process": broken})


def exit_code(report: Mapping[str, Any], failed: Iterable[str], lost: Iterable[str]) -> int | None:
    """The exit code that a run should have instead of its own; None to leave it as it is.

    Only a run in which nothing failed but hosts that could not be judged has one of its own.
    """
    unjudged = {host["host"] for host in report["hosts"] if host["verdict"] == INCONCLUSIVE}
    ill = {*failed, *lost}
    if report["verdict"] != INCONCLUSIVE or not ill or not ill <= unjudged:
        return None
    return EXIT_CODES[INCONCLUSIVE]
