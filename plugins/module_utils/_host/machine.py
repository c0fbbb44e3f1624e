# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What this machine says of its boot and of a process, in a line each."""

import os
import time

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import parse_stat

# Python 3.6 does not name Linux's clock that goes on while the machine sleeps.
_CLOCK_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", 7)
# Stopped, being traced, dead and not yet buried.
_DEAD, _STOPPED = "ZXx", "Tt"


def boot_id() -> str:
    """The name of this boot; empty where there is none (not Linux)."""
    return _text("/proc/sys/kernel/random/boot_id").strip()


def boottime() -> float:
    """Seconds since the boot, which nobody sets."""
    return time.clock_gettime(_CLOCK_BOOTTIME) if boot_id() else time.monotonic()


def pid_namespace() -> str:
    """The name of the set of processes that is seen from here; empty where there is none."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def started(pid: int, stopped_too: bool = True) -> int:
    """When the process started, which no later one of its pid shares; 0 if it is dead."""
    found = parse_stat(_text(f"/proc/{pid}/stat"))
    if not found or found[1] in _DEAD or (not stopped_too and found[1] in _STOPPED):
        return 0
    return found[2]


def exists(pid: int) -> bool:
    """Whether there is such a process, also where /proc hides it. Dead ones that nobody has
    buried are none."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    found = parse_stat(_text(f"/proc/{pid}/stat"))
    return not found or found[1] not in _DEAD


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(65536).decode("utf-8", "replace")
    except OSError:
        return ""
