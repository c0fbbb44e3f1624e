# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who speaks in a line: what of it may be believed to be gunicorn's own words.

A log holds what clients send, too: in access lines of any format, and wherever an application logs
a request. So a text proves nothing by standing somewhere in a line. It is taken for gunicorn's
only where gunicorn begins a message: behind its prefix, behind the head of a log format of the
operator's own, or as the message of a JSON record; and a line can only be as good as the best that
its log has (``rank``). What a shipper puts around each line is taken off first.
"""

import re
from functools import lru_cache
from typing import Any, Dict, List, NamedTuple, Optional, Pattern

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.records import (
    COLOUR,
    GUNICORN,
    NOTHING,
    PID_KEYS,
    Clock,
    Stamp,
    first,
    parse_record,
)

# How much of a layout there is around a message. NOBODY: this is no message of gunicorn's.
NOBODY, BARE, NAMED, TIMED, WRAPPED, PREFIXED = -1, 0, 1, 2, 3, 4

WHEN = rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|[+-]\d\d:?\d\d))?"
# What shippers and runtimes put before each line.
ENVELOPE = re.compile(
    rb"(?:"
    # Levels of syslog, RFC 5424
    rb"<\d{1,3}>(?:1 " + WHEN + rb"(?: \S+){4} (?:-|\[[^\]\n]*\]) )?"
    # syslog, journalctl
    rb"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)? [^\s:\"]+ [^\s:\[\]\"]+(?:\[[^\s\"\]]*\])?: "
    rb"|" + WHEN + rb" [^\s:\"]+ [^\s:\[\]\"]+\[[^\s\"\]]*\]: "
    # rsyslog's own format, of a program that tells no pid
    rb"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d:\d\d [^\s:\"]+ [^\s:\[\]\"]+: "
    # Kubernetes on disk (CRI), docker compose, foreman
    rb"|" + WHEN + rb" (?:stdout|stderr) [FP] "
    rb"|(?:(?:" + WHEN + rb"|\d\d:\d\d:\d\d) )?[\w.-]+ *\| (?:" + WHEN + rb" )?"
    # supervisord's listeners, pm2
    rb"|[\w.:-]+ (?:stdout|stderr) \| |\d{1,4}\|[\w.-]+ *\| (?:" + WHEN + rb":? )?"
    # kubectl logs --prefix, heroku, multilog
    rb"|\[(?:pod|deploy|job)/[^\s\]\"]+\] "
    rb"|" + WHEN + rb" app\[[\w.-]+\]: "
    rb"|@[0-9a-f]{24} "
    # docker logs -t, kubectl logs --timestamps
    rb"|" + WHEN + rb" (?=\[\d{4}-\d\d-\d\d |\{|--- Logging|Traceback|  "
    rb"|Call stack:|Message: |Arguments: |object repr|[\w.]*Error\b)"
    rb")"
)
MESSAGE_KEYS = (
    "message",
    "msg",
    "event",
    "MESSAGE",
    "log",
    "short_message",
    "@m",
    "text",
    "textPayload",
    "line",
    "body",
)
# A record with one of these was made by a formatter in the application, not by a shipper.
FORMATTED = (*PID_KEYS, "level", "levelname", "log.level", "lvl", "funcName", "module")
LOGGER_KEYS = ("logger", "name", "logger_name", "log.logger", "loggerName", "channel")
TRACE_KEYS = (
    "exc_info",
    "exc_text",
    "exception",
    "traceback",
    "stack_info",
    "stack_trace",
    "stacktrace",
    "stack",
    "error.stack_trace",
    "@x",
)
# Only records about a request have these.
REQUEST_KEYS = frozenset(
    (
        "user_agent",
        "useragent",
        "http_user_agent",
        "referer",
        "referrer",
        "http_referer",
        "remote_addr",
        "remote_ip",
        "request_method",
        "http_method",
        "status_code",
        "request_line",
        "response_length",
        "request_uri",
        "request_path",
        "method",
        "url",
        "path_info",
    )
)
# gunicorn's own loggers, and that of uvicorn's workers, which gunicorn's handlers write.
OWN_LOGGER = re.compile(
    r"(?:gunicorn(?:\.(?:error|glogging|arbiter))?|uvicorn(?:\.error)?|glogging)$"
)

# What may stand between the beginning of a line and the message in a format of the operator's own:
# times (never 20/Nov/2026:02:10:00, which access lines have), levels, names, and what a formatter
# can add of a process.
MARK = (
    WHEN + rb"|\d\d?[/ -][A-Z][a-z]{2}[/ -]\d{4},? \d\d:\d\d:\d\d"
    rb"|\d{2,4}[/.-]\d\d[/.-]\d{2,4},? \d\d:\d\d:\d\d"
    rb"|(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? )?[A-Z][a-z]{2} [ \d]\d,? (?:\d{4},? )?"
    rb"\d\d:\d\d:\d\d(?: \d{4}\b)?"
    rb"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b,?"
    rb"|\d\d:\d\d:\d\d"
    rb"|\d{10}\.\d+"
    rb"|(?:DEBUG|INFO|NOTICE|WARN(?:I(?:NG)?)?|ERR(?:OR)?|CRIT(?:I(?:CAL)?)?|FATAL)\b"
    rb"|(?:debug|info|notice|warn(?:i(?:ng)?)?|err(?:or)?|crit(?:i(?:cal)?)?|fatal)\b"
    rb"|[DIWEC](?=[\] ]\d|\])"
    rb"|(?:gunicorn(?:\.(?:error|glogging|arbiter))?|uvicorn(?:\.error)?|glogging)\b(?!\.[a-z])"
    rb"(?::(?:\w+(?:\.py)?:)?\d+)?"
    rb"|(?:/[^\s:\"]{1,300}/gunicorn/)?glogging\.(?:py|\w+):\d+|logging:\w+:\d+"
    # What tracers put there: ids, and names that the operator has chosen.
    rb"|\[(?:(?:dd\.[\w.]+|trace_id|span_id|trace_sampled|resource\.[\w.]+)=[\w.-]* ?)+\]"
    rb"|[DIWEF](?=\d{4} \d\d:\d\d:\d\d)"
    rb"|(?:time|timestamp|asctime|ts|t|at|level|levelname|lvl|severity|logger|name|pid|process|thread"
    rb"|msg|message|event)=\"?"
)
HEAD = re.compile(
    rb"(?:\[\d+\] )?[\[(<|{]?(?:"
    + MARK
    + rb")(?:"
    + MARK
    + rb"|[+-]\d\d:?\d\d\b|(?:UTC|GMT|[AaPp][Mm])\b"
    rb"|(?:in|None|none|null|MainProcess|MainThread|ThreadPoolExecutor|Thread|pid|process|thread)\b"
    # The host, where the logger follows.
    rb"|[\w.-]{1,60}(?= gunicorn\.error\b)"
    rb"|\d+(?![\d.:/])"
    rb"|[\s\[\](){}|<>:,;.*#\"-]"
    rb")*"
)
# What structlog and rich put behind the message.
TAIL = re.compile(
    rb"\s+(?:\[gunicorn\.error\](?:\s+[a-z_.]{1,40}=[\w.-]{0,80})*|glogging\.py:\d+)\s*$"
)
# The other pairs of a line whose first is the message, if gunicorn's logger is among them.
PAIRS = re.compile(
    rb"(?<!\\)\"(?=(?: [\w.]+=(?:\"[^\"]*\"|[^\s\"]*))* logger=\"?gunicorn\.error\"?(?: |$))"
    rb"(?: [\w.]+=(?:\"[^\"]*\"|[^\s\"]*))+\s*$"
)
TIME_IN_HEAD = re.compile(rb"\d\d:\d\d:\d\d|\d{10}\.\d")
NAME_IN_HEAD = re.compile(rb"[A-Za-z]{3}")
KEY_IN_HEAD = re.compile(rb"[a-z]=")
METHODS = re.compile(
    rb"\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|HTTP)\b|\d+\.\d+\.\d+\.\d+|::|="
)

# What only a line about a request has behind its first field, whoever that one claims to be: a
# client that knows the arbiter's pid (1 in a container) can forge all of the prefix, but not end
# the line.
REQUEST = re.compile(rb"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:|\bHTTP/\d")
REST_OF_REQUEST = re.compile(
    REQUEST.pattern + rb"|(?<!\S)(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE)(?!\S)"
    rb"|(?<!\S)[1-5]\d\d(?!\S)"
)

# The prefix of gunicorn's, up to its level.
SHAPE = b"[0-0-0 0:0:0 +0] [0] ["

FRAME = re.compile(rb"[ |+-]*  File \"(?P<file>[^\"\\\n]+)\", line \d+")


class Voice(NamedTuple):
    """What a line says, and as whom."""

    rank: int
    # From where the message begins.
    message: bytes
    stamp: Stamp
    # The line without what a shipper put around it: tracebacks have no message.
    inner: bytes
    # The tracebacks that a JSON record holds.
    traces: bytes


def hear(clock: Clock, text: bytes, head: bytes = b"") -> Voice:
    """Take a line apart. ``head``: what all lines of this log begin with, if that is known."""
    if b"\x1b" in text:
        text = COLOUR.sub(b"", text)
    text = text.rstrip(b"\r").lstrip(b"\0\t")
    match = GUNICORN.match(text)
    if match is not None:
        rank = NOBODY if REQUEST.search(text, match.end()) else PREFIXED
        return Voice(rank, text[match.end() :], clock.prefix(match), text, b"")
    if text[:3] == b"[20":
        # A line that was cut within its prefix, and the next one.
        match = GUNICORN.search(text, 1, 80)
        if match is not None and SHAPE.startswith(shape(text[: match.start()])):
            return Voice(PREFIXED, text[match.end() :], clock.prefix(match), text, b"")
    outer = NOTHING
    match = like(head).match(text) if head else None
    if match is not None:
        text = text[match.end() :]
        outer = clock.written(match.group()) or NOTHING
        match = GUNICORN.match(text)
        if match is not None:
            return Voice(WRAPPED, text[match.end() :], clock.prefix(match), text, b"")
    for _layer in range(4):
        match = ENVELOPE.match(text)
        if match is not None:
            if outer.time is None:
                outer = clock.written(match.group()) or outer
            text = text[match.end() :]
        elif text[:1] == b"{":
            record = parse_record(text)
            if record is None:
                return torn_record(text, outer)
            if not wraps(record):
                return of_record(clock, record, outer)
            own = clock.of_record(record)
            outer = outer if own.time is None else own._replace(pid=None, level="", layout="iso")
            text = wrapped_text(record)
        else:
            break
        text = text.lstrip(b"\t")
        match = GUNICORN.match(text)
        if match is not None:
            return Voice(WRAPPED, text[match.end() :], clock.prefix(match), text, b"")
    return headed(clock, text, outer)


# What gunicorn says most, for a message of which the end is missing.
SAYINGS = tuple(
    saying.encode()
    for saying in (
        "Worker (pid:0) was sent SIGKILL! Perhaps out of memory?",
        "Worker (pid:0) exited with code 0.",
        "Worker with pid 0 was terminated due to signal 0",
        "WORKER TIMEOUT (pid:0)",
        "Booting worker with pid: 0",
        "Worker exiting (pid: 0)",
        "Handling signal: term",
        "Starting gunicorn 0.0.0",
    )
)


def after_torn(clock: Clock, voice: Voice) -> Voice:
    """A line that was cut (the disk was full) and the next one, which follows it at once."""
    found = GUNICORN.search(voice.message)
    begun = shape(voice.message[: found.start()]) if found else b""
    if found is None or not begun or not any(saying.startswith(begun) for saying in SAYINGS):
        return voice
    message = voice.message[found.end() :]
    return Voice(PREFIXED, message, clock.prefix(found), voice.inner, b"")


def headed(clock: Clock, text: bytes, outer: Stamp) -> Voice:
    """A line of a format of the operator's own."""
    match = HEAD.match(text, 0, 400)
    end = match.end() if match else 0
    head = text[:end]
    if not head:
        return Voice(BARE, text, outer, text, b"")
    rank = NOBODY
    if GUNICORN.search(head) is not None:
        # gunicorn's prefix begins a line, or stands behind something that was taken off.
        rank = NOBODY
    elif b'"' not in head or KEY_IN_HEAD.search(head):
        if TIME_IN_HEAD.search(head):
            rank = TIMED
        elif NAME_IN_HEAD.search(head):
            rank = NAMED
    stamp = clock.written(head) or outer
    message = TAIL.sub(b"", text[end:])
    pairs = PAIRS.search(message) if head.endswith(b'="') else None
    if pairs is not None:
        message = message[: pairs.start() + 1]
        stamp = clock.written(pairs.group()) or stamp
    if KEY_IN_HEAD.search(head) and message.endswith(b'"'):
        message = message[:-1]
    return Voice(rank, message, stamp, text, b"")


