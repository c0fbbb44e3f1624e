# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one error of the demo: what was asked, what was found, what to do next."""


class DemoError(Exception):
    """Told to the reader as it stands, without a traceback."""
