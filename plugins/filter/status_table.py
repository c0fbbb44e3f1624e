# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet as one table for a person."""

from __future__ import annotations

DOCUMENTATION = r"""
name: status_table
short_description: Show a fleet as one table
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Turns the state of a fleet into lines.
options:
  _input:
    description: What the filter P(fleetops.gunicorn.fleet_status#filter) returned.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the fleet
  ansible.builtin.debug:
    msg: "{{ fleet | fleetops.gunicorn.status_table }}"
  vars:
    fleet: "{{ groups['web'] | map('extract', hostvars) | fleetops.gunicorn.fleet_status }}"
"""

RETURN = r"""
_value:
  description: The lines, the first with the names of the columns.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._status import status_table


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"status_table": status_table}
