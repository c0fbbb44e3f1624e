# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who of a generation is alive: what a log tells of the dead, the living contradict."""

import os
from typing import Dict, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Reader,
    read_process,
    read_table,
)

# A start by /proc and the same by another look differ by rounding.
SAME_SECONDS = 2.0


def living(reader: Reader, booted: float, pid: int, since: float) -> Optional[Dict[int, float]]:
    """The arbiter and its children, and since when they live; ``booted``: when the machine began.

    None where nothing can be told: when the process with this pid is not the one that began at
    ``since``.
    """
    arbiter = read_process(reader, pid)
    if arbiter is None:
        return None
    tick = os.sysconf("SC_CLK_TCK")
    started = booted + arbiter.start_ticks / tick
    if arbiter.state == "Z" or abs(started - since) > SAME_SECONDS:
        return None
    found = {pid: started}
    for process in read_table(reader).values():
        if process.ppid == pid and process.state not in "ZX":
            found[process.pid] = booted + process.start_ticks / tick
    return found
