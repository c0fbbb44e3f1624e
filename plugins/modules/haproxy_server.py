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
extends_documentation_fragment:
  - fleetops.gunicorn.haproxy
options:
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
        count. The sessions of a server that already is in DRAIN or MAINT are awaited all the same.
        A server that is DOWN can be drained whatever the others do.
      - DRAIN is not enough, since a cookie, a stick table (also of another backend) and a
        C(use-server) rule go on sending requests. Once idle, the server goes on to MAINT, where
        nothing may come to it for one second, or for three where users may belong to it.
        Requests that do come (C(option persist), C(force-persist)) would be lost in a switch, so
        the server is put back and the module fails; with O(on_timeout=force) that is a note.
      - An agent (C(agent-check)) that is heard is muted (C(disable agent)) while the server is out,
        and with V(ready) and an O(share) below 100, since its answers put a server back and set its
        weight. It is heard again once the server has all of its weight.
      - What the server was in before is remembered in O(lease_directory), and V(ready) and the end
        of a lease put it back to that. A server that somebody else had taken out stays out, with a
        note and RV(servers[].left_out); one that is out and was not drained before is set ready.
      - In a backend of C(mode tcp), sessions are connections, and idle ones count.
      - With V(ready), the server goes back into rotation and the module returns when its status is
        C(UP), or C(no check) where HAProxy does not check it. C(UP 1/3) is not enough, nor is a
        server that C(slowstart) still holds back, for which it waits beyond O(up_timeout) as long
        as its share grows. Out of MAINT the server first passes through DRAIN, where its checks run
        and no request comes, since HAProxy takes a server out of MAINT for UP before it has looked.
      - If HAProxy is reloaded while the module waits and forgets that the server is drained, it
        is drained once more. For a reload after that, see O(lease).
      - The processes of before a reload, also of one before the drain, are waited for where they
        can be seen in C(/proc) (a container's from its host too), until they have ended or have had
        no connection to the server for ten seconds.
    type: str
    choices: [drained, ready]
    required: true
  min_available:
    description:
      - How many other servers of each backend must be UP for a drain, as a count (V(1)) or a
        share of the backend's servers without its backups (V(50%), rounded up).
      - Counted in HAProxy's live state. Servers in transition (C(UP 1/3)), held back by
        C(slowstart), with weight 0, in DRAIN or MAINT, and backup servers that are not in use do
        not count; servers without a check do.
      - One failed check is not the end of a server. Before the drain those in transition are given
        up to O(up_timeout) seconds. Once it has begun, who was UP counts until it is C(DOWN).
      - If fewer are left while the server drains, it is put back at once and the module fails.
      - Counting and draining are one step, which only one process of the host takes at a time, so
        that drains which run in parallel never take out more together than each of them may. They
        are kept apart by O(lease_directory), which therefore must be the same for all of them;
        nobody waits there for the sessions of another. Without O(lease), a directory that cannot
        be had is only a note.
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
  share:
    description:
      - With O(state=ready), how much of its weight in HAProxy's configuration the server is given,
        in percent, before it gets requests; V(100) for all of it. With V(0) its weight stays as it
        is.
      - HAProxy knows whole weights from 1 on, so 1 % needs a weight of 100, and shares below 100 %
        need C(balance roundrobin), C(leastconn) or C(random). A reload forgets them.
    type: int
    default: 0
  up_timeout:
    description:
      - How long to wait for C(UP), in seconds. The server stays ready if the wait fails.
      - A balancer that gives no answer when a server is to be put back, with O(state=ready) or by a
        drain that fails, is asked again for as long.
    type: float
    default: 60
  poll:
    description: The time between two looks while waiting, in seconds.
    type: float
    default: 0.1
  turn:
    description:
      - The turn of the run that holds the fleet's lock, from M(fleetops.gunicorn.fleet_lock).
      - It is written down in O(lease_directory), and whoever comes to the same server with a lower
        one is refused from then on, also in the middle of what he does.
      - V(0) is for work by hand.
    type: int
    default: 0
  turn_by:
    description:
      - Whose turn it is, for whoever is refused.
    type: str
    default: ""
  lease:
    description:
      - With O(state=drained), the server is put back by itself after so many seconds, whatever
        has become of Ansible, of its connection and of the controller. With V(0) no lease is
        taken, and one that there is stays as it is.
      - The lease is taken before the server is drained, renewed while the module waits, and counts
        from the end of the drain. Every further O(state=drained) renews it, also for a server that
        is drained already; O(state=ready) cancels it. If it cannot be taken, nothing is drained.
      - It is one for O(backends) together. Another application whose server has the same name in
        other backends has a lease of its own.
      - A small process on the host where the module runs keeps it, and ends with it. At the end it
        finds the server ready, or sets it ready; HAProxy's own check keeps a dead one out. A
        balancer that gives no answer is asked again for ten minutes. A clock that is set does not
        move the end of the lease.
      - Until the end it looks at HAProxy twice a second. A HAProxy that was reloaded or restarted
        has forgotten the drain, and the server is taken out again as soon as O(min_available)
        others are UP there, which needs a health check of each; C(lease.log) says so. Until then
        the server gets requests. Only C(load-server-state-from-file) leaves no such gap. Who sets
        the server ready in a HAProxy that knew of the drain is not overruled.
      - Needs Linux, and the privilege to change the server even if it is drained already. Where
        C(logind) ends the processes of a user at logout (C(KillUserProcesses)), it ends this one
        too, unless the connection is root's; the next renewal says so and starts another.
    type: float
    default: 0
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
    lease: 300
  delegate_to: lb1

- name: Put web1 back
  fleetops.gunicorn.haproxy_server:
    socket: tcp://10.0.0.5:9999
    backends: [app, api]
    server: web1
    state: ready
    up_timeout: 30

- name: Let web1 have a tenth of what it usually gets
  fleetops.gunicorn.haproxy_server:
    socket: /run/haproxy/admin.sock
    backends: [app]
    server: web1
    state: ready
    share: 10
  delegate_to: lb1
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
    started:
      description: When it started, as seconds since the epoch; V(0) where HAProxy does not say.
      returned: success
      type: int
    requests:
      description:
        - HTTP requests that this process has had (C(CumReq)). Never taken over from a process
          before, as the counters of backends are with a C(stats-file). A backend that counts more
          has such.
      returned: success
      type: int
    connections:
      description: Connections that this process has had (C(CumConns)), likewise.
      returned: success
      type: int
level:
  description: The level of the socket, V(admin), V(operator) or V(user); empty before HAProxy 1.9.
  returned: success
  type: str
refusal:
  description: Why nothing may be changed from here, in a sentence; empty if something may.
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
    weight_set:
      description: The weight as it was last set, or as configured.
      returned: success
      type: int
    weight_full:
      description: The weight in HAProxy's configuration.
      returned: success
      type: int
    backup:
      description: Whether it is a backup server.
      returned: success
      type: bool
    throttle:
      description: What C(slowstart) lets it have of its weight, in percent; V(100) otherwise.
      returned: success
      type: int
    agent:
      description:
        - V(on) if an agent (C(agent-check)) is heard, V(off) if it is muted; empty without.
      returned: success
      type: str
    agent_check:
      description: What the agent last said.
      returned: success
      type: str
    left_out:
      description: Whether somebody else had taken it out before a drain, so that it is left out.
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
lease:
  description:
    - The lease on the server in O(backends), the one that ends first if there are several; none
      (null) if nothing will put it back by itself.
  returned: always, if the server was found
  type: dict
  contains:
    until:
      description: When the server is put back, as seconds since the epoch.
      returned: always
      type: float
    seconds_left:
      description: How long that is from now.
      returned: always
      type: float
    pid:
      description: The process that will do it; none (null) if it was killed, so that nothing will.
      returned: always
      type: int
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

from typing import Any, Callable, Dict, Sequence

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.access import (
    Haproxy,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.balancer import (
    Balancer,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.drain import (
    Change,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.reloads import (
    Seen,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.runtime import (
    parse_address,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.orders import (
    ARGUMENTS as ORDER,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.orders import (
    check_order,
    claimed,
    fence_of,
    run,
    wish_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import CLOCK
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import AnsibleModule
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fencing import Fence

ARGUMENTS = dict(
    ORDER,
    socket={"type": "str", "required": True},
    socket_timeout={"type": "float", "default": 5},
)

# What begins so changes something.
CHANGING = ("set ", "enable ", "disable ", "shutdown ")


def fenced(send: Callable[[Sequence[str]], str], fence: Fence) -> Callable[[Sequence[str]], str]:
    """What sends commands, and looks right before each that changes something who may do so."""

    def tell(commands: Sequence[str]) -> str:
        if any(command.startswith(CHANGING) for command in commands):
            fence.check()
        return send(commands)

    return tell


def look(params: Dict[str, Any], check_mode: bool) -> Change:
    """Read the balancer and make ready to change it."""
    check_order(params)
    if params["socket_timeout"] <= 0:
        raise FleetError("socket_timeout is in seconds and must be above 0.")
    access = Haproxy(parse_address(params["socket"]))
    send = access.asker(params["socket_timeout"])
    fence = fence_of(params, access)
    if claimed(fence, params, check_mode):
        send = fenced(send, fence)
    balancer = Balancer(send, params["backends"], params["server"])
    # What cannot be put back stays out. What cannot be drained stays in, which may be told at once.
    patience = params["up_timeout"] if params["state"] == "ready" and not check_mode else 0
    wish = wish_of(params, params["socket_timeout"])
    return Change(balancer, wish, CLOCK, Seen(access.address.local), patience)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    patience = module.params["socket_timeout"]
    run(module, lambda: Haproxy(parse_address(module.params["socket"])), look, patience)


if __name__ == "__main__":
    main()
