# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many servers are out of rotation at once, before any is."""

from __future__ import annotations

import re
from typing import Any

_SHARE = re.compile(r"^(?:100|[1-9]?\d)%$")


def wave_problems(waves: Any) -> list[str]:
    """What is wrong with ``rollout_waves``; nothing if it is a list of counts and shares."""
    if not isinstance(waves, list) or not waves:
        return [f"rollout_waves is {waves!r}: give a list such as [1, '25%']."]
    return [
        f"rollout_waves has {wave!r}: give counts from 1 on and shares such as '25%'."
        for wave in waves
        if not (_is_count(wave) or (isinstance(wave, str) and _SHARE.match(wave)))
    ]


def _is_count(wave: Any) -> bool:
    if isinstance(wave, bool):
        return False
    return (isinstance(wave, int) and wave > 0) or (
        isinstance(wave, str) and wave.isdigit() and int(wave) > 0
    )


def largest_wave(waves: Any, hosts: int) -> int:
    """How many of so many hosts the largest wave takes; Ansible takes at least one."""
    sizes = [
        max(int(hosts * int(str(wave)[:-1]) / 100), 1) if str(wave).endswith("%") else int(wave)
        for wave in waves
    ]
    return min(max(sizes), hosts)


def at_work(record: Any, hosts: list[str]) -> list[str]:
    """Which of the hosts the run at hand has taken, and neither put back nor given up."""
    run = (record or {}).get("run") or {}
    told = (record or {}).get("hosts") or {}
    return [
        host
        for host in hosts
        if told.get(host, {}).get("phase") in ("taken", "failed")
        and told[host].get("run") == run.get("id")
    ]
