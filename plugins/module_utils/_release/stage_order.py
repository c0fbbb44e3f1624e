# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which stages a server has yet to take, and on which Python. Pure.

The controller plans by it, and the server itself looks at what it has yet to take.
"""

import re
from typing import Any, Dict, List, Mapping, Sequence

from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.pep440 import (
    key as version_key,
)

_ABSOLUTE_PYTHON = re.compile(r"^/.*python3\.(\d+)$")


def python_minor_of(wanted: str) -> str:
    """Return ``"3.11"`` for ``"3.11"`` and for ``"/opt/python3.11/bin/python3.11"``."""
    path = _ABSOLUTE_PYTHON.match(wanted)
    return f"3.{path.group(1)}" if path else wanted


def minor(version: str) -> str:
    """Return ``"3.11"`` for ``"3.11.7"``."""
    return ".".join(version.split(".")[:2])


def why_skip(
    gunicorn: str, python: str, has_gunicorn: str, has_python: str, allow_downgrade: bool
) -> str:
    """Say why a server needs no step for a stage; empty when it needs one."""
    wanted, has = version_key(gunicorn), version_key(has_gunicorn)
    if is_there(gunicorn, python, has_gunicorn, has_python):
        return f"runs gunicorn {has_gunicorn} on Python {has_python} already"
    if allow_downgrade:
        return ""
    if has > wanted:
        return f"is past it: runs gunicorn {has_gunicorn}"
    if has == wanted and version_key(has_python) > version_key(python):
        return f"is past it: runs Python {has_python}"
    return ""


def is_there(gunicorn: str, python: str, has_gunicorn: str, has_python: str) -> bool:
    """Whether a server has what a stage wants."""
    same_gunicorn = version_key(gunicorn) == version_key(has_gunicorn)
    return same_gunicorn and version_key(python) == version_key(has_python)


def untaken(
    stages: Sequence[Mapping[str, Any]], gunicorn: str, python: str, allow_downgrade: bool
) -> List[Dict[str, Any]]:
    """The stages that a server which runs these has yet to take, with the Python of each.

    A stage without ``python`` keeps the one before it.
    """
    found = []
    has_gunicorn, has_python = gunicorn, minor(python)
    for stage in stages:
        wanted = python_minor_of(stage["python"]) if stage["python"] else has_python
        if not why_skip(stage["gunicorn"], wanted, has_gunicorn, has_python, allow_downgrade):
            found.append(dict(stage, python=stage["python"] or wanted))
            has_gunicorn, has_python = stage["gunicorn"], wanted
    return found
