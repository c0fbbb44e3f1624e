# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which fleet, and where its lock and its record are."""

from __future__ import annotations


class ModuleDocFragment:
    """Options in the words of a module's documentation."""

    DOCUMENTATION = r"""
options:
  fleet:
    description: The fleet's name. Letters, digits, and C(._-), at most 100.
    type: str
    required: true
  directory:
    description:
      - Where the lock and the record of the fleet are.
      - Made with mode 0755 if it is not there. Refused if it is a symbolic link, if others than
        root and the connecting user own it, or if others can write to it.
    type: path
    default: /var/lib/fleetops-gunicorn
"""
