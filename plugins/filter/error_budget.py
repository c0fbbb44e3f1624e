# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether users have seen more errors during a run than its budget allows."""

from __future__ import annotations

DOCUMENTATION = r"""
name: error_budget
short_description: Judge the errors that users saw during a run
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Compares what the balancers count for whole backends with what they counted when the run began.
  - Counts answers of 500 and above, retries and redispatches; in C(mode tcp) broken connections.
  - What the fleet showed before the run, per request, is left out, up to 5 %. Of less than 10,000
    requests before it, the rest counts as if it had gone well.
positional: budget
options:
  _input:
    description: Results of M(fleetops.gunicorn.haproxy_server_info), one per balancer.
    type: list
    elements: dict
    required: true
  budget:
    description:
      - C(baseline), the same when the run began.
      - C(earlier), an earlier look still; may be absent. An outage that was over by then is no
        normal.
      - C(errors), a count, and C(percent), a share of the requests since then. Below 0, no limit.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Stop if users suffer
  ansible.builtin.assert:
    that: (now | fleetops.gunicorn.error_budget(budget)).within
  vars:
    now: "{{ looked.results }}"
    budget: {baseline: "{{ before.results }}", errors: 100, percent: 1}
"""

RETURN = r"""
_value:
  description: What became of the budget.
  type: dict
  contains:
    within:
      description: Whether the run may go on.
      type: bool
    text:
      description: What was seen, and the limit that it is beyond.
      type: str
    requests:
      description: Requests since the run began.
      type: int
    errors:
      description: Errors since then.
      type: int
    excess:
      description: Errors beyond what was usual before.
      type: float
"""

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.error_budget import (
    error_budget,
)


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"error_budget": error_budget}
