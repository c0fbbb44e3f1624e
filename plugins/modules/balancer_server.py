# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# It is an action: plugins/action/balancer_server.py hands the order to the provider's module.

DOCUMENTATION = r"""
module: balancer_server
short_description: Take a server out of a load balancer, or put it back, whatever that runs
version_added: 0.3.0
description:
  - Hands the order to the module of the O(provider), such as M(fleetops.gunicorn.haproxy_server) or
    M(fleetops.gunicorn.nginx_server), on the host that the task is delegated to.
  - What only that module knows, such as the socket of HAProxy, comes from the operator's inputs
    (C(load_balancer_socket), C(load_balancer_nginx_conf)), of the balancer's host or else of the
    server's.
  - Every other option is handed on as it is.
attributes:
  check_mode:
    support: full
    description: As in the provider's module.
  diff_mode:
    support: none
    description: As in the provider's module.
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
  state:
    description: V(drained) takes the server out, V(ready) puts it back.
    type: str
    choices: [drained, ready]
    required: true
  server:
    description: The server, as the backends name it.
    type: str
    required: true
  backends:
    description: The backends that it is taken out of.
    type: list
    elements: str
    required: true
author:
  - The fleetops.gunicorn authors (@fleetops)
seealso:
  - module: fleetops.gunicorn.balancer_server_info
"""

EXAMPLES = r"""
- name: Take the server out
  fleetops.gunicorn.balancer_server:
    provider: "{{ load_balancer_provider }}"
    server: "{{ load_balancer_server }}"
    backends: "{{ load_balancer_backends }}"
    state: drained
  delegate_to: lb1
"""

RETURN = r"""
changed:
  description: What the provider's module returns; the same keys for all of them.
  returned: always
  type: bool
"""
