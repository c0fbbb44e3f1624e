# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a check asks of a host, and from all answers the report of the fleet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.verdict import (
    check,
    check_fleet,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._fleet_questions import (
    answers_about,
)


class Times(NamedTuple):
    """Epoch seconds. ``since`` and ``history`` are 0 where the operator has not asked for them."""

    now: float
    since: float
    history: float


class Reads(NamedTuple):
    """What is read of the logs of one host. Epoch seconds."""

    generation: dict[str, Any]
    """What runs; with pid 0 where nothing does, from when on whoever's log is read."""
    since: float
    """From when on the log is read of another time; 0 for not at all."""
    until: float
    """The end of that; 0 for now."""
    history_since: float
    lost: bool
    """Whether the host could not be reached."""


def reads(info: Mapping[str, Any], times: Times) -> Reads:
    """``info`` is a result of gunicorn_info, or its failure.

    Where no gunicorn runs there is no generation: the log of the last hours is read, whoever wrote
    it. Beside the log of a generation it is that since the time asked for, or what came before.
    """
    lost = bool(info.get("unreachable"))
    arbiter = info.get("arbiter") or {}
    if not arbiter:
        back = times.since or times.history or times.now
        return Reads({"pid": 0, "start_ticks": 0, "started": back}, 0.0, 0.0, back, lost)
    started = float(arbiter["started"])
    since, until = times.since, 0.0
    if not since and 0 < times.history < started:
        since, until = times.history, started
    return Reads(dict(arbiter), since, until, since, lost)


def check_hosts(
    hosts: Iterable[tuple[str, Mapping[str, Any]]],
    times: Times,
    balancers: Iterable[Mapping[str, Any]],
    at: float,
) -> dict[str, Any]:
    """Return the report of the fleet, as `_check.verdict.check_fleet`.

    ``hosts`` are names and variables, with what validate_settings and the questions registered;
    ``balancers`` are the results of `_fleet_questions`; ``at`` is now, epoch seconds.
    """
    answers = list(balancers)
    return check_fleet({name: _judged(name, host, times, answers, at) for name, host in hosts}, at)


def _judged(
    name: str,
    host: Mapping[str, Any],
    times: Times,
    answers: list[Mapping[str, Any]],
    at: float,
) -> dict[str, Any] | None:
    """None where the inputs of the host were refused, or nothing was asked."""
    checked, server = host.get("_settings_checked") or {}, host.get("_check_server")
    if not checked.get("host") or not server:
        return None
    info = server.get("service") or server
    look = {
        "host": name,
        "at": at,
        "stages": checked["judged_by"]["stages"],
        "log_quiet": checked["judged_by"]["log_quiet"],
        "process": info,
        "balancers": answers_about(answers, checked["host"]),
        "balanced": bool(checked["host"]["balancers"]),
    }
    try:
        asked = reads(info, times)
        parts = {
            "health": _answer(server.get("health")),
            "log": _answer(host.get("_check_log")) or _answer(server.get("log")),
            "history": _answer(host.get("_check_history_log")),
        }
        return check(
            {
                **look,
                **parts,
                "since": times.since,
                "history_since": asked.history_since,
                "generation": asked.generation,
            }
        )
    except Exception as error:  # One host must not hide the others.
        broken = {"msg": f"the check of this host broke off: {type(error).__name__}: {error}"}
        return check({"host": name, "at": at, "process": broken})


def _answer(result: Any) -> dict[str, Any]:
    """What a module said; empty where it was not asked."""
    return {} if not result or result.get("skipped") else dict(result)
