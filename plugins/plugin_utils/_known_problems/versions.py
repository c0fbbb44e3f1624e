# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Versions of gunicorn and Python: how they compare, and which go together."""

from __future__ import annotations

import re

from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages import pep440

# ``"23.0"`` is ``"23.0.0"``, and ``"23.0.0rc1"`` comes before it.
version_key = pep440.key

# Requires-Python of the published packages, newest first.
PYTHON_FLOORS = (
    ("24.0", "3.10"),
    ("22.0", "3.7"),
    ("20.1", "3.5"),
    ("19.0", "3.4"),
)

_EXACT = re.compile(r"^\d+(\.\d+){1,3}$")
_MINOR = re.compile(r"^3\.\d+$")


def is_exact(version: object) -> bool:
    """Whether ``version`` names one gunicorn version, as ``"23.0.0"`` does."""
    return isinstance(version, str) and bool(_EXACT.match(version))


def is_python_minor(version: object) -> bool:
    """Whether ``version`` names a Python as ``"3.11"`` does."""
    return isinstance(version, str) and bool(_MINOR.match(version))


def python_floor(gunicorn: str) -> str:
    """Return the oldest Python that this gunicorn supports."""
    for since, floor in PYTHON_FLOORS:
        if version_key(gunicorn) >= version_key(since):
            return floor
    return "3.4"


def supports(gunicorn: str, python: str) -> bool:
    """Whether ``gunicorn`` runs on ``python`` (``"3.11"``) by its own declaration."""
    return version_key(python) >= version_key(python_floor(gunicorn))
