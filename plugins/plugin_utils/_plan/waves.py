# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many servers are out of rotation at once, before any is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_SHARE = re.compile(r"^(?:100|[1-9]?\d)%$")
# Of a host or a group; it becomes part of a pattern of hosts.
_NAME = re.compile(r"^[A-Za-z_][\w.-]*$")

Groups = Mapping[str, Sequence[str]]


def wave_problems(waves: Any, groups: Groups) -> list[str]:
    """What is wrong with ``rollout_waves``: names of hosts and groups, then counts and shares."""
    if not isinstance(waves, list) or not waves:
        return [f"rollout_waves is {waves!r}: give a list such as [1, '25%']."]
    found = []
    for number, wave in enumerate(waves):
        if _is_name(wave):
            if wave not in groups and wave not in groups.get("all", ()):
                found.append(f"rollout_waves has {wave!r}: there is no such host or group.")
            elif not all(_is_name(before) for before in waves[:number]):
                found.append(f"rollout_waves has {wave!r} after a count: names come first.")
        elif not (_is_count(wave) or (isinstance(wave, str) and _SHARE.match(wave))):
            found.append(
                f"rollout_waves has {wave!r}: give names of hosts or groups, counts from 1 on, and"
                " shares such as '25%'."
            )
    return found


def _is_count(wave: Any) -> bool:
    if isinstance(wave, bool):
        return False
    return (isinstance(wave, int) and wave > 0) or (
        isinstance(wave, str) and wave.isdigit() and int(wave) > 0
    )


def _is_name(wave: Any) -> bool:
    return isinstance(wave, str) and bool(_NAME.match(wave))


def wave_pattern(waves: Sequence[Any], group: str) -> str:
    """The pattern for the hosts of a play: those of the group, the named ones first."""
    names = [wave for wave in waves if _is_name(wave)]
    return ":".join([*names, group, f"&{group}"]) if names else group


def wave_order(waves: Sequence[Any], groups: Groups, hosts: Sequence[str]) -> list[str]:
    """The hosts of a run in the order of their turns."""
    named = [host for wave in _named(waves, groups, hosts) for host in wave]
    return named + [host for host in hosts if host not in named]


def wave_sizes(waves: Sequence[Any], groups: Groups, hosts: Sequence[str]) -> list[Any]:
    """The waves as counts and shares; of a name the count of its hosts in the run.

    The hosts that nobody names, if no count follows, are taken one at a time.
    """
    named = [len(wave) for wave in _named(waves, groups, hosts) if wave]
    return named + ([wave for wave in waves if not _is_name(wave)] or [1])


def _named(waves: Sequence[Any], groups: Groups, hosts: Sequence[str]) -> list[list[str]]:
    found: list[list[str]] = []
    for wave in waves:
        if _is_name(wave):
            before = {host for each in found for host in each}
            members = groups.get(wave, [wave])
            found.append([host for host in members if host in hosts and host not in before])
    return found


def largest_wave(sizes: Sequence[Any], hosts: int) -> int:
    """How many of so many hosts the largest wave takes; Ansible takes at least one."""
    counts = [
        max(int(hosts * int(str(size)[:-1]) / 100), 1) if str(size).endswith("%") else int(size)
        for size in sizes
    ]
    return min(max(counts), hosts)


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