def wraps(record: Dict[str, Any]) -> bool:
    """Is this a line of somebody else's, packed by a shipper?"""
    text = wrapped_text(record)
    if not text or REQUEST_KEYS.intersection(record):
        return False
    if any(name in record for name in LOGGER_KEYS):
        return False
    # A shipper may add a level; a formatter of gunicorn's would not have its prefix as well.
    return GUNICORN.match(text) is not None or not any(name in record for name in FORMATTED)


def wrapped_text(record: Dict[str, Any]) -> bytes:
    for name in MESSAGE_KEYS:
        value = record.get(name)
        if isinstance(value, str):
            return value.rstrip("\r\n").encode("utf-8", "replace")
    return b""


def of_record(clock: Clock, record: Dict[str, Any], outer: Stamp) -> Voice:
    """A record that a formatter of the application made."""
    stamp = clock.of_record(record)
    if stamp.time is None:
        stamp = stamp._replace(time=outer.time)
    message = wrapped_text(record)
    log = record.get("log")
    name = first(record, LOGGER_KEYS)
    if name is None and isinstance(log, dict):
        name = log.get("logger")
    rank = TIMED if stamp.time is not None or stamp.pid is not None else NAMED
    others = isinstance(name, str) and not OWN_LOGGER.match(name)
    if others or not message or REQUEST_KEYS.intersection(record):
        rank = NOBODY
    traces: List[str] = []
    error = record.get("error")
    for holder in (record, error if isinstance(error, dict) else {}):
        for key in TRACE_KEYS:
            value = holder.get(key)
            if isinstance(value, list):
                value = "\n".join(str(item) for item in value)
            if isinstance(value, str):
                traces.append(value)
    return Voice(rank, message, stamp, b"", "\n".join(traces).encode("utf-8", "replace"))


