# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What speaks against "the wanted generation runs". No I/O."""

from typing import Any, Dict, List

from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.plan import Plan, Wanted
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.live_venv import (
    version_matches,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.snapshot import (
    Observation,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.manager import UP_STATES


def problems(
    seen: Observation, plan: Plan, wanted: Wanted, expected: List[str], beside: bool = True
) -> List[str]:
    """What still speaks against "the wanted generation runs"; empty means it does.

    ``beside``: whether another gunicorn that serves the same addresses does.
    """
    program, arbiter = seen.program, seen.arbiter
    if program["state"] not in UP_STATES:
        return ["{manager} calls the program {said}".format(**program)]
    if arbiter is None:
        return [f"no gunicorn runs under the program's process ({program['pid']})"]
    found = []
    if not seen.listeners:
        found.append(f"arbiter {arbiter.pid} listens nowhere")
    mine = {each.address for each in seen.listeners}
    missing = sorted(set(expected) - mine)
    if missing and mine:
        found.append(
            f"arbiter {arbiter.pid} does not listen on {', '.join(missing)} as the one before did"
        )
    count, least = len(seen.workers), arbiter.workers_wanted or 1
    if count < least:
        found.append(f"arbiter {arbiter.pid} has {count} of {least} workers")
    for stray in seen.orphans:
        found.append(f"orphan {stray.process.pid} of an earlier generation still runs")
    for stray in seen.unmanaged:
        shared = sorted(mine & set(stray.addresses))
        if shared and beside:
            found.append(f"unmanaged gunicorn {stray.process.pid} also serves {', '.join(shared)}")
    return found + mismatches(seen, plan, wanted)


def mismatches(seen: Observation, plan: Plan, wanted: Wanted) -> List[str]:
    """What waiting cannot cure: another virtualenv or version runs than was wanted."""
    arbiter = seen.arbiter
    if arbiter is None:
        return []
    found = []
    if arbiter.prefix is None:
        found.append(f"what arbiter {arbiter.pid} runs from cannot be told")
    elif arbiter.prefix != plan.path:
        found.append(f"arbiter {arbiter.pid} runs from {arbiter.prefix}, not from {plan.path}")
    for what, have, want in (
        ("gunicorn", arbiter.gunicorn, wanted.gunicorn),
        ("Python", arbiter.python, wanted.python),
    ):
        if not version_matches(have, want):
            found.append(f"arbiter {arbiter.pid} is {what} {have or 'unknown'}, not {want}")
    return found


def elsewhere(seen: Observation, kept: List[str]) -> List[str]:
    """What waiting cannot cure either: listeners are given at the start, or never."""
    mine = {each.address for each in seen.listeners}
    missing = sorted(set(kept) - mine)
    if not missing or not mine or seen.arbiter is None:
        return []
    return [
        "arbiter {} was not given {}, which {manager} keeps for it, but listens on {}".format(
            seen.arbiter.pid, ", ".join(missing), ", ".join(sorted(mine)), **seen.program
        )
    ]


def death(program: Dict[str, Any], first_pid: int) -> str:
    """How a program ended that was to stay up."""
    name = f"The new generation ({first_pid})" if first_pid else "The new generation"
    text = "{} did not stay up: {manager} calls the program {said}".format(name, **program)
    if program["pid"] not in (0, first_pid):
        return f"{text} again, as process {program['pid']}."
    return f"{text}, exit status {program['exitstatus']}. {redact(program['spawnerr'])}".rstrip()
