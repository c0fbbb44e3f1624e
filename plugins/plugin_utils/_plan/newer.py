# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which newer releases of gunicorn do not have what a stage has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.pep440 import numbers
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.application import (
    Application,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.table import (
    faults,
    hazards_of,
    new_hazards,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.versions import (
    python_floor,
    version_key,
)

_FLOOR = re.compile(r">=\s*(\d+\.\d+)")


def newer(
    gunicorn: str,
    python: str,
    versions: Sequence[Mapping[str, str]],
    application: Application | None = None,
) -> list[dict[str, Any]]:
    """Return for each hazard of a stage that some version cures which one that is.

    Of several it is the one that brings the fewest faults of its own (hazards that a later version
    cures), runs on the stage's Python, brings the fewest other hazards, and of those the last patch
    of the oldest: the shortest step. Those that cure the same are told once. What does not concern
    the application counts nowhere.
    """
    mine = [hazard.name for hazard in hazards_of(gunicorn, python, application)]
    later = [each for each in versions if version_key(each["version"]) > version_key(gunicorn)]
    best: dict[str, dict[str, Any]] = {}
    for name in mine:
        ranked = sorted(
            (_rank(gunicorn, python, each, application), each)
            for each in map(_Candidate, later)
            if name not in {hazard.name for hazard in hazards_of(each.version, python)}
        )
        if ranked:
            _rank_of_it, choice = ranked[0]
            told = best.setdefault(choice.version, {"version": choice.version, "cures": []})
            told["cures"].append(name)
            told["python"] = choice.floor if version_key(choice.floor) > version_key(python) else ""
            step = (gunicorn, python), (choice.version, python)
            told["brings"] = [hazard.name for hazard in new_hazards(*step, application)]
    return list(best.values())


class _Candidate:
    def __init__(self, told: Mapping[str, str]) -> None:
        self.version = told["version"]
        match = _FLOOR.search(told.get("requires_python") or "")
        self.floor = match.group(1) if match else python_floor(self.version)

    def __lt__(self, other: _Candidate) -> bool:
        return version_key(self.version) < version_key(other.version)


def _rank(
    gunicorn: str, python: str, each: _Candidate, application: Application | None
) -> tuple[Any, ...]:
    brings = new_hazards((gunicorn, python), (each.version, python), application)
    needs = version_key(each.floor) > version_key(python)
    major, minor, *patch = (*numbers(each.version), 0, 0)
    return (
        len(faults(brings, application)),
        needs,
        len(brings),
        major,
        minor,
        [-part for part in patch],
    )
