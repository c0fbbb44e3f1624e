# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run does with the application before any server is drained, and what speaks against it.

A trial is the application itself, on live data, with live credentials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def trials_of(
    test: str, environment: Sequence[str], user: str, steps: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """How often a host imports and boots the application beside the live one.

    ``steps`` are those that upgrade, each with ``there`` (its release is built) and ``packages``
    (whether others than gunicorn change; null if that is not known). At most, since a release that
    was booted so lately is not booted again.
    """
    new = [step for step in steps if not step["there"]]
    # The way back is booted too; without a boot it is not tried at all.
    boots = len(new) + 1 if steps and test == "boot" else 0
    imports = boots or (len(new) if test == "import" else 0)
    return {
        "test": test,
        "boots": boots,
        "imports": imports,
        "user": user,
        "environment": sorted(environment),
        "packages": any(step["packages"] is not False for step in new) if imports else False,
    }


def trial_text(told: Mapping[str, Any]) -> str:
    """What one host does, as the end of a sentence."""
    if not told["imports"]:
        return "nothing (release_boot_test): what is wrong with a release is found by its switch"
    what = f"import the application {_times(told['imports'])}"
    if told["boots"]:
        what = f"import and boot the application {_times(told['boots'])}"
    names = ", ".join(told["environment"])
    more = f" and {names} of release_boot_environment" if names else ""
    text = (
        f"{what} at most, beside the live one, as {told['user'] or 'its own user'}, with its own"
        f" environment{more}: ON LIVE DATA, unless that points elsewhere"
    )
    if told["packages"]:
        text += (
            ". Packages of the application change: what it does when it starts (a migration) it"
            " does then, and no way back undoes it"
        )
    return text


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def stale_text(words: Sequence[str]) -> str:
    """Which words of a start name the old Python's directory."""
    return f"the start names the old Python's directory: {', '.join(words)}"


def stale_problems(found: Any, test: str) -> list[str]:
    """Why a host cannot take a stage: the new release has no such directory.

    ``found`` is what module ``plan_info`` returned, ``test`` the operator's release_boot_test.
    """
    stages = (found.get("stages") if isinstance(found, Mapping) else None) or []
    if test == "none":
        return []
    return [
        f"stage {stage['stage']}: {stale_text(stage['vital'])}. The service manager goes on saying"
        " so after the switch, and the new release has no such directory: name a path without a"
        " Python's version. (Who changes the command in a hook sets release_boot_test to none.)"
        for stage in stages
        if stage.get("vital")
    ]
