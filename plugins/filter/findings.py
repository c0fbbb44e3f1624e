# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an operator should look at before a rollout, as lines."""

from __future__ import annotations

DOCUMENTATION = r"""
name: findings
short_description: Tell what an operator should look at, though it does not stop a rollout
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Settings of the service manager that make a switch slower or less safe, and processes that
    nobody manages.
positional: _input, stop_timeout
options:
  _input:
    description: What M(fleetops.gunicorn.gunicorn_info) returned.
    type: dict
    required: true
  stop_timeout:
    description: How long a switch waits for a program to end, in seconds.
    type: float
"""

EXAMPLES = r"""
- name: Show what to look at
  ansible.builtin.debug:
    msg: "{{ service_info | fleetops.gunicorn.findings }}"
"""

RETURN = r"""
_value:
  description: A line for each finding; empty if all is as it should be.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.findings import findings


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"findings": findings}
