# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One short name for what is asked of a fleet."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_hash
short_description: Name what an operator asks of a fleet
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Returns twelve hexadecimal digits that stand for the stages of a run, that is gunicorn, Python
    and requirements of each, in their order.
  - They are the same on every host, on every Python and for every C(--limit). What a host runs, how
    a run is watched, and which index packages come from, makes no difference.
positional: to, app_requirements, app_home, contents, require_hashes
options:
  _input:
    description: The stages, as in the variable C(rollout_stages).
    type: list
    elements: dict
    required: true
  to:
    description: The run ends after the stage with this gunicorn version; empty for all stages.
    type: str
    default: ""
  app_requirements:
    description:
      - The requirements file of stages that have none of their own; empty if packages are carried
        over.
      - A file on the controller counts by its content, one on the host by its path.
    type: str
    default: ""
  app_home:
    description: A path below this directory counts the same on every host, whatever the directory.
    type: str
    default: ""
  contents:
    description: The text of each requirements file on the controller, by the path that was given.
    type: dict
    default: {}
  require_hashes:
    description: Whether only packages with a hash are installed.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Name the plan
  ansible.builtin.set_fact:
    plan: "{{ rollout_stages | fleetops.gunicorn.plan_hash('', 'app.txt', app_home, texts) }}"
  vars:
    texts:
      app.txt: "{{ lookup('ansible.builtin.file', 'app.txt') }}"
"""

RETURN = r"""
_value:
  description: The digits; empty if the stages are no stages.
  type: str
  sample: 5be1f4d20c97
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.fingerprint import (
    plan_asks,
    plan_hash,
)


def name_plan(
    stages: Any,
    to: str = "",
    app_requirements: str = "",
    app_home: str = "",
    contents: Mapping[str, str] | None = None,
    require_hashes: bool = False,
) -> str:
    """Name a plan; see RETURN."""
    try:
        asks = plan_asks(
            stages, to, app_requirements, app_home, contents or {}, bool(require_hashes)
        )
    except FleetError as error:
        raise AnsibleFilterError(str(error)) from error
    return plan_hash(asks)


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"plan_hash": name_plan}
