# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The check of a fleet, as data."""

from __future__ import annotations

DOCUMENTATION = r"""
name: check_fleet
short_description: Gather the checks of all hosts into one report
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Takes the worst verdict of the hosts as that of the fleet.
positional: at
options:
  _input:
    description:
      - For each host what the filter P(fleetops.gunicorn.check#filter) returned, or none (null)
        where that broke off.
    type: dict
    required: true
  at:
    description: When it was looked at, in seconds since the epoch.
    type: float
    required: true
"""

EXAMPLES = r"""
- name: Show the fleet
  ansible.builtin.debug:
    msg: "{{ {'web1': judged} | fleetops.gunicorn.check_fleet(now().timestamp()) }}"
"""

RETURN = r"""
_value:
  description: The report, as docs/check.md describes it.
  type: dict
  contains:
    verdict:
      description: The worst of the hosts.
      type: str
    exit_code:
      description: V(0) for C(clean), V(2) for C(dirty), V(3) for C(inconclusive).
      type: int
    hosts:
      description: The hosts, the worst first.
      type: list
      elements: dict
"""

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.verdict import check_fleet


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"check_fleet": check_fleet}
