# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release is built from, and how."""

from __future__ import annotations


class ModuleDocFragment:
    """Options in the words of a module's documentation."""

    DOCUMENTATION = r"""
options:
  require_hashes:
    description: Refuse requirements without hashes.
    type: bool
    default: false
  carry_files:
    description:
      - What no package of the virtualenv owns that is carried over, and is taken over as it is;
        paths in site-packages, or patterns. Their content is a part of the id.
      - What no package owns and neither this nor O(leave_files) names is refused. What venv, pip
        and setuptools put there themselves, byte-code and caches are not meant.
    type: list
    elements: str
    default: []
  leave_files:
    description:
      - What no package of the virtualenv owns that is carried over, and is left behind; paths or
        patterns.
    type: list
    elements: str
    default: []
  wheelhouse:
    description: Directory of wheels on the host; no index is asked.
    type: path
  installer:
    description:
      - V(auto) takes uv where it is there, knows the Python (3.8 and newer) and the options in the
        requirements, else pip. Both give the same packages.
    type: str
    choices: [auto, uv, pip]
    default: auto
  command:
    description: Command of the program, as the service manager has it.
    type: str
    default: ""
  directory:
    description: Directory in which O(command) is started.
    type: path
  unit:
    description:
      - Service of the system's systemd that starts it, if one does. Root then boots a release by
        C(systemd-run) in its sandbox (C(ProtectSystem), C(PrivateTmp), C(DynamicUser), limits and
        the like), and with its C(Environment) and C(EnvironmentFile) as they are now.
      - C(PrivateNetwork) is left out, as a trial is asked on the loopback.
    type: str
    default: ""
  user:
    description:
      - User as whom O(command) is started; also the user who must be able to run the Python.
      - Default is the user of O(like_pid), or the module's own.
    type: str
    default: ""
"""
