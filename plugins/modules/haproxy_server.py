#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: haproxy_server
short_description: Take a server out of HAProxy without losing a request, and put it back
version_added: 0.1.0
description:
  - Drains one server in one or more backends of one HAProxy through its runtime API, and waits
    until no request is left on it; or sets it ready and waits until HAProxy really uses it.
  - Every command is read back, and every exchange with the socket has a deadline. An answer such
    as C(Permission denied) or C(No such server.), silence, or a state that reads back otherwise
    is an error that says what to do next.
  - All backends are read, and everything that can be refused is refused, before the first command
    that changes anything. A drain that fails puts the server back as it was, unless
    O(on_timeout=fail) asks otherwise.
  - Runs where the socket is, usually delegated to the load balancer.
attributes:
  check_mode:
    support: full
    description: Reads and refuses as the real run does, changes nothing and does not wait.
  diff_mode:
    support: full
    description: The administrative state of the server per backend.
  platform:
    support: full
    platforms: posix
    description: The host that the socket belongs to, or any host that reaches it over TCP.
options:
  socket:
    description:
      - HAProxy's C(stats socket), which must be of C(level admin).
      - A path (V(/run/haproxy/admin.sock) or V(unix:///run/haproxy/admin.sock)), or
        V(tcp://host:port).
    type: str
    required: true
  backends:
    description:
      - The backends that hold the server, as HAProxy's configuration names them.
      - They are changed in this order.
    type: list
    elements: str
    required: true
  server:
    description: The server, as the backends name it (often not the name of the host).
    type: str
    required: true
  state:
    description:
      - With V(drained), new requests go elsewhere and the module returns when no session and
        nothing queued is left. Idle connections that HAProxy keeps open to the server do not
        count. A server that already is in DRAIN or MAINT is not changed, and its sessions are
        awaited all the same. A server that is DOWN can be drained whatever the others do.
      - With a cookie or a stick table in the backend, or if requests keep coming to the draining
        server, DRAIN is not enough, since requests that belong to the server still come to it.
        Once idle, the server goes on to MAINT.
      - In a backend of C(mode tcp), sessions are connections, and idle ones count.
      - With V(ready), the server goes back into rotation and the module returns when its status
        is C(UP), or C(no check) where HAProxy does not check it. C(UP 1/3) is not enough. Out of
        MAINT the server first passes through DRAIN, where its checks run and no request comes,
        since HAProxy takes a server out of MAINT for UP before it has looked.
      - If HAProxy is reloaded while the module waits and forgets that the server is drained, it
        is drained once more. The process before the reload must have ended too, where it can be
        seen (socket on the same host).
    type: str
    choices: [drained, ready]
    required: true
  min_available:
    description:
      - How many other servers of each backend must be UP for a drain, as a count (V(1)) or a
        share of the backend's servers without its backups (V(50%), rounded up).
      - Counted in HAProxy's live state. Servers in transition (C(UP 1/3)), with weight 0, in
        DRAIN or MAINT, and backup servers that are not in use do not count; servers without a
        check do.
      - If fewer are left while the server drains, it is put back at once and the module fails.
    type: str
    default: "1"
  drain_timeout:
    description:
      - How long to wait for the sessions to end, in seconds.
      - A server that goes on to MAINT has this time once more.
    type: float
    default: 60
  on_timeout:
    description:
      - What to do with sessions that do not end in time.
      - V(restore) puts the server back as it was and fails.
      - V(force) takes the server to MAINT, waits O(drain_timeout) once more, and then succeeds
        with RV(sessions_cut).
      - V(fail) leaves the server as it is and fails.
    type: str
    choices: [restore, force, fail]
    default: restore
  up_timeout:
    description: How long to wait for C(UP), in seconds. The server stays ready if the wait fails.
    type: float
    default: 60
  socket_timeout:
    description:
      - How long one exchange with the socket may take, in seconds.
      - While waiting, a balancer that gives no answer (as in a reload) is asked again for as long.
    type: float
    default: 5
  poll:
    description: The time between two looks while waiting, in seconds.
    type: float
    default: 0.1
author:
  - The fleetops.gunicorn authors (@fleetops)
seealso:
  - module: fleetops.gunicorn.haproxy_server_info
"""

EXAMPLES = r"""
- name: Take web1 out of rotation
  fleetops.gunicorn.haproxy_server:
    socket: /run/haproxy/admin.sock
    backends: [app]
    server: web1
    state: drained
  delegate_to: lb1

- name: Put web1 back
  fleetops.gunicorn.haproxy_server:
    socket: tcp://10.0.0.5:9999
    backends: [app, api]
    server: web1
    state: ready
    up_timeout: 30
"""

RETURN = r"""
node:
  description: The HAProxy that answered last.
  returned: success
  type: dict
  contains:
    name:
      description: The name of its host.
      returned: success
      type: str
    version:
      description: Its version.
      returned: success
      type: str
    pid:
      description: The process that answered.
      returned: success
      type: int
    uptime:
      description: The age of that process in seconds.
      returned: success
      type: int
level:
  description: The level of the socket, V(admin), V(operator) or V(user); empty before HAProxy 1.9.
  returned: success
  type: str
servers:
  description: The server in each backend, as last seen.
  returned: success
  type: list
  elements: dict
  contains:
    backend:
      description: The backend.
      returned: success
      type: str
    server:
      description: The server.
      returned: success
      type: str
    status:
      description:
        - HAProxy's word for it, such as V(UP), V(UP 1/3), V(DOWN), V(DRAIN), V(MAINT) or V(no
          check).
      returned: success
      type: str
    admin:
      description: The administrative state, V(ready), V(drain) or V(maint).
      returned: success
      type: str
    sessions:
      description: Requests in flight, or connections in C(mode tcp).
      returned: success
      type: int
    queue:
      description: Requests waiting for a free slot of the server.
      returned: success
      type: int
    check:
      description: The last health check's result.
      returned: success
      type: str
      sample: L4CON Connection refused
    weight:
      description: The effective weight. With V(0) no new request comes.
      returned: success
      type: int
    backup:
      description: Whether it is a backup server.
      returned: success
      type: bool
    address:
      description: Address and port.
      returned: success
      type: str
    counters:
      description:
        - HAProxy's counters since it started, as its C(show stat) names them (C(stot), C(econ),
          C(eresp), C(wretr), C(hrsp_5xx), C(rtime) in ms, and more). A reload resets them.
      returned: success
      type: dict
available:
  description:
    - For each backend, who serves it apart from the server.
    - C(enough) tells whether they are as many as O(min_available) asks for, C(possible) whether
      they could ever be.
  returned: success
  type: dict
  sample:
    app:
      up: [web2]
      total: 2
      wanted: 1
      possible: true
      enough: true
waited:
  description: How long the module waited, in seconds.
  returned: success and not in check mode
  type: float
sessions_cut:
  description: Sessions that still ran when the wait ended with O(on_timeout=force).
  returned: success
  type: int
drained_at:
  description: When no session was left, as seconds since the epoch.
  returned: success with O(state=drained) and not in check mode
  type: float
ready_at:
  description: When HAProxy took the server back, as seconds since the epoch.
  returned: success with O(state=ready) and not in check mode
  type: float
up_at:
  description: When the server was seen to be UP, as seconds since the epoch.
  returned: success with O(state=ready) and not in check mode
  type: float
notes:
  description: What an operator may want to know, in sentences.
  returned: always
  type: list
  elements: str
left_drained:
  description: Whether the server was left out of rotation by O(on_timeout=fail).
  returned: failure
  type: bool
"""

import os
import time
from typing import Any, Dict, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._haproxy import (
    describe,
    parse_need,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._haproxy_drain import (
    Balancer,
    Change,
    Clock,
    Wish,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._haproxy_socket import (
    ask,
    parse_address,
)

ARGUMENTS = {
    "socket": {"type": "str", "required": True},
    "backends": {"type": "list", "elements": "str", "required": True},
    "server": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["drained", "ready"], "required": True},
    "min_available": {"type": "str", "default": "1"},
    "drain_timeout": {"type": "float", "default": 60},
    "on_timeout": {"type": "str", "choices": ["restore", "force", "fail"], "default": "restore"},
    "up_timeout": {"type": "float", "default": 60},
    "socket_timeout": {"type": "float", "default": 5},
    "poll": {"type": "float", "default": 0.1},
}


def look(params: Dict[str, Any]) -> Change:
    """Read the balancer and make ready to change it."""
    if not params["backends"]:
        raise FleetError("backends is empty. Name the backends that hold the server.")
    if params["socket_timeout"] <= 0 or params["poll"] <= 0:
        raise FleetError("socket_timeout and poll are seconds and must be above 0.")
    address = parse_address(params["socket"])
    balancer = Balancer(
        lambda commands: ask(address, commands, params["socket_timeout"]), params["backends"]
    )
    wish = Wish(
        server=params["server"],
        need=parse_need(params["min_available"]),
        drain_timeout=params["drain_timeout"],
        on_timeout=params["on_timeout"],
        up_timeout=params["up_timeout"],
        patience=params["socket_timeout"],
        poll=params["poll"],
    )
    clock = Clock(time.monotonic, time.time, time.sleep)
    alive = (lambda pid: os.path.exists(f"/proc/{pid}")) if address.local else None
    return Change(balancer, wish, clock, alive)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    state = module.params["state"]
    change: Optional[Change] = None
    try:
        change = look(module.params)
        before, after = change.found(), change.plan(state)
        change.check(state)
        if not module.check_mode:
            change.carry_out(state)
            after = change.found()
    except FleetError as exc:
        module.fail_json(
            msg=str(exc),
            changed=change is not None and change.changed,
            left_drained=change is not None and change.left_drained,
            notes=change.notes if change else [],
        )
    module.exit_json(
        changed=before != after,
        diff={"before": before, "after": after},
        notes=change.notes,
        **describe(change.picture, change.wish.server, change.wish.need),
        **change.measured,
    )


if __name__ == "__main__":
    main()
