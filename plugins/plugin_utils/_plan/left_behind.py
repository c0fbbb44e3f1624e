# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers that failed and went back, while the others went on (``rollout_max_failures``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._few import few

_WHY = 300


def failure_limit_problems(most: Any) -> list[str]:
    """What is wrong with ``rollout_max_failures``."""
    if int(most) >= 0:
        return []
    return [f"rollout_max_failures is {most}: give 0, or how many servers may fail."]


def left_behind(hosts: Iterable[Mapping[str, Any]], stage: Any, most: Any) -> dict[str, Any]:
    """Who was left behind before ``stage`` (0 for the end of the run), with the words to stop with.

    ``hosts`` are the variables of all hosts of the run; returns ``hosts`` and ``text``.
    """
    everyone = list(hosts)
    before = int(stage) or float("inf")
    left = {
        str(host["inventory_hostname"]): host["_rollout_gave_up"]
        for host in everyone
        if host.get("_rollout_gave_up") and int(host["_rollout_gave_up"]["stage"]) < before
    }
    if not left:
        return {"hosts": [], "text": ""}
    whys = dict.fromkeys(str(each["why"])[:_WHY] for each in left.values())
    then = "Every other server passed" if not int(stage) else f"Stage {stage} is begun on no server"
    text = (
        f"{few(left)} of {len(everyone)} servers failed, went back and serve as before"
        f" (rollout_max_failures is {most}). {then}. What failed: {'; '.join(list(whys)[:3])}."
        " Read the evidence above, repair the cause, then run the same command again; a release"
        " that is marked bad then needs -e rollout_force=true."
    )
    return {"hosts": list(left), "text": text}
