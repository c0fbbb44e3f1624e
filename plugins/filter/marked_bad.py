# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of some releases are marked bad, and by whom."""

from __future__ import annotations

DOCUMENTATION = r"""
name: marked_bad
short_description: Find releases that failed before
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Looks releases up in the record of the fleet.
positional: releases
options:
  _input:
    description: RV(fleetops.gunicorn.fleet_record#module:record).
    type: dict
    required: true
  releases:
    description: Ids of releases.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse a release that failed before
  ansible.builtin.assert:
    that: found.record | fleetops.gunicorn.marked_bad(['23.0.0-py3.11-1a2b3c4d']) | length == 0
"""

RETURN = r"""
_value:
  description: For each that is marked bad a sentence, since when, by whom and why.
  type: list
  elements: str
"""

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_record import (
    marked_bad,
)


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"marked_bad": marked_bad}
