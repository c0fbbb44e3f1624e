# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known to go wrong with a gunicorn version on a Python version.

One row per hazard: which versions have it, what it does to the service, what helps today, what
cures it, how it shows, and where that is established. A plan prints the rows that apply to each of
its stages, a check those of what runs, and docs/known-problems.md all of them.
"""

from __future__ import annotations

from typing import NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._versions import version_key


class Hazard(NamedTuple):
    """A known problem of the gunicorn versions ``since <= v < before`` on ``python_since <= p``."""

    name: str
    since: str
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
        f"{_UNBUFFERED} today, a stage of 24.1 or newer for good",
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
        f"{_UNBUFFERED} today, a stage of 24.1 or newer for good",
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
    ),
    Hazard(
        "control-socket",
        "25.1",
        END,
        "3.0",
        "opens a control socket: in the working directory (25.1), in XDG_RUNTIME_DIR or below HOME",
        "control_socket_disable = True (--no-control-socket) where it cannot or should not be",
        "gunicorn/config.py since 25.1: control_socket, control_socket_disable",
        "control_socket_disable = True (--no-control-socket)",
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
    ),
)


def hazards_of(gunicorn: str, python: str) -> list[Hazard]:
    """Return the rows that apply to ``gunicorn`` (``"23.0.0"``) on ``python`` (``"3.11"``)."""
    version, interpreter = version_key(gunicorn), version_key(python)
    return [
        hazard
        for hazard in HAZARDS
        if version_key(hazard.since) <= version < version_key(hazard.before)
        and interpreter >= version_key(hazard.python_since)
    ]


def new_hazards(current: tuple[str, str], wanted: tuple[str, str]) -> list[Hazard]:
    """Return the rows of ``wanted`` (gunicorn, Python) that ``current`` does not have yet."""
    known = {hazard.name for hazard in hazards_of(*current)}
    return [hazard for hazard in hazards_of(*wanted) if hazard.name not in known]
