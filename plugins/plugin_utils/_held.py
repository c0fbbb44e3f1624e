# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server that is out of rotation for work on it: for how long, and who minds. Pure.

``drain.yml`` takes it out with a lease as long as the work, ``ready.yml`` puts it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._times import shown, span

# A lease is a process of the balancer's host: longer than a day nobody should rely on one.
LEAST, MOST = 60, 86400
# Where the balancer's own host keeps the lease, and so the server may be rebooted.
KEEPS_LEASE = ("haproxy", "nginx")


def held_for_problems(seconds: float) -> list[str]:
    """What is wrong with ``load_balancer_out_for``."""
    if LEAST <= seconds <= MOST:
        return []
    return [
        f"load_balancer_out_for is {seconds:g} s: a lease can keep a server out from {LEAST} s to"
        f" {MOST // 3600} h. For longer work run drain.yml again in time, which begins the time"
        " anew, or take the server out of the balancer's configuration."
    ]


def cannot_hold(hosts: Sequence[str], provider: str, drain: Any) -> str:
    """Why a server cannot be taken out for work on it; empty if it can."""
    if len(hosts) != 1:
        return (
            f"One server at a time is taken out or put back, and the run has {len(hosts)}. Name it"
            " with -l."
        )
    if provider not in KEEPS_LEASE:
        return (
            f"load_balancer_provider is {provider}: nobody but the server itself could keep the"
            " promise to put it back, and that ends when it reboots. Take it out as its balancer"
            " has it, by hand."
        )
    if str(drain).lower() != "true":
        return "load_balancer_drain is false, so nothing is taken out. Leave it out."
    return ""


def held_words(server: str, seconds: float, now: float, balancers: Sequence[str]) -> str:
    """What the operator must know of a server that is out now, as the last words of a run."""
    return (
        f"{server} is out of rotation for {span(seconds)}, until {shown(now + seconds)}. Then"
        f" {', '.join(balancers)} put{'s' if len(balancers) == 1 else ''} it back, whether it is"
        " well or not: only the balancer's own checks keep it from users. A balancer that reboots"
        " puts it back then. More time, from now on: drain.yml again. Back with its health and log"
        f" judged: ready.yml -l {server}"
    )


def held_out(record: Any, host: str, now: float) -> str:
    """Why a run must not take ``host``: somebody works on it. Empty if nobody does."""
    note = ((record or {}).get("held") or {}).get(host)
    if not isinstance(note, Mapping) or float(note["until"]) <= float(now):
        return ""
    why = f" ({note['why']})" if note.get("why") else ""
    return (
        f"{host} was taken out of rotation by {note['by']} at {shown(note['at'])}{why}, until"
        f" {shown(note['until'])}: somebody works on it. Put it back with ready.yml -l {host}, or"
        f" leave it out of the run (-l '!{host}')."
    )


def any_held(record: Any, hosts: Iterable[str], now: float) -> bool:
    """Whether somebody works on one of the hosts."""
    return any(held_out(record, host, now) for host in hosts)
