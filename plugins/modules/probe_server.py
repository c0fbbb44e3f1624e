#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: probe_server
short_description: Make a server's health page fail until its balancer sends nobody, and end that
version_added: 0.3.0
description:
  - For a load balancer that nobody of us can ask or tell anything, such as a cloud's or a box of
    somebody else's, and that takes a server out when its health page fails. Makes the page fail, by
    a file or a command, waits until the balancer has had the time to notice and nobody has come any
    more, or makes it well again and waits until users may have come back.
  - The page is read back. Before and while the server is out, the health pages of O(others) are
    asked from here, and it is put back where too few of them answer.
  - Everything that can be refused is refused before the first change. A drain that fails makes the
    server well again, unless O(on_timeout=fail) asks otherwise.
  - What somebody else has done to the health page is left, with a note and RV(servers[].left_out).
    What was done here is known by what is left of it, our text in the file, the file that was put
    aside, or a note in O(lease_directory).
  - Runs on the server itself.
attributes:
  check_mode:
    support: full
    description: Reads and refuses as the real run does, changes nothing and does not wait.
  diff_mode:
    support: full
    description: Whether the server is in rotation, per backend.
  platform:
    support: full
    platforms: linux
    description: The server itself.
extends_documentation_fragment:
  - fleetops.gunicorn.probe
options:
  backends:
    description:
      - Under which names the server is told of. The balancer has names of its own, which nobody
        asks for here; most often there is one.
    type: list
    elements: str
    required: true
  server:
    description: What the server is called, other than each of O(others).
    type: str
    required: true
  state:
    description:
      - With V(drained), the module returns when the page has failed for O(settle), no look for one
        second has seen a connection to O(ports), and O(page) says O(page_out).
      - Refused if fewer than O(min_available) others answer well, and if nobody listens on one of
        O(ports), since then nobody would be seen there.
      - With V(ready), it returns when the page answers, O(settle_back) is over, and what O(back_by)
        and O(page_in) ask for was seen.
    type: str
    choices: [drained, ready]
    required: true
  gate_url:
    description:
      - The page by which a gate asks the application while the server is out. Where it answers
        before and not once the server is made ill, nobody could judge a release, and the server is
        made well again. Empty asks none.
    type: str
    default: ""
  gate_status:
    description: Statuses of it that are good.
    type: list
    elements: int
    default: [200]
  gate_headers:
    description: Headers of that request, by name.
    type: dict
    default: {}
  min_available:
    description:
      - How many other servers must answer well for a drain, as a count (V(1)) or a share of all of
        them with this one (V(50%), rounded up).
      - Counted before, right after the page has failed, and about once a second while it is waited.
        Of two that go at the same moment one sees the other, and goes back.
    type: str
    default: "1"
  drain_timeout:
    description: How long to wait after O(settle) for the connections to end, in seconds.
    type: float
    default: 60
  on_timeout:
    description:
      - What to do when they do not end in time, such as websockets and long polls, or when O(page)
        still has the server.
      - V(restore) makes the server well again and fails. V(force) goes on and tells how many were
        left (RV(sessions_cut)). V(fail) leaves the server as it is and fails.
    type: str
    choices: [restore, force, fail]
    default: restore
  share:
    description: Only V(0) and V(100). Such a balancer gives no server a share.
    type: int
    default: 0
  up_timeout:
    description:
      - How long to wait for the health page to answer, and after O(settle_back) for O(page_in) or
        O(back_by=connections), in seconds.
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
      - With O(state=drained), the server is made well by itself after so many seconds, whatever
        has become of Ansible, of its connection and of the controller. With V(0) no lease is
        taken, and one that there is stays as it is.
      - Taken before the server is made ill, renewed while the module waits; it counts from the end
        of the drain. Every further O(state=drained) renews it; O(state=ready) cancels it. If it
        cannot be taken, nothing is drained.
      - A small process on this server keeps it, and ends with it; C(lease.log) says what it did.
      - After a reboot nobody keeps it; a file is still there, and O(state=ready) ends that.
    type: float
    default: 0
author:
  - The fleetops.gunicorn authors (@fleetops)
seealso:
  - module: fleetops.gunicorn.probe_server_info
