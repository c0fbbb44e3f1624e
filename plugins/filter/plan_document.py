# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a run as data."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_document
short_description: Put the plan of a run together
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Turns what the role C(preflight) found on several hosts into one dictionary. It is what
    C(plan_file) holds; C(docs/plan.md) in the repository describes it.
positional: run
options:
  _input:
    description: The variables of the hosts of the run, in the order in which they are taken.
    type: list
    elements: dict
    required: true
  run:
    description:
      - What is the same for all, C(hash), C(fleet), C(stages), C(to), C(waves), C(group) and
        C(present) (names of hosts), C(limits) (seconds that bound a turn), C(record) of the fleet,
        C(index) (a result of M(fleetops.gunicorn.index_info)), C(asked_by), C(keep) (how many
        releases), C(hooks) (as C(rollout_hooks)) and C(trial) (C(test) and the names in
        C(environment)).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Put it together
  ansible.builtin.set_fact:
    plan: "{{ ansible_play_hosts_all | map('extract', hostvars)
              | fleetops.gunicorn.plan_document(run) }}"
"""

RETURN = r"""
_value:
  description: The plan.
  type: dict
  contains:
    schema: {description: V(1)., type: int}
    plan: {description: Its hash; see P(fleetops.gunicorn.plan_hash#filter)., type: str}
    stages: {description: "The stages, and whether they are in the run.", type: list}
    turns: {description: "One host in one stage, in their order.", type: list}
    hazards: {description: "The hazards that a turn brings, by name.", type: dict}
    index: {description: What the package index said., type: dict}
    seconds: {description: How long the turns take., type: dict}
    trials: {description: "What is tried beside the live application, by host.", type: dict}
    prune: {description: "Which releases are removed at the end, by host.", type: dict}
    not: {description: What will not be done., type: dict}
    window: {description: "Whether servers may be begun now, and until or from when.", type: dict}
    once: {description: "What hooks do once for the fleet, in words.", type: list}
    may_fail: {description: "How many servers may fail while the run goes on.", type: int}
    beside:
      description: What becomes of other programs on the same virtualenv, texts by host.
      type: dict
    problems: {description: "What makes the plan impossible, by host.", type: dict}
"""

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.document import (
    plan_document,
)


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {
            "plan_document": plan_document,
        }
