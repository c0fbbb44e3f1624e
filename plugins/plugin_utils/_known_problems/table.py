# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known to go wrong with a gunicorn version on a Python version.

One row per hazard: which versions have it, what it does to the service, what helps today, what
cures it, how it shows, and where that is established. A plan prints the rows that apply to each of
its stages, a check those of what runs, and docs/known-problems.md all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.application import (
    ASGI,
    CHILDREN,
    CONTROL,
    DIRTY,
    EVENTLET,
    GTHREAD,
    HTTP2,
    PARSER,
    RECYCLED_THREADS,
    REUSE_PORT,
    Application,
    Condition,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.versions import (
    python_floor,
    version_key,
)


class Hazard(NamedTuple):
    """A known problem of the gunicorn versions ``since <= v < before`` on ``python_since <= p``."""

    name: str
    since: str
    """``"0"``: from the beginning."""
    before: str
    python_since: str
    effect: str
    cure: str
    source: str
    today: str
    """What helps without an upgrade."""
    cured_in: str = ""
    """The gunicorn from which on a stage cures it; empty if no version does."""
    evidence: tuple[tuple[str, ...], ...] = ()
    """How it shows: one of each group is seen, an event of log_check or a sign of the processes
    (SIGNS). Empty if neither logs nor processes can tell."""
    when: Condition | None = None
    """Which applications it concerns; nothing for all."""

    def told(self) -> dict[str, Any]:
        """As plain data; ``when`` is words."""
        return {**self._asdict(), "when": self.when.words if self.when else ""}


END = "999"
# Signs of the processes, beside the events of log_check.
ORPHANS, MISSING = "orphans", "workers_missing"
SIGNS = (ORPHANS, MISSING)
_UNBUFFERED = "PYTHONUNBUFFERED=1 in the program's environment"
_UNBUFFERED_SOURCE = (
    "Python's option -u: an unbuffered stderr has no BufferedWriter that could be re-entered"
    " (an error log that gunicorn opens itself still has)"
)

HAZARDS = (
    Hazard(
        "reentrant",
        "20.1",
        "24.0",
        "3.0",
        "logs inside the SIGCHLD handler: a worker that dies while the arbiter writes its log"
        " raises 'RuntimeError: reentrant call inside <_io.BufferedWriter>'",
        f"{_UNBUFFERED} today, a stage of 24.1 or newer for good (with gthread 26.1 or newer)",
        "gunicorn #2564, #3064, #3198; fixed by pull request #3441, first released in 24.0.0;"
        f" {_UNBUFFERED_SOURCE}",
        _UNBUFFERED,
        "24.1.0",
        (("reentrant",),),
    ),
    Hazard(
        "arbiter-death",
        "20.1",
        "24.0",
        "3.9",
        "on this Python the same error can end the arbiter, or leave it with too few workers:"
        " orphaned workers keep the port and go on answering with the old code while supervisord"
        " says RUNNING",
        f"{_UNBUFFERED} today, a stage of 24.1 or newer for good (with gthread 26.1 or newer)",
        "gunicorn pull request #3064, comment of 2024-02-02; pull request #3441;"
        f" {_UNBUFFERED_SOURCE}",
        _UNBUFFERED,
        "24.1.0",
        (
            ("reentrant",),
            ("main_loop_exception", "connection_in_use", "restart_loop", ORPHANS, MISSING),
        ),
    ),
    Hazard(
        "dead-workers-stay-dead",
        "24.0.0",
        "24.1.0",
        "3.0",
        "never replaces a worker that died ('Unhandled signal: cld')",
        "24.1.0 or newer",
        "gunicorn 24.1.0 changelog: signal handling regression, SIGCLD alias on Linux",
        "restart the program when workers are missing",
        "24.1.0",
        (("unhandled_signal", MISSING),),
    ),
    Hazard(
        "silent-worker-death",
        "20.0",
        "20.1",
        "3.0",
        "writes no log line at all when a worker is killed",
        "20.1 or newer",
        "gunicorn/arbiter.py reap_workers() of 20.0.x",
        "ask the kernel instead (dmesg, journalctl -k): the OOM killer writes what it kills",
        "20.1.0",
    ),
    Hazard(
        "needs-pkg-resources",
        "20.0",
        "21.0",
        "3.0",
        "imports pkg_resources, which setuptools 81 and newer do not have;"
        " a release of it is built with setuptools<81",
        "21.2 or newer",
        "gunicorn/util.py of 20.0 and 20.1; setuptools 81 release notes",
        "setuptools<81 in its virtualenv",
        "21.2.0",
    ),
    Hazard(
        "cve-2024-1135",
        "0",
        "22.0",
        "3.0",
        "CVE-2024-1135: believes a Transfer-Encoding that it does not understand, so that behind a"
        " proxy a client can smuggle a request past the proxy's rules",
        "22.0 or newer",
        "GHSA-w3h3-4rj7-4ph4; gunicorn/http/message.py set_body_reader() of 21.2.0 and 22.0.0",
        "let the proxy refuse a Transfer-Encoding other than chunked, as HAProxy does by default",
        "22.0.0",
        when=PARSER,
    ),
    Hazard(
        "cve-2024-6827",
        "0",
        "22.0",
        "3.0",
        "CVE-2024-6827: takes the Content-Length where the Transfer-Encoding is none that it knows:"
        " a way to smuggle requests again (some scanners name 23.0 as the first without it)",
        "22.0 or newer; 23.0 where a scanner is to be content too",
        "GHSA-hc5x-x2vx-497g; gunicorn/http/message.py set_body_reader() of 21.2.0 and 22.0.0",
        "let the proxy refuse a Transfer-Encoding other than chunked, as HAProxy does by default",
        "22.0.0",
        when=PARSER,
    ),
    Hazard(
        "helpers-taken-for-workers",
        "21.0",
        "26.1",
        "3.0",
        "takes every child of the arbiter for a worker: a helper that ends is reported as"
        " 'Worker (pid:N) exited with code', and one that ends with 3 or 4 stops the server",
        "26.1 or newer",
        "gunicorn #3220; gunicorn/arbiter.py reap_workers() of 26.0.0 and 26.1.0",
        "start helpers elsewhere, or allow for worker_exited in gate_tolerance",
        "26.1.0",
        when=CHILDREN,
    ),
    Hazard(
        "import-hang-undetected",
        "22.0",
        END,
        "3.0",
        "a worker that hangs while it imports the application is never timed out;"
        " only an HTTP answer proves that it serves",
        "watch health over HTTP, as the gate does",
        "gunicorn/workers/workertmp.py since 22.0: monotonic clock against a wall-clock mtime",
        "watch health over HTTP; end a worker that hangs with kill -KILL",
    ),
    Hazard(
        "underscore-headers-dropped",
        "22.0",
        END,
        "3.0",
        "silently drops request headers whose name has an underscore",
        "header_map = 'dangerous' only if a trusted proxy sets such headers",
        "gunicorn 22.0 changelog; setting header_map",
        "let the proxy send such headers with a hyphen",
        when=PARSER,
    ),
    Hazard(
        "strict-parsing",
        "23.0",
        END,
        "3.0",
        "answers 400 to folded headers and to NUL or bare CR or LF in header values",
        "permit_obsolete_folding only while old clients need it",
        "gunicorn 23.0 changelog; setting permit_obsolete_folding",
        "let the proxy refuse or repair such requests",
        when=PARSER,
    ),
    Hazard(
        "recycled-worker-cuts-connections",
        "21.0",
        "24.0",
        "3.0",
        "drops connections that a worker has accepted and not yet read when that worker retires"
        " (max_requests): clients see resets, a proxy answers 502",
        "24.1.0 or newer (needs Python 3.10)",
        "gunicorn #3038; tried: 16 to 19 of 3,000 requests with max_requests 80 and two threads on"
        " 21.0.1, 21.2.0, 22.0.0 and 23.0.0, none on 20.0.4, 20.1.0 and 24.1.1 to 27.0.1, and none"
        " on any with one thread",
        "max_requests = 0, or one thread for each worker",
        "24.1.0",
        when=RECYCLED_THREADS,
    ),
    Hazard(
        "gthread-pool-exhausted",
        "24.0",
        "25.2",
        "3.0",
        "gives every accepted connection a thread before a byte has come: as many idle connections"
        " as there are threads, and nobody is answered any more, health checks included",
        "25.2 or newer",
        "gunicorn #3518, pull request #3519; tried: two idle connections on two threads, no answer"
        " within 8 s on 24.1.1 and 25.1.0, at once on 23.0.0",
        "a proxy that connects for a whole request only, keeps no idle connection (HAProxy:"
        " http-reuse never), and more threads",
        "25.2.0",
        when=GTHREAD,
    ),
    Hazard(
        "reuse-port-queue-cut",
        "24.0",
        END,
        "3.0",
        "gives each worker a listening queue of its own: what waits in it is cut when that worker"
        " retires (max_requests, reload, stop), which a proxy answers with 502",
        "reuse_port = False",
        "gunicorn/arbiter.py spawn_worker() since 24.0: sock.create_sockets() in the worker",
        "reuse_port = False",
        when=REUSE_PORT,
    ),
    Hazard(
        "dirty-pid-file-believed",
        "25.0",
        "27.0",
        "3.0",
        "believes a pid file of its dirty arbiter in the temporary directory whoever wrote it:"
        " another user of the host can have gunicorn end one of its own processes",
        "27.0 or newer",
        "gunicorn/arbiter.py _cleanup_orphaned_dirty_arbiter() of 26.2.0; gunicorn/dirty/pidfile.py"
        " of 27.0.0",
        "a temporary directory of its own (TMPDIR)",
        "27.0.0",
        when=DIRTY,
    ),
    Hazard(
        "dirty-workers-unseen",
        "25.0",
        END,
        "3.0",
        "reports the death of its dirty workers in words of their own, and the dirty arbiter is a"
        " child beside the workers: the gate counts the one for the other",
        "watch what the dirty applications do yourself",
        "gunicorn/dirty/arbiter.py since 25.0",
        "watch what the dirty applications do yourself",
        when=DIRTY,
    ),
    Hazard(
        "control-thread-before-fork",
        "25.1",
        "25.2",
        "3.0",
        "starts a thread before it forks its workers: a worker can hang while it boots"
        " (reported with preload_app and gevent), and is never timed out",
        "25.2 or newer",
        "gunicorn #3509, #3529; gunicorn/arbiter.py start() of 25.1.0, run() of 25.2.0",
        "control_socket_disable = True (--no-control-socket)",
        "25.2.0",
        when=CONTROL,
    ),
    Hazard(
        "control-socket",
        "25.1",
        END,
        "3.0",
        "opens a control socket: in the working directory (25.1), in XDG_RUNTIME_DIR or below HOME;"
        " where it cannot, each start logs 'Control server error', and serves all the same",
        "control_socket_disable = True (--no-control-socket) where it cannot or should not be",
        "gunicorn/config.py since 25.1: control_socket, control_socket_disable",
        "control_socket_disable = True (--no-control-socket)",
        when=CONTROL,
    ),
    Hazard(
        "reload-leaks",
        "25.2",
        "26.1",
        "3.0",
        "each SIGHUP (a log rotation that reloads, too) can leave a thread and file descriptors"
        " behind in the arbiter for every worker, until there are too many open files",
        "26.1 or newer",
        "gunicorn #3648; gunicorn/ctl/server.py of 25.2.0 and 26.1.0; tried: 12 descriptors before"
        " and 28 after five SIGHUP with four workers on 25.3.0, 12 and 12 on 25.1.0",
        "control_socket_disable = True (--no-control-socket), or restart instead of SIGHUP",
        "26.1.0",
        when=CONTROL,
    ),
    Hazard(
        "gthread-waits-for-data",
        "25.2",
        END,
        "3.0",
        "a connection on which nothing comes holds one of the threads for up to 5 s",
        "more threads, or a proxy that connects for a whole request only",
        "gunicorn/workers/gthread.py since 25.2: DEFAULT_WORKER_DATA_TIMEOUT; tried: two idle"
        " connections on two threads, an answer after 4.5 s on 25.3.0",
        "more threads, or a proxy that connects for a whole request only",
        when=GTHREAD,
    ),
    Hazard(
        "asgi-cancel-masked",
        "25.2",
        "26.1",
        "3.0",
        "its own ASGI worker hides from the application that a request was cancelled: what the"
        " application frees then (connections of Django to its database) leaks",
        "26.1 or newer",
        "gunicorn #3627; gunicorn/asgi/protocol.py of 25.1.0, 25.2.0 and 26.1.0",
        "a worker of uvicorn",
        "26.1.0",
        when=ASGI,
    ),
    Hazard(
        "no-eventlet",
        "26.0",
        END,
        "3.0",
        "has no eventlet worker any more",
        "worker_class gthread or gevent",
        "gunicorn 26.0 changelog",
        "worker_class gthread or gevent",
        when=EVENTLET,
    ),
    Hazard(
        "strict-targets",
        "26.0",
        END,
        "3.0",
        "answers 400 to a request target that is neither a path nor an absolute URL (host:port, a"
        " bare word, * without OPTIONS), and to control characters in header values",
        "let clients and health checks ask for a path that begins with /",
        "gunicorn/http/message.py of 25.3.0 and 26.0.0",
        "let clients and health checks ask for a path that begins with /",
        when=PARSER,
    ),
    Hazard(
        "duplicate-headers",
        "26.1",
        END,
        "3.0",
        "answers 400 to a second Host or Content-Type: a health check that is written by hand with"
        " two Host lines goes DOWN",
        "one Host line in each health check",
        "gunicorn #3366, pull request #3548; gunicorn/http/message.py of 26.0.0 and 26.1.0",
        "one Host line in each health check",
        when=PARSER,
    ),
    Hazard(
        "strict-uri",
        "27.0",
        END,
        "3.0",
        "answers 400 to a request target with anything but printable ASCII (a URL with umlauts that"
        " is not percent-encoded), to bare LF, and to a Transfer-Encoding that does not end in"
        " chunked; 414 instead of 400 to one that is too long",
        "let clients percent-encode; haproxy can refuse such requests for all servers alike",
        "gunicorn/http/message.py and workers/base.py of 26.2.0 and 27.0.0",
        "let clients percent-encode; haproxy can refuse such requests for all servers alike",
        when=PARSER,
    ),
    Hazard(
        "h2-needs-its-package",
        "27.0",
        END,
        "3.0",
        "does not start if http_protocols has h2 and the package h2 is not installed",
        "gunicorn[http2] in the requirements",
        "gunicorn/config.py of 27.0.0",
        "gunicorn[http2] in the requirements",
        when=HTTP2,
    ),
    Hazard(
        "asgi-stricter",
        "27.0",
        END,
        "3.0",
        "its own ASGI worker ends the server when the application's lifespan fails to start, and"
        " closes a websocket on a message above 16 MiB",
        "websocket_max_message_size; an application whose lifespan starts",
        "gunicorn/asgi/lifespan.py and config.py of 26.2.0 and 27.0.0",
        "websocket_max_message_size; an application whose lifespan starts",
        when=ASGI,
    ),
    Hazard(
        "longer-stop",
        "27.0.1",
        END,
        "3.0",
        "takes up to 2 s longer to stop while a proxy keeps idle connections",
        "count 2 s more for each stop (stopwaitsecs, service_stop_timeout)",
        "gunicorn/workers/gthread.py of 27.0.1: STOP_KEEPALIVE_LINGER",
        "count 2 s more for each stop (stopwaitsecs, service_stop_timeout)",
        when=GTHREAD,
    ),
)


def hazards_of(gunicorn: str, python: str, application: Application | None = None) -> list[Hazard]:
    """Return the rows that apply to ``gunicorn`` (``"23.0.0"``) on ``python`` (``"3.11"``).

    Without those that do not concern the application, as far as it is known.
    """
    version, interpreter = version_key(gunicorn), version_key(python)
    return [
        hazard
        for hazard in HAZARDS
        if version_key(hazard.since) <= version < version_key(hazard.before)
        and interpreter >= version_key(hazard.python_since)
        and concerns(hazard, application)
    ]


def concerns(hazard: Hazard, application: Application | None) -> bool:
    """Whether it may concern the application: whatever is not known may be so."""
    return not hazard.when or not application or application.may_be(hazard.when)


def new_hazards(
    current: tuple[str, str], wanted: tuple[str, str], application: Application | None = None
) -> list[Hazard]:
    """Return the rows of ``wanted`` (gunicorn, Python) that ``current`` does not have yet."""
    known = {hazard.name for hazard in hazards_of(*current)}
    return [hazard for hazard in hazards_of(*wanted, application) if hazard.name not in known]


def faults(hazards: Sequence[Hazard], application: Application | None) -> list[str]:
    """Those that a later version cures: no way of working, but a mistake.

    One of what few applications do counts only if this one is known to do it.
    """
    return [
        hazard.name
        for hazard in hazards
        if hazard.before != END
        and (
            hazard.when is None
            or hazard.when.usual
            or (application is not None and application.is_so(hazard.when))
        )
    ]


def best_cure(
    hazard: Hazard,
    gunicorn: str,
    python: str,
    application: Application | None,
    known: Sequence[str],
) -> str:
    """The oldest version of those ``known`` that cures it and brings no fault instead.

    Empty if no version cures it; where each brings one, the one that cures it first.
    """
    if not hazard.cured_in:
        return ""
    for version in sorted(known, key=version_key):
        if version_key(version) < version_key(hazard.cured_in):
            continue
        newer = max(python, python_floor(version), key=version_key)
        brings = new_hazards((gunicorn, python), (version, newer), application)
        if not faults(brings, application):
            return version
    return hazard.cured_in
