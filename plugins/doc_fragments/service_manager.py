# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a module reaches the service manager."""

from __future__ import annotations


class ModuleDocFragment:
    """Options in the words of a module's documentation."""

    DOCUMENTATION = r"""
options:
  manager:
    description: What keeps the application running.
    type: str
    choices: [supervisord, systemd]
    default: supervisord
  systemd_scope:
    description: Whose systemd it is; V(user) for that of the user who runs this.
    type: str
    choices: [system, user]
    default: system
  supervisor_url:
    description:
      - Where supervisord on this host answers XML-RPC, V(unix:///path/to.sock) or
        V(http://127.0.0.1:9001).
      - Every call ends within 10 seconds.
    type: str
    default: unix:///run/supervisor.sock
  supervisor_username:
    description: User name for supervisord, if it wants one.
    type: str
  supervisor_password:
    description: Password for supervisord, if it wants one.
    type: str
"""
