# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The check of a fleet, as lines for a person."""

from __future__ import annotations

DOCUMENTATION = r"""
name: check_text
short_description: Show the check of a fleet
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Turns the report of a check into lines, the worst first, bounded.
options:
  _input:
    description: What the filter P(fleetops.gunicorn.check_fleet#filter) returned.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the fleet
  ansible.builtin.debug:
    msg: "{{ report | fleetops.gunicorn.check_text }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.text import (
    check_text,
)


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"check_text": check_text}
