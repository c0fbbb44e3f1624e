# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether others may follow the canary: it bakes until it has run this very plan long enough.

A plan is known by its hash. A host is a canary of a plan when the record says that it passed with
it and nothing is left to do there. Its time counts from the start of the gunicorn that runs now, so
a restart begins it anew. Everything here is pure.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_record import (
    passed_with,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._few import MOST, few
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.balancer import (
    windows_from_looks,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.judge import (
    judge_canary,
)

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_COUNTERS = (
    "stot", "econ", "eresp", "ttime", "rtime_count", "rtime_ms",
    "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other",
)  # fmt: skip
# What one server is compared with need not be the whole fleet, and a look must not grow with it.
_OTHERS = 40
_ROWS = 600
# By which a process is known, and what it has counted itself.
_NODE = ("name", "pid", "uptime", "requests")
NEEDS = ("pass", "no_fail", "nothing")
"""What the comparison with the other servers must say, for ``rollout_canary``."""


def seconds_of(duration: Any) -> float:
    """``"2h"``, ``"1h30m"``, ``"45s"`` or a number of seconds; raises for anything else."""
    text = str(duration).strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    found = _DURATION.fullmatch(text)
    if not text or not found:
        raise FleetError(f"{duration!r} is no duration: give 2h, 1h30m, 45s, or seconds.")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def duration_words(seconds: float) -> str:
    """The two largest units: ``"1 h 59 min"``, ``"45 s"``."""
    left = max(0, round(seconds))
    parts = []
    for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def bake_look(
    results: Sequence[Mapping[str, Any]],
    at: float,
    server: str = "",
    mates: Sequence[str] = (),
) -> dict[str, Any]:
    """What the comparison needs of the results of ``haproxy_server_info``, to be kept.

    With ``server``, the rows of that one and of some others, the same ones everywhere and in every
    look; of its ``mates``, which get the same release, only if there are no others.
    """
    kept = _worth_keeping(results, server, mates) if server else None
    return {
        "at": at,
        "balancers": [
            {
                "item": result.get("item", ""),
                "node": {key: (result.get("node") or {}).get(key) for key in _NODE},
                "backends": [
                    {
                        "servers": [
                            _counted(each)
                            for each in backend["servers"]
                            if kept is None or each["server"] in kept
                        ]
                    }
                    for backend in result.get("backends") or []
                ],
            }
            for result in results
            if not result.get("failed") and not result.get("unreachable")
        ],
    }


def _worth_keeping(
    results: Sequence[Mapping[str, Any]], server: str, mates: Sequence[str]
) -> set[str]:
    backends = [each for result in results for each in result.get("backends") or []]
    names = {each["server"] for backend in backends for each in backend["servers"]} - {server}
    late = set(mates)

    def order(name: str) -> tuple[bool, str]:
        return name in late, hashlib.sha256(name.encode()).hexdigest()

    most = min(_OTHERS, max(1, _ROWS // max(1, len(backends)) - 1))
    return {server, *sorted(names, key=order)[:most]}


def _counted(server: Mapping[str, Any]) -> dict[str, Any]:
    counters = server["counters"]
    return {
        "backend": server["backend"],
        "server": server["server"],
        "counters": {name: counters[name] for name in _COUNTERS if name in counters},
    }


def compare(
    then: Mapping[str, Any],
    now: Mapping[str, Any],
    canary: str,
    others: Sequence[str],
) -> dict[str, Any]:
    """Judge the canary against servers that are not yet on its plan, over the time between.

    Returns ``{"verdict": "pass|fail|inconclusive", "reasons": [text], "suspect": bool}``;
    ``suspect`` where it is worse, and only bursts, which nobody sees in one window, could excuse
    it.
    """
    if not then.get("balancers"):
        return _open("what the balancers counted when it passed was not noted")
    known = _servers(then) & _servers(now)
    beside = sorted(set(others) & known)
    if canary not in known or not beside:
        return _open("the balancers have no other server to compare it with")
    try:
        judged = judge_canary(windows_from_looks([then, now], [canary], beside))
    except FleetError as error:
        return _open(str(error))
    suspect = any(measure["verdict"] == "suspect" for measure in judged["measures"])
    return {"verdict": judged["verdict"], "reasons": judged["reasons"], "suspect": suspect}


def _open(reason: str) -> dict[str, Any]:
    return {"verdict": "inconclusive", "reasons": [reason], "suspect": False}


def _servers(look: Mapping[str, Any]) -> set[str]:
    return {
        server["server"]
        for balancer in look["balancers"]
        for backend in balancer["backends"]
        for server in backend["servers"]
    }


class Wish(NamedTuple):
    """What the operator asked for, and what is known of the plan beyond the hosts of the run."""

    bake: float
    """Seconds; 0 for none."""
    plan: str
    wave: int
    """Size of the first wave: the most that a canary may be."""
    needs: str
    promote: bool
    elsewhere: tuple[str, ...]
    """Hosts of the fleet that passed with this plan and are not part of the run."""


class Decision(NamedTuple):
    """``role`` is ``free`` (no bake), ``done``, ``canary``, ``follow``, ``promoted``, ``refused``.

    ``more`` is how many seconds the canary lacks, if that is all that is missing, else 0.
    """

    role: str
    text: str
    more: float = 0.0


def decide(wish: Wish, hosts: Sequence[Mapping[str, Any]]) -> Decision:
    """May the hosts of the run that have something to do be taken?

    A host is ``{"host", "todo": bool, "canary": bool, "age": s or None, "gate": {"verdict",
    "reasons"} or {}, "compared": {"verdict", "reasons"} or {}}``.
    """
    todo = [str(host["host"]) for host in hosts if host["todo"]]
    canaries = [host for host in hosts if host["canary"]]
    if not wish.bake:
        return Decision("free", "no bake is asked for")
    if not todo:
        return Decision("done", "no host is left to follow")
    if not canaries and not wish.elsewhere:
        return _first(wish, todo)
    bake = duration_words(wish.bake)
    wrong = [text for host in canaries for text in _against(host, wish.needs)]
    if len(wrong) > MOST:
        wrong = [*wrong[:MOST], f"and {len(wrong) - MOST} more"]
    oldest = max((float(host["age"] or 0) for host in canaries), default=0.0)
    more = max(0.0, wish.bake - oldest)
    if canaries and more:
        wrong.append(
            f"{_names(canaries)} has run for {duration_words(oldest)} of {bake}:"
            f" {duration_words(more)} more"
        )
    if not canaries:
        wrong.append(
            f"the canary of this plan is {few(wish.elsewhere)}, which is not part of this"
            " run and so cannot be judged: add it to -l; it is not touched again"
        )
    if not wrong:
        return Decision(
            "follow", f"{_names(canaries)} has run plan {wish.plan} for {duration_words(oldest)}"
        )
    if wish.promote:
        return Decision("promoted", "promoted all the same: " + "; ".join(wrong))
    alone = len(wrong) == 1 and bool(canaries) and bool(more)
    return Decision(
        "refused",
        f"Plan {wish.plan} is not baked (rollout_bake is {bake}); {few(todo)} may not follow"
        f" yet: {'; '.join(wrong)}. Nothing was touched. Run the same command"
        f" {'then' if alone else 'when that is mended'}, or take it on you with"
        ' -e \'{"rollout_promote": true, "rollout_reason": "..."}\'.',
        more if alone else 0.0,
    )


def _first(wish: Wish, todo: list[str]) -> Decision:
    if len(todo) <= wish.wave:
        return Decision(
            "canary",
            f"{few(todo)} is the canary of plan {wish.plan}; others may follow when it has"
            f" run for {duration_words(wish.bake)}",
        )
    if wish.promote:
        return Decision("promoted", "promoted all the same: no host has run this plan yet")
    return Decision(
        "refused",
        f"No host has run plan {wish.plan} yet, and rollout_bake is {duration_words(wish.bake)}:"
        f" take a canary of at most {wish.wave} first, such as -l {quote(todo[0])}. Run the same"
        f" command without -l {duration_words(wish.bake)} later. Nothing was touched.",
    )


def _against(host: Mapping[str, Any], needs: str) -> list[str]:
    name, found = host["host"], []
    gate = host.get("gate") or {}
    if gate.get("verdict") != "pass":
        reasons = "; ".join(gate.get("reasons") or ["it could not be judged"])
        found.append(f"{name}: {gate.get('verdict', 'error')}: {reasons}")
    compared = host.get("compared") or {}
    verdict = compared.get("verdict", "inconclusive")
    worse = verdict == "fail" or bool(compared.get("suspect"))
    if worse and needs != "nothing" or verdict != "pass" and needs == "pass":
        reasons = "; ".join(compared.get("reasons") or ["nothing to compare it with"])
        found.append(f"{name} beside the servers that are not yet upgraded: {verdict}: {reasons}")
    return found


def _names(hosts: Sequence[Mapping[str, Any]]) -> str:
    return few(host["host"] for host in hosts)


def elsewhere(
    record: Any, plan: str, fleet: Sequence[str], run: Sequence[str], leg: int = 0
) -> list[str]:
    """Hosts of the fleet outside the run that passed with the plan, and a stage beyond ``leg``.

    Where stages bake, the whole fleet is through the stage ``leg``: that makes no canary.
    """
    passed = passed_with(record, plan)
    return [
        host
        for host in fleet
        if host not in run
        and host in passed
        and (not leg or int(passed[host].get("stage") or 0) > leg)
    ]
