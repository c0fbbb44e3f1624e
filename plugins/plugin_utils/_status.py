# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet at this moment: as data for a program, and as one table for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_record import is_first
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._few import few
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._fleet_questions import (
    answers_about,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.bake import duration_words
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.ramp import share_of
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.stage_bake import (
    moment_words,
    place,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.steps import (
    UNFINISHED,
    Running,
    host_steps,
    read_stages,
    stages_of_run,
)

HEADERS = (
    "host",
    "in rotation",
    "gunicorn",
    "python",
    "release",
    "since",
    "workers",
    "state",
    "rollout",
    "left",
    "last incident",
)
_ALWAYS = HEADERS.index("left")
# In the record, what speaks against a host.
_INCIDENTS = ("failed", "out")
# Of a reason, as much as a column and as a line may have; all of it is in the data.
_WHY = 60
_REASON = 300
# So many bad releases has the table, the newest; all of them are in the data.
_BAD = 20
# So many of the last runs' reports are named.
_REPORTS = 3


def fleet_status(
    hosts: Iterable[Mapping[str, Any]],
    record: Mapping[str, Any] | None = None,
    lock: Mapping[str, Any] | None = None,
    waits: Mapping[str, Any] | None = None,
    balancers: Iterable[Mapping[str, Any]] | None = None,
    reports: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return all that is known of a fleet.

    ``hosts`` are the variables of the hosts with what the roles left in them, ``record`` is a
    result of fleet_record, ``lock`` one of fleet_lock that asked whether it could be held.
    ``waits`` has the time it is ``now``, and how long a server has to ``soak`` and to ``bake``, and
    how long before that the first of a stage has its ``ramp``; ``stages`` and ``to``, as the
    operator wrote them, tell which of them bakes.
    ``balancers`` are the results of `_fleet_questions`, where the balancers were asked once about
    all hosts, and not once for each; ``reports`` is a result of fleet_report_info. What could not
    be asked says so in ``error``. Times are seconds since the epoch, spans seconds.
    """
    known = (record or {}).get("record") or {}
    waits = {**waits, **_stages(waits)} if waits else None
    kept = reports or {}
    told = known.get("hosts") or {}
    incidents = _last_incidents(known.get("events") or [])
    answers = list(balancers or [])
    shown = []
    for host in hosts:
        name = str(host["inventory_hostname"])
        one = _host(host, told.get(name), answers)
        left = _left(one, waits, known) if waits else None
        shown.append({**one, "left": left, "last_incident": incidents.get(name)})
    return {
        "hosts": shown,
        "bakes": _bakes(shown, waits) if waits else [],
        "lock": _lock(lock or {}),
        "run": known.get("run"),
        "bad_releases": {
            name: mark
            for name, mark in (known.get("marks") or {}).items()
            if mark.get("mark") == "bad"
        },
        "reports": [dict(each) for each in kept.get("reports") or []],
        "reports_error": str(kept.get("msg") or "no answer")
        if kept and "reports" not in kept
        else "",
        "error": str(record.get("msg") or "no answer") if record and not known else "",
    }


def _host(
    host: Mapping[str, Any],
    told: Mapping[str, Any] | None,
    answers: list[Mapping[str, Any]],
) -> dict[str, Any]:
    info = host.get("_service_info") or {}
    arbiter = info.get("arbiter") or {}
    venv = info.get("venv") or {}
    asked = "program" in info
    return {
        "host": str(host["inventory_hostname"]),
        "balancers": _balancers(_seen(host, answers)),
        "gunicorn": arbiter.get("gunicorn"),
        "python": arbiter.get("python"),
        "release": venv.get("release"),
        "venv": venv.get("kind"),
        "previous": venv.get("previous"),
        "since": arbiter.get("started"),
        "age": info.get("age"),
        "workers": len(info.get("workers") or []) if asked else None,
        "state": info["program"].get("state") if asked else None,
        "programs": {each["program"]: each["state"] for each in info.get("programs") or []},
        "recorded": dict(told) if told else None,
        "error": "" if asked else str(info.get("msg") or "no answer"),
    }


def _left(
    host: Mapping[str, Any], waits: Mapping[str, Any], record: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What the host has to wait for: ``what`` (``soak``, ``bake``) and ``seconds``, 0 when over;
    ``stage`` where that is what bakes.

    Both count from the start of the gunicorn that runs, as its host tells it. It soaks a little
    longer than that, since a soak begins when the balancers have it back.
    """
    told = host["recorded"] or {}
    if host["since"] is None:
        return None
    ran = float(waits["now"]) - float(host["since"]) if host["age"] is None else float(host["age"])
    stage = _stage_of(host, waits)
    if stage and stage["bake"]:
        return {"what": "bake", "seconds": max(0.0, stage["bake"] - ran), "stage": stage["number"]}
    if not told:
        return None
    if told["phase"] == "taken" and told.get("release") == host["release"]:
        serves = all(each["status"] == "UP" and not each["lease"] for each in host["balancers"])
        first = is_first(record, host["host"], str(told.get("plan")), told.get("stage") or 0)
        left = float(waits["soak"]) + (float(waits.get("ramp") or 0) if first else 0) - ran
        return {"what": "soak", "seconds": left} if serves and left > 0 else None
    if told["phase"] == "passed" and told.get("plan") and float(waits["bake"]):
        return {"what": "bake", "seconds": max(0.0, float(waits["bake"]) - ran)}
    return None


def _stages(waits: Mapping[str, Any]) -> dict[str, Any]:
    """The stages as they were read; of what is no stage nothing is told."""
    stages, problems = read_stages(waits.get("stages") or [])
    if not problems:
        stages, problems = stages_of_run(stages, str(waits.get("to") or ""))
    return {"stages": [] if problems else stages}


def _stage_of(host: Mapping[str, Any], waits: Mapping[str, Any]) -> dict[str, Any] | None:
    """The stage that the host runs, if another one follows there and it is proved."""
    stages, told = waits["stages"], host["recorded"] or {}
    if not (stages and host["gunicorn"] and host["python"]):
        return None
    if told.get("phase") in UNFINISHED and told.get("release") == host["release"]:
        return None
    running = Running(host["gunicorn"], host["python"], host["release"] or "")
    found = place([step._asdict() for step in host_steps(stages, running, False)[0]])
    return stages[found["runs"] - 1]._asdict() if found["runs"] and found["todo"] else None


def _bakes(hosts: Iterable[Mapping[str, Any]], waits: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each stage that bakes: on which hosts, until when (epoch seconds), and who is not on it."""
    found: dict[int, list[Mapping[str, Any]]] = {}
    everybody = list(hosts)
    for host in everybody:
        if (host["left"] or {}).get("stage"):
            found.setdefault(host["left"]["stage"], []).append(host)
    return [
        {
            "stage": number,
            "of": len(waits["stages"]),
            "gunicorn": waits["stages"][number - 1].gunicorn,
            "hosts": [host["host"] for host in those],
            "left": (left := max(host["left"]["seconds"] for host in those)),
            "until": float(waits["now"]) + left,
            "now": float(waits["now"]),
            "behind": [host["host"] for host in everybody if _is_behind(host, number, waits)],
        }
        for number, those in sorted(found.items())
    ]


def _is_behind(host: Mapping[str, Any], number: int, waits: Mapping[str, Any]) -> bool:
    """Whether a host has not passed the stage yet, or cannot tell."""
    if not (host["gunicorn"] and host["python"]):
        return True
    running = Running(host["gunicorn"], host["python"], host["release"] or "")
    steps = host_steps(waits["stages"], running, False)[0]
    return any(step.action != "skip" and step.stage <= number for step in steps)


def _last_incidents(events: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of the record, by host: when something last failed there, and what."""
    return {
        str(event.get("host")): {"at": event["at"], "why": event.get("why", "")}
        for event in events
        if event.get("event") in _INCIDENTS
    }


def _seen(host: Mapping[str, Any], answers: list[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """What each balancer says of the host."""
    asked = (host.get("_settings_checked") or {}).get("host")
    if answers and asked:
        return answers_about(answers, asked)
    found: list[Mapping[str, Any]] = (host.get("_load_balancer_result") or {}).get("results", [])
    return found


def _balancers(results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for result in results:
        name = str(result.get("item", ""))
        lease = result.get("lease")
        servers = result.get("servers")
        if not servers:
            error = str(result.get("msg") or "no answer")
            found.append(
                {"balancer": name, "status": None, "share": None, "lease": None, "error": error}
            )
        for server in servers or []:
            found.append(
                {
                    "balancer": name,
                    "backend": server.get("backend"),
                    "status": server["status"],
                    "share": share_of(server),
                    "lease": lease["seconds_left"] if lease else None,
                    "error": "",
                }
            )
    return found


def _lock(result: Mapping[str, Any]) -> dict[str, Any]:
    if result.get("held_by_other"):
        return {"state": "held", "text": str(result.get("msg", "")), "holder": result["holder"]}
    if "holder" in result and not result.get("failed"):
        return {"state": "free", "text": "free", "holder": None}
    return {"state": "unknown", "text": str(result.get("msg") or "not asked"), "holder": None}


# -- for a person -------------------------------------------------------------------------------


def status_table(status: Mapping[str, Any]) -> list[str]:
    """Return the lines: one for each host, then what is known of the fleet as a whole."""
    rows = _worth_showing([HEADERS, *(_row(host) for host in status["hosts"])])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [*table, *_fleet_lines(status)]


def _worth_showing(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The rows without the last columns if nobody has anything there."""
    while len(rows[0]) > _ALWAYS and {row[-1] for row in rows[1:]} <= {"-"}:
        rows = [row[:-1] for row in rows]
    return rows


def _row(host: Mapping[str, Any]) -> tuple[str, ...]:
    rotation = ", ".join(_rotation(each) for each in host["balancers"]) or "?"
    recorded = _recorded(host.get("recorded"))
    incident = _incident(host["last_incident"])
    if host["error"]:
        unknown = ("?",) * 5
        return (host["host"], rotation, *unknown, host["error"][:80], recorded, "?", incident)
    return (
        host["host"],
        rotation,
        host["gunicorn"] or "-",
        host["python"] or "-",
        host["release"] or f"({host['venv'] or '?'})",
        _time(host["since"]) if host["since"] is not None else "-",
        str(host["workers"]),
        _state(host),
        recorded,
        _waits(host["left"]),
        incident,
    )


def _state(host: Mapping[str, Any]) -> str:
    """``RUNNING``, and which of the other programs do not run: ``RUNNING, worker:worker FATAL``."""
    down = [
        f"{name} {state}"
        for name, state in (host.get("programs") or {}).items()
        if state != "RUNNING"
    ]
    return ", ".join([str(host["state"]), *down])


def _waits(left: Mapping[str, Any] | None) -> str:
    if not left:
        return "-"
    if left["what"] == "bake" and not left["seconds"]:
        return "baked"
    about = "about " if left["what"] == "soak" else ""
    return f"{left['what']} {about}{duration_words(left['seconds'])}"


def _incident(found: Mapping[str, Any] | None) -> str:
    if not found:
        return "-"
    return f"{_time(found['at'])} {_short(found['why'], _WHY)}".rstrip()


def _short(text: Any, limit: int) -> str:
    words = " ".join(str(text).split())
    return words if len(words) <= limit else f"{words[:limit]}..."


def _rotation(each: Mapping[str, Any]) -> str:
    """``lb1 UP``, or ``lb1 UP 10 %`` of its weight; what could not be asked is a question mark.

    A server that the balancer will put back by itself: ``lb1 MAINT (back in 540 s)``.
    """
    back = f" (back in {each['lease']:.0f} s)" if each["lease"] else ""
    share = f" {each['share']} %" if each["share"] not in (None, 100) else ""
    return f"{each['balancer']} {each['status'] or '?'}{share}{back}"


def _recorded(told: Mapping[str, Any] | None) -> str:
    if not told:
        return "-"
    stage = f" stage {told['stage']}" if told.get("stage") else ""
    return f"{told['phase']}{stage} {_time(told['at'])}"


def _bake_line(bake: Mapping[str, Any]) -> str:
    name = f"stage {bake['stage']} of {bake['of']}"
    until = (
        f"bakes until {moment_words(bake['now'], bake['left'])}" if bake["left"] else "has baked"
    )
    behind = f"; {few(bake['behind'])} does not run it yet" if bake["behind"] else ""
    return f"bake      {name} (gunicorn {bake['gunicorn']}) {until} on {few(bake['hosts'])}{behind}"


def _fleet_lines(status: Mapping[str, Any]) -> list[str]:
    lines = ["", *map(_bake_line, status.get("bakes") or [])]
    lock = status["lock"]
    lines.append(f"lock      {lock['text']}")
    run = status["run"]
    if run:
        words = f"{run['kind']} by {run['owner']}, {_time(run['began'])}: {run['status']}"
        if run["status"] == "running" and lock["state"] == "free":
            words += ", without a lock: it was killed, or lost its way"
        if run["host"]:
            words += f" by {run['host']}"
        if run["why"]:
            words += f": {_short(run['why'], _REASON)}"
        lines.append(f"last run  {words}")
    bad = sorted(status["bad_releases"].items(), key=lambda item: float(item[1]["at"]))
    if len(bad) > _BAD:
        lines.append(f"bad       {len(bad)} releases; the last {_BAD} of them:")
    for name, mark in sorted(bad[-_BAD:]):
        why = _short(mark["why"], _REASON) or "no reason given"
        lines.append(f"bad       {name}: {mark['host']}, {mark['by']}, {_time(mark['at'])}: {why}")
    lines += [_report_line(each) for each in (status.get("reports") or [])[:_REPORTS]]
    if status.get("reports_error"):
        lines.append(f"report    {_short(status['reports_error'], _REASON)}")
    if status["error"]:
        lines.append(f"record    {status['error']}")
    return lines


def _report_line(report: Mapping[str, Any]) -> str:
    """Under which name `report.yml` fetches it, and how that run ended."""
    if report.get("error"):
        return f"report    {report['name']}: {_short(report['error'], _REASON)}"
    why = f" by {report['host']}, {report['code']}" if report["host"] else ""
    return f"report    {report['name']}: {report['result']}{why}, by {report['by']}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(float(seconds), timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
