# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names in a sentence: of a thousand a dozen, and how many more."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 12


def few(names: Iterable[object], most: int = MOST) -> str:
    """``web1, web2``; of more than ``most`` the first and a count of the rest."""
    known = [str(name) for name in names]
    more = len(known) - most
    return ", ".join(known[:most]) + (f" and {more} more" if more > 0 else "")
