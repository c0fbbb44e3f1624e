# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who works on the fleet: this run of a playbook, and the person behind it."""

from __future__ import annotations

import getpass
import hashlib
import multiprocessing
import os
import socket

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.machine import (
    boot_id,
    exists,
    pid_namespace,
    started,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_lock import Controller


def myself() -> Controller:
    """The process that runs the whole playbook; an action runs in a child of it."""
    parent = multiprocessing.parent_process()
    pid = parent.pid if parent and parent.pid else os.getpid()
    return Controller(socket.gethostname(), boot_id(), pid_namespace(), pid, started(pid))


def token_of(me: Controller) -> str:
    """The same for all tasks of a run, and for no other run."""
    return hashlib.sha256(repr(tuple(me)).encode()).hexdigest()[:16]


def user() -> str:
    """The person: behind sudo, the one who called it."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = f"uid {os.getuid()}"
    return os.environ.get("SUDO_USER", name) if os.geteuid() == 0 else name


def look(pid: int) -> int | None:
    """When the process started; 0 if it is there and hides that; None if there is none."""
    return started(pid) or (0 if exists(pid) else None)
