# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All that the filter ``internal`` answers, by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._internal import (
    bake,
    beside,
    check_hosts,
    failure,
    few,
    fleet_questions,
    hook,
    metrics,
    moment,
    notice,
    pace,
    plan,
    plan_balancers,
    ramp,
    rollout_words,
    stage_bake,
    watch,
    waves,
    way_back,
)

SUBJECTS = (
    bake,
    beside,
    check_hosts,
    failure,
    few,
    fleet_questions,
    hook,
    metrics,
    moment,
    notice,
    pace,
    plan,
    plan_balancers,
    ramp,
    rollout_words,
    stage_bake,
    watch,
    waves,
    way_back,
)
TABLE: dict[str, Callable[..., Any]] = {
    name: decision for subject in SUBJECTS for name, decision in subject.INTERNAL.items()
}
