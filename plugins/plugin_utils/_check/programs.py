# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to look at of the programs that are switched with a gunicorn, and of what is in none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def program_findings(info: Mapping[str, Any], stop_timeout: Any = None) -> list[str]:
    """Return a line for each; ``info`` is what ``gunicorn_info`` returned."""
    lines = []
    for each in info.get("programs") or []:
        lines += [f"{each['program']}: {line}" for line in _of(each, stop_timeout)]
    return lines + list(_loose(info))


def _of(program: Mapping[str, Any], stop_timeout: Any) -> Iterator[str]:
    waits = float(stop_timeout or 0)
    for each in program["deviations"]:
        yield f"{each['setting']} is {each['value']}, better {each['wanted']}: {each['why']}"
    patience = program.get("stop_timeout")
    if waits and patience is not None and patience >= waits:
        yield (
            f"its manager lets it take {patience:g} s to stop, but a switch waits {waits:g} s, and"
            " then starts it again and stops the run: raise service_stop_timeout (and"
            " load_balancer_lease with it) if it needs that long"
        )


def _loose(info: Mapping[str, Any]) -> Iterator[str]:
    for each in info.get("loose") or []:
        yield (
            f"process {each['pid']} (user {each['user'] or '?'}: {each['command']}) runs from the"
            " virtualenv and is in no program: it goes on with the release that it was started"
            " from. Let the service manager run it and name it in app_programs, or end it"
        )
