# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a run as lines for a person."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_text
short_description: Tell what a run will do, in order
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Turns the plans of several hosts into lines, stage by stage, with the hazards of each stage.
options:
  _input:
    description: A plan of P(fleetops.gunicorn.plan#filter) for each host, by the host's name.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the plan
  ansible.builtin.debug:
    msg: "{{ {'web1': plan} | fleetops.gunicorn.plan_text }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan import plan_text


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"plan_text": plan_text}
