# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a release boots on a spare port, started as the application is."""

from typing import Any, Dict, Optional, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.health import check_headers
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.build import (
    Trial,
    check,
    launch_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.launch import (
    Launch,
    secrets_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.record import trial_of

OPTIONS: Dict[str, Dict[str, Any]] = {
    "home": {"type": "path", "required": True},
    "path": {"type": "path"},
    "like_pid": {"type": "int", "default": 0},
    "command": {"type": "str", "default": ""},
    "unit": {"type": "str", "default": ""},
    "directory": {"type": "path"},
    "user": {"type": "str", "default": ""},
    "environment": {"type": "dict", "default": {}, "no_log": True},
    "boot_test": {"type": "str", "default": "boot"},
    # They may hold credentials.
    "boot_environment": {"type": "dict", "default": {}, "no_log": True},
    "boot_believe": {"type": "float", "default": 0},
    "boot_timeout": {"type": "float", "default": 60},
    "boot_path": {"type": "str", "default": "/healthz"},
    "boot_headers": {"type": "dict", "default": {}, "no_log": True},
}


def shown(p: Dict[str, Any]) -> Set[str]:
    """Values of variables that look like no secret: not each "1" and each path is to be hidden."""
    told: Set[str] = set()
    for option in ("environment", "boot_environment"):
        given = _texts(p[option])
        told |= set(given.values()) - set(secrets_of(given))
    return told


def read(p: Dict[str, Any]) -> Tuple[Optional[Launch], Trial]:
    """How the application is started, if that can be seen, and how a release is tried."""
    launch = launch_of(
        p["like_pid"],
        p["command"],
        p["directory"] or "",
        p["user"],
        _texts(p["environment"]),
        p["unit"],
    )
    trial = Trial(
        trial_of(p["boot_test"]),
        p["boot_path"],
        p["boot_timeout"],
        _texts(p["boot_environment"]),
        p["boot_believe"],
    )
    headers = check_headers(p["boot_headers"], "boot_headers")
    if launch is not None:
        launch = launch._replace(headers=tuple(sorted(headers.items())))
    return launch, trial


def _texts(variables: Dict[Any, Any]) -> Dict[str, str]:
    return {str(name): str(value) for name, value in variables.items()}


def ask(p: Dict[str, Any]) -> Dict[str, Any]:
    """Return what module ``release`` does with ``state=checked``."""
    launch, trial = read(p)
    return check(p["path"], p["home"], launch, trial)
