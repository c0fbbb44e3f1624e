# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happened between looks at the balancers, for the filter ``canary``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: canary_windows
short_description: Turn looks at the balancers into windows for the filter canary
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Makes of each two looks one window, with what rose between them on each side.
  - A balancer that was restarted between two looks counts from then on, for both sides alike; where
    it cannot be told whether it began at 0, that window holds nothing of it.
positional: canary, baseline
options:
  _input:
    description:
      - The looks, in the order of time.
      - A look holds C(at) (seconds since the epoch), C(balancers) (what
        M(fleetops.gunicorn.haproxy_server_info) returned of each, with the balancer's name as
        C(item)), and, if logs are read too, C(incidents) (the incidents so far, by server).
    type: list
    elements: dict
    required: true
  canary:
    description: Names of the servers on the new release, as the balancers know them.
    type: list
    elements: str
    required: true
  baseline:
    description: Names of the servers beside them, on the old release.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Judge web1 against web2
  ansible.builtin.debug:
    msg: "{{ windows | fleetops.gunicorn.canary }}"
  vars:
    windows: "{{ looks | fleetops.gunicorn.canary_windows(['web1'], ['web2']) }}"
"""

RETURN = r"""
_value:
  description: The windows, as P(fleetops.gunicorn.canary#filter) takes them.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.balancer import (
    windows_from_looks,
)


def canary_windows(looks: Any, canary: Any, baseline: Any) -> list[dict[str, Any]]:
    """Turn looks at the balancers into windows; see RETURN."""
    try:
        found = windows_from_looks(looks, canary, baseline)
    except FleetError as error:
        raise AnsibleFilterError(str(error)) from error
    return [
        {
            "seconds": window.seconds,
            "canary": window.canary._asdict(),
            "baseline": window.baseline._asdict(),
        }
        for window in found
    ]


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"canary_windows": canary_windows}
