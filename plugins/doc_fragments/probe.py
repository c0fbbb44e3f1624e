# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a server is made to look ill to a balancer that only asks its health page."""

from __future__ import annotations


class ModuleDocFragment:
    """Options in the words of a module's documentation."""

    DOCUMENTATION = r"""
options:
  url:
    description:
      - The health page that the balancer asks, as this server and the others can reach it. With
        C(https) no certificate is checked.
    type: str
    required: true
  status:
    description: Statuses of it that mean well.
    type: list
    elements: int
    default: [200]
  headers:
    description: Headers of that request, such as C(Host), by name.
    type: dict
    default: {}
  timeout:
    description: How long one answer of a page may take, in seconds.
    type: float
    default: 2
  others:
    description:
      - The other servers that the balancer has, by name, and the URL of the health page of each.
        One without a URL counts as DOWN.
    type: dict
    default: {}
  file:
    description:
      - The file that the health page looks for. Either this, or O(ill_command) and
        O(well_command).
    type: str
    default: ""
  file_means:
    description:
      - What the presence of O(file) means. With V(ill), it is made to make the page fail, and
        removed again. With V(well), it is put aside, as C(NAME.fleetops-gunicorn) beside it, and
        put back.
    type: str
    choices: [ill, well]
    default: ill
  ill_command:
    description:
      - A command as a list of words, without a shell, that makes the health page fail and ends
        with status 0 within a minute, such as one that stops a local nginx.
    type: list
    elements: str
    default: []
  well_command:
    description: The command that undoes O(ill_command).
    type: list
    elements: str
    default: []
  state_command:
    description:
      - A command that ends with status 0 if the server is not made ill, such as V([systemctl,
        is-active, --quiet, nginx]), and with another one if it is. Without it nobody can tell what
        somebody else has done.
    type: list
    elements: str
    default: []
  ports:
    description:
      - The ports of this server that the balancer sends to, V(8000), or V(10.0.0.11:8000) for one
        of its addresses. A connection to one of them is a user. Empty looks at O(page) alone.
    type: list
    elements: str
    default: []
  ignore:
    description:
      - Addresses and networks whose connections do not count, such as those of a monitoring that
        keeps one open.
    type: list
    elements: str
    default: []
  page:
    description: The URL of a page that tells what the balancer makes of this server.
    type: str
    default: ""
  page_out:
    description: A regular expression that O(page) matches when the balancer sends nobody here.
    type: str
    default: ""
  page_in:
    description: A regular expression that O(page) matches when the balancer sends users here.
    type: str
    default: ""
  page_headers:
    description: Headers of the request for O(page), by name.
    type: dict
    default: {}
  settle:
    description:
      - How long the balancer needs at most to believe that the server is ill, in seconds, which is
        the interval of its health checks times how many must fail, and one interval and its timeout
        more. Before that nobody's absence counts.
    type: float
    default: 60
  settle_back:
    description: How long it needs to believe that the server is well again, in seconds.
    type: float
    default: 60
  back_by:
    description:
      - What shows after O(settle_back) that users are sent here again. V(time) is enough by itself;
        with V(connections), several looks must have seen a connection to O(ports).
    type: str
    choices: [time, connections]
    default: time
  lease_directory:
    description:
      - Where M(fleetops.gunicorn.probe_server) keeps the leases of this server, when it was made
        ill, and C(lease.log) with what became of leases.
      - Made by it with mode 0700 if it is not there. Refused if it is a symbolic link, if another
        user owns it, or if others get at it.
    type: path
    default: /run/fleetops-gunicorn
"""
