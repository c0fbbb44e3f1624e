#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: haproxy_server_info
short_description: Read what HAProxy makes of its servers
version_added: 0.1.0
description:
  - Reads the servers of the backends of one HAProxy with their state and counters, through its
    runtime API.
  - Changes nothing; a socket of C(level user) is enough, though it hides addresses and cookies.
  - Reports when too few servers are UP, and does not fail for it. Fails when the socket gives no
    answer, or when a backend or the server is not there.
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It only reads.
  platform:
    support: full
    platforms: posix
    description: The host that the socket belongs to, or any host that reaches it over TCP.
extends_documentation_fragment:
  - fleetops.gunicorn.haproxy
options:
  backends:
    description:
      - The backends to read, as HAProxy's configuration names them. All of them if the list is
        empty.
    type: list
    elements: str
    default: []
  server:
    description:
      - A server that every one of the backends must have.
      - RV(servers) shows it and RV(available) is counted without it.
    type: str
    default: ""
  servers:
    description:
      - Servers to tell about in RV(about), each as if it had been asked for as O(server). One that
        a backend does not have is told there, and is no failure.
      - So one question is enough for a whole fleet.
    type: list
    elements: str
    default: []
    version_added: 0.3.0
  min_available:
    description:
      - How many servers of each backend must be UP beside O(server), as a count (V(1)) or a share
        of the backend's servers without its backups (V(50%), rounded up).
    type: str
    default: "1"
  rows:
    description:
      - Which servers RV(backends) has, V(all) or only O(server). A backend of 5000 servers has 4 MB
        of counters.
    type: str
    choices: [all, server]
    default: all
author:
  - The fleetops.gunicorn authors (@fleetops)
seealso:
  - module: fleetops.gunicorn.haproxy_server
"""

EXAMPLES = r"""
- name: Read the balancer
  fleetops.gunicorn.haproxy_server_info:
    socket: /run/haproxy/admin.sock
    backends: [app]
    server: web1
  delegate_to: lb1
  register: lb

- name: Show the errors of web1 since HAProxy started
  ansible.builtin.debug:
    msg: "{{ lb.servers[0].counters.hrsp_5xx }}"
"""

RETURN = r"""
node:
  description: The HAProxy that answered.
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
      description:
        - The process that answered. Another one than before means that HAProxy was reloaded. Its
          counters began at 0 then, unless it was told to take them over (C(stats-file), HAProxy 3.0
          and later).
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
          has such. None (null) where HAProxy does not say.
      returned: success
      type: int
    connections:
      description: Connections that this process has had (C(CumConns)), likewise.
      returned: success
      type: int
level:
  description:
    - The level of the socket, V(admin), V(operator) or V(user); empty before HAProxy 1.9. Changes
      need V(admin).
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
    - The lease on O(server) in these backends that M(fleetops.gunicorn.haproxy_server) took on this
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
    - What HAProxy itself would do to a drain or a ramp of O(server), in sentences. With
      O(rows=server) also which other backends have a server of the same address.
  returned: success
  type: list
  elements: str
out_by_others:
  description: Where O(server) is out of rotation, and not by M(fleetops.gunicorn.haproxy_server).
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
    - What users saw of each backend as a whole. It counts what no server does, such as HAProxy's
      own C(503) when no server is left, and is not the sum of the servers' counters.
  returned: success
  type: list
  elements: dict
  contains:
    backend:
      description: The backend.
      returned: success
      type: str
    counters:
      description:
        - Whole numbers since the process of RV(node) started, from the row C(BACKEND) of C(show
          stat) and under its names. They are only comparable between two looks at the same process
          (same RV(node.pid) and RV(node.started), and RV(node.uptime) has grown); a reload starts
          them from 0, unless HAProxy (3.0 and later) is given a C(stats-file). With one, none of
          them has gone down, and C(req_tot) may exceed RV(node.requests).
        - C(req_tot) requests received (only in C(mode http)), C(stot) sessions (in C(mode tcp),
          connections), C(lbtot) choices of a server.
        - C(hrsp_1xx), C(hrsp_2xx), C(hrsp_3xx), C(hrsp_4xx), C(hrsp_5xx) and C(hrsp_other) answers
          that were sent to users, by status, HAProxy's own among them (only in C(mode http)).
        - C(econ) requests for which no connection to a server came about, C(eresp) for which a
          server broke off its answer or sent none, C(wretr) retried connections, C(wredis) requests
          sent to another server after a retry, C(dreq) and C(dresp) requests and answers that a
          rule denied, C(cli_abrt) and C(srv_abrt) transfers that the user or the server broke off.
        - C(bin) and C(bout) bytes. C(qtime), C(ctime), C(rtime) and C(ttime) the mean time in ms
          that the last 1024 requests waited for a slot, for a connection, for the first byte, and
          took in all.
        - C(chkdown) how often no server was left, C(downtime) for how many seconds in all,
          C(lastchg) seconds since that last changed.
        - A counter that this HAProxy does not have is absent.
      returned: success
      type: dict
  sample:
    - backend: app
      counters:
        req_tot: 120034
        hrsp_2xx: 120031
        hrsp_5xx: 3
        econ: 3
        wretr: 9
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
      description: V(http) or V(tcp); empty on a socket of C(level user).
      returned: success
      type: str
    balance:
      description: The algorithm, such as V(roundrobin); empty on a socket of C(level user).
      returned: success
      type: str
    sticky:
      description: The persistence cookie's name, V(stick table), or empty.
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
        address:
          description: Address and port; empty on a socket of C(level user).
          returned: success
          type: str
        counters:
          description:
            - HAProxy's counters since it started, as its C(show stat) names them (C(stot),
              C(econ), C(eresp), C(wretr), C(hrsp_5xx), C(rtime) in ms, and more). A reload resets
              them.
          returned: success
          type: dict
