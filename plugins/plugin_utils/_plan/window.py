# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a server may be begun: ``rollout_window``, judged by the controller's clock. Pure.

Times are wall time of the window's own ``zone``. Where a clock is put forward or back, a time that
is there twice or not at all counts for the shorter window and the longer freeze.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:-[a-z]{3})?(?:,[a-z]{3}(?:-[a-z]{3})?)*) )?"
    r"(?P<begin>\d\d:\d\d(?::\d\d)?)-(?P<end>\d\d:\d\d(?::\d\d)?)"
)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?))?")
_DAY = 86400
# How far ahead a next opening is looked for; further ahead nobody waits.
_AHEAD = 400


class Span(NamedTuple):
    """A time of day that comes again: on which days (0 is Monday), from and to, in seconds."""

    days: frozenset[int]
    begin: int
    end: int
    """Larger than a day where it ends on the next one."""
    text: str


class Freeze(NamedTuple):
    """From when to when nobody begins, wall times, and why."""

    begin: datetime
    end: datetime
    why: str


class Window(NamedTuple):
    """``rollout_window``, understood."""

    zone: tzinfo
    name: str
    spans: tuple[Span, ...]
    freezes: tuple[Freeze, ...]


def window_problems(given: Any) -> list[str]:
    """What is wrong with ``rollout_window``."""
    try:
        read_window(given)
    except ValueError as error:
        return [f"rollout_window: {error}"]
    return []


def read_window(given: Any) -> Window:
    """Understand the input; ValueError says what is wrong with it."""
    wish = given or {}
    if not isinstance(wish, Mapping):
        raise ValueError(f"{given!r} is no window: give open, freeze and zone.")
    unknown = sorted(set(map(str, wish)) - {"zone", "open", "freeze"})
    if unknown:
        raise ValueError(f"it has the unknown key {unknown[0]!r}: allowed are open, freeze, zone.")
    name = str(wish.get("zone") or "UTC")
    spans, freezes = wish.get("open") or [], wish.get("freeze") or []
    if not isinstance(spans, list) or not isinstance(freezes, list):
        raise ValueError("open and freeze are lists.")
    return Window(_zone(name), name, tuple(map(_span, spans)), tuple(map(_freeze, freezes)))


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"the controller knows no time zone {name!r}: give UTC, or a name such as"
            " Europe/Berlin (it needs the package tzdata there)."
        ) from None


def _span(text: Any) -> Span:
    found = _SPAN.fullmatch(" ".join(str(text).lower().split()))
    try:
        if not found:
            raise ValueError
        begin, end = _clock(found["begin"]), _clock(found["end"])
        if begin in (_DAY, end):
            raise ValueError
        days = frozenset(_days(found["days"])) if found["days"] else frozenset(range(7))
    except ValueError:
        raise ValueError(
            f"open has {str(text)!r}, which is no span: give days and times such as"
            " 'mon-thu 09:00-16:00', 'sat,sun 10:00-12:00' or '22:00-04:00'."
        ) from None
    return Span(days, begin, end if end > begin else end + _DAY, str(text))


def _clock(text: str) -> int:
    hours, minutes, seconds = ([int(part) for part in text.split(":")] + [0])[:3]
    found = (hours * 60 + minutes) * 60 + seconds
    if minutes > 59 or seconds > 59 or found > _DAY:
        raise ValueError
    return found


