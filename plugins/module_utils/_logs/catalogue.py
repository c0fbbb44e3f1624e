# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What gunicorn writes when something goes wrong, by version. One table; everything else reads it.

A row is found by ``literal`` (anywhere in the log, whatever the layout of its lines) and believed
when ``pattern`` matches where the writer begins a message (``_log_voice``). Long literals are found
faster than short ones.
"""

import re
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Pattern

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

SEVERITIES = ("critical", "error", "warning", "notice")

# Who writes the line: its [pid] is then the arbiter's, a worker's, or that of another child of the
# arbiter's. TRACE is the last line of a traceback, ANYONE a block that logging prints.
ARBITER, WORKER, HELPER = "arbiter", "worker", "helper"
TRACE, ANYONE = "trace", "anyone"


class Wording(NamedTuple):
    """One way in which one event shows in a log."""

    event: str
    versions: str
    writer: str
    literal: bytes
    pattern: Optional[bytes]
    source: str


class Event(NamedTuple):
    """What a wording means and how much of it is bearable: a count, or ``N/h`` (in any hour)."""

    severity: str
    tolerance: str
    meaning: str


ANY = "unlimited"

EVENTS = {
    "reentrant": Event(
        "critical",
        "0",
        "The SIGCHLD handler logged while a log line was being written. Lines are lost; on"
        " Python 3.9 and later workers or the arbiter die of it. Cured in gunicorn 24.1.",
    ),
    "reentrant_elsewhere": Event(
        "warning",
        "10/h",
        "A reentrant call in whose trace gunicorn has no part: another program or library that"
        " writes to this log (Celery, a signal handler of the application) lost a line of its own."
        " No version of gunicorn cures it.",
    ),
    "worker_killed": Event(
        "error", "0", "A signal ended a worker; SIGKILL is mostly the OOM killer."
    ),
    "worker_terminated": Event(
        "notice", ANY, "SIGTERM ended a worker: a reload, or a stop of the whole process group."
    ),
    "worker_exited": Event(
        "error", "0", "A worker ended by itself with an exit code other than 0."
    ),
    "child_exited": Event(
        "notice",
        ANY,
        "A child of the arbiter that never booted as a worker ended with an exit code other than 0;"
        " 21 to 26.0 call it a worker.",
    ),
    "worker_timeout": Event(
        "error", "3/h", "A worker did not call home within the timeout and was killed."
    ),
    "worker_exception": Event("error", "0", "An exception ended a worker, mostly while it booted."),
    "lifespan_failure": Event(
        "critical", "0", "The start of an ASGI application failed; its worker gives up."
    ),
    "dirty_arbiter_ended": Event(
        "error", "0", "The arbiter of the dirty workers ended, and with it what they were at."
    ),
    "dirty_worker_ended": Event(
        "error", "0", "A dirty worker was killed by a signal, or could not boot."
    ),
    "dirty_worker_timeout": Event(
        "error", "3/h", "A dirty worker did not answer within the timeout and was killed."
    ),
    "boot_failure": Event("critical", "0", "A worker cannot boot; the arbiter gives up."),
    "app_load_failure": Event(
        "critical", "0", "The application cannot be loaded; the arbiter gives up."
    ),
    "main_loop_exception": Event("critical", "0", "An exception ended the arbiter."),
    "connection_in_use": Event(
        "error", "0", "The address is taken, mostly by orphans of an old arbiter."
    ),
    "restart_loop": Event(
        "critical", "0", "One arbiter after the other finds its address taken: it is stuck."
    ),
    "unhandled_signal": Event(
        "critical", "0", "gunicorn 24.0.0 ignores SIGCHLD (cld): dead workers are never replaced."
    ),
    "logging_error": Event(
        "warning", "10/h", "A log line could not be written (disk full, bad format)."
    ),
    "memory_error": Event("error", "0", "Python could not get memory."),
}

WORDINGS = (
    # event, versions, writer, literal, pattern, where it is written (gunicorn)
    Wording("reentrant", "20.1.0 - 23.0.0", ANYONE, b"reentrant call inside", None, "CPython _io"),
    Wording(
        "worker_killed",
        "20.1.0",
        ARBITER,
        b" was terminated due to signal ",
        rb"[Ww]orker with pid (?P<worker>\d+) was terminated due to signal (?P<signal>\d+)",
        "arbiter.py:530",
    ),
    Wording(
        "worker_killed",
        "21.0.0 -",
        ARBITER,
        b"Worker (pid:",
        rb"Worker \(pid:(?P<worker>\d+)\) was sent (?P<signal>SIG[A-Z0-9+]+|(?:code|signal) \d+)!"
        rb"(?: Perhaps out of memory\?)?",
        "arbiter.py:554 (21.2.0), :665 (27.0.1)",
    ),
    Wording(
        "worker_exited",
        "21.0.0 -",
        ARBITER,
        b"Worker (pid:",
        rb"Worker \(pid:(?P<worker>\d+)\) exited with code (?P<code>-?[1-9]\d*)",
        "arbiter.py:527+538 (21.2.0: twice), :678 (27.0.1)",
    ),
    Wording(
        "worker_timeout",
        "all",
        ARBITER,
        b"WORKER TIMEOUT (pid:",
        rb"WORKER TIMEOUT \(pid:(?P<worker>\d+)\)",
        "arbiter.py:501 (20.0.4), :618 (27.0.1)",
    ),
    Wording(
        "dirty_worker_timeout",
        "25.0.0 -",
        HELPER,
        b"WORKER TIMEOUT (pid:",
        rb"DIRTY WORKER TIMEOUT \(pid:(?P<worker>\d+)\)",
        "dirty/arbiter.py:1067 (27.0.1)",
    ),
    Wording(
        "dirty_worker_ended",
        "25.0.0 -",
        HELPER,
        b"Dirty worker ",
        rb"Dirty worker (?:\(pid:(?P<worker>\d+)\) killed by signal (?P<signal>\d+)"
        rb"|failed to boot \(pid:(?P<failed>\d+)\))",
        "dirty/arbiter.py:1086 (27.0.1)",
    ),
    Wording(
        "dirty_arbiter_ended",
        "25.0.0 -",
        ARBITER,
        b"irty arbiter ",
        rb"Dirty arbiter \(pid:(?P<worker>\d+)\)"
        rb" (?:exited with code (?P<code>-?[1-9]\d*)|killed by signal (?P<signal>\d+))",
        "arbiter.py:961 (27.0.1)",
    ),
    Wording(
        "lifespan_failure",
        "25.0.0 -",
        WORKER,
        b" startup failed",
        rb"ASGI lifespan startup failed: .{0,500}",
        "workers/gasgi.py:179 (27.0.1)",
    ),
    Wording(
        "lifespan_failure",
        "uvicorn's workers",
        WORKER,
        b" startup failed",
        rb"Application startup failed\. Exiting\.",
        "uvicorn/lifespan/on.py",
    ),
    Wording(
        "worker_exception",
        "all",
        WORKER,
        b"Exception in worker process",
        rb"Exception in worker process",
        "arbiter.py:594 (20.0.4), :763 (27.0.1)",
    ),
    Wording(
        "boot_failure",
        "all; INFO until 20.1.0, ERROR since 21",
        ARBITER,
        b"Reason: Worker failed to boot",
        rb"Reason: Worker failed to boot",
        "arbiter.py:345",
    ),
    Wording(
        "app_load_failure",
        "all; INFO until 20.1.0, ERROR since 21",
        ARBITER,
        b"Reason: App failed to load",
        rb"Reason: App failed to load",
        "arbiter.py:345",
    ),
    Wording(
        "boot_failure",
        "20.0 - 23.0.0",
        TRACE,
        b"<HaltServer '",
        rb"(?:gunicorn\.errors\.)?HaltServer: <HaltServer 'Worker failed to boot\.' \d+>",
        "a second HaltServer while halt() waits: never caught",
    ),
    Wording(
        "app_load_failure",
        "20.0 - 23.0.0",
        TRACE,
        b"<HaltServer '",
        rb"(?:gunicorn\.errors\.)?HaltServer: <HaltServer 'App failed to load\.' \d+>",
        "a second HaltServer while halt() waits: never caught",
    ),
    Wording(
        "main_loop_exception",
        "all; INFO until 20.1.0, ERROR since 21",
        ARBITER,
        b"Unhandled exception in main loop",
        rb"Unhandled exception in main loop",
        "arbiter.py:232 (20.1.0), :282 (27.0.1)",
    ),
    Wording(
        "connection_in_use",
        "all",
        ARBITER,
        b"Connection in use: ",
        rb"Connection in use: (?P<address>.{1,100})",
        "sock.py",
    ),
    Wording(
        "unhandled_signal",
        "24.0.0 (cld)",
        ARBITER,
        b"Unhandled signal: ",
        rb"Unhandled signal: (?P<signal>\w+)",
        "arbiter.py:265",
    ),
    Wording("logging_error", "all", ANYONE, b"--- Logging error ---", None, "CPython logging"),
    Wording(
        "memory_error",
        "all",
        TRACE,
        b"MemoryError",
        # Whatever module it is of: numpy.core._exceptions._ArrayMemoryError.
        rb"(?:(?:\w+|<locals>)\.)*\w*MemoryError(?::(?: .*)?)?",
        "CPython",
    ),
)

# Not trouble, but who writes from here on.
START = b"Starting gunicorn "
START_PATTERN = re.compile(rb"Starting gunicorn (?P<version>\d[\w.+-]*)\s*$")
BOOT = b"Booting worker with pid: "
BOOT_PATTERN = re.compile(rb"Booting worker with pid: (?P<worker>\d{1,10})")
# The dirty arbiter is a child of the arbiter, and no worker.
DIRTY_PATTERN = re.compile(
    rb"(?:Spawned dirty arbiter|Dirty arbiter starting) \(pid: (?P<pid>\d{1,10})\)"
)
# What gunicorn never writes at a lower level than WARNING, from 20.1.0 on.
LOUD = frozenset(("worker_killed", "worker_exited", "worker_timeout", "worker_exception"))
# The arbiter does not outlive these.
FATAL = frozenset(("boot_failure", "app_load_failure", "main_loop_exception"))


class Rule(NamedTuple):
    """A wording ready for use, of ours or of the operator's."""

    event: str
    writer: str
    literal: bytes
    pattern: Optional[Pattern[bytes]]
    # The same with nothing behind it: a client's words mostly stand among others.
    whole: Optional[Pattern[bytes]]


