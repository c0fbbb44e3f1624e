# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked for a plan, and what speaks against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.record import trial_of
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.findings import (
    fleet_findings,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.document import (
    stages_to_look_at,
    who_asks,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.fingerprint import (
    fleet_files,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.server import (
    foreseen_releases,
    server_plan,
    to_build,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.steps import (
    left_stopped,
    unfinished,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.text import built_lines

INTERNAL: dict[str, Callable[..., Any]] = {
    "fleet_files": fleet_files,
    "fleet_findings": fleet_findings,
    "foreseen_releases": foreseen_releases,
    "left_stopped": left_stopped,
    "plan_asks": who_asks,
    "plan_built": built_lines,
    "plan_stages": stages_to_look_at,
    "server_plan": server_plan,
    "to_build": to_build,
    "trial": trial_of,
    "unfinished": unfinished,
}
