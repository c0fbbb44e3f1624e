# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counts the host-tasks of a run: what Ansible starts for one host, whatever comes of it."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Writes to the file $BENCH_COUNTS how often each action was started.

    With $BENCH_NAMES, each task.
    """

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "fleetops.gunicorn.count_tasks"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._counts: Counter[str] = Counter()

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        name = f"{task.action} [{task.get_name()}]"
        self._counts[name if os.environ.get("BENCH_NAMES") else str(task.action)] += 1

    def v2_playbook_on_stats(self, stats: Any) -> None:
        Path(os.environ["BENCH_COUNTS"]).write_text(json.dumps(self._counts))
