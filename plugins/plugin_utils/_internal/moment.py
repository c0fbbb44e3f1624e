# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a text is a moment, where it is to be refused in words of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._times import moment


def _problem(text: Any, name: str, now: Any) -> str:
    """Why it is no moment; empty if it is one."""
    try:
        moment(name, text, float(now))
    except ValueError as exc:
        return str(exc)
    return ""


INTERNAL: dict[str, Callable[..., Any]] = {"moment_problem": _problem}
