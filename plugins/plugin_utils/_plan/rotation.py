# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an operator is told of a server that somebody had taken out before the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def out_by_others(results: Iterable[Mapping[str, Any]], host: str) -> str:
    """Why the run does not touch the host, and the ways out; from results of the info module.

    An upgrade ends with the server in rotation and judged by its traffic there. Somebody wanted
    neither, and may not be awake.
    """
    found = [
        (str(result.get("item", "the balancer")), each)
        for result in results
        for each in result.get("out_by_others") or []
    ]
    if not found:
        return ""
    where = ", ".join(
        f"{each['backend']}/{each['server']} on {lb} {each['how']}" for lb, each in found
    )
    return (
        f"{host} is out of rotation, and not by a run of ours: {where}. An upgrade would end with"
        " it in service. Ask who took it out. If it may serve, set it ready first"
        f" ({found[0][1]['undo']}); if not, leave it out of the run"
        f" (-l 'all:!{host}'); where only one of its backends is closed to it, leave that one out"
        " of its load_balancer_backends. Nothing was touched. (rollback.yml goes back all the same,"
        " and leaves it out as it is.)"
    )


def left_out(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """Where a server stays out since somebody had taken it out, from results of who put it back."""
    return [
        f"{row['backend']}/{row['server']} on {result.get('item', 'a balancer')} in {row['status']}"
        for result in results
        for row in result.get("servers") or []
        if row.get("left_out")
    ]
