# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hands a question to the module of whatever the balancer runs."""

from __future__ import annotations

from ansible_collections.fleetops.gunicorn.plugins.action.balancer_server import (
    ActionModule as Order,
)


class ActionModule(Order):
    """The same way, for a look."""

    _orders = False
