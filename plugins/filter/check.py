# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs on one host, judged."""

from __future__ import annotations

DOCUMENTATION = r"""
name: check
short_description: Judge what runs on a host now
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Turns what the modules saw into the verdict of the gate, with figures, incidents and a diagnosis
    from the table of known problems.
options:
  _input:
    description:
      - What was seen, as for the filter P(fleetops.gunicorn.verdict#filter).
      - And C(host), C(at) (seconds since the epoch), C(since) (from when on is judged, or none for
        the start of what runs), C(history) (a result of M(fleetops.gunicorn.log_check)) with
        C(history_since), and C(stages).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Judge
  ansible.builtin.set_fact:
    judged: "{{ look | fleetops.gunicorn.check }}"
"""

RETURN = r"""
_value:
  description: The host, as in C(hosts) of the file that docs/check.md describes.
  type: dict
  contains:
    verdict:
      description: V(clean), V(dirty) or V(inconclusive).
      type: str
    reasons:
      description: Why.
      type: list
      elements: str
"""

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.verdict import check


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"check": check}