"""

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.balancer import (
    Balancer,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.runtime import (
    Address,
    ask,
    parse_address,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.state import (
    Found,
    Picture,
    Server,
    as_data,
    describe,
    elsewhere,
    hazards,
    out_by_others,
    parse_need,
    rows_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.watcher import (
    Leases,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import AnsibleModule

ARGUMENTS = {
    "socket": {"type": "str", "required": True},
    "backends": {"type": "list", "elements": "str", "default": []},
    "server": {"type": "str", "default": ""},
    "servers": {"type": "list", "elements": "str", "default": []},
    "min_available": {"type": "str", "default": "1"},
    "socket_timeout": {"type": "float", "default": 5},
    "lease_directory": {"type": "path", "default": "/run/fleetops-gunicorn"},
    "rows": {"type": "str", "choices": ["all", "server"], "default": "all"},
}


Place = Tuple[str, str, str]


class Look(NamedTuple):
    lease: Optional[Dict[str, object]]
    notes: List[str]
    memory: Dict[str, Found]
    rows: List[Server]
    elsewhere: List[str]


NOTHING = Look(None, [], {}, [], [])


def look_at(
    picture: Picture, server: str, address: Address, directory: str, places: Sequence[Place]
) -> Look:
    """What only concerns one server; an error if it is not in every backend."""
    notes: List[str] = []
    kept = Leases(directory, address, server, 0)
    rows = picture.mine(server)
    lease = kept.look(notes.append, [row.backend for row in rows])
    return Look(lease, notes, recalled(kept, notes), rows, elsewhere(places, rows))


def recalled(kept: Leases, notes: List[str]) -> Dict[str, Found]:
    """What a drain found before it took the server out."""
    try:
        return kept.recall()
    except FleetError as exc:
        notes.append(f"what the server was in before it was taken out cannot be told: {exc}")
        return {}


def told(picture: Picture, look: Look) -> Dict[str, object]:
    """A look as plain data."""
    out = out_by_others(look.rows, look.memory)
    return {
        "lease": look.lease,
        "notes": look.notes,
        "hazards": hazards(picture, look.rows) + look.elsewhere,
        "out_by_others": [
            {"backend": row.backend, "server": row.server, "how": why} for row, why in out
        ],
    }


def about(
    picture: Picture, server: str, address: Address, directory: str, places: Sequence[Place]
) -> Dict[str, object]:
    """All that is told of one server of many; why it cannot be told, as C(msg)."""
    try:
        look = look_at(picture, server, address, directory, places)
    except FleetError as exc:
        return {"msg": str(exc)}
    return dict(told(picture, look), servers=rows_of(look.rows, look.memory))


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    look = NOTHING
    others: Dict[str, Dict[str, object]] = {}
    try:
        address = parse_address(params["socket"])
        need = parse_need(params["min_available"])
        balancer = Balancer(
            lambda commands: ask(address, commands, params["socket_timeout"]), params["backends"]
        )
        picture = balancer.read()
        directory = params["lease_directory"]
        everywhere = bool(params["servers"] or (params["server"] and params["rows"] == "server"))
        places = balancer.places() if everywhere else []
        if params["server"]:
            look = look_at(picture, params["server"], address, directory, places)
        for server in params["servers"]:
            others[server] = about(picture, server, address, directory, places)
        found = describe(picture, params["server"], need, look.memory)
    except FleetError as exc:
        module.fail_json(msg=str(exc))
    backends = [
        {
            "name": backend.name,
            "mode": backend.mode,
            "balance": backend.balance,
            "sticky": backend.cookie or ("stick table" if backend.table else ""),
            "servers": [
                as_data(row)
                for row in backend.servers
                if params["rows"] == "all" or row.server == params["server"]
            ],
        }
        for backend in picture.backends
    ]
    totals = [{"backend": row.name, "counters": row.counters} for row in picture.backends]
    module.exit_json(
        changed=False,
        backends=backends,
        totals=totals,
        **({"about": others} if params["servers"] else {}),
        **told(picture, look),
        **found,
    )


if __name__ == "__main__":
    main()
