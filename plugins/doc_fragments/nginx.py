# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a module reaches nginx, and where its leases are."""

from __future__ import annotations


class ModuleDocFragment:
    """Options in the words of a module's documentation."""

    DOCUMENTATION = r"""
options:
  conf:
    description:
      - The file that nginx begins to read with. What it includes is read as nginx does it.
    type: path
    default: /etc/nginx/nginx.conf
  pid_file:
    description:
      - The file with the pid of nginx' master process. Empty takes what O(conf) says (C(pid)), or
        C(/run/nginx.pid).
    type: str
    default: ""
  test_command:
    description:
      - The command that tests the configuration before a reload, with its whole path if it is in no
        usual place. Empty takes that of the nginx that runs, C(-t -q) with O(conf).
    type: str
    default: ""
  reload_command:
    description:
      - The command that makes nginx reload, such as V(systemctl reload nginx). Empty sends C(HUP)
        to the master process.
    type: str
    default: ""
  reload_timeout:
    description: How long to wait until only new workers serve after a reload, in seconds.
    type: float
    default: 30
  probe:
    description:
      - The path of a page that a server answers with a status from 200 to 399 if it may serve, such
        as V(/healthz). It is asked from this host, as nginx asks, since nginx checks nobody by
        itself. With an empty one each server counts as up that is not C(down).
    type: str
    default: ""
  probe_status:
    description: Statuses that are good too, beside those from 200 to 399.
    type: list
    elements: int
    default: []
  probe_headers:
    description: Headers of that request, such as C(Host), by name.
    type: dict
    default: {}
  probe_timeout:
    description: How long one answer to it may take, in seconds.
    type: float
    default: 2
  lease_directory:
    description:
      - Where M(fleetops.gunicorn.nginx_server) keeps the leases of this host, what nginx has
        loaded, how far its logs were counted, and C(lease.log) with what became of leases.
      - Made by it with mode 0700 if it is not there. Refused if it is a symbolic link, if another
        user owns it, or if others get at it.
    type: path
    default: /run/fleetops-gunicorn
"""
