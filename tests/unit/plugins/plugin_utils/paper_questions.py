# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host on paper asks of its balancer."""

OF = {
    "balancers": ["lb1"],
    "provider": "haproxy",
    "socket": "/s",
    "backends": ["app"],
    "min_available": "1",
    "lease_directory": "/l",
}
