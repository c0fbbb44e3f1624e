# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a run as lines for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.stage_order import (
    python_minor_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._few import few
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.bake import duration_words
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.packages import built
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.trials import (
    stale_text,
    trial_text,
)

_LIMITS = {
    "drain": "draining",
    "stop": "stopping",
    "start": "starting",
    "health": "health",
    "up": "coming UP",
    "watch": "watching on where something speaks against it",
}


def plan_lines(plan: Mapping[str, Any]) -> list[str]:
    """Return what a run will do, in order, and what it will not."""
    lines = [_title(plan)]
    explained: set[str] = set()
    stages = [stage for stage in plan["stages"] if stage["in_run"]]
    for stage in stages:
        turns = [turn for turn in plan["turns"] if turn["stage"] == stage["number"]]
        lines.append(_stage_line(stage, len(stages)))
        lines += _turn_lines(turns)
        lines += _package_lines(turns)
        lines += _cap_lines(turns)
        lines += _hazard_lines(turns, plan["hazards"], explained)
        lines += _setting_lines(turns)
        lines += _stale_lines(turns)
        lines += _bake_lines(stage, plan["bakes"])
    lines += _newer_lines(plan, stages)
    lines += _trial_lines(plan["trials"])
    lines += _prune_lines(plan["prune"])
    lines += _program_lines(plan["programs"])
    lines += _beside_lines(plan["beside"])
    lines += _log_lines(plan["logs"])
    lines += _not_lines(plan)
    lines += _time_lines(plan["seconds"], plan["ramp"])
    lines += _outage_lines(plan["outage"])
    lines += plan["once"] if plan["seconds"]["waves"] else []
    lines += _pace_lines(plan)
    lines += _unwatched_lines(plan["bakes"])
    for host, problems in plan["problems"].items():
        lines += [f"PROBLEM {host}: {problem}" for problem in problems]
    return lines


def _title(plan: Mapping[str, Any]) -> str:
    turns = [turn for turn in plan["turns"] if turn["action"] != "skip"]
    hosts = dict.fromkeys(turn["host"] for turn in turns)
    count = sum(stage["in_run"] for stage in plan["stages"])
    what = f"{_count(count, 'stage')}, {_count(len(turns), 'turn')} of {_count(len(hosts), 'host')}"
    return f"Plan {plan['plan'] or '(none)'} of fleet {plan['fleet']}: {what}"


def _stage_line(stage: Mapping[str, Any], count: int) -> str:
    python = f"Python {stage['python']}" if stage["python"] else "the Python in place"
    return f"Stage {stage['number']} of {count}: gunicorn {stage['gunicorn']} on {python}"


def _turn_lines(turns: Sequence[Mapping[str, Any]]) -> list[str]:
    together = len({turn["wave"] for turn in turns}) < len({turn["host"] for turn in turns})
    return [
        "  " + (f"wave {turn['wave']}: " if together else "") + _turn_line(turn) for turn in turns
    ]


def _turn_line(turn: Mapping[str, Any]) -> str:
    before, after = turn["before"], turn["after"]
    wanted = f"gunicorn {after['gunicorn']} on Python {python_minor_of(after['python'])}"
    if turn["action"] == "skip":
        return f"{turn['host']}: nothing to do, {turn['reason']}"
    if turn["action"] == "finish":
        return f"{turn['host']}: {wanted} is to be proved, {turn['reason']}"
    has = f"gunicorn {before['gunicorn']} on Python {before['python']}"
    there = ", built already" if turn["release"]["there"] else ""
    return f"{turn['host']}: {has} -> {wanted}{there}"


# --- packages -----------------------------------------------------------------------------------


def _package_lines(turns: Iterable[Mapping[str, Any]]) -> list[str]:
    told = [
        (turn["host"], packages_text(turn["packages"]))
        for turn in turns
        if turn["packages"] is not None
    ]
    return [f"  packages of {few(hosts)}, against now: {text}" for text, hosts in _grouped(told)]


def _cap_lines(turns: Iterable[Mapping[str, Any]]) -> list[str]:
    """Who does not allow the stage as it is, and may yet do so in another version."""
    told = [(turn["host"], few(turn["caps"])) for turn in turns if turn["caps"]]
    return [
        f"  not allowed by what {few(hosts)} runs: {text}; another version of these must come"
        for text, hosts in _grouped(told)
    ]


def packages_text(packages: Mapping[str, Any]) -> str:
    """Return what changes, and how sure that is."""
    if packages["error"]:
        return f"not known, {packages['error']}"
    parts = []
    changed = [f"{name} {old} -> {new}" for name, (old, new) in packages["changed"].items()]
    if changed:
        parts.append(few(changed))
    for word in ("added", "removed"):
        names = [f"{name} {version}" for name, version in packages[word].items()]
        if names:
            parts.append(f"{word} {few(names)}")
    if packages["kept"]:
        parts.append(f"{packages['kept']} stay as they are")
    return "; ".join(parts + _doubts(packages))


