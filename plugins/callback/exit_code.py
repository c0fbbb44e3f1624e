# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exit codes of our own: 3 for a check without a verdict, 2 for a run without hosts."""

from __future__ import annotations

DOCUMENTATION = r"""
name: exit_code
type: aggregate
short_description: Exit codes for a check that could not judge, and for a run without hosts
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - C(check.yml) fails on each host that is not clean, so C(ansible-playbook) ends with 2. With this
    callback it ends with 3 if no host is dirty and one could not be judged.
  - A run of which no play found a host ends with 2, and says so. Ansible itself ends it with 0, as
    if everything had been done.
  - Every other run ends as it would without it.
  - It ends the run when the play recap is over, so name it last in C(callbacks_enabled).
requirements:
  - enabled in configuration, as C(callbacks_enabled = fleetops.gunicorn.exit_code)
"""

from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.verdict import exit_code


class CallbackModule(CallbackBase):
    """Remembers the report of a check, and leaves with its exit code."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "fleetops.gunicorn.exit_code"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._report: dict[str, Any] | None = None
        self._asked = ""

    def v2_runner_on_ok(self, result: Any) -> None:
        report = (result._result.get("ansible_facts") or {}).get("_check_report")
        if isinstance(report, dict):
            self._report = report

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._asked = ", ".join(play.hosts)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        if not stats.processed:
            self._display.error(
                f"Nothing was done: the inventory has no host in {self._asked or 'any play'}, or"
                " none that is in --limit too. See `ansible-inventory --graph`, and set"
                " rollout_group if the group of the servers has another name."
            )
            raise SystemExit(2)
        if self._report is None:
            return
        code = exit_code(self._report, list(stats.failures), list(stats.dark))
        if code is not None:
            # Not an Exception: Ansible lets it through, and cleans up on the way.
            raise SystemExit(code)
