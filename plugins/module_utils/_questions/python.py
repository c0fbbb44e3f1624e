# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Python of the host a stage would be built on."""

import os
from typing import Any, Dict

from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.find_python import (
    find_python,
    find_uv,
    user_named,
    user_of_pid,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.interpreters import (
    not_found,
)

OPTIONS: Dict[str, Dict[str, Any]] = {
    "version": {"type": "str", "required": True},
    "extra_paths": {"type": "list", "elements": "path", "default": []},
    "user": {"type": "str"},
    "like_pid": {"type": "int", "default": 0},
}


def ask(params: Dict[str, Any]) -> Dict[str, Any]:
    """Return what module ``python_info`` does."""
    wanted, name = params["version"], params["user"]
    uv = find_uv()
    user = user_named(name) if name else user_of_pid(params["like_pid"])
    found = find_python(wanted, params["extra_paths"], user, uv)
    it = found.interpreter
    return {
        "found": it is not None,
        "executable": it.executable if it else "",
        "version": it.version if it else "",
        "ensurepip": bool(it and it.pip_wheel),
        "uv": uv,
        "uid": os.geteuid(),
        "searched": list(found.searched),
        "refused": list(found.refused),
        "message": "" if it else not_found(wanted, found),
    }
