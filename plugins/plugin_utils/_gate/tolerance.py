# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which counts of a gate are absolute, which are judged against normal, which have a limit. Pure.

``auto``, the default of every count, means what is normal (`normal`); an event in `ABSOLUTE` has
no normal. An operator's own number is a hard limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.catalogue import ANY, EVENTS
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.verdict import tolerance
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.versions import (
    version_key,
)

AUTO = "auto"
COUNTED = ("connection_errors", "http_5xx")
# One of these is one too many, whatever was usual: the arbiter is broken, or will be.
ABSOLUTE = frozenset(
    (
        "reentrant",
        "boot_failure",
        "app_load_failure",
        "main_loop_exception",
        "restart_loop",
        "unhandled_signal",
    )
)
# What no release is judged by has no normal either.
RELATIVE = tuple(
    name for name, event in EVENTS.items() if name not in ABSOLUTE and event.tolerance != ANY
)

# Gunicorn before this says nothing of it, so its log tells of no normal.
TOLD_SINCE = {
    "worker_killed": "20.1.0",
    "worker_exited": "21.0.0",
    "dirty_arbiter_ended": "25.0.0",
    "dirty_worker_ended": "25.0.0",
    "dirty_worker_timeout": "25.0.0",
}

Named = Mapping[str, Any]
Patterns = Iterable[Mapping[str, Any]]


def is_told(event: str, gunicorn: str) -> bool:
    """Whether this version of gunicorn would log the event; of an unknown one nobody knows."""
    since = TOLD_SINCE.get(event)
    return since is None or (bool(gunicorn) and version_key(gunicorn) >= version_key(since))


def is_auto(value: Any) -> bool:
    return str(value).strip() == AUTO


def relative_events(given: Named | None, patterns: Patterns = ()) -> list[str]:
    """The events of a log that are judged against normal, by gate_tolerance and gate_log_patterns.

    A pattern of the operator's is one only with the tolerance ``auto``.
    """
    wanted = dict(given or {})
    own = {str(each.get("name")): each.get("tolerance", "0") for each in patterns}
    known = [name for name in RELATIVE if is_auto(wanted.get(name, AUTO))]
    return known + [name for name, limit in own.items() if is_auto(wanted.get(name, limit))]


def limits(given: Named | None, patterns: Patterns = ()) -> dict[str, Any]:
    """The tolerances for ``log_check``: none for what is judged against normal."""
    wanted = dict(given or {})
    hard = {name: value for name, value in wanted.items() if not is_auto(value)}
    return {**hard, **dict.fromkeys(relative_events(wanted, patterns), ANY)}


def fixed(given: Named | None) -> dict[str, Any]:
    """The tolerances for who compares with nothing: those that log_check has by itself."""
    return {name: value for name, value in dict(given or {}).items() if not is_auto(value)}


def plain_patterns(patterns: Patterns) -> list[dict[str, Any]]:
    """The operator's patterns for ``log_check``, which knows no ``auto``."""
    return [
        {**each, "tolerance": "0"} if is_auto(each.get("tolerance", "0")) else dict(each)
        for each in patterns
    ]


def tolerance_problems(balancer: Any, log: Any, patterns: Any) -> list[str]:
    """What is wrong with gate_balancer_tolerance and gate_tolerance, by these names."""
    found = []
    counts = balancer.values() if isinstance(balancer, Mapping) else [None]
    if not all(
        is_auto(each) or (isinstance(each, int) and each is not True) for each in counts
    ) or (set(balancer) - set(COUNTED)):
        found.append(
            f"gate_balancer_tolerance is {balancer}: give auto or whole numbers for"
            f" {' and '.join(COUNTED)}, and nothing else."
        )
    own = [str(each.get("name")) for each in patterns if isinstance(each, Mapping)]
    for name, value in (log if isinstance(log, Mapping) else {}).items():
        if name not in EVENTS and name not in own:
            found.append(
                f"gate_tolerance: there is no event {name}. Known are"
                f" {', '.join(sorted([*EVENTS, *own]))}."
            )
        elif is_auto(value):
            if name in ABSOLUTE:
                found.append(
                    f"gate_tolerance: {name} is auto, and has no normal: one is too many. Leave it"
                    " out, or give a number on your own responsibility."
                )
        else:
            try:
                tolerance(str(name), value)
            except FleetError as error:
                found.append(f"gate_{error} Or auto.")
    return found