def rules() -> List[Rule]:
    return [
        Rule(
            w.event,
            w.writer,
            w.literal,
            re.compile(w.pattern) if w.pattern else None,
            re.compile(rb"(?:" + w.pattern + rb")[.\s]*$") if w.pattern else None,
        )
        for w in WORDINGS
    ]


class Custom(NamedTuple):
    """A pattern of the operator's; no ``literal`` means that every byte goes through the regex."""

    name: str
    severity: str
    tolerance: str
    literal: bytes
    pattern: Pattern[bytes]


def custom_patterns(items: Iterable[Dict[str, Any]]) -> List[Custom]:
    """Check the operator's patterns; FleetError names the one that is wrong and why."""
    result: List[Custom] = []
    for item in items:
        name = str(item.get("name") or "")
        if not re.match(r"[a-z][a-z0-9_]{0,39}$", name):
            raise FleetError(
                f"patterns: {name!r} is no name. Use up to 40 lower-case letters, digits and _."
            )
        if name in EVENTS or any(name == other.name for other in result):
            raise FleetError(f"patterns: the name {name!r} is taken. Choose another.")
        severity = str(item.get("severity") or "error")
        if severity not in SEVERITIES:
            raise FleetError(
                f"patterns: severity {severity!r} of {name!r} is none of {', '.join(SEVERITIES)}."
            )
        text = str(item.get("regex") or "")
        try:
            pattern = re.compile(text.encode("utf-8"), re.MULTILINE)
        except (re.error, OverflowError, RecursionError) as exc:
            raise FleetError(f"patterns: the regex of {name!r} is wrong: {exc}.") from exc
        if pattern.search(b""):
            raise FleetError(
                f"patterns: the regex of {name!r} matches an empty line, so it would match always."
            )
        tolerance = item.get("tolerance")
        result.append(
            Custom(
                name,
                severity,
                "0" if tolerance is None else str(tolerance),
                mandatory_literal(text),
                pattern,
            )
        )
    return result