# A string under a key that only a formatter writes: within a string quotes are escaped.
TORN = re.compile(
    rb"(?<!\\)\"(?:"
    + b"|".join(key.encode() for key in TRACE_KEYS)
    + rb")\": ?\"((?:[^\"\\]|\\.)*)"
)


def torn_record(text: bytes, outer: Stamp) -> Voice:
    """A record too long to be looked at as a whole: its tracebacks are all that can be told."""
    traces = [value.replace(b"\\n", b"\n").replace(b'\\"', b'"') for value in TORN.findall(text)]
    return Voice(NOBODY, b"", outer, b"", b"\n".join(traces))


def common_head(text: bytes, others: List[bytes]) -> bytes:
    """What an unknown shipper puts before each line; nothing if that is not certain.

    It must stand before each of the ``others``, most of which must be gunicorn's, and be nothing
    that an access line begins with.
    """
    found = GUNICORN.search(text)
    if found is None or not found.start() or not others:
        return b""
    head = text[: found.start()]
    if len(head) > 1000 or b'"' in head or METHODS.search(head) or not NAME_IN_HEAD.search(head):
        return b""
    matches = [like(head).match(other) for other in others]
    own = [m for m in matches if m and GUNICORN.match(m.string, m.end())]
    return head if all(matches) and 2 * len(own) > len(others) else b""


DIGITS = re.compile(rb"\d+")


def shape(text: bytes) -> bytes:
    """A text without what differs from line to line."""
    return DIGITS.sub(b"0", text)


@lru_cache(maxsize=16)
def like(head: bytes) -> Pattern[bytes]:
    """All texts of the same shape."""
    return re.compile(rb"\d+".join(re.escape(part) for part in DIGITS.split(head)))


def frame(inner: bytes) -> Optional[bytes]:
    """The file that a line of a traceback names, or None if it is no such line."""
    match = FRAME.match(inner)
    return match.group("file") if match else None
