# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a process has from who started it, beside words, variables and a directory.

A service manager sets the umask and the limits (``umask``, ``minfds``), and a trial would
otherwise have those of a login.
"""

import re
import resource
from typing import Dict, NamedTuple, Tuple

UMASK = 0o022
# Not how many processes the user may have: those that run count, and a trial is one more.
_LIMITS = {
    "Max file size": "RLIMIT_FSIZE",
    "Max data size": "RLIMIT_DATA",
    "Max stack size": "RLIMIT_STACK",
    "Max core file size": "RLIMIT_CORE",
    "Max open files": "RLIMIT_NOFILE",
    "Max locked memory": "RLIMIT_MEMLOCK",
    "Max address space": "RLIMIT_AS",
}


class Habits(NamedTuple):
    """A umask, and limits by their names in `resource`: (soft, hard)."""

    umask: int = UMASK
    limits: Tuple[Tuple[str, int, int], ...] = ()


def parse_umask(status: str) -> int:
    """``/proc/<pid>/status`` -> the umask; kernels before 4.7 do not tell it."""
    match = re.search(r"^Umask:\s+([0-7]{1,4})$", status, re.M)
    return int(match.group(1), 8) if match else UMASK


def parse_limits(text: str) -> Dict[str, Tuple[int, int]]:
    """``/proc/<pid>/limits`` -> {name in `resource`: (soft, hard)}."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"^(.+?)\s{2,}(unlimited|\d+)\s+(unlimited|\d+)(?:\s|$)", line)
        name = _LIMITS.get(match.group(1)) if match else None
        if match and name:
            found[name] = (_number(match.group(2)), _number(match.group(3)))
    return found


def _number(text: str) -> int:
    return resource.RLIM_INFINITY if text == "unlimited" else int(text)


def habits_of(status: str, limits: str) -> Habits:
    """Of a process, from its files in /proc."""
    pairs = sorted(parse_limits(limits).items())
    return Habits(parse_umask(status), tuple((name, soft, hard) for name, (soft, hard) in pairs))


def take_on(habits: Habits) -> None:
    """Between fork and exec; what may not be set is left."""
    for name, soft, hard in habits.limits:
        try:
            resource.setrlimit(getattr(resource, name), (soft, hard))
        except (ValueError, OSError, AttributeError):
            continue
