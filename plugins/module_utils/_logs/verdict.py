# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From counts to a verdict: how much of each event is tolerated, and the reasons."""

import re
import time
from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
RATE = re.compile(r"(\d{1,9})\s*/\s*(s|min|h|d)$")
# A rate needs the times of as many incidents; more than this is no tolerance any more.
MAX_RATE = 10000


class Tolerance(NamedTuple):
    """``limit`` incidents are borne: in all, or in any ``seconds``; None bears everything."""

    limit: Optional[int]
    seconds: int

    def __str__(self) -> str:
        if self.limit is None:
            return "unlimited"
        unit = next((name for name, size in UNITS.items() if size == self.seconds), "")
        return f"{self.limit}/{unit}" if unit else str(self.limit)


def tolerance(event: str, value: Any) -> Tolerance:
    """``3``, ``"3"``, ``"3/h"``, ``"unlimited"``."""
    text = str(value).strip()
    if text == "unlimited":
        return Tolerance(None, 0)
    if text.isdigit() and not isinstance(value, bool):
        return Tolerance(int(text), 0)
    match = RATE.match(text)
    if match and int(match.group(1)) <= MAX_RATE:
        return Tolerance(int(match.group(1)), UNITS[match.group(2)])
    raise FleetError(
        f"tolerance: {value!r} for {event} is none. Give a count (3), a rate of at most"
        f" {MAX_RATE} (3/h, also s, min and d) or unlimited."
    )


def tolerances(defaults: Dict[str, str], wanted: Dict[str, Any]) -> Dict[str, Tolerance]:
    unknown = sorted(set(wanted) - set(defaults))
    if unknown:
        raise FleetError(
            f"tolerance: there is no event {', '.join(unknown)}. Known are"
            f" {', '.join(sorted(defaults))}."
        )
    return {name: tolerance(name, wanted.get(name, value)) for name, value in defaults.items()}


class Seen(NamedTuple):
    """What the look at all paths found."""

    counts: Dict[str, int]
    # The shortest span, in seconds, that held one incident more than a rate bears.
    peaks: Dict[str, float]
    first: Dict[str, str]
    wrong: List[str]
    lost: List[str]
    silent: List[str]
    heard: bool
    # How many of ``counts`` neither time nor place nor pid tells to be of the window.
    unsure: Dict[str, int] = {}
    # Texts of events in logs of which none tells the layout of gunicorn's lines.
    foreign: int = 0


class Verdict(NamedTuple):
    """``clean``, ``dirty``, ``gap``, ``inconclusive`` or ``no_data``, and why."""

    verdict: str
    reasons: List[str]


def exceeded(event: str, seen: Seen, limit: Tolerance) -> bool:
    if limit.limit is None:
        return False
    if limit.seconds:
        return seen.peaks.get(event, float("inf")) <= limit.seconds
    return seen.counts.get(event, 0) > limit.limit


def certain(event: str, seen: Seen, limit: Tolerance) -> bool:
    """Is more than is tolerated certain to be of the window?"""
    unsure = seen.unsure.get(event, 0)
    if not unsure:
        return True
    return limit.seconds == 0 and seen.counts[event] - unsure > (limit.limit or 0)


def decide(seen: Seen, limits: Dict[str, Tolerance]) -> Verdict:
    """The worst that is true; what is bad is never hidden by what is missing."""
    beyond = [event for event in sorted(seen.counts) if exceeded(event, seen, limits[event])]
    told = {
        event: f"{seen.counts[event]} {event.replace('_', ' ')}"
        f" (tolerated: {limits[event]}), first {seen.first[event]}"
        for event in beyond
    }
    dirty = [told[event] for event in beyond if certain(event, seen, limits[event])]
    dirty += seen.wrong
    doubt = [
        f"{told[event]}; neither its time nor its place nor a pid tells whether it is of this"
        " generation"
        for event in beyond
        if not certain(event, seen, limits[event])
    ]
    lost = [f"part of the log is lost: {reason}" for reason in seen.lost]
    if dirty:
        return Verdict("dirty", dirty + doubt + lost)
    if lost:
        return Verdict("gap", lost + doubt)
    if seen.foreign:
        doubt.append(
            f"{seen.foreign} texts look like events of gunicorn's, but no log has a line that tells"
            " how gunicorn's lines look here (docs/log-gate.md, Layouts)"
        )
    if doubt:
        return Verdict("inconclusive", doubt)
    if not seen.heard:
        return Verdict("no_data", seen.silent or ["nothing was written"])
    borne = [
        f"{count} {event.replace('_', ' ')} (tolerated: {limits[event]})"
        for event, count in sorted(seen.counts.items())
    ]
    return Verdict("clean", borne)


def moment(when: Optional[float]) -> Optional[str]:
    """Seconds since 1970 as ISO 8601 in UTC."""
    if when is None:
        return None
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
    except (ValueError, OverflowError, OSError):
        return None
