# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one filter behind which the decisions stand that only our own roles ask for."""

from __future__ import annotations

DOCUMENTATION = r"""
name: internal
short_description: Decide something for the roles of this collection
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - For the roles and playbooks of this collection only. Which decisions there are, what they take
    and what they return may change with every release.
  - Each is a function of C(plugins/plugin_utils), named in C(plugins/plugin_utils/_internal).
    Whatever follows the name is given to it.
positional: decision
options:
  _input:
    description: What is decided about.
    type: raw
    required: true
  decision:
    description: The name of the decision.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Name a few of the hosts
  ansible.builtin.debug:
    msg: "{{ ansible_play_hosts | fleetops.gunicorn.internal('few') }}"
"""

RETURN = r"""
_value:
  description: What was decided.
  type: raw
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._internal.table import TABLE


def internal(value: Any, decision: str, *more: Any, **named: Any) -> Any:
    """Decide; see RETURN."""
    if decision not in TABLE:
        raise AnsibleFilterError(
            f"fleetops.gunicorn.internal knows no decision {decision!r}. Only the roles of the "
            "collection ask it: see that they and the plugins are of one version."
        )
    return TABLE[decision](value, *more, **named)


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"internal": internal}
