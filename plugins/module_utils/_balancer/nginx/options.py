# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a module is told of an nginx."""

import os
from typing import Any, Dict

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.control import (
    Settings,
    words_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.health import check_headers

# In the words of the documentation fragment.
ARGUMENTS: Dict[str, Dict[str, Any]] = {
    "conf": {"type": "path", "default": "/etc/nginx/nginx.conf"},
    "pid_file": {"type": "str", "default": ""},
    "test_command": {"type": "str", "default": ""},
    "reload_command": {"type": "str", "default": ""},
    "reload_timeout": {"type": "float", "default": 30},
    "probe": {"type": "str", "default": ""},
    "probe_status": {"type": "list", "elements": "int", "default": []},
    "probe_headers": {"type": "dict", "default": {}, "no_log": True},
    "probe_timeout": {"type": "float", "default": 2},
}


def settings_of(params: Dict[str, Any]) -> Settings:
    """The same, checked."""
    for name in ("reload_timeout", "probe_timeout"):
        if params[name] <= 0:
            raise FleetError(f"{name} is in seconds and must be above 0.")
    if not os.path.isabs(params["conf"]):
        raise FleetError(f"conf is {params['conf']!r}. Give the whole path.")
    if params["pid_file"] and not os.path.isabs(params["pid_file"]):
        raise FleetError(f"pid_file is {params['pid_file']!r}. Give the whole path, or nothing.")
    probe = params["probe"]
    if probe and (not probe.startswith("/") or any(char.isspace() for char in probe)):
        raise FleetError(f"probe is {probe!r}. Give the path of a page, such as /healthz.")
    words = {}
    for name in ("test_command", "reload_command"):
        try:
            words[name] = words_of(params[name])
        except ValueError as exc:
            raise FleetError(f"{name} is {params[name]!r}: {exc}. Close the quotes.") from None
    return Settings(
        conf=params["conf"],
        pid_file=params["pid_file"],
        reload_timeout=params["reload_timeout"],
        probe=probe,
        probe_status=tuple(params["probe_status"]),
        probe_headers=check_headers(params["probe_headers"], "probe_headers"),
        probe_timeout=params["probe_timeout"],
        directory=params["lease_directory"],
        **words,
    )
