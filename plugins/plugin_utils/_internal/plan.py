# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked for a plan, and what speaks against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.record import trial_of
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.document import (
    stage_problems,
    stages_to_look_at,
    who_asks,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.fingerprint import (
    controller_files,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.server import (
    deaf_or_ill,
    foreseen_releases,
    missing_pythons,
    server_plan,
    to_build,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.steps import unfinished
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.text import built_lines

INTERNAL: dict[str, Callable[..., Any]] = {
    "controller_files": controller_files,
    "deaf_or_ill": deaf_or_ill,
    "foreseen_releases": foreseen_releases,
    "missing_pythons": missing_pythons,
    "plan_asks": who_asks,
    "plan_built": built_lines,
    "plan_stages": stages_to_look_at,
    "server_plan": server_plan,
    "stage_problems": stage_problems,
    "to_build": to_build,
    "trial": trial_of,
    "unfinished": unfinished,
}
