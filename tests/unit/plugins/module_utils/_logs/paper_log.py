# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Logs of paper: texts in files of a temporary directory, and one look at them."""

import os
import time

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.catalogue import (
    custom_patterns,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.check import Request, look
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.facts import Window

FIXTURES = os.path.join(os.path.dirname(__file__), "..", "..", "..", "..", "fixtures", "logs")
# 2026-11-23 03:02:13 UTC.
NOON = 1795402933.0
# What real gunicorns wrote when 4 or 5 workers were killed, timed out or could not boot.
REAL = {
    "20.0.2-py3.6.burst": {},
    "20.1.0-py3.6.blocked": {"reentrant": 1, "worker_killed": 1},
    "20.1.0-py3.6.boot_failure": {"worker_exception": 2, "boot_failure": 1},
    "20.1.0-py3.11.hup": {"reentrant": 2, "worker_terminated": 16},
    "21.2.0-py3.6.burst": {"reentrant": 1, "worker_killed": 12},
    "23.0.0-py3.11.app_load_failure": {
        "app_load_failure": 1,
        "worker_exited": 1,
        "worker_terminated": 1,
    },
    "23.0.0-py3.11.blocked": {"reentrant": 1},
    "23.0.0-py3.11.boot_failure": {"worker_exception": 2, "boot_failure": 1},
    "23.0.0-py3.11.burst": {"reentrant": 1, "worker_killed": 10},
    "23.0.0-py3.11.timeout": {"worker_timeout": 4},
    "23.0.0-py3.13.burst": {"worker_killed": 13},
    "24.0.0-py3.12.burst": {"unhandled_signal": 1, "worker_killed": 4},
    "27.0.1-py3.12.burst": {"worker_killed": 10},
    "27.0.1-py3.12.timeout": {"worker_timeout": 4},
}


def fixture(name):
    """A real log of a real gunicorn (tests/integration/log_support.py shows how they are made)."""
    return os.path.join(FIXTURES, name + ".log")


def line(text, pid=100, second=0, level="ERROR"):
    """One line as gunicorn writes it, ``second`` seconds after NOON."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(NOON + second))
    return f"[{stamp}] [{pid}] [{level}] {text}\n"


def start(pid=100, second=0, version="21.2.0"):
    return line(f"Starting gunicorn {version}", pid, second, "INFO")


def block(message="'Worker with pid %s was terminated due to signal %s'", arguments="(7, 9)", n=2):
    """What logging prints when a log line fails; ``n`` times the phrase."""
    phrase = "RuntimeError: reentrant call inside <_io.BufferedWriter name='<stderr>'>\n"
    return (
        "--- Logging error ---\nTraceback (most recent call last):\n"
        '  File "/usr/lib/python3/logging/__init__.py", line 1103, in emit\n    self.flush()\n'
        + phrase * n
        + 'Call stack:\n  File "/srv/app/venv/bin/gunicorn", line 8, in <module>\n'
        + f"Message: {message}\nArguments: {arguments}\n"
    )


def request(paths, since=None, until=None, arbiter_pid=None, patterns=(), **options):
    wanted = {
        "paths": [str(path) for path in paths],
        "window": Window(since, until, arbiter_pid),
        "cursor": "",
        "tolerance": {},
        "customs": tuple(custom_patterns(patterns)),
        "max_excerpts": 100,
        "gunicorn": "",
        "advance": True,
    }
    wanted.update(options)
    return Request(**wanted)


def check(*paths, now=NOON + 3600, guard=None, use_ctypes=True, **options):
    """One look at files."""
    return look(request(paths, **options), now, guard, use_ctypes)


class Paper:
    """A log in a directory; ``judge`` writes it anew and looks, ``look`` looks only."""

    def __init__(self, folder):
        self.path = folder / "app.log"
        self.cursor = str(folder / "cursor")

    def write(self, text):
        self.path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def append(self, text):
        with self.path.open("ab") as handle:
            handle.write(text if isinstance(text, bytes) else text.encode())

    def look(self, **options):
        return check(self.path, **options)

    def judge(self, text, **options):
        self.write(text)
        return self.look(**options)

    def next(self, **options):
        """A look with the cursor."""
        return self.look(cursor=self.cursor, **options)