def mandatory_literal(regex: str) -> bytes:
    """The longest text that every match holds, or nothing if that cannot be told easily.

    Only what is certain counts: plain characters between the top-level parts of a pattern. Any
    doubt (alternatives, flags, groups, classes, escapes) ends a run.
    """
    if "|" in regex or "(?" in regex:
        return b""
    depth = 0
    runs = [""]
    index = 0
    while index < len(regex):
        char = regex[index]
        follower = regex[index + 1 : index + 2]
        if char == "\\":
            follower = regex[index + 2 : index + 3]
            escaped = regex[index + 1 : index + 2]
            if escaped in "xuUN" or escaped.isdigit():
                return b""
            plain = not escaped.isalnum()
            index += 2
            if not plain or depth or (follower and follower in "*?{+"):
                runs.append("")
            else:
                runs[-1] += escaped
            continue
        index += 1
        if char == "[":
            # To the end of the class: a "]" that comes first stands for itself.
            index += 1 if follower == "^" else 0
            first = index
            while regex[index : index + 1] not in ("", "]") or index == first:
                index += 2 if regex[index : index + 1] == "\\" else 1
            index += 1
            runs.append("")
        elif char in "()":
            depth += 1 if char == "(" else -1
            runs.append("")
        elif char in "^$.*+?{}":
            if char == "{":
                index = max(index, regex.find("}", index) + 1)
            runs.append("")
        elif depth or (follower and follower in "*?{+"):
            runs.append("")
        else:
            runs[-1] += char
    longest = max(runs, key=len).encode("utf-8")
    return longest if len(longest) >= 4 else b""


def severity_of(event: str, customs: Iterable[Custom]) -> str:
    if event in EVENTS:
        return EVENTS[event].severity
    return next((c.severity for c in customs if c.name == event), "error")


def default_tolerances(customs: Iterable[Custom]) -> Dict[str, str]:
    result = {name: event.tolerance for name, event in EVENTS.items()}
    result.update((c.name, c.tolerance) for c in customs)
    return result
