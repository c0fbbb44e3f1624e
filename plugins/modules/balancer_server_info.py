# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# It is an action: plugins/action/balancer_server_info.py hands the question on.

DOCUMENTATION = r"""
module: balancer_server_info
short_description: Read who serves behind a load balancer, whatever that runs
version_added: 0.3.0
description:
  - Hands the question to the module of the O(provider), such as
    M(fleetops.gunicorn.haproxy_server_info) or M(fleetops.gunicorn.nginx_server_info), on the host
    that the task is delegated to.
  - What only that module knows comes from the operator's inputs, of the balancer's host, or else
    from O(reach), or else of the server's host. Every other option is handed on as it is.
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It only reads.
  platform:
    support: full
    platforms: linux
    description: The host of the balancer.
options:
  provider:
    description: What the balancer runs.
    type: str
    choices: [haproxy, nginx, probe]
    required: true
  reach:
    description: Inputs by their names, for a question that is about many servers.
    type: dict
    default: {}
  backends:
    description: The backends to read.
    type: list
    elements: str
    default: []
author:
  - The fleetops.gunicorn authors (@fleetops)
seealso:
  - module: fleetops.gunicorn.balancer_server
"""

EXAMPLES = r"""
- name: Read the balancer
  fleetops.gunicorn.balancer_server_info:
    provider: "{{ load_balancer_provider }}"
    backends: "{{ load_balancer_backends }}"
  delegate_to: lb1
"""

RETURN = r"""
node:
  description: The process that answered. All other keys are those of the provider's module.
  returned: success
  type: dict
"""
