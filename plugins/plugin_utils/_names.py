# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many names a sentence has: it must stay one, whatever the size of the fleet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# More of a kind than these are counted.
MAX_NAMES = 12


def some(names: Iterable[Any]) -> str:
    """``web1, web2 and 998 more``."""
    known = [str(name) for name in names]
    more = len(known) - MAX_NAMES
    return ", ".join(known[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
