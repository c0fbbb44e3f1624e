# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others are told of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.notification import (
    not_told,
    notice,
    notice_body,
)

INTERNAL: dict[str, Callable[..., Any]] = {
    "not_told": not_told,
    "notice": notice,
    "notice_body": notice_body,
}
