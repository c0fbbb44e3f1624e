#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: probe_server_info
short_description: Read whether a server's health page answers, and who else's does
version_added: 0.3.0
description:
  - Asks the health page of the server that it runs on, as a balancer does that nobody of us can
    ask, and those of O(others); tells whether the page is made to fail, and by whom.
  - Changes nothing.
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
    description: The server itself.
extends_documentation_fragment:
  - fleetops.gunicorn.probe
options:
  backends:
    description: Under which names the server is told of. Empty takes C(app).
    type: list
    elements: str
    default: []
  server:
    description: What the server is called.
    type: str
    default: ""
  servers:
    description: The same, as a list of one, to be told of in RV(about).
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
      - Which servers RV(backends) has, V(all) or only O(server). With V(server), others are asked
        only if they are fewer than 64; they count as up in RV(available) then.
    type: str
    choices: [all, server]
    default: all
author:
  - The fleetops.gunicorn authors (@fleetops)
seealso:
  - module: fleetops.gunicorn.probe_server
"""

EXAMPLES = r"""
- name: Look
  fleetops.gunicorn.probe_server_info:
    backends: [app]
    server: web1
    url: http://10.0.0.11:8000/lb
    others:
      web2: http://10.0.0.12:8000/lb
    file: /srv/app/maintenance
    ports: ["8000"]
  register: seen

- name: Show whether its health page answers
  ansible.builtin.debug:
    msg: "{{ seen.servers[0].status }}"
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
    - The lease on O(server) in these backends that M(fleetops.gunicorn.probe_server) took on this
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
    - What is not known of such a balancer, and what a drain would not see, in sentences.
  returned: success
  type: list
  elements: str
out_by_others:
  description: Where O(server) is out of rotation, and not by M(fleetops.gunicorn.probe_server).
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
      sample: remove /srv/app/maintenance
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
  description: For each backend, empty C(counters); nobody counts here.
  returned: success
  type: list
  elements: dict
  sample:
    - backend: app
      counters: {}
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
      description: V(http).
      returned: success
      type: str
    balance:
      description: Empty; nobody knows.
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
            - V(UP) or V(DOWN) as its health page answers, V(MAINT) if it is made ill, V(no
              check) of one that was not asked.
          returned: success
          type: str
        admin:
          description: The administrative state, V(ready) or V(maint).
          returned: success
          type: str
        sessions:
          description: V(0).
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
        address:
          description: The URL of its health page; of others empty.
          returned: success
          type: str
        counters:
          description: Empty.
          returned: success
          type: dict
"""

import time

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.looks import (
    ARGUMENTS as LOOK,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.looks import answer
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.access import Probe
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.eyes import Eyes
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.options import (
    ARGUMENTS as REACH,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.options import (
    settings_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.scene import (
    ProbeScene,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.switch import (
    switch_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import (
    AnsibleModule,
    show_headers,
)

ARGUMENTS = dict(LOOK, **REACH)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    for name in ("headers", "page_headers"):
        show_headers(module, module.params[name])
    params = module.params
    try:
        asked = {each for each in [params["server"], *params["servers"]] if each}
        if len(asked) != 1:
            raise FleetError(
                f"Asked about {len(asked)} servers. A server can only tell of itself: name it in"
                " server or in servers."
            )
        name = asked.pop()
        settings = settings_of(params)
        scene = ProbeScene(
            settings,
            switch_of(settings, name),
            Eyes(settings),
            params["backends"] or ["app"],
            name,
            params["rows"] == "all",
            time.time(),
        )
        found = answer(scene, Probe(settings), params)
    except FleetError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