"""

EXAMPLES = r"""
- name: Make web1 look ill by a file, and wait until nobody comes
  fleetops.gunicorn.probe_server:
    backends: [app]
    server: web1
    state: drained
    url: http://10.0.0.11:8000/lb
    others:
      web2: http://10.0.0.12:8000/lb
    file: /srv/app/maintenance
    ports: ["8000"]
    settle: 30
    lease: 300

- name: Stop the nginx on web1, through which the balancer comes, and start it again
  fleetops.gunicorn.probe_server:
    backends: [app]
    server: web1
    state: "{{ item }}"
    url: https://10.0.0.11/healthz
    others:
      web2: https://10.0.0.12/healthz
    ill_command: [systemctl, stop, nginx]
    well_command: [systemctl, start, nginx]
    state_command: [systemctl, is-active, --quiet, nginx]
    ports: ["443"]
  loop: [drained, ready]
  become: true
"""

RETURN = r"""
node:
  description: This server; nobody knows of the balancer.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      returned: success
      type: str
    version:
      description: Empty.
      returned: success
      type: str
    pid:
      description: V(0).
      returned: success
      type: int
    uptime:
      description: Its age in seconds.
      returned: success
      type: int
    started:
      description: When it started, as seconds since the epoch.
      returned: success
      type: int
    requests:
      description: None (null).
      returned: success
      type: int
    connections:
      description: V(0).
      returned: success
      type: int
level:
  description: V(admin) if the health page may be made to fail from here, V(user) if not.
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
        - V(UP) or V(DOWN) as its health page answers, V(MAINT) if it is made ill, V(no check) of
          one that was not asked.
      returned: success
      type: str
    admin:
      description: The administrative state, V(ready) or V(maint).
      returned: success
      type: str
    sessions:
      description: V(0); see RV(sessions_cut).
      returned: success
      type: int
    queue:
      description: V(0).
      returned: success
      type: int
    check:
      description: What came back for its health page.
      returned: success
      type: str
      sample: HTTP 200 for /lb
    weight:
      description: V(0) while it is made ill, else V(1).
      returned: success
      type: int
    weight_set:
      description: V(1).
      returned: success
      type: int
    weight_full:
      description: V(1).
      returned: success
      type: int
    backup:
      description: False.
      returned: success
      type: bool
    throttle:
      description: V(100).
      returned: success
      type: int
    agent:
      description:
        - Empty.
      returned: success
      type: str
    agent_check:
      description: Empty.
      returned: success
      type: str
    left_out:
      description: Whether somebody else had taken it out before a drain, so that it is left out.
      returned: success
      type: bool
    address:
      description: The URL of its health page; of others empty.
      returned: success
      type: str
    counters:
      description: Empty.
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
  description: Connections that still were when the wait ended with O(on_timeout=force).
  returned: success
  type: int
drained_at:
  description: When it was seen that nobody comes, as seconds since the epoch.
  returned: success with O(state=drained) and not in check mode
  type: float
ready_at:
  description: When the server was made well, as seconds since the epoch.
  returned: success with O(state=ready) and not in check mode
  type: float
up_at:
  description: When it counts as used again, as seconds since the epoch.
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

from typing import Any, Dict

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
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.access import Probe
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.drain import Change
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.options import (
    ARGUMENTS as REACH,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.options import (
    ORDERS,
    settings_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import CLOCK
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import (
    AnsibleModule,
    show_headers,
)

ARGUMENTS = dict(ORDER, **REACH, **ORDERS)
# How long a lease waits for one look.
_PATIENCE = 10.0


def look(params: Dict[str, Any], check_mode: bool) -> Change:
    """Read what there is and make ready to change it."""
    check_order(params)
    if params["share"] not in (0, 100):
        raise FleetError(
            f"share is {params['share']}: a balancer that only asks a health page gives no server a"
            " share. Take no ramp (rollout_ramp: [])."
        )
    settings = settings_of(params)
    fence = fence_of(params, Probe(settings))
    access = Probe(settings, fence.check) if claimed(fence, params, check_mode) else Probe(settings)
    wish = wish_of(params, _PATIENCE)
    return access.change(wish, params["backends"], CLOCK, _PATIENCE)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    for name in ("headers", "page_headers", "gate_headers"):
        show_headers(module, module.params[name])
    run(module, lambda: Probe(settings_of(module.params)), look, _PATIENCE)


if __name__ == "__main__":
    main()
