# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one family of errors: helpers raise, only ``main()`` turns them into ``fail_json``."""


class FleetError(Exception):
    """Something the operator must hear about.

    The text says what was asked, what was found and what to do next, in that order.
    """
