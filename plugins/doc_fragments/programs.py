# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which other programs are switched with the gunicorn."""

from __future__ import annotations


class ModuleDocFragment:
    """Options in the words of a module's documentation."""

    DOCUMENTATION = r"""
options:
  programs:
    description:
      - The other programs of this service manager that run from the virtualenv, in the order of
        their start, such as a celery worker. They are stopped in reverse, before O(program).
      - Each is named as O(program) is. Whether it is a gunicorn too is seen from its processes.
    type: list
    elements: str
    default: []
"""