def _doubts(packages: Mapping[str, Any]) -> list[str]:
    if packages["known"] == "all":
        return []
    doubts = []
    if packages["may_move"]:
        doubts.append("what this Python cannot take moves within its major version")
    if packages["undecided"]:
        doubts.append(f"not pinned: {few(packages['undecided'])}")
    carried = packages["source"] == "carried"
    rest = "what gunicorn itself asks for" if carried else "what else these ask for"
    return [*doubts, f"{rest} is decided when it is built"]


def built_lines(hosts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what the releases really hold, against what runs; ``hosts`` are their variables."""
    told = []
    for host in hosts:
        found = (host.get("_preflight_seen") or {}).get("found") or {}
        releases = host.get("_rollout_releases") or {}
        plan = host.get("_rollout_plan") or {}
        for step in plan.get("steps") or []:
            packages = (releases.get(str(step["stage"])) or {}).get("packages")
            if packages and found.get("packages"):
                change = built(found["packages"], packages, step["gunicorn"])
                key = (step["stage"], packages_text(change))
                told.append((str(host["inventory_hostname"]), key))
    return [
        f"Stage {stage}, packages of {few(names)}, as built, against now: {text}"
        for (stage, text), names in sorted(_grouped(told))
    ]


# --- hazards and settings -----------------------------------------------------------------------


def _hazard_lines(
    turns: Sequence[Mapping[str, Any]], hazards: Mapping[str, Any], explained: set[str]
) -> list[str]:
    taken = [turn for turn in turns if turn["action"] != "skip"]
    brings = dict.fromkeys(name for turn in taken for name in turn["hazards"]["brings"])
    lines = []
    for name in brings:
        if name not in explained:
            explained.add(name)
            hazard = hazards[name]
            lines.append(f"  hazard {name}: {hazard['effect']}")
            if hazard.get("concerns"):
                lines.append(f"    concerns: {hazard['concerns']}")
            lines.append(f"    cure: {hazard['cure']}")
            lines.append(f"    source: {hazard['source']}")
    kept = dict.fromkeys(name for turn in taken for name in turn["hazards"]["keeps"])
    kept_only = [name for name in kept if name not in brings]
    cured = dict.fromkeys(name for turn in taken for name in turn["hazards"].get("cures", []))
    for words, names in (("stay", kept_only), ("go", list(cured))):
        if names:
            lines.append(f"  hazards that {words}: {', '.join(names)}")
    return lines


def _setting_lines(turns: Iterable[Mapping[str, Any]]) -> list[str]:
    told = [
        (turn["host"], (setting["setting"], setting["effect"], setting["source"]))
        for turn in turns
        for setting in turn["settings"]
    ]
    lines = []
    for (name, effect, source), hosts in _grouped(told):
        lines.append(f"  setting {name} of {few(hosts)}: {effect}")
        lines.append(f"    source: {source}")
    return lines


def _stale_lines(turns: Iterable[Mapping[str, Any]]) -> list[str]:
    told = [(turn["host"], stale_text(turn["stale"])) for turn in turns if turn["stale"]]
    return [f"  LOOK AT {few(hosts)}: {text}" for text, hosts in _grouped(told)]


def _bake_lines(stage: Mapping[str, Any], bakes: Mapping[str, Any]) -> list[str]:
    """The step between this stage and the next."""
    number = stage["number"]
    if bakes["nothing_follows"] == number:
        return [f"  Its bake of {duration_words(stage['bake'])} holds nothing: no stage follows"]
    lines = []
    for bake in bakes["stages"]:
        if bake["stage"] == number:
            then = (
                "the run waits in place"
                if bakes["waits"]
                else "the run ends there, and the same command goes on then"
            )
            left = bake["seconds"] - bake["left"]
            so_far = f", of which {duration_words(left)} are over" if left else ""
            lines.append(
                f"Bake of stage {number}: every server of the fleet runs it for"
                f" {duration_words(bake['seconds'])}{so_far}, with nothing against it, before stage"
                f" {number + 1} begins on any; {then}"
            )
    return lines


def _unwatched_lines(bakes: Mapping[str, Any]) -> list[str]:
    return [
        f"{before} is not watched before {after}; the stage takes `bake: 4h`"
        for before, after in bakes["unwatched"]
    ]


def _trial_lines(trials: Mapping[str, Any]) -> list[str]:
    told = [(host, trial_text(each)) for host, each in trials.items()]
    return [
        f"Trials, before any host is drained: {few(hosts)} {text}" for text, hosts in _grouped(told)
    ]


def _newer_lines(plan: Mapping[str, Any], stages: Sequence[Mapping[str, Any]]) -> list[str]:
    index = plan["index"]
    if not any(turn["action"] != "skip" for turn in plan["turns"]) or not stages:
        return []
    if index["error"]:
        return [f"Newer releases: the index could not be asked: {index['error']}"]
    last = stages[-1]
    lines = [f"Newer releases: the newest is {index['newest']} ({few(index['asked'])})"]
    for each in last["newer"]:
        needs = f", needs Python {each['python']}" if each["python"] else ""
        brings = f", brings {', '.join(each['brings'])}" if each["brings"] else ""
        lines.append(f"  {each['version']} has no {', no '.join(each['cures'])}{needs}{brings}")
    return lines


def _prune_lines(told: Mapping[str, Any]) -> list[str]:
    limit = f"(rollout_keep_releases {told['keep']})"
    return [
        f"Releases removed at the end on {few(hosts)} {limit}: {text}"
        for text, hosts in _grouped(
            (host, f"not known, {each['error']}" if each["error"] else few(each["releases"]))
            for host, each in told["hosts"].items()
        )
    ]


# --- what will not be, and how long it takes ----------------------------------------------------


def _program_lines(told: Mapping[str, Any]) -> list[str]:
    """Those whose names begin and end alike, ``worker:worker``, are told by one of both."""
    pairs = [(host, ", ".join(map(_short_name, names))) for host, names in told.items()]
    return [
        f"Programs of {few(hosts)}, started in this order with each release: {text}"
        for text, hosts in _grouped(pairs)
    ]


def _short_name(name: str) -> str:
    group, _colon, rest = name.partition(":")
    return rest if group == rest else name


def _beside_lines(told: Mapping[str, Any]) -> list[str]:
    pairs = [(host, text) for host, texts in told.items() for text in texts]
    return [f"Beside it on {few(hosts)}: {text}" for text, hosts in _grouped(pairs)]


def _log_lines(told: Mapping[str, Sequence[str]]) -> list[str]:
    pairs = [(host, ", ".join(logs)) for host, logs in told.items()]
    return [f"Log of {few(hosts)}: {text}" for text, hosts in _grouped(pairs)]


def _not_lines(plan: Mapping[str, Any]) -> list[str]:
    left = plan["not"]
    lines = []
    if left["stages"]:
        lines.append(f"Not in this run: stage {', stage '.join(left['stages'])} (rollout_to)")
    lines += [
        f"Not in this run: {few(hosts)} (--limit)"
        for _why, hosts in _grouped((host, why) for host, why in left["hosts"].items())
    ]
    lines += [
        f"Nothing to do on {few(hosts)}: {why}" for why, hosts in _grouped(left["unneeded"].items())
    ]
    return lines


def _time_lines(told: Mapping[str, Any], ramp: Mapping[str, Any]) -> list[str]:
    if not told["waves"]:
        return ["Time: none, no host is to be switched"]
    waves = _count(told["waves"], "wave")
    of = f"{waves}, one after the other, each with {told['soak']:g} s of soak"
    limits = ", ".join(f"{_LIMITS[name]} {value:g} s" for name, value in told["limits"].items())
    line = f"Time: {_span(told['at_least'])} at least, {_span(told['at_most'])} at most, after the"
    lines = [f"{line} builds: {of}; at most also {limits} each"]
    if told["bake"]:
        lines.append(f"  of that {_span(told['bake'])} of bake between the stages")
    if ramp["stages"]:
        steps = ", ".join(f"{share} %" for share in ramp["shares"])
        stages = _count(len(ramp["stages"]), "stage")
        lines.append(
            f"  of that {_span(ramp['seconds'])} of ramp in {stages}: {few(ramp['hosts'])} comes"
            f" back with {steps} and then all of its weight, each watched for {ramp['soak']:g} s"
        )
    if told["expected"] is not None:
        seen = told["earlier"]
        past = f"{_count(seen['turns'], 'turn')} on record took {seen['median']:g} s each (median)"
        lines.append(f"  by what was: {_span(told['expected'])}; {past}")
    return lines


def _pace_lines(plan: Mapping[str, Any]) -> list[str]:
    """What may end the run between two servers, and what does not."""
    lines = []
    if plan["window"].get("set") and plan["seconds"]["waves"]:
        lines.append(
            f"Window: {plan['window']['text']} (rollout_window, by the controller's clock). A"
            " server that has begun is finished; then the run ends, and the same command goes on"
        )
    if plan["may_fail"]:
        lines.append(
            f"Failures: once a server has passed a stage, {_count(plan['may_fail'], 'other')} may"
            " fail, go back, and be left behind (rollout_max_failures). No next stage begins then"
        )
    return lines


def _outage_lines(outage: Mapping[str, Any]) -> list[str]:
    """Where there is no balancer."""
    return [
        f"Outage: no load balancer is in front of {few(hosts)}, and requests are refused"
        f" {_count(times, 'time')}, each from the stop to the start of gunicorn: at most"
        f" {outage['at_most']:g} s (service_stop_timeout and service_start_timeout together). What"
        " users see is not counted: health, processes and log alone decide"
        for times, hosts in _grouped((host, times) for host, times in outage["hosts"].items())
    ]


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{round(seconds)} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


# --- words --------------------------------------------------------------------------------------


def _grouped(pairs: Iterable[tuple[str, Any]]) -> list[tuple[Any, list[str]]]:
    """Say once what is the same for several hosts."""
    found: dict[Any, list[str]] = {}
    for host, what in pairs:
        found.setdefault(what, []).append(host)
    return list(found.items())


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
