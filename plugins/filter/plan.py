# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that turn what was asked and what was found into a plan."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan
short_description: Plan the stages of one host
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Compares the stages that the operator wants with what a host runs.
  - Mistakes are returned as texts, all of them at once, rather than raised.
positional: to, allow_downgrade, arbiter, never_proved, settings
options:
  _input:
    description: The stages, as in the variable C(rollout_stages).
    type: list
    elements: dict
    required: true
  to:
    description: Stop after the stage with this gunicorn version; empty for all stages.
    type: str
    default: ""
  allow_downgrade:
    description: Whether stages may go down.
    type: bool
    default: false
  arbiter:
    description: RV(fleetops.gunicorn.gunicorn_info#module:arbiter) of the host.
    type: dict
  never_proved:
    description: Whether a run was stopped between the switch of the host and the end of its gates.
    type: bool
    default: false
  settings:
    description:
      - RV(fleetops.gunicorn.gunicorn_info#module:settings) of the host; a hazard that does not
        concern an application with these settings is left out.
    type: dict
"""

EXAMPLES = r"""
- name: Plan
  ansible.builtin.set_fact:
    plan: "{{ rollout_stages | fleetops.gunicorn.plan('', false, info.arbiter) }}"
"""

RETURN = r"""
_value:
  description: The plan.
  type: dict
  contains:
    stages:
      description: The stages of the run, numbered from 1.
      type: list
      elements: dict
    steps:
      description: What each stage means for this host, with the hazards that it adds.
      type: list
      elements: dict
    problems:
      description: What makes the plan impossible, one text each; empty when there is a plan.
      type: list
      elements: str
"""

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.steps import plan_arbiter


def plan(
    stages: Any,
    to: str = "",
    allow_downgrade: bool = False,
    arbiter: dict[str, Any] | None = None,
    never_proved: bool = False,
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Plan one host; see RETURN."""
    return plan_arbiter(stages, to, allow_downgrade, arbiter, never_proved, settings)


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"plan": plan}
