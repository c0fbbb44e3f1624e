# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What operators want done at the points of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._hooks import hook_outcome
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.once import (
    after_waits_for,
    before_on,
)

INTERNAL: dict[str, Callable[..., Any]] = {
    "hook_outcome": hook_outcome,
    "once_after": after_waits_for,
    "once_before_on": before_on,
}
