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
  - Turns a plan into lines, stage by stage, with packages, hazards and settings, and with what
    will not be done.
options:
  _input:
    description: What the filter P(fleetops.gunicorn.plan_document#filter) returned.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the plan
  ansible.builtin.debug:
    msg: "{{ _rollout_document | fleetops.gunicorn.plan_text }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.text import (
    plan_lines,
)


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"plan_text": plan_lines}
