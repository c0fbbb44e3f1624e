# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""In which order the hosts are taken through the stages, and how long that takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple


class Turn(NamedTuple):
    """One host in one stage."""

    stage: int
    wave: int
    host: str


def waves_of(hosts: Sequence[str], sizes: Sequence[Any]) -> list[list[str]]:
    """Divide the hosts as Ansible's ``serial`` does: counts, shares; the last one is repeated."""
    waves: list[list[str]] = []
    left = list(hosts)
    while left:
        size = str(sizes[min(len(waves), len(sizes) - 1)]) if sizes else "1"
        count = int(len(hosts) * float(size[:-1]) / 100) if size.endswith("%") else int(size)
        waves.append(left[: max(count, 1)])
        left = left[max(count, 1) :]
    return waves


def turns_of(stages: Sequence[int], hosts: Sequence[str], sizes: Sequence[Any]) -> list[Turn]:
    """Every turn in order: the whole fleet takes a stage before the next begins."""
    waves = waves_of(hosts, sizes)
    return [
        Turn(stage, number, host)
        for stage in stages
        for number, wave in enumerate(waves, start=1)
        for host in wave
    ]


def seconds(
    turns: Sequence[Mapping[str, Any]],
    limits: Mapping[str, Any],
    record: Any,
    ramp: float = 0,
    bake: float = 0,
) -> dict[str, Any]:
    """Return how long the turns take, and what that is made of.

    Hosts of a wave are taken side by side, so a wave lasts as long as one of its hosts. ``limits``
    has the settings that bound a turn, in seconds; ``ramp`` is what all ramps take together, and
    ``bake`` what all stages bake.
    """
    limit = {name: float(value) for name, value in limits.items()}
    soak = limit.pop("soak")
    switches = {(turn["stage"], turn["wave"]) for turn in turns if turn["action"] == "upgrade"}
    proofs = {(turn["stage"], turn["wave"]) for turn in turns if turn["action"] == "finish"}
    waves = len(switches | proofs)
    seen = earlier(record)
    # A host that is only to be proved is neither drained nor stopped.
    short = sum(value for name, value in limit.items() if name in ("health", "up", "watch"))
    most = len(switches) * sum(limit.values()) + len(proofs - switches) * short
    return {
        "waves": waves,
        "soak": soak,
        "bake": round(bake, 1),
        "at_least": round(waves * soak + ramp + bake, 1),
        "at_most": round(waves * soak + ramp + bake + most, 1),
        "limits": limit,
        "earlier": {"turns": len(seen), "median": round(median(seen), 1) if seen else None},
        "expected": round(waves * median(seen) + bake, 1) if seen else None,
    }


def earlier(record: Any) -> list[float]:
    """How long each turn took that the record of the fleet knows, from taken to passed."""
    began: dict[tuple[Any, ...], float] = {}
    took: list[float] = []
    for event in (record or {}).get("events") or []:
        key = (event.get("run"), event.get("host"), event.get("release"))
        # A turn without a stage is one of a rollback.
        if not event.get("stage") or not isinstance(event.get("at"), (int, float)):
            continue
        if event.get("event") == "taken":
            began[key] = event["at"]
        elif event.get("event") == "passed" and key in began:
            took.append(max(event["at"] - began.pop(key), 0.0))
    return took
