# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A time as operators write it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: moment
short_description: Turn an age or a time into seconds since the epoch
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Fails, with the name of the variable, if the text is no time or lies ahead.
positional: name, now
options:
  _input:
    description:
      - An age (V(30min), V(6h), V(2d)), ISO 8601 (without a zone, local time of the controller) or
        seconds since the epoch.
    type: str
    required: true
  name:
    description: Name of the variable, for the error.
    type: str
    required: true
  now:
    description: The time it is now, in seconds since the epoch.
    type: float
    required: true
"""

EXAMPLES = r"""
- name: Six hours ago
  ansible.builtin.debug:
    msg: "{{ '6h' | fleetops.gunicorn.moment('check_since', now().timestamp()) }}"
"""

RETURN = r"""
_value:
  description: Seconds since the epoch; V(0) for an empty text.
  type: float
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._times import moment


def _moment(text: Any, name: str, now: Any) -> float:
    try:
        return moment(name, text, float(now)) or 0.0
    except ValueError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"moment": _moment}
