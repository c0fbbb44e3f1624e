# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operator's own metrics, for our roles only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.metrics import (
    alone_problems,
    metrics_line,
    neighbour_questions,
    questions,
    refusals,
    seen,
)

INTERNAL: dict[str, Callable[..., Any]] = {
    "metric_questions": questions,
    "metric_neighbours": neighbour_questions,
    "metrics_seen": seen,
    "metric_refusals": refusals,
    "metrics_alone": alone_problems,
    "metrics_line": metrics_line,
}
