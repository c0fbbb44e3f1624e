# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first server of a stage: how it gets its traffic back, and who it is compared with. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import too_small

WEIGHTED = ("roundrobin", "leastconn", "random")
"""How a balancer chooses by weights that can be changed while it runs, whatever else is set."""


def ramp_problems(ramp: Any) -> list[str]:
    """What is wrong with ``rollout_ramp``: shares in percent that rise."""
    if not isinstance(ramp, list):
        return [f"rollout_ramp is {ramp!r}: give a list such as [1, 10, 50], or [] for none."]
    wrong = [step for step in ramp if not _is_share(step)]
    if wrong:
        return [f"rollout_ramp has {wrong[0]!r}: give whole shares in percent from 1 to 100."]
    if any(int(after) <= int(before) for before, after in zip(ramp, ramp[1:], strict=False)):
        return [f"rollout_ramp is {ramp}: each share must be larger than the one before."]
    return []


def _is_share(step: Any) -> bool:
    if isinstance(step, bool):
        return False
    return str(step).isdigit() and 1 <= int(step) <= 100


def ramp_shares(ramp: Sequence[Any], first: bool) -> list[int]:
    """The shares that a host goes through, in percent; ``[0]`` leaves its weight alone.

    The ramp is for the ``first`` of a stage; whoever follows, or goes back, gets all at once.
    """
    if not ramp:
        return [0]
    return (ramp_steps(ramp) if first else []) + [100]


def ramp_steps(ramp: Sequence[Any]) -> list[int]:
    """The shares before the last, which is all of the weight."""
    return [int(step) for step in ramp if int(step) < 100]


def baseline(results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Results of the info module, of each server only which it is: the rest is in ``totals``.

    It is kept for the whole run, and what a run began with must not grow with the fleet.
    """
    kept = ("backend", "server", "backup")
    return [
        {
            **result,
            "backends": [
                {**each, "servers": [{key: row[key] for key in kept} for row in each["servers"]]}
                for each in result.get("backends") or []
            ],
        }
        for result in results
    ]


def servers_beside(results: Iterable[Mapping[str, Any]], mates: Sequence[str]) -> list[str]:
    """All servers of the backends but ``mates``, from results of the balancers' info module."""
    found = {
        server["server"]
        for result in results
        for backend in result.get("backends") or []
        for server in backend["servers"]
        if not server["backup"]
    }
    return sorted(found - set(mates))


def lowest_share(servers: Iterable[Mapping[str, Any]]) -> int:
    """The lowest share of its configured weight, in percent, that a server has anywhere."""
    return min((share_of(server) for server in servers), default=100)


def share_of(server: Mapping[str, Any]) -> int:
    """What a balancer gives it of its configured weight, in percent, if that is known."""
    full = server.get("weight_full")
    return round(100 * int(server["weight_set"]) / int(full)) if full else 100


def ramp_unfit(
    results: Iterable[Mapping[str, Any]], ramp: Sequence[Any], resumed: bool
) -> list[str]:
    """Why the balancers cannot do a ramp, from results of the info module for one server.

    A run that was stopped (``resumed``) may have left the server with a share of its weight.
    """
    shares = ramp_steps(ramp)
    if not shares:
        return []
    found: list[str] = []
    for result in results:
        balance = {each["name"]: each["balance"] for each in result["backends"]}
        for server in result["servers"]:
            found += _unfit(result["item"], server, balance[server["backend"]], shares[0], resumed)
    return found


def _unfit(
    balancer: str, server: Mapping[str, Any], balance: str, share: int, resumed: bool
) -> Iterator[str]:
    where = f"backend {server['backend']} of {balancer}"
    now, full = server["weight_set"], server["weight_full"]
    if balance not in WEIGHTED:
        yield (
            f"{where} has balance {balance}: shares of a weight need {', '.join(WEIGHTED[:-1])} or"
            f" {WEIGHTED[-1]}."
        )
    small = too_small(share, server["server"], full)
    if small:
        yield f"{where}: {small}"
    elif now != full and not resumed and not server.get("agent"):
        # An agent says its weight at any time; it is muted during the ramp, and heard after it.
        yield (
            f"{where}: somebody has set the weight of {server['server']} to {now} of {full}, and"
            f" the ramp would end at {full}. Set it back."
        )
