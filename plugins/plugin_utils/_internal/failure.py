# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last words of a run that failed(rollout)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.failure import (
    failure_text,
    why,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.stop_codes import stop_of


def stop_code(words: str) -> str:
    """The code of the stop that the last words of a run tell of."""
    return stop_of(words).code


INTERNAL: dict[str, Callable[..., Any]] = {
    "failure_text": failure_text,
    "stop_code": stop_code,
    "why": why,
}
