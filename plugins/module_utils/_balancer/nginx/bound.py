# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which word takes a server out: `down` for everybody, or first `drain`, for all but its own users.

`drain` came to open-source nginx with `sticky`, and differs from `down` for the users that `sticky`
binds to the server alone: they go on coming to it. So it can only be the first of two steps. No
I/O.
"""

import re

# Open source; nginx Plus has had it for long, under versions of its own.
_SINCE = (1, 29, 6)
_NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def knows_drain(version: str) -> bool:
    """``version``: as `nginx -v` tells it, like ``1.29.6``; of an unknown one nothing is hoped."""
    found = _NUMBERS.match(version)
    return found is not None and tuple(int(each) for each in found.groups()) >= _SINCE


def first_word(version: str, sticky: str) -> str:
    """``sticky``: what binds users to the servers of the upstream; only `sticky` heeds `drain`."""
    return "drain" if sticky == "sticky" and knows_drain(version) else "down"
