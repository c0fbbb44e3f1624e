#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: nginx_server
short_description: Take a server out of nginx' upstreams without losing a request, and put it back
version_added: 0.3.0
description:
  - Marks the C(server) of one or several C(upstream)s C(down), in whichever file it stands, makes
    nginx reload, sees that new workers serve with it, and waits until no process of nginx is
    connected to the server any more. Or takes the C(down) away again and waits until it serves.
  - A file is replaced as a whole; its owner, mode and labels stay, and so does a link to it. Taken
    out and put back it is byte for byte as before. The new configuration is tested first, and a
    reload that nginx does not take is found out; then the files are as they were, and the module
    fails.
  - What is read back is what runs. What the files said at each reload is remembered with the
    generation of workers that began with it; files that somebody changed and nobody loaded are
    told, and nothing is drained then.
  - Everything that can be refused is refused before the first change. A drain that fails puts the
    server back as it was, unless O(on_timeout=fail) asks otherwise.
  - For nginx open source (and what descends from it) that is in front of several servers by an
    C(upstream). Runs on the host of nginx, usually delegated to it, as root.
attributes:
  check_mode:
    support: full
    description: Reads and refuses as the real run does, changes nothing and does not wait.
  diff_mode:
    support: full
    description: Whether the server is in rotation, per upstream.
  platform:
    support: full
    platforms: linux
    description: The host of nginx.
extends_documentation_fragment:
  - fleetops.gunicorn.nginx
options:
  backends:
    description:
      - The names of the upstreams that hold the server. All of them change with one reload.
    type: list
    elements: str
    required: true
  server:
    description:
      - The server as the C(server) lines spell it, without the port (V(10.0.0.11), V(web1)), or
        with it (V(10.0.0.11:8000), V(unix:/run/app.sock)) where two of an upstream have one host.
        One way for all servers of a fleet.
    type: str
    required: true
  state:
    description:
      - With V(drained), new requests go elsewhere, and the module returns when no worker of nginx,
        those of before the reload included, had a connection to the server for one second. Older
        workers are waited for until they have ended or had none for ten seconds, since they may
        still choose it for a request that they are receiving.
      - Refused if the upstream has no other server, if all others are C(down) or C(backup), if the
        server has C(max_fails=0) (nginx would never leave it alone should it be dead when it comes
        back), if fewer than O(min_available) others answer O(probe), and if somebody has changed
        files that nobody has loaded.
      - If somebody rewrites the files in the middle, the server is taken out once more; if they do
        it again, it is put back and the module fails.
      - With V(ready), the server is put back once it answers O(probe) from this host, and stays out
        if it does not, since nginx itself would send it requests.
      - A C(down) that somebody else has written is left, with a note and RV(servers[].left_out).
        Ours is known by the comment behind it.
    type: str
    choices: [drained, ready]
    required: true
  min_available:
    description:
      - How many other servers of each upstream must be up for a drain, as a count (V(1)) or a share
        of the upstream's servers without its backups (V(50%), rounded up).
      - Up is who is not C(down) in what runs, is no C(backup), and answers O(probe).
      - Counting and draining are one step, which only one process of the host takes at a time. They
        are kept apart by O(lease_directory), which therefore must be the same for all of them.
    type: str
    default: "1"
  drain_timeout:
    description: How long to wait for the connections to end, in seconds.
    type: float
    default: 60
  on_timeout:
    description:
      - What to do with connections that do not end in time, such as websockets and long polls.
      - V(restore) puts the server back as it was and fails. V(force) goes on and tells how many
        were left (RV(sessions_cut)). V(fail) leaves the server as it is and fails.
    type: str
    choices: [restore, force, fail]
    default: restore
  share:
    description:
      - With O(state=ready), how much of its C(weight) in nginx' configuration the server is given,
        in percent, before it gets requests; V(100) for all of it. With V(0) its weight stays as it
        is.
      - nginx knows whole weights from 1 on, so 1 % needs C(weight=100) on every server.
    type: int
    default: 0
  up_timeout:
    description: How long to wait for an answer to O(probe) before the server is put back.
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
      - Taken before the server is drained, renewed while the module waits; it counts from the end
        of the drain. Every further O(state=drained) renews it; O(state=ready) cancels it. If it
        cannot be taken, nothing is drained.
      - A small process on the host where the module runs keeps it, and ends with it. At the end it
        puts the server back if that answers O(probe), and asks for ten minutes more if it does not;
        C(lease.log) says so.
      - Until the end it looks at the files twice a second, and takes the server out again where
        somebody has rewritten them without the drain; twice, and then no more.
      - After a reboot of this host nobody keeps it, and the C(down) is still in the file; ask for
        O(state=ready).
    type: float
    default: 0
