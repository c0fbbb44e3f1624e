# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One verdict from all that was looked at."""

from __future__ import annotations

DOCUMENTATION = r"""
name: verdict
short_description: Judge whether a rollout may move on
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Turns what the modules saw into one verdict with its reasons.
options:
  _input:
    description:
      - What was seen, by the keys C(health), C(process), C(log), C(balancers) and C(baseline).
      - And what it is judged by, C(generation), C(log_quiet) and C(balancer_tolerance).
      - What is absent is not judged. What is there and brought no answer is an V(error), as is a
        look at nothing.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Judge
  ansible.builtin.debug:
    msg: "{{ {'health': health, 'log': log} | fleetops.gunicorn.verdict }}"
"""

RETURN = r"""
_value:
  description: The verdict.
  type: dict
  contains:
    verdict:
      description: One of V(pass), V(inconclusive), V(error) and V(fail). Only V(pass) moves on.
      type: str
    reasons:
      description: Why it is no V(pass).
      type: list
      elements: str
    summary:
      description: What was seen, in a few words.
      type: str
"""

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.verdict import (
    judge,
)


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"verdict": judge}
