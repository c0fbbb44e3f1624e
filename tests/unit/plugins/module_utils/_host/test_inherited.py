# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import resource

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import User, run
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.inherited import (
    Habits,
    habits_of,
    parse_limits,
    parse_umask,
)

LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max file size             unlimited            unlimited            bytes
Max core file size        0                    unlimited            bytes
Max processes             7823                 7823                 processes
Max open files            1024                 524288               files
Max address space         2147483648           unlimited            bytes
Max realtime timeout      unlimited            unlimited            us
"""


def test_limits():
    forever = resource.RLIM_INFINITY
    assert parse_limits(LIMITS) == {
        "RLIMIT_FSIZE": (forever, forever),
        "RLIMIT_CORE": (0, forever),
        "RLIMIT_NOFILE": (1024, 524288),
        "RLIMIT_AS": (2147483648, forever),
    }
    assert parse_limits("") == parse_limits("Max open files\nMax open files  x  y") == {}


@pytest.mark.parametrize(
    "status, umask", [("Umask:\t0027\n", 0o27), ("Name:\tx\nUmask:\t0\n", 0), ("", 0o22)]
)
def test_umask(status, umask):
    assert parse_umask("State:\tS\n" + status) == umask


def test_of_a_real_process():
    with open("/proc/self/status") as status, open("/proc/self/limits") as limits:
        habits = habits_of(status.read(), limits.read())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert ("RLIMIT_NOFILE", soft, hard) in habits.limits


def test_a_child_takes_them_on():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    habits = Habits(0o027, (("RLIMIT_NOFILE", 77, hard), ("RLIMIT_NONE", 1, 1)))
    user = User(os.geteuid(), os.getegid(), tuple(os.getgroups()), habits)
    told = run(["sh", "-c", "umask; ulimit -n"], {"PATH": os.defpath}, "/", 20, user)
    assert told.output.split() == ["0027", "77"]
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard)
    without = run(["sh", "-c", "umask; ulimit -n"], {"PATH": os.defpath})
    assert without.output.split() == ["0022", str(soft)]
