# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which release ``rollout_release`` means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.stage_order import (
    minor,
    python_minor_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.versions import (
    version_key,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.steps import (
    Stage,
    read_stages,
)

FIRST = "first"


def named_release(venv: Any, asked: str, raw_stages: Any) -> str:
    """Return the id that was asked for, and for ``first`` what ran before the stages.

    ``venv`` is what module ``gunicorn_info`` says of it. Where the active release is of no stage,
    nothing is to be gone back from: it is the first. Empty if nothing is known to have run before.
    """
    if asked != FIRST:
        return asked
    found = venv if isinstance(venv, Mapping) else {}
    stages, _problems = read_stages(raw_stages)
    active = str(found.get("release") or "")
    if active and not _of_stages(found, stages):
        return active
    earlier: Sequence[Mapping[str, Any]] = found.get("earlier") or []
    before = next((each for each in earlier if not _of_stages(each, stages)), None)
    # Where it was removed, another is not what was meant.
    return str(before["release"]) if before else ""


def _of_stages(told: Mapping[str, Any], stages: Sequence[Stage]) -> bool:
    gunicorn, python = str(told.get("gunicorn") or ""), minor(str(told.get("python") or ""))
    if not gunicorn:
        return False
    return any(
        version_key(gunicorn) == version_key(stage.gunicorn)
        and (not stage.python or version_key(python) == version_key(python_minor_of(stage.python)))
        for stage in stages
    )
