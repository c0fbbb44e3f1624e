# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who wrote a line and when: gunicorn's own prefix, JSON, ISO times, syslog, journald, access logs.

Only lines that matter are parsed (a log is searched for literals first), so this may be thorough.
"""

import calendar
import json
import re
import time
from typing import Any, Dict, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact
from ansible_collections.fleetops.gunicorn.plugins.module_utils._visible import visible

GUNICORN = re.compile(
    rb"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:[.,]\d+)? ?([+-]\d{4}|)\] \[(\d+)\] \[([A-Z]+)\] ?"
)
ISO = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?: ?(Z|[+-]\d\d:?\d\d))?"
)
ACCESS = re.compile(rb"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\]")
SYSLOG = re.compile(rb"(?:<\d+>)?([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) ")
MONTHS = (b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec").split()
TIME_KEYS = ("time", "timestamp", "asctime", "@timestamp", "ts", "datetime", "date")
PID_KEYS = ("pid", "process", "process_id")
LEVEL_KEYS = ("level", "levelname", "severity", "lvl")


class Stamp(NamedTuple):
    """What a line says of itself; None for what it does not say."""

    time: Optional[float]
    pid: Optional[int]
    level: str
    layout: str


NOTHING = Stamp(None, None, "", "plain")


def offset_seconds(text: bytes) -> int:
    """``+0130`` or ``+01:30`` in seconds."""
    digits = text[1:].replace(b":", b"")
    seconds = int(digits[:2]) * 3600 + int(digits[2:4]) * 60
    return -seconds if text[:1] == b"-" else seconds


def to_epoch(fields: Tuple[int, ...], zone: bytes) -> Optional[float]:
    """Seconds since 1970; without a zone it is local time. None if there is no such time."""
    try:
        if zone in (b"Z", b"z"):
            return float(calendar.timegm(fields + (0, 0, 0)))
        if zone:
            return float(calendar.timegm(fields + (0, 0, 0)) - offset_seconds(zone))
        when = time.mktime(fields + (0, 0, -1))  # type: ignore[arg-type]
        # The hour that comes twice in autumn: taken for the second, so that nothing seems too old.
        later = time.localtime(when + 3600)
        return when + 3600 if later[:6] == fields else when
    except (ValueError, OverflowError, OSError):
        return None


class Clock:
    """Turns the time of a prefix into seconds; remembers the last, since lines come in bursts."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._text = (b"", b"")
        self._value: Optional[float] = None

    def gunicorn(self, text: bytes, zone: bytes) -> Optional[float]:
        key = (text, zone)
        if key != self._text:
            self._text = key
            self._value = to_epoch(
                (
                    int(text[:4]),
                    int(text[5:7]),
                    int(text[8:10]),
                    int(text[11:13]),
                    int(text[14:16]),
                    int(text[17:19]),
                ),
                zone,
            )
        return self._value

    def iso(self, found: Any) -> Optional[float]:
        whole = to_epoch(tuple(int(found.group(i)) for i in range(1, 7)), found.group(8) or b"")
        if whole is not None and found.group(7):
            whole += float(b"0." + found.group(7))
        return whole

    def access(self, found: Any) -> Optional[float]:
        day, month, year, hour, minute, second, zone = found.groups()
        if month not in MONTHS:
            return None
        return to_epoch(
            (int(year), MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second)),
            zone,
        )

    def syslog(self, found: Any) -> Optional[float]:
        """Syslog leaves out the year: the latest that does not lie in the future."""
        month, day, hour, minute, second = found.groups()
        if month not in MONTHS:
            return None
        year = time.localtime(self.now).tm_year
        for candidate in (year + 1, year, year - 1):
            value = to_epoch(
                (
                    candidate,
                    MONTHS.index(month) + 1,
                    int(day),
                    int(hour),
                    int(minute),
                    int(second),
                ),
                b"",
            )
            if value is not None and value <= self.now + 86400:
                return value
        return None

    def stamp(self, line: bytes, event: int) -> Stamp:
        """Read the last prefix before ``event``: other lines may be spliced in."""
        last = None
        for found in GUNICORN.finditer(line, 0, event):
            last = found
        if last is not None:
            return Stamp(
                self.gunicorn(last.group(1), last.group(2)),
                int(last.group(3)),
                last.group(4).decode("ascii"),
                "gunicorn",
            )
        brace = line.find(b"{", 0, 200)
        if brace >= 0:
            record = self.from_json(line[brace:])
            if record is not None:
                return record
        # The pid that syslog or journald put there may be that of a shipper: it is not believed.
        for pattern, parse, layout in (
            (ISO, self.iso, "iso"),
            (ACCESS, self.access, "access"),
        ):
            match = pattern.search(line, 0, 300)
            if match is not None:
                return Stamp(parse(match), None, "", layout)
        match = SYSLOG.match(line)
        if match is not None:
            return Stamp(self.syslog(match), None, "", "syslog")
        return NOTHING

    def from_json(self, text: bytes) -> Optional[Stamp]:
        """A record of ``logconfig_json`` or the like; None if this is none."""
        try:
            record = json.loads(text.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None
        if not isinstance(record, dict):
            return None
        level = first(record, LEVEL_KEYS)
        pid = first(record, PID_KEYS)
        when = first(record, TIME_KEYS)
        value: Optional[float] = None
        if isinstance(when, (int, float)) and not isinstance(when, bool):
            # Seconds or milliseconds; what is neither is no time.
            seconds = when / 1000 if 1e11 < when < 1e14 else when
            value = float(seconds) if 0 < seconds < 1e11 else None
        elif isinstance(when, str):
            match = ISO.search(when.encode("utf-8"))
            value = self.iso(match) if match else None
        digits = str(pid) if isinstance(pid, (int, str)) and not isinstance(pid, bool) else ""
        return Stamp(
            value,
            int(digits) if digits.isdigit() and len(digits) < 11 else None,
            str(level or ""),
            "json",
        )


def first(record: Dict[str, Any], names: Tuple[str, ...]) -> Any:
    return next((record[name] for name in names if name in record), None)


def printable(line: bytes, limit: int = 300) -> str:
    """A line fit for a report: bounded, without control characters and obvious secrets."""
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    text = redact(visible(text[:2000]))
    return text if len(text) <= limit else text[: limit - 3] + "..."