def _days(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, _dash, last = part.partition("-")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        yield from (day % 7 for day in range(begin, (end if end >= begin else end + 7) + 1))


def _freeze(given: Any) -> Freeze:
    if not isinstance(given, Mapping) or set(given) - {"from", "until", "why"}:
        raise ValueError(f"freeze has {given!r}: give from, until and, if you like, why.")
    begin, end = _wall(given.get("from")), _wall(given.get("until"), whole_day=True)
    if end <= begin:
        raise ValueError(f"a freeze ends {given['until']}, and begins {given['from']}, after it.")
    return Freeze(begin, end, " ".join(str(given.get("why") or "").split())[:200])


def _wall(text: Any, whole_day: bool = False) -> datetime:
    """A wall time; a date alone is its beginning, or with ``whole_day`` its end."""
    found = _MOMENT.fullmatch(str(text or "").strip())
    try:
        if not found:
            raise ValueError
        day = datetime.fromisoformat(found[1])
        if found[2]:
            return day + timedelta(seconds=_clock(found[2]))
        return day + timedelta(days=1 if whole_day else 0)
    except (ValueError, OverflowError):
        raise ValueError(
            f"a freeze has {str(text)!r}, which is no time: give 2026-12-20 or '2026-12-20 18:00'."
        ) from None


# -- what is so at a moment ----------------------------------------------------------------------


def window_verdict(given: Any, at: Any) -> dict[str, Any]:
    """Whether a server may be begun ``at`` a moment (epoch seconds), for how long, or when again.

    Returns ``set`` (whether there is a window at all), ``open``, ``until`` and ``again`` (epoch
    seconds; 0 if nobody can tell) and ``text``, the same in words without a full stop.
    """
    # ansible-core 2.16 makes texts of numbers.
    window, now = read_window(given), float(at)
    told: dict[str, Any] = {"set": bool(window.spans or window.freezes), "until": 0.0, "again": 0.0}
    if not told["set"]:
        return {**told, "open": True, "text": "always open"}
    reason = _closed(window, now)
    change = _change(window, now, closes=not reason)
    moment = f"{_words(window, change)} {window.name}" if change else ""
    if not reason:
        until = f"until {moment}" if change else f"for the next {_AHEAD} days"
        return {**told, "open": True, "until": change, "text": f"open {until}"}
    again = f"it opens {moment}" if change else f"it does not open for {_AHEAD} days"
    words = f"closed now ({_words(window, now)} {window.name}): {reason}; {again}"
    return {**told, "open": False, "again": change, "text": words}


def _closed(window: Window, now: float) -> str:
    """Why nobody may begin at ``now``; empty if one may."""
    for freeze in window.freezes:
        begin, end = _instants(window, freeze)
        if begin <= now < end:
            why = f" ({freeze.why})" if freeze.why else ""
            return f"frozen from {freeze.begin} until {freeze.end}{why}"
    if not window.spans or any(begin <= now < end for begin, end in _openings(window, now, 1)):
        return ""
    return f"open {', '.join(span.text for span in window.spans)}"


def _change(window: Window, now: float, closes: bool) -> float:
    """When it next closes (or opens); 0 if it does not within `_AHEAD` days."""
    marks = {mark for freeze in window.freezes for mark in _instants(window, freeze)}
    marks |= {mark for opening in _openings(window, now, _AHEAD) for mark in opening}
    limit = now + _AHEAD * _DAY
    for mark in sorted(mark for mark in marks if now < mark <= limit):
        if bool(_closed(window, mark)) is closes:
            return mark
    return 0.0


def _openings(window: Window, now: float, days: int) -> Iterator[tuple[float, float]]:
    """From the day before ``now`` to so many days after it."""
    today = datetime.fromtimestamp(now, window.zone).date()
    for day in (today + timedelta(days=ahead) for ahead in range(-1, days + 1)):
        for span in window.spans:
            if day.weekday() in span.days:
                begin = max(_readings(window, _at(day, span.begin)))
                end = min(_readings(window, _at(day, span.end)))
                if begin < end:
                    yield begin, end


def _instants(window: Window, freeze: Freeze) -> tuple[float, float]:
    return min(_readings(window, freeze.begin)), max(_readings(window, freeze.end))


def _at(day: date, seconds: int) -> datetime:
    return datetime(day.year, day.month, day.day) + timedelta(seconds=seconds)


def _readings(window: Window, wall: datetime) -> tuple[float, float]:
    """The moments that a wall time may mean; the same twice on all but two days of a year."""
    first, second = (wall.replace(tzinfo=window.zone, fold=fold) for fold in (0, 1))
    return first.timestamp(), second.timestamp()


def _words(window: Window, moment: float) -> str:
    return datetime.fromtimestamp(moment, window.zone).strftime("%a %Y-%m-%d %H:%M:%S")
