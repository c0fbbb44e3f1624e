#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: nginx_server_info
short_description: Read who serves behind nginx, as it runs
version_added: 0.3.0
description:
  - Reads the upstreams of one nginx from its configuration, tells whether that is what runs, asks
    each server for its health page, and counts requests, errors and times from nginx' access log.
  - Changes nothing but how far the log has been counted, which is kept in O(lease_directory).
attributes:
  check_mode:
    support: full
    description: Does the same; it changes nothing.
  diff_mode:
    support: none
    description: Changes nothing.
  platform:
    support: full
    platforms: linux
    description: The host of nginx.
extends_documentation_fragment:
  - fleetops.gunicorn.nginx
options:
  backends:
    description: The upstreams to read. Empty reads all.
    type: list
    elements: str
    default: []
  server:
    description: The server to look for in each of them; a mistake in its name is an error.
    type: str
    default: ""
  servers:
    description:
      - Several servers to tell of, each in RV(about). One that an upstream does not have is no
        error of the others.
    type: list
    elements: str
    default: []
  min_available:
    description:
      - How many others must be up for RV(available) to call it enough (a count, or a share such as
        V(50%), rounded up).
    type: str
    default: "1"
  rows:
    description:
      - Which servers RV(backends) has, V(all) or only O(server). With V(server), of an upstream of
        more than 64 servers only those that are asked about are probed; the others count as up in
        RV(available) that are not C(down).
    type: str
    choices: [all, server]
    default: all
author:
  - The fleetops.gunicorn authors (@fleetops)
seealso:
  - module: fleetops.gunicorn.nginx_server
"""

EXAMPLES = r"""
- name: Read the balancer
  fleetops.gunicorn.nginx_server_info:
    backends: [app]
    server: 10.0.0.11
    probe: /healthz
  delegate_to: lb1
  become: true
  register: lb

- name: Show the errors of this server since they are counted
  ansible.builtin.debug:
    msg: "{{ lb.servers[0].counters.hrsp_5xx }}"
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
      description: Its master process, which a reload leaves. Counters go on through a reload.
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
  description:
    - The wanted server in each backend, shaped like RV(backends[].servers). Empty without
      O(server). C(left_out) tells whether somebody else had taken it out before a drain, so that it
      is left out.
  returned: success
  type: list
  elements: dict
about:
  description:
    - For each of O(servers) what is RV(servers), RV(lease), RV(notes), RV(hazards) and
      RV(out_by_others) for O(server); C(msg) instead where a backend does not have it.
  returned: with O(servers)
  type: dict
  version_added: 0.3.0
lease:
  description:
    - The lease on O(server) in these backends that M(fleetops.gunicorn.nginx_server) took on this
      host, the one that ends first if there are several; none (null) without one.
  returned: success
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
  description: What an operator may want to know, in sentences, such as why a lease is not shown.
  returned: success
  type: list
  elements: str
hazards:
  description:
    - What nginx itself would do to a drain or a ramp of O(server), in sentences. With
      O(rows=server) also which other backends have a server of the same address.
  returned: success
  type: list
  elements: str
out_by_others:
  description: Where O(server) is out of rotation, and not by M(fleetops.gunicorn.nginx_server).
  returned: success
  type: list
  elements: dict
  contains:
    backend:
      description: The backend.
      returned: always
      type: str
    server:
      description: The server.
      returned: always
      type: str
    how:
      description: How it is out.
      returned: always
      type: str
      sample: in MAINT
    undo:
      description: How a person puts it back.
      returned: always
      type: str
      sample: "take `down` out of /etc/nginx/conf.d/app.conf, line 3, and reload nginx"
available:
  description:
    - For each backend, who serves it apart from O(server).
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
totals:
  description:
    - What users saw of each upstream as a whole, from the access log. It counts what no server
      does, such as nginx' own C(502) when no server is left.
  returned: success
  type: list
  elements: dict
  contains:
    backend:
      description: The upstream.
      returned: success
      type: str
    counters:
      description:
        - Whole numbers since it was first counted on this host (a reboot starts anew), under the
          names that HAProxy has for them. Empty where the access log cannot be counted; RV(hazards)
          says why, and what C(log_format) would do.
        - C(req_tot) and C(stot) requests. C(hrsp_2xx) to C(hrsp_5xx) and C(hrsp_other) answers
          that were sent to users. C(wretr) further attempts for one request.
        - C(rtime) the mean time in ms that servers took for what came since the look before, absent
          if nothing came. Of servers also C(rtime_ms) the sum of the times in ms, C(rtime_count) of
          how many, and C(rtime_le_10), C(rtime_le_30), C(rtime_le_100) ... how many took so many ms
          at most.
      returned: success
      type: dict
  sample:
    - backend: app
      counters:
        req_tot: 120034
        hrsp_2xx: 120031
        hrsp_5xx: 3
backends:
  description: The backends with their servers, see O(rows).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The backend.
      returned: success
      type: str
    mode:
      description: V(http), or V(tcp) in a C(stream).
      returned: success
      type: str
    balance:
      description: The algorithm, V(roundrobin), V(leastconn), V(random), V(hash) or V(ip_hash).
      returned: success
      type: str
    sticky:
      description: Empty.
      returned: success
      type: str
    servers:
      description: All servers of the backend.
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
          description: V(0); nginx does not say.
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
        address:
          description: As the C(server) line has it.
          returned: success
          type: str
        counters:
          description:
            - As in RV(totals[].counters), for the attempts at this server. C(hrsp_5xx) are its own
              answers, C(econ) connections that did not come about, C(eresp) answers that it broke
              off.
          returned: success
          type: dict
"""


from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.looks import (
    ARGUMENTS as LOOK,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.looks import answer
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.access import Nginx
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.counted import (
    Counted,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.options import (
    ARGUMENTS as REACH,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.options import (
    settings_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.scene import (
    NginxScene,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import CLOCK
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import (
    AnsibleModule,
    show_headers,
)

ARGUMENTS = dict(LOOK, **REACH)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    show_headers(module, module.params["probe_headers"])
    params = module.params
    try:
        settings = settings_of(params)
        access = Nginx(settings)
        control = access.control(CLOCK)
        asked = [each for each in [params["server"], *params["servers"]] if each]
        all_rows = params["rows"] == "all"
        scene = NginxScene(control, params["backends"], asked, Counted(settings), all_rows)
        found = answer(scene, access, params)
    except FleetError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
