# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a line was written and by whom: gunicorn's own prefix, JSON, and times in many a format.

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
    rb"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:[.,]\d+)? ?([+-]\d{4}|)\] \[(\d+)\] \[([A-Za-z]+) *\] ?"
)
ISO = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?: ?(Z|[+-]\d\d:?\d\d))?"
)
ACCESS = re.compile(rb"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\]")
SYSLOG = re.compile(rb"(?:<\d+>)?([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)[ .,]")
ZONE = rb"(?:[.,]\d{1,9})?(?: ?(?P<zone>Z|GMT|UTC|[+-]\d\d:?\d\d)\b)?"
CLOCK = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
MONTH = rb"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
# Formats of a date that people choose. Whether 03/04 is of March or of April cannot be told: none.
DATES = tuple(
    re.compile(pattern)
    for pattern in (
        # Django, Apache: 20/Nov/2026 02:10:00
        rb"(?P<day>\d\d?)[/-]" + MONTH + rb"[/-](?P<year>\d{4})[ :T]" + CLOCK + ZONE,
        # RFC 822: Fri, 20 Nov 2026 02:10:00 +0000
        rb"(?P<day>\d\d?) " + MONTH + rb",? (?P<year>\d{4}),? " + CLOCK + ZONE,
        # ctime: Fri Nov 20 02:10:00 2026
        MONTH + rb" {1,2}(?P<day>\d\d?) " + CLOCK + rb" (?P<year>\d{4})",
        # Nov 20, 2026 02:10:00
        MONTH + rb" {1,2}(?P<day>\d\d?),? (?P<year>\d{4}),? " + CLOCK + rb"(?! ?[AaPp][Mm])" + ZONE,
        # nginx, Go: 2026/11/20 02:10:00
        rb"(?P<year>\d{4})[/.](?P<month>\d\d)[/.](?P<day>\d\d)[ T]" + CLOCK + ZONE,
        # 20.11.2026 02:10:00
        rb"(?P<day>\d\d)\.(?P<month>\d\d)\.(?P<year>\d{4}),? " + CLOCK + ZONE,
        # 20-11-2026 02:10:00
        rb"(?P<day>\d\d)-(?P<month>\d\d)-(?P<year>\d{4}),? " + CLOCK + ZONE,
    )
)
EPOCH = re.compile(rb"\[?(1\d{9}(?:\d{3}|\.\d{1,9})?)(?![\w.])")
COLOUR = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]")
ANY_CLOCK = re.compile(rb":\d\d:\d\d")
MONTHS = (b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec").split()
TIME_KEYS = (
    "time",
    "timestamp",
    "asctime",
    "@timestamp",
    "ts",
    "datetime",
    "date",
    "@t",
    "__REALTIME_TIMESTAMP",
    "_SOURCE_REALTIME_TIMESTAMP",
)
DATE_KEYS = ("date", "day")
PID_KEYS = ("pid", "process", "process_id", "process.pid")
LEVEL_KEYS = ("level", "levelname", "severity", "lvl", "log.level")
HOURS = re.compile(r"\d\d:\d\d:\d\d")
DAY = re.compile(r"\d{4}-\d\d-\d\d$")


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

    def dated(self, found: Any) -> Optional[float]:
        """The time of a match of one of ``DATES``."""
        fields = found.groupdict()
        month = fields["month"]
        number = MONTHS.index(month) + 1 if month in MONTHS else int(month)
        zone = fields.get("zone") or b""
        return to_epoch(
            (
                int(fields["year"]),
                number,
                int(fields["day"]),
                int(fields["hour"]),
                int(fields["minute"]),
                int(fields["second"]),
            ),
            b"Z" if zone in (b"GMT", b"UTC") else zone,
        )

    def written(self, text: bytes) -> Optional[Stamp]:
        """The first time that the head of a line tells, in whatever format; None for none.

        The first, because what comes later in a line may be a client's words.
        """
        best: Optional[Tuple[int, Stamp]] = None
        if ANY_CLOCK.search(text, 0, 320) is None:
            match = EPOCH.match(text)
            if match is None:
                return None
            return Stamp(self.of_value(match.group(1).decode("ascii")), None, "", "epoch")
        match = ISO.match(text)
        if match is not None:
            # Nothing can come before it; mostly it is this one.
            return Stamp(self.iso(match), None, "", "iso")
        for pattern, parse, layout in (
            (ISO, self.iso, "iso"),
            (ACCESS, self.access, "access"),
        ) + tuple((pattern, self.dated, "date") for pattern in DATES):
            match = pattern.search(text, 0, 300)
            if match is not None and (best is None or match.start() < best[0]):
                best = match.start(), Stamp(parse(match), None, "", layout)
        if best is None:
            match = EPOCH.match(text)
            if match is not None:
                return Stamp(self.of_value(match.group(1).decode("ascii")), None, "", "epoch")
        match = SYSLOG.match(text)
        if match is not None and (best is None or best[1].layout != "date"):
            return Stamp(self.syslog(match), None, "", "syslog")
        return None if best is None else best[1]

    def stamp(self, line: bytes, event: int) -> Stamp:
        """What a line says of itself before ``event``, as far as no client could have said it.

        gunicorn's prefix counts where it comes first, behind a foreign prefix or the torn beginning
        of another line; not within quotes, where a client's words are.
        """
        if b"\x1b" in line:
            line, event = COLOUR.sub(b"", line), len(COLOUR.sub(b"", line[:event]))
        found = GUNICORN.search(line, 0, event)
        if found is not None and b'"' not in line[: found.start()]:
            return self.prefix(found)
        brace = line.find(b"{", 0, 200)
        if brace >= 0:
            record = self.from_json(line[brace:])
            if record is not None:
                return record
        # The pid that syslog or journald put there may be that of a shipper: it is not believed.
        return self.written(line) or NOTHING

    def prefix(self, found: Any) -> Stamp:
        """What gunicorn's own prefix says."""
        return Stamp(
            self.gunicorn(found.group(1), found.group(2)),
            int(found.group(3)),
            found.group(4).decode("ascii"),
            "gunicorn",
        )

    def from_json(self, text: bytes) -> Optional[Stamp]:
        """A record of ``logconfig_json`` or the like; None if this is none."""
        record = parse_record(text)
        return None if record is None else self.of_record(record)

    def of_record(self, record: Dict[str, Any]) -> Stamp:
        """What a record in JSON says of itself; ``NOTHING`` but the layout if it is silent."""
        level = first(record, LEVEL_KEYS)
        if isinstance(level, dict):
            level = level.get("name")
        pid = first(record, PID_KEYS)
        if isinstance(pid, dict):
            pid = first(pid, ("id", "pid"))
        digits = str(pid) if isinstance(pid, (int, str)) and not isinstance(pid, bool) else ""
        return Stamp(
            self.of_value(whole_time(record)),
            int(digits) if digits.isdigit() and len(digits) < 11 else None,
            str(level or ""),
            "json",
        )

    def of_value(self, when: Any) -> Optional[float]:
        """Seconds, milliseconds, microseconds or nanoseconds, or any text that is a time."""
        if isinstance(when, dict):
            when = when.get("timestamp")
        if isinstance(when, str):
            if re.match(r"\d{10,19}(\.\d+)?$", when):
                when = float(when)
            else:
                stamp = self.written(when.encode("utf-8", "replace"))
                return stamp.time if stamp else None
        if isinstance(when, (int, float)) and not isinstance(when, bool):
            for size in (1, 1000, 10**6, 10**9):
                # From 1973 to 2286; what is none of them is no time.
                if 10**8 * size < when < 10**10 * size:
                    return float(when / size)
            return float(when) if 0 < when < 10**11 else None
        return None


def parse_record(text: bytes) -> Optional[Dict[str, Any]]:
    try:
        record = json.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    # loguru and others keep the record one level down.
    inner = record.get("record")
    return inner if isinstance(inner, dict) and "message" in inner else record


def whole_time(record: Dict[str, Any]) -> Any:
    """The time of a record; some write the day and the hour under two keys."""
    values = [record[name] for name in TIME_KEYS if name in record]
    hours = [v for v in values if isinstance(v, str) and HOURS.match(v)]
    days = [
        record[name]
        for name in DATE_KEYS
        if isinstance(record.get(name), str) and DAY.match(record[name])
    ]
    if hours and days:
        return f"{days[0]} {hours[0]}"
    whole = [v for v in values if not isinstance(v, str) or not (HOURS.match(v) or DAY.match(v))]
    return whole[0] if whole else None


def first(record: Dict[str, Any], names: Tuple[str, ...]) -> Any:
    return next((record[name] for name in names if name in record), None)


def printable(line: bytes, limit: int = 300) -> str:
    """A line fit for a report: bounded, without control characters and obvious secrets."""
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    text = redact(visible(text[:2000]))
    return text if len(text) <= limit else text[: limit - 3] + "..."