author:
  - The fleetops.gunicorn authors (@fleetops)
seealso:
  - module: fleetops.gunicorn.nginx_server_info
"""

EXAMPLES = r"""
- name: Take web1 out of rotation
  fleetops.gunicorn.nginx_server:
    backends: [app]
    server: 10.0.0.11
    state: drained
    probe: /healthz
    lease: 300
  delegate_to: lb1
  become: true

- name: Put web1 back
  fleetops.gunicorn.nginx_server:
    backends: [app, api]
    server: 10.0.0.11
    state: ready
    probe: /healthz
    reload_command: systemctl reload nginx
  delegate_to: lb1
  become: true
"""

RETURN = r"""
node:
  description: The nginx that runs.
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
      description: Its master process, which a reload leaves.
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
      description: None (null); nginx does not say.
      returned: success
      type: int
    connections:
      description: V(0); nginx does not say of which kind.
      returned: success
      type: int
level:
  description: V(admin) if the files may be changed from here, V(user) if not.
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
        - V(UP) or V(DOWN) as it answers O(probe), V(MAINT) if it is C(down) in what runs, V(no
          check) without a probe.
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
      description: What came back for O(probe).
      returned: success
      type: str
      sample: HTTP 200 for /healthz
    weight:
      description: The effective weight. With V(0) no new request comes.
      returned: success
      type: int
    weight_set:
      description: The weight as it was last set, or as configured.
      returned: success
      type: int
    weight_full:
      description: The weight in the operator's configuration.
      returned: success
      type: int
    backup:
      description: Whether it is a backup server.
      returned: success
      type: bool
    throttle:
      description: V(100).
      returned: success
      type: int
    agent:
      description:
        - Empty; nginx has none.
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
      description: As the C(server) line has it.
      returned: success
      type: str
    counters:
      description: Empty here; see M(fleetops.gunicorn.nginx_server_info).
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
  description: When no connection was left, as seconds since the epoch.
  returned: success with O(state=drained) and not in check mode
  type: float
ready_at:
  description: When new workers had the server back, as seconds since the epoch.
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

from typing import Any, Dict

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.access import Nginx
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.drain import Change
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.options import (
    ARGUMENTS as REACH,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.options import (
    settings_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.scene import prober
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
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import (
    AnsibleModule,
    show_headers,
)

ARGUMENTS = dict(ORDER, **REACH)


def look(params: Dict[str, Any], check_mode: bool) -> Change:
    """Read nginx and make ready to change it."""
    check_order(params)
    settings = settings_of(params)
    fence = fence_of(params, Nginx(settings))
    access = Nginx(settings, fence.check) if claimed(fence, params, check_mode) else Nginx(settings)
    wish = wish_of(params, settings.reload_timeout)
    return Change(access.control(CLOCK), params["backends"], wish, CLOCK, prober(settings))


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    show_headers(module, module.params["probe_headers"])
    run(module, lambda: Nginx(settings_of(module.params)), look, module.params["reload_timeout"])


if __name__ == "__main__":
    main()
