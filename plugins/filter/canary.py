# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a canary is worse than the servers beside it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: canary
short_description: Judge a canary against the servers beside it
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Compares the servers on the new release with those still on the old one, over the same time.
  - Failed requests, connection errors and log incidents are compared by exact tests of their
    counts, response times by a signed-rank test of blocks of requests.
  - A gate looks several times. However often it looks, and however much it compares, it fails a
    canary that is as good as its baseline no more often than O(false_alarm).
  - C(docs/canary.md) in the repository tells why these tests, and how often they err.
positional: look, looks, gates
options:
  _input:
    description:
      - What happened since the gate began, window after window, in the order of time.
      - A window holds C(seconds) (its length), C(canary) and C(baseline). These hold what rose
        within the window on that side, summed over its servers; what is absent was not measured.
      - C(requests), C(errors) (answers of 5xx), C(connection_errors), C(incidents) (of the log) are
        counts; C(server_seconds) is seconds times servers (default C(seconds), one server);
        C(time_ms) is the mean response time of these requests in milliseconds.
    type: list
    elements: dict
    required: true
  look:
    description: Which look at this gate this is, from 1. Only the last one can pass.
    type: int
    default: 1
  looks:
    description: How many looks the gate takes in all.
    type: int
    default: 1
  gates:
    description:
      - How many gates the rollout has, which is its hosts times its stages. With many gates each
        gets less than O(false_alarm).
      - A gate that is extended is one gate more.
    type: int
    default: 1
  false_alarm:
    description: The chance that one gate fails a canary that is as good as its baseline.
    type: float
    default: 0.01
  false_alarm_rollout:
    description: The same for all gates of a rollout together.
    type: float
    default: 0.05
  missed:
    description: The chance that a gate passes a canary that is worse by the C(change) of its rule.
    type: float
    default: 0.05
  power:
    description: The chance to see that change that RV(_value.needed) reckons with.
    type: float
    default: 0.95
  early:
    description: The share of the false alarms that all looks before the last may spend.
    type: float
    default: 0.02
  burst:
    description:
      - The most errors that may count as one where they come in bursts; V(1) to count each.
      - How many do is estimated from the windows. Beyond chance only. In fewer than 8 windows as
        many are assumed as these leave possible, in fewer than 3 so many as this.
    type: float
    default: 100
  time_block:
    description: How many requests of each side make one sample of the response time.
    type: int
    default: 200
  time_floor_ms:
    description: A difference of response times below this many milliseconds is never acted on.
    type: float
    default: 10
  rules:
    description:
      - What is judged, and how, by V(errors), V(connection_errors), V(incidents) and V(times). What
        is not named is not judged; without this option all four are.
      - C(weight) is the share of the false alarms (0.9, 0.04, 0.03, 0.03).
      - C(tolerance) is the smallest observed difference that may fail the canary (0.001, 0.001 per
        request, 0 per server and hour, and for times the ratio 1.2).
      - C(change) is the difference that a pass rules out (0.005, 0.005, 60, and the ratio 1.5).
      - C(required) tells whether the gate is inconclusive if this measure is (only V(errors)).
    type: dict
"""

EXAMPLES = r"""
- name: Judge the canary at the last of twelve looks
  ansible.builtin.debug:
    msg: "{{ windows | fleetops.gunicorn.canary(look=12, looks=12, gates=4) }}"
  vars:
    windows:
      - seconds: 60
        canary: {requests: 3000, errors: 12, connection_errors: 0, time_ms: 48.0}
        baseline: {requests: 3000, errors: 1, connection_errors: 0, time_ms: 47.1}

- name: Judge errors and times only, and see changes of one percent
  ansible.builtin.debug:
    msg: "{{ windows | fleetops.gunicorn.canary(rules=rules) }}"
  vars:
    rules:
      errors: {change: 0.01}
      times: {required: true}
"""

RETURN = r"""
_value:
  description: The verdict.
  type: dict
  contains:
    verdict:
      description:
        - V(fail) if the canary is worse than its baseline, by more than is tolerated and beyond
          chance.
        - V(pass) if it is not, and the traffic has ruled out the change worth acting on.
        - V(inconclusive) if the traffic cannot tell, and before the last look.
      type: str
    reasons:
      description: Why it is no V(pass); also how long it would take if it is V(inconclusive).
      type: list
      elements: str
    measures:
      description:
        - One entry for each rule, with C(name), C(verdict) (V(pass), V(fail), V(inconclusive), or
          V(suspect) if it is worse but in bursts), C(reason), C(canary) and C(baseline) (rates per
          request or per server and hour, times in milliseconds), C(p) and the C(threshold) at or
          below which it fails, C(upper) (the most by which its rate may be worse), C(burst) (how
          many errors counted as one), C(required) and C(counts).
        - What could not be computed is none (null).
      type: list
      elements: dict
    needed:
      description:
        - After an inconclusive last look, how long the gate must be at the traffic that it saw.
          Otherwise empty.
        - C(seconds) counts from the first window and is none (null) if no time will do.
          C(more_seconds) is what is left of it, C(measure) what needs it, C(text) says it, and
          C(each) has the figures of each measure.
      type: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.judge import (
    judge_canary,
)


def canary(
    windows: Any, look: int = 1, looks: int = 1, gates: int = 1, **settings: Any
) -> dict[str, Any]:
    """Judge the windows of a gate; see RETURN."""
    settings.update(look=look, looks=looks, gates=gates)
    if settings.get("rules", {}) is None:
        del settings["rules"]
    try:
        return judge_canary(windows, settings)
    except FleetError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"canary": canary}
