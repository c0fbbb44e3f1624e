# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a run as one piece of data, from what was asked and what each host said.

Whatever could not be found out is said to be unknown, and is no reason to leave out the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.record import trial_of
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.stage_order import (
    python_minor_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_record import is_first
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.ramp import ramp_steps
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.application import (
    application_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.table import (
    HAZARDS,
    Hazard,
    concerns,
    hazards_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.journals import logs_read
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.newer import newer
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.once import once_lines
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.packages import (
    difference,
    unknown,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.settings import changes_for
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.shared_venv import planned
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.stage_bake import place
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.steps import (
    Stage,
    read_stages,
    stages_of_run,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.trials import (
    stale_problems,
    trials_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.turns import (
    seconds,
    turns_of,
)

SCHEMA = 1
MAX_TEXT = 500


def plan_document(hosts: Sequence[Mapping[str, Any]], run: Mapping[str, Any]) -> dict[str, Any]:
    """Put a plan together.

    ``hosts`` are the variables of the hosts of the run, in the order in which they are taken.
    ``run`` has ``hash``, ``fleet``, ``stages`` (as the operator wrote them), ``to``, ``waves``,
    ``group`` and ``present`` (names of hosts), ``limits`` (see `_plan.turns.seconds`), ``record``,
    ``ramp`` (``shares`` in percent and ``soak``, the seconds at each but the last), ``index`` (a
    result of module ``index_info``), ``asked_by``, ``keep`` (how many releases), ``trial`` (the
    ``test`` and the ``environment``, names of variables), ``wait`` (whether the run waits where a
    stage bakes), ``outage`` (whether nothing takes a server out of rotation), ``window`` (see
    `_plan.window.window_verdict`), ``may_fail`` (how many servers).
    """
    told = {str(host["inventory_hostname"]): _Host(host, run["present"]) for host in hosts}
    wanted, _problems = read_stages(run["stages"])
    chosen, _problems = stages_of_run(wanted, run["to"])
    steps = {host: {step["stage"]: step for step in each.steps} for host, each in told.items()}
    turns = [
        _turn(turn._asdict(), told[turn.host], steps[turn.host][turn.stage])
        for turn in turns_of([stage.number for stage in chosen], list(told), run["waves"])
        if turn.stage in steps[turn.host]
    ]
    ramp = _ramp(turns, run)
    bakes = _bakes(chosen, told, run)
    hazards = {hazard["name"]: hazard for turn in turns for hazard in turn.pop("told")}
    index = run["index"] if isinstance(run["index"], Mapping) else {}
    versions = index.get("versions") or []
    return {
        "schema": SCHEMA,
        "plan": run["hash"],
        "fleet": run["fleet"],
        "stages": [
            {
                **stage._asdict(),
                "in_run": stage in chosen,
                **_ends(stage.number, turns, versions, told),
            }
            for stage in wanted
        ],
        "turns": turns,
        "hazards": hazards,
        "index": {
            "asked": list(index.get("asked") or []),
            "asked_by": run["asked_by"],
            "newest": versions[0]["version"] if versions else "",
            "error": _index_error(index),
        },
        "seconds": seconds(
            turns,
            run["limits"],
            run["record"],
            ramp["seconds"],
            sum(bake["left"] for bake in bakes["stages"]),
        ),
        "window": run.get("window") or {},
        "once": once_lines(run.get("hooks") or [], run["record"], str(run["hash"])),
        "may_fail": int(run.get("may_fail") or 0),
        "outage": _outage(turns, run),
        "ramp": ramp,
        "bakes": bakes,
        "trials": _trials(turns, told, run["trial"]),
        "prune": {
            "keep": int(run["keep"]),
            "hosts": {host: each.prune for host, each in told.items() if any(each.prune.values())},
        },
        "not": {
            "stages": [stage.gunicorn for stage in wanted if stage not in chosen],
            "hosts": {host: "not in this run" for host in run["group"] if host not in told},
            "unneeded": {host: each.skipped for host, each in told.items() if each.skipped},
        },
        "programs": {host: names for host, each in told.items() if (names := each.programs())},
        "beside": {
            host: texts
            for host, each in told.items()
            if (texts := each.beside(run.get("hooks") or []))
        },
        "logs": {
            turn["host"]: told[turn["host"]].logs
            for turn in turns
            if turn["action"] != "skip" and told[turn["host"]].logs
        },
        "problems": {host: each.problems for host, each in told.items() if each.problems},
    }


def _outage(turns: Sequence[Mapping[str, Any]], run: Mapping[str, Any]) -> dict[str, Any]:
    """How often each host refuses requests, and for how many seconds at most each time."""
    hosts = [turn["host"] for turn in turns if turn["action"] == "upgrade"]
    limits = run["limits"]
    return {
        "hosts": {host: hosts.count(host) for host in hosts} if run["outage"] else {},
        "at_most": limits["stop"] + limits["start"],
    }


def _ramp(turns: Sequence[Mapping[str, Any]], run: Mapping[str, Any]) -> dict[str, Any]:
    """Which turns come back step by step: the first of a stage, if nobody has passed it yet."""
    shares = ramp_steps(run["ramp"]["shares"])
    turns = [
        turn
        for turn in turns
        if turn["wave"] == 1
        and shares
        and is_first(run["record"], turn["host"], run["hash"], turn["stage"])
    ]
    stages = sorted({turn["stage"] for turn in turns})
    return {
        "shares": shares,
        "hosts": list(dict.fromkeys(turn["host"] for turn in turns)),
        "stages": stages,
        "soak": float(run["ramp"]["soak"]),
        "seconds": len(stages) * len(shares) * float(run["ramp"]["soak"]),
    }


def _bakes(
    stages: Sequence[Stage], told: Mapping[str, _Host], run: Mapping[str, Any]
) -> dict[str, Any]:
    """What bakes before the next stage, and which stages nobody watches before the next.

    A server that runs the stage already has a part of the time behind it; what the servers outside
    the run have is not known here.
    """
    places = {name: place(host.steps) for name, host in told.items()}
    found: list[dict[str, Any]] = []
    unwatched: list[list[str]] = []
    for stage, after in zip(stages, stages[1:], strict=False):
        waiting = [
            name for name, each in places.items() if max(each["todo"], default=0) > stage.number
        ]
        takes = [name for name in waiting if min(places[name]["todo"]) <= stage.number]
        runs = [
            name for name in waiting if places[name]["runs"] == stage.number and name not in takes
        ]
        if not waiting:
            continue
        if not stage.bake:
            unwatched += [[stage.gunicorn, after.gunicorn]] if takes else []
            continue
        left = [stage.bake] * bool(takes)
        left += [max(0.0, stage.bake - told[name].age) for name in runs]
        found.append(
            {
                "stage": stage.number,
                "seconds": stage.bake,
                "left": round(max(left, default=0.0), 1),
                "hosts": takes + runs,
            }
        )
    last = stages[-1] if stages else None
    return {
        "stages": found,
        "waits": str(run.get("wait", False)).lower() == "true",
        "unwatched": unwatched,
        "nothing_follows": last.number
        if last and last.bake and last.number == len(run["stages"])
        else 0,
    }


def _trials(
    turns: Sequence[Mapping[str, Any]], told: Mapping[str, _Host], trial: Mapping[str, Any]
) -> dict[str, Any]:
    """What each host that is upgraded tries before it is drained."""
    upgrades: dict[str, list[dict[str, Any]]] = {}
    for turn in turns:
        if turn["action"] == "upgrade" and not told[turn["host"]].problems:
            upgrades.setdefault(turn["host"], []).append(
                {"there": turn["release"]["there"], "packages": _moves(turn["packages"])}
            )
    return {
        host: trials_of(trial["test"], trial["environment"], told[host].user, steps)
        for host, steps in upgrades.items()
    }


def _moves(packages: Mapping[str, Any]) -> bool | None:
    """Whether the application's own packages change; None if that is not known."""
    if packages["error"]:
        return None
    changed = set(packages["changed"]) | set(packages["added"]) | set(packages["removed"])
    return bool(changed - {"gunicorn"} or packages["undecided"] or packages["may_move"])


def stale_of(found: Any, trial: Any) -> list[str]:
    """Return why a host cannot take a stage; see `_plan.trials.stale_problems`."""
    return stale_problems(found, trial_of(trial))


def problems_of(info: Any, plan: Mapping[str, Any], program: str) -> list[str]:
    """Return why a host cannot take part; ``info`` is what module ``gunicorn_info`` returned."""
    info = _mapping(info)
    if info.get("unreachable"):
        return [_bounded(f"cannot be reached: {info.get('msg')}")]
    if info.get("failed") or not isinstance(info.get("program"), Mapping):
        return [_bounded(str(info.get("msg") or "its service manager could not be asked"))]
    if not isinstance(info.get("arbiter"), Mapping):
        return [
            f"Asked what runs as program {program}, and found no gunicorn: the service manager says"
            f" {info['program'].get('state')}. Start it and see that it serves; an upgrade begins"
            " from a healthy host."
        ]
    programs = [str(each) for one in info.get("programs") or [] for each in one["problems"]]
    return [*map(str, info.get("refusals") or []), *programs, *plan["problems"]]


def stage_problems(stages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return why stages cannot be built, each reason once: ``stage 1, 2: ...``.

    ``stages`` is what module ``plan_info`` returned.
    """
    numbers: dict[str, list[str]] = {}
    for stage in stages:
        for problem in stage.get("problems") or []:
            number, _colon, why = str(problem).partition(": ")
            numbers.setdefault(why, []).append(number.rpartition(" ")[2])
    return [f"stage {', '.join(those)}: {why}" for why, those in numbers.items()]


def stages_to_look_at(
    raw_stages: Any, to: str, app_requirements: str, contents: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the option ``stages`` of module ``plan_info``: all that a server may have to take."""
    wanted, _problems = read_stages(raw_stages)
    chosen, _problems = stages_of_run(wanted, to)
    stages = []
    for stage in chosen:
        file = stage.requirements or app_requirements
        there = file.startswith("/")
        stages.append(
            {
                "stage": stage.number,
                "gunicorn": stage.gunicorn,
                "python": stage.python,
                # A file of one line must not be equal to what else is told: Ansible hides that.
                "requirements": f"# {file}\n{contents[file]}" if file and not there else "",
                "requirements_file": file if there else "",
                "requirements_source": file,
            }
        )
    return stages


def who_asks(hosts: Sequence[Mapping[str, Any]]) -> str:
    """Return the first host that has something to be built and nothing against it, or nobody."""
    for host in hosts:
        steps = _mapping(host.get("_rollout_plan")).get("steps") or []
        builds = any(step["action"] == "upgrade" for step in steps)
        if builds and not _mapping(host.get("_preflight_seen")).get("problems"):
            return str(host["inventory_hostname"])
    return ""


class _Host:
    """What is known of a host; of one that did not answer, that it did not."""

    def __init__(self, told: Mapping[str, Any], present: Sequence[str]) -> None:
        plan = _mapping(told.get("_rollout_plan"))
        self.steps: list[dict[str, Any]] = list(plan.get("steps") or [])
        kept = _mapping(told.get("_preflight_seen"))
        self.problems: list[str] = [str(each) for each in kept.get("problems") or []]
        if told["inventory_hostname"] not in present and not self.problems:
            said = _mapping(told.get("_service_info"))
            lost = f"cannot be reached: {said.get('msg') or 'it failed earlier'}"
            self.problems = [_bounded(lost)]
        self.info = _mapping(told.get("_service_info"))
        found = _mapping(kept.get("found"))
        self.problems += stage_problems(found.get("stages") or [])
        self.unseen = str(found.get("msg") or "the host was not asked")
        self.age = float(self.info.get("age") or 0)
        self.logs = logs_read(told, self.info)
        program = _mapping(_mapping(told.get("_service_info")).get("program"))
        self.user = str(program.get("user") or "")
        self.packages: dict[str, str] = dict(found.get("packages") or {})
        self.releases = {each["stage"]: each for each in found.get("stages") or []}
        self.settings = _mapping(found.get("settings")) or {"error": "not seen"}
        seen = _mapping(_mapping(told.get("_service_info")).get("settings"))
        self.application = application_of(self.settings) or application_of(seen)
        self.caps = {each["stage"]: list(each.get("caps") or []) for each in self.releases.values()}
        self.prune = {"releases": [], "error": ""} if self.problems else self._prune(kept)
        actions = {step["action"] for step in self.steps}
        self.skipped = self.steps[-1]["reason"] if actions == {"skip"} else ""

    def programs(self) -> list[str]:
        """Return what is switched, in the order of the start: the gunicorn, then the others."""
        others = [str(each["program"]) for each in self.info.get("programs") or []]
        program = self.info.get("program")
        if not others or self.problems or not isinstance(program, Mapping):
            return []
        return [str(program.get("name")), *others]

    def beside(self, hooks: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return what becomes of the other programs on a virtualenv that is switched."""
        taken = [step for step in self.steps if step["action"] == "upgrade"]
        if self.problems or not taken:
            return []
        return planned(self.info, python_minor_of(taken[-1]["python"]), hooks)

    def _prune(self, kept: Mapping[str, Any]) -> dict[str, Any]:
        """Return what module ``release_prune`` would remove; it is not asked to keep all."""
        found = _mapping(kept.get("prune"))
        unknown_ = [
            step["gunicorn"]
            for step in self.steps
            if step["action"] == "upgrade"
            and not (self.releases.get(step["stage"]) or {}).get("id")
        ]
        error = "" if "removed" in found else str(found.get("msg") or "")
        if "removed" in found and unknown_:
            error = f"the release of stage {', '.join(unknown_)} is not known"
        return {
            "releases": [] if error else list(found.get("removed") or []),
            "error": _bounded(error),
        }


def _bounded(text: str) -> str:
    """Return what a connection said as one line."""
    return " ".join(text.split())[:MAX_TEXT]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _turn(turn: dict[str, Any], host: _Host, step: Mapping[str, Any]) -> dict[str, Any]:
    release = host.releases.get(turn["stage"])
    python = python_minor_of(step["python"])
    upgrade = step["action"] == "upgrade"
    application = host.application
    has = [hazard.name for hazard in hazards_of(step["gunicorn"], python, application)]
    had = hazards_of(step["from_gunicorn"], step["from_python"], application)
    told = [each for each in map(_row, step["hazards"]) if concerns(each, application)]
    brings = [hazard.name for hazard in told]
    goes = [hazard.name for hazard in had if hazard.name not in has]
    return {
        **turn,
        "action": step["action"],
        "reason": step["reason"],
        "before": {"gunicorn": step["from_gunicorn"], "python": step["from_python"]},
        "after": {"gunicorn": step["gunicorn"], "python": python},
        "release": {
            "id": release["id"] if release else "",
            "there": bool(release and release["there"]),
        },
        "packages": (
            difference(host.packages, release or unknown(host.unseen), step["gunicorn"])
            if upgrade
            else None
        ),
        "stale": list(release.get("stale") or []) if release and upgrade else [],
        "hazards": {
            "brings": brings,
            "keeps": [name for name in has if name not in brings],
            "cures": goes if upgrade else [],
        },
        "caps": host.caps.get(turn["stage"], []),
        "settings": (
            changes_for(host.settings, step["from_gunicorn"], step["gunicorn"]) if upgrade else []
        ),
        "told": [
            {
                "name": hazard.name,
                "effect": hazard.effect,
                "cure": hazard.cure,
                "source": hazard.source,
                "concerns": hazard.when.words if hazard.when else "",
            }
            for hazard in told
        ],
    }


def _row(hazard: Mapping[str, Any]) -> Hazard:
    """The row that a step has as a dictionary."""
    return next(each for each in HAZARDS if each.name == hazard["name"])


def _ends(
    number: int,
    turns: Sequence[Mapping[str, Any]],
    versions: Sequence[Mapping[str, str]],
    told: Mapping[str, _Host],
) -> dict[str, Any]:
    """What a host that goes through the stage is on, for the first such host."""
    for turn in turns:
        if turn["stage"] == number and turn["action"] != "skip":
            after, application = turn["after"], told[turn["host"]].application
            return {"newer": newer(after["gunicorn"], after["python"], versions, application)}
    return {"newer": []}


def _index_error(index: Mapping[str, Any]) -> str:
    if index.get("versions"):
        return ""
    return str(index.get("error") or index.get("msg") or "nobody was asked")
