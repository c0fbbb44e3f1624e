# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long something takes on the controller, by a clock that nobody sets.

Its moments mean something on this machine until it boots anew, to every process of the run, and
nowhere else: nothing of it is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

Clock = Callable[[], float]


def deadline(seconds: Any, clock: Clock = time.monotonic) -> float:
    """The moment that is so many seconds ahead."""
    return clock() + float(seconds)


def left(until: Any, clock: Clock = time.monotonic) -> float:
    """Seconds until a moment; below 0 when it has passed."""
    return float(until) - clock()
