# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a rollout, whatever shows the run."""

from __future__ import annotations

DOCUMENTATION = r"""
name: report
type: aggregate
short_description: Write the report of a rollout, whatever shows the run
version_added: 1.0.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - At the end of a run that changes a fleet, or plans to, a report is written, whether the run
    failed or not, as a page, as Markdown for a ticket, as JUnit XML and as JSON.
  - It needs no stdout callback of this collection. ansible-runner, and so AWX, Automation
    Controller and ansible-navigator, put one of their own in its place. Where
    P(fleetops.gunicorn.story#callback) shows the run, that one writes it.
extends_documentation_fragment:
  - fleetops.gunicorn.report
requirements:
  - enabled in configuration, as C(callbacks_enabled = fleetops.gunicorn.report)
"""

import time
from typing import Any

from ansible import constants as C
from ansible.plugins.callback import CallbackBase
from ansible_collections.fleetops.gunicorn.plugins.module_utils._visible import visible
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.reporter import (
    Reporter,
    heard_as,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.story import Story


class CallbackModule(CallbackBase):
    """Hears a run, and leaves its report."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "fleetops.gunicorn.report"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        # The story hears the run already, and writes the same report.
        shown_by = getattr(C, "DEFAULT_STDOUT_CALLBACK", "")
        self.disabled = shown_by == "fleetops.gunicorn.story"
        self.story = Story()
        self._reporter = Reporter(self.story)

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._reporter.playbook_began(str(playbook._file_name), self.get_option)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self.story.play_began(time.time(), play.get_name().strip())

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self.story.began(time.time(), host.get_name(), heard_as(task))

    def v2_runner_on_ok(self, result: Any) -> None:
        self.story.ended(
            time.time(), result._host.get_name(), heard_as(result._task), result._result
        )

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._failed(result, ignored=ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        ignored = bool(getattr(result._task, "ignore_unreachable", False))
        self._failed(result, unreachable=True, ignored=ignored)

    def _failed(self, result: Any, **how: bool) -> None:
        self.story.failed(
            time.time(), result._host.get_name(), heard_as(result._task), result._result, **how
        )

    def v2_playbook_on_stats(self, stats: Any) -> None:
        for line in self._reporter.write(list(stats.failures), list(stats.dark), self.get_option):
            self._display.display(visible(line.text))
