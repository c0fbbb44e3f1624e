# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moments and ages as operators write them."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

_AGE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(s|m|min|h|d)")
_EPOCH = re.compile(r"\d{9,11}(?:\.\d*)?")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def age(text: Any) -> float | None:
    """Seconds of ``"6h"``, ``"90min"``, ``"30 s"`` or ``"2d"``; None if it is no age."""
    found = _AGE.fullmatch(str(text).strip())
    return float(found.group(1)) * _SECONDS[found.group(2)] if found else None


def epoch(text: Any) -> float | None:
    """Epoch seconds of epoch seconds or of ISO 8601; None if it is neither.

    A time without a zone is local time of whoever asks.
    """
    words = str(text or "").strip()
    if _EPOCH.fullmatch(words):
        return float(words)
    try:
        # Python 3.10 knows no Z.
        moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", words))
        return moment.timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def moment(name: str, text: Any, now: float) -> float | None:
    """When ``text`` was: an age, epoch seconds or ISO 8601; None if it is empty.

    ValueError, with the ``name`` of the variable, if it is none of them or lies ahead.
    """
    if not str(text if text is not None else "").strip():
        return None
    back = age(text)
    when = epoch(text) if back is None else now - back
    if when is None:
        raise ValueError(
            f"{name} is {str(text)!r}: give an age (30min, 6h, 2d), a time"
            " (2026-11-23T03:00:00+00:00; without a zone, local time of the controller) or"
            " seconds since 1970."
        )
    if when > now:
        raise ValueError(f"{name} is {str(text)!r}, which is still to come.")
    return when


def shown(seconds: float) -> str:
    """Return ``"2026-11-23 03:00:00Z"``."""
    return datetime.fromtimestamp(float(seconds), timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")


def span(seconds: float) -> str:
    """Return ``"2 d 3 h"``, ``"2 h 5 min"``, ``"12 min"`` or ``"40 s"``."""
    left = int(seconds)
    days, hours, minutes = left // 86400, left // 3600 % 24, left // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{left} s"
