# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a check asks of a host, and its verdict of a fleet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.hosts import (
    Times,
    check_hosts,
    reads,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.text import summaries


def _reads(info: Mapping[str, Any], times: Mapping[str, Any]) -> dict[str, Any]:
    return reads(info, _times(times))._asdict()


def _hosts(
    hosts: Iterable[Any],
    names: Iterable[str],
    times: Mapping[str, Any],
    balancers: Iterable[Mapping[str, Any]],
    at: Any,
) -> dict[str, Any]:
    """``hosts`` are the variables of the hosts of these names, in that order."""
    named = zip((str(name) for name in names), hosts, strict=True)
    return check_hosts(named, _times(times), balancers, float(at))


def _times(told: Mapping[str, Any]) -> Times:
    """ansible-core 2.16 makes texts of numbers."""
    return Times(*(float(told[name] or 0) for name in Times._fields))


INTERNAL: dict[str, Callable[..., Any]] = {
    "check_reads": _reads,
    "check_hosts": _hosts,
    "check_summaries": summaries,
}
