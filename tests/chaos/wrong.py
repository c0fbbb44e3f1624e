# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two ways in which a case does not go on."""


class Wrong(Exception):
    """What was promised did not hold."""


class LeftOut(Exception):
    """This machine lacks what the case needs; the text says what."""
