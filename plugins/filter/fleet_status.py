# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet at this moment, as data."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_status
short_description: Gather all that is known of a fleet
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Turns what the roles C(service) and C(load_balancer) found on several hosts, and what the
    balancer's host keeps of the fleet, into one dictionary.
positional: record, lock, waits, balancers, reports
options:
  _input:
    description: The variables of each host.
    type: list
    elements: dict
    required: true
  record:
    description: A result of M(fleetops.gunicorn.fleet_record).
    type: dict
  lock:
    description: A result of M(fleetops.gunicorn.fleet_lock) in check mode.
    type: dict
  waits:
    description:
      - The time it is C(now), in seconds since the epoch, and how many seconds a server has to
        C(soak) and to C(bake), and how many the C(ramp) of the first of a stage takes before its
        soak (default 0); C(stages) and C(to), as C(rollout_stages) and C(rollout_to) have them.
        Without it nothing is said of what is left.
    type: dict
  balancers:
    description:
      - Results of M(fleetops.gunicorn.haproxy_server_info) and its option C(servers),
        where each balancer was asked once about all hosts, as the role C(load_balancer) does it.
    type: list
    elements: dict
    version_added: 0.3.0
  reports:
    description: A result of M(fleetops.gunicorn.fleet_report_info).
    type: dict
    version_added: 1.0.0
"""

EXAMPLES = r"""
- name: Show the fleet
  ansible.builtin.debug:
    msg: "{{ groups['web'] | map('extract', hostvars) | fleetops.gunicorn.fleet_status }}"
"""

RETURN = r"""
_value:
  description: The fleet. Times are seconds since the epoch, spans are seconds.
  type: dict
  contains:
    hosts:
      description:
        - For each host its C(host), C(gunicorn), C(python), C(release), C(previous), C(since),
          C(age), C(workers), C(state) of the service manager, and C(error) if it could not be
          asked.
        - C(balancers), a list of C(balancer), C(backend), C(status), C(share) (of its configured
          weight, in percent), C(lease) and C(error).
        - C(recorded), what the record of the fleet says of it.
        - C(left), what it still has to wait for, C(what) (V(soak) or V(bake)) and C(seconds), and
          the number of the C(stage) where that bakes.
        - C(last_incident) of the record, C(at) and C(why).
      type: list
      elements: dict
    bakes:
      description:
        - Each stage that bakes, its number (C(stage)), C(of) how many, C(gunicorn), the C(hosts)
          that run it, C(left) seconds, C(now), C(until) when, and the hosts that are C(behind).
      type: list
      elements: dict
    lock:
      description: Its C(state) (V(free), V(held) or V(unknown)), C(text) and C(holder).
      type: dict
    run:
      description: The run at hand or the last one, of the record of the fleet.
      type: dict
    bad_releases:
      description: Releases that are marked bad, with C(host), C(by), C(at) and C(why).
      type: dict
    reports:
      description: Which are kept, as M(fleetops.gunicorn.fleet_report_info) returns them.
      type: list
      elements: dict
    reports_error:
      description: Why it could not be said which reports are kept.
      type: str
    error:
      description: Why the record could not be read.
      type: str
"""

from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._status import fleet_status


class FilterModule:
    """Register the filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {"fleet_status": fleet_status}
