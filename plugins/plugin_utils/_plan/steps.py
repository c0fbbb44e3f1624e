# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what the operator wants and what a host runs to the steps of that host.

Everything here is pure. Nothing raises for an operator's mistake: mistakes are collected as
``problems`` so that one run shows all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.stage_order import (
    is_there,
    minor,
    python_minor_of,
    why_skip,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.bake import seconds_of
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.application import (
    Application,
    application_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.table import (
    Hazard,
    new_hazards,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.versions import (
    is_exact,
    is_python_minor,
    python_floor,
    supports,
    version_key,
)

STAGE_KEYS = ("gunicorn", "python", "requirements", "bake")
MAX_STAGES = 8


class Stage(NamedTuple):
    """One step of versions that the whole fleet takes before the next."""

    number: int
    gunicorn: str
    python: str
    """``"3.11"``, an absolute path ending in ``python3.11``, or empty: the Python in place."""
    requirements: str
    """Path of a requirements file; empty: the application's, or what the live venv holds."""
    bake: float = 0.0
    """Seconds that every server of the fleet runs it before the next stage begins; 0: none."""


class Running(NamedTuple):
    """What a host really runs."""

    gunicorn: str
    python: str
    release: str
    """Id of the release, or empty when the venv is not one of ours yet."""
    unfinished: bool = False
    """A run was stopped after it had switched the host, and before its gates had passed."""


class Step(NamedTuple):
    """What one stage means for one host."""

    stage: int
    action: str
    """``upgrade``, ``skip``, or ``finish``: it runs what the stage wants, and was never proved."""
    reason: str
    gunicorn: str
    python: str
    """As the stage asks for it: ``"3.11"`` or a path; for a kept Python the ``X.Y`` in place."""
    requirements: str
    from_gunicorn: str
    from_python: str
    hazards: list[Hazard]


def read_stages(raw: Any) -> tuple[list[Stage], list[str]]:
    """Check ``rollout_stages`` as the operator wrote it.

    Returns the stages that could be read and the problems of those that could not.
    """
    if not isinstance(raw, Sequence) or isinstance(raw, str) or not raw:
        return [], [f"rollout_stages is {raw!r}: give a list with at least one stage."]
    if len(raw) > MAX_STAGES:
        return [], [f"rollout_stages has {len(raw)} stages: at most {MAX_STAGES} are possible."]
    stages: list[Stage] = []
    problems: list[str] = []
    for number, item in enumerate(raw, start=1):
        found = _stage_problems(number, item)
        problems += found
        if not found:
            stages.append(
                Stage(
                    number,
                    str(item["gunicorn"]),
                    str(item.get("python") or ""),
                    str(item.get("requirements") or ""),
                    seconds_of(item.get("bake") or 0),
                )
            )
    return stages, problems


def _stage_problems(number: int, item: Any) -> list[str]:
    name = f"rollout_stages[{number - 1}]"
    if not isinstance(item, dict):
        return [f"{name} is {item!r}: a stage is a dictionary such as {{gunicorn: '23.0.0'}}."]
    problems = [
        f"{name} has the unknown key {key!r}: allowed are {', '.join(STAGE_KEYS)}."
        for key in item
        if key not in STAGE_KEYS
    ]
    if not is_exact(item.get("gunicorn")):
        problems.append(
            f"{name}.gunicorn is {item.get('gunicorn')!r}:"
            " give one exact version in quotes, such as '23.0.0'."
        )
    python = item.get("python") or ""
    if python and not (isinstance(python, str) and is_python_minor(python_minor_of(python))):
        problems.append(
            f"{name}.python is {python!r}: give a version in quotes such as '3.11'"
            " (unquoted 3.10 is the number 3.1), or an absolute path that ends in python3.11,"
            " or leave it out to keep the Python in place."
        )
    requirements = item.get("requirements")
    if requirements is not None and not isinstance(requirements, str):
        problems.append(f"{name}.requirements is {requirements!r}: give the path of a file.")
    try:
        seconds_of(item.get("bake") or 0)
    except FleetError as error:
        problems.append(f"{name}.bake: {error}")
    return problems


def stages_of_run(stages: list[Stage], to: str) -> tuple[list[Stage], list[str]]:
    """Keep the stages up to and including the one that ``rollout_to`` names."""
    if not to:
        return stages, []
    for index, stage in enumerate(stages):
        if stage.gunicorn == to:
            return stages[: index + 1], []
    known = ", ".join(stage.gunicorn for stage in stages)
    return stages, [f"rollout_to is {to!r}: no stage has that gunicorn; the stages are {known}."]


def order_problems(stages: list[Stage], allow_downgrade: bool) -> list[str]:
    """Refuse stages that go down, unless the operator allowed it."""
    if allow_downgrade:
        return []
    problems = []
    for before, after in zip(stages, stages[1:], strict=False):
        if version_key(after.gunicorn) < version_key(before.gunicorn):
            problems.append(
                f"rollout_stages[{after.number - 1}] goes down from gunicorn {before.gunicorn}"
                f" to {after.gunicorn}: put the stages in ascending order,"
                " or set rollout_allow_downgrade to true."
            )
        if before.python and after.python:
            old, new = python_minor_of(before.python), python_minor_of(after.python)
            if version_key(new) < version_key(old):
                problems.append(
                    f"rollout_stages[{after.number - 1}] goes down from Python {old} to {new}:"
                    " put the stages in ascending order,"
                    " or set rollout_allow_downgrade to true."
                )
    return problems


def host_steps(
    stages: list[Stage],
    running: Running,
    allow_downgrade: bool,
    application: Application | None = None,
) -> tuple[list[Step], list[str]]:
    """Return what each stage means for a host, and what makes a stage impossible there."""
    steps: list[Step] = []
    problems: list[str] = []
    gunicorn, python = running.gunicorn, minor(running.python)
    unfinished = running.unfinished
    # As `_release.stage_order.untaken`, with what the operator is told of each.
    for stage in stages:
        wanted = python_minor_of(stage.python) if stage.python else python
        skip = why_skip(stage.gunicorn, wanted, gunicorn, python, allow_downgrade)
        finish = unfinished and is_there(stage.gunicorn, wanted, gunicorn, python)
        if finish:
            unfinished = False
            skip = "an earlier run was stopped before its gates had passed"
        if not skip and not supports(stage.gunicorn, wanted):
            problems.append(
                f"stage {stage.number}: gunicorn {stage.gunicorn} needs Python"
                f" {python_floor(stage.gunicorn)} or newer, and the stage would run it on {wanted}:"
                f" set rollout_stages[{stage.number - 1}].python."
            )
        before, after = (gunicorn, python), (stage.gunicorn, wanted)
        steps.append(
            Step(
                stage=stage.number,
                action="finish" if finish else "skip" if skip else "upgrade",
                reason=skip,
                gunicorn=stage.gunicorn,
                python=stage.python or wanted,
                requirements=stage.requirements,
                from_gunicorn=gunicorn,
                from_python=python,
                hazards=[] if skip else new_hazards(before, after, application),
            )
        )
        if not skip:
            gunicorn, python = stage.gunicorn, wanted
    return steps, problems


# Phases in which a stopped run may have left a host: out, or with a share of its weight.
UNFINISHED = ("taken", "failed", "out")


def unfinished(record: Any, host: str, release: str) -> bool:
    """Whether the record of the fleet knows the release as one that this host never passed with."""
    told = ((record or {}).get("hosts") or {}).get(host) or {}
    return bool(release) and told.get("release") == release and told.get("phase") in UNFINISHED


def left_stopped(record: Any, hosts: Iterable[str]) -> bool:
    """Whether a run that was killed may have left one of the hosts without a gunicorn."""
    told = record or {}
    phases = {(told.get("hosts") or {}).get(host, {}).get("phase") for host in hosts}
    running = (told.get("run") or {}).get("status") == "running"
    return running or not phases.isdisjoint(UNFINISHED)


def plan_host(
    raw_stages: Any,
    to: str,
    allow_downgrade: bool,
    running: Running | None,
    application: Application | None = None,
) -> dict[str, Any]:
    """Return the plan of one host.

    Shape: ``{"stages": [Stage as dict], "steps": [Step as dict], "problems": [text]}``.
    Without ``running`` (the host could not be asked) there are stages but no steps.
    """
    stages, problems = read_stages(raw_stages)
    if not problems:
        stages, more = stages_of_run(stages, to)
        problems += more + order_problems(stages, allow_downgrade)
    steps: list[Step] = []
    if running is not None and not problems:
        steps, problems = host_steps(stages, running, allow_downgrade, application)
    return {
        "stages": [stage._asdict() for stage in stages],
        "steps": [
            {**step._asdict(), "hazards": [hazard.told() for hazard in step.hazards]}
            for step in steps
        ],
        "problems": problems,
    }


def plan_arbiter(
    raw_stages: Any,
    to: str,
    allow_downgrade: bool,
    arbiter: Mapping[str, Any] | None,
    never_proved: bool,
    settings: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the plan of the host whose ``arbiter`` and ``settings`` gunicorn_info returned."""
    running = None
    if arbiter and arbiter.get("gunicorn") and arbiter.get("python"):
        release = arbiter.get("release") or ""
        running = Running(arbiter["gunicorn"], arbiter["python"], release, never_proved)
    return plan_host(raw_stages, to, allow_downgrade, running, application_of(settings))
