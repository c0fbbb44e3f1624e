# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a module reaches HAProxy, and where its leases are."""

from __future__ import annotations


class ModuleDocFragment:
    """Options in the words of a module's documentation."""

    DOCUMENTATION = r"""
options:
  socket:
    description:
      - HAProxy's C(stats socket). Whoever changes something needs one of C(level admin).
      - A path (V(/run/haproxy/admin.sock) or V(unix:///run/haproxy/admin.sock)), or
        V(tcp://host:port).
    type: str
    required: true
  socket_timeout:
    description:
      - How long one exchange with the socket may take, in seconds.
      - While a drain waits, a balancer that gives no answer (as in a reload) is asked again for as
        long.
    type: float
    default: 5
  lease_directory:
    description:
      - Where M(fleetops.gunicorn.haproxy_server) keeps the leases of this host, what servers were
        in before, and C(lease.log) with what became of the leases that ended.
      - Made by it with mode 0700 if it is not there. Refused if it is a symbolic link, if another
        user owns it, or if others get at it.
    type: path
    default: /run/fleetops-gunicorn
"""
