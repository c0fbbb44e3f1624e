# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One short name for what the operator asks of a fleet, so that two runs can be told apart.

Whoever baked a canary baked *this*: which gunicorn, which Python, which packages, in which order.
Where a host is on that way, how it is watched, and where packages come from, is no part of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.pep440 import numbers
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.steps import (
    read_stages,
    stages_of_run,
)

SCHEMA = 1
DIGITS = 12
HOME = "<app_home>"


def plan_asks(
    raw_stages: Any,
    to: str,
    app_requirements: str,
    app_home: str,
    contents: Mapping[str, str],
    require_hashes: bool,
) -> dict[str, Any] | None:
    """Return what the hash is made of; None for stages that are no stages.

    ``contents`` has the text of every requirements file on the controller, by the path that the
    operator gave.
    """
    stages, problems = read_stages(raw_stages)
    if not problems:
        stages, problems = stages_of_run(stages, to)
    if problems:
        return None
    return {
        "schema": SCHEMA,
        "require_hashes": bool(require_hashes),
        "stages": [
            {
                "gunicorn": ".".join(map(str, numbers(stage.gunicorn))),
                "python": _anywhere(stage.python, app_home),
                "requirements": _requirements(
                    stage.requirements or app_requirements, app_home, contents
                ),
            }
            for stage in stages
        ],
    }


def plan_hash(asks: Mapping[str, Any] | None) -> str:
    """Return twelve hex digits; empty where there is no plan."""
    if asks is None:
        return ""
    text = json.dumps(asks, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:DIGITS]


def controller_files(raw_stages: Any, to: str, app_requirements: str) -> list[str]:
    """Return the requirements files of a run that are on the controller, each once."""
    stages, _problems = read_stages(raw_stages)
    stages, _problems = stages_of_run(stages, to)
    files = [stage.requirements or app_requirements for stage in stages]
    return [file for file in dict.fromkeys(files) if file and not file.startswith("/")]


def fleet_files(hosts: Iterable[Mapping[str, Any]], to: str) -> list[str]:
    """Return the requirements files of a run that are on the controller, for all its hosts."""
    given = [host["_settings_checked"]["judged_by"] for host in hosts]
    files = (controller_files(each["stages"], to, each["requirements"]) for each in given)
    return list(dict.fromkeys(chain.from_iterable(files)))


def _requirements(file: str, app_home: str, contents: Mapping[str, str]) -> dict[str, str]:
    if not file:
        return {"from": "the live virtualenv"}
    if file.startswith("/"):
        return {"from": "a file on the host", "path": _anywhere(file, app_home)}
    if file not in contents:
        raise FleetError(
            f"plan_hash: asked for a plan with the requirements file {file}, and its content was"
            " not given: pass it in contents, by this path."
        )
    # As a checkout with other line ends has it, it asks for the same.
    text = "\n".join(contents[file].rstrip().splitlines())
    return {"from": "content", "sha256": hashlib.sha256(text.encode("utf-8")).hexdigest()}


def _anywhere(path: str, app_home: str) -> str:
    """Take a host's own directory out of a path: hosts may have homes of their own."""
    home = app_home.rstrip("/") + "/"
    return f"{HOME}/{path[len(home) :]}" if len(home) > 1 and path.startswith(home) else path
