# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether what a run found is still so when it gets the lock: another one may have been faster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_record import (
    marked_bad,
    moment,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._few import MOST

# Whatever happens to a host changes at least one of these.
_TOLD = ("phase", "release", "stage", "run", "at")


def stale(
    known: Mapping[str, Any], now: Mapping[str, Any], hosts: Sequence[str], chosen: Sequence[str]
) -> list[str]:
    """What the record says now and did not say when the run asked, in sentences.

    About ``hosts``, those of the run, and about the releases that it has ``chosen``: what others
    did elsewhere in the fleet is no matter of this run.
    """
    found = [_says(host, now["hosts"][host]) for host in hosts if _moved(known, now, host)]
    bad = set(marked_bad(dict(known), list(chosen)))
    found += [text for text in marked_bad(dict(now), sorted(set(chosen))) if text not in bad]
    more = len(found) - MOST
    return found[:MOST] + ([f"and {more} more"] if more > 0 else [])


def _moved(known: Mapping[str, Any], now: Mapping[str, Any], host: str) -> bool:
    then, told = known["hosts"].get(host) or {}, now["hosts"].get(host)
    return told is not None and any(told.get(key) != then.get(key) for key in _TOLD)


def _says(host: str, told: Mapping[str, Any]) -> str:
    return f"{host} {told['phase']} ({told['release']}, by {told['by']}, {moment(told['at'])})"
