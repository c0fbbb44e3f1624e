# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the report of a run when it is over, whichever callback hears it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible import context
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_lock import check_fleet
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._controller import myself, user
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.data import Run, report
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.files import (
    base_name,
    write,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.metrics import (
    check_metrics,
    run_metrics,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.textfile import (
    write_textfile,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.story import (
    Line,
    Story,
    Task,
)

# Names the page to the tasks of the run.
ANNOUNCED = "_FLEETOPS_REPORT"
# Of this collection, installed or in a checkout.
ROOT = Path(__file__).resolve().parents[3]
# The one that hears this process's run. An action runs in a child that is forked from it, and so
# finds here all that was heard until then.
_hearing: list[Reporter] = []


def hearing() -> Reporter | None:
    """Who hears the run that this task is of; None where no callback of this collection does."""
    return _hearing[-1] if _hearing else None


class Reporter:
    """The report of the run that ``story`` hears."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self._began = time.time()
        self._playbook = ""

    def playbook_began(self, file: str, option: Callable[[str], Any]) -> None:
        """Know the playbook, and let its tasks know where the report will be.

        A task hands that on (``set_stats``), since whoever called may hear the end of the run
        before this does; and tasks inherit the environment.
        """
        self._playbook = Path(file).stem
        _hearing[:] = [self]
        directory = str(option("report_directory") or "").strip()
        name = f"{base_name(self._began, self._playbook)}.html"
        os.environ[ANNOUNCED] = ""
        # A home that is not known is told where the report is written.
        with suppress(RuntimeError, OSError):
            if directory:
                os.environ[ANNOUNCED] = str(Path(directory).expanduser().absolute() / name)

    def write(
        self, failed: Sequence[str], lost: Sequence[str], option: Callable[[str], Any]
    ) -> list[Line]:
        """Write it and the metrics, and say where; nothing for a run that has none.

        ``failed``, ``lost``: hosts; ``option``: a callback's ``report_directory`` and
        ``report_keep``. That it cannot be written is no failure of the run.
        """
        return [
            *self._measured(failed, lost),
            *self._reported(failed, lost, option),
        ]

    def _measured(self, failed: Sequence[str], lost: Sequence[str]) -> list[Line]:
        """Write the metrics of a run or a check, where the operator wants them."""
        fleet, directory = self.story.metrics
        if not directory or context.CLIARGS.get("check"):
            return []
        try:
            check_fleet(fleet)
            if self.story.checked:
                what, text = "check", check_metrics(self.story.checked, fleet)
            elif self.story.rollout:
                data = report(self.story.events, self._run(failed, lost))
                what, text = "run", run_metrics(data, fleet)
            else:
                return []
            place = Path(directory).expanduser().absolute()
            write_textfile(place, f"fleetops_gunicorn_{fleet}_{what}", text)
        except Exception as exc:
            return [_unwritten(f"No metrics could be written to {directory}", exc)]
        return []

    def _reported(
        self, failed: Sequence[str], lost: Sequence[str], option: Callable[[str], Any]
    ) -> list[Line]:
        directory = str(option("report_directory") or "").strip()
        if not directory or not self.story.rollout:
            return []
        try:
            data = report(self.story.events, self._run(failed, lost))
            place = Path(directory).expanduser().absolute()
            path = write(data, place, int(option("report_keep")))
        except Exception as exc:
            return [_unwritten(f"No report could be written to {directory}", exc)]
        return [Line("", f"Report: {near(path)}")]

    def so_far(self, failed: Sequence[str], host: str, words: str) -> dict[str, Any]:
        """The report as it would be if the run ended now.

        ``failed``: hosts; ``words``: with which ``host`` stops the run, empty where nothing does.
        """
        if words:
            self.story.stops(time.time(), host, words)
        return report(self.story.events, self._run(failed, []))

    def _run(self, failed: Sequence[str], lost: Sequence[str]) -> Run:
        return Run(
            playbook=self._playbook,
            began=self._began,
            ended=time.time(),
            failed=tuple(failed),
            lost=tuple(lost),
            check_mode=bool(context.CLIARGS.get("check")),
            user=user(),
            controller=myself().hostname,
            limit=str(context.CLIARGS.get("subset") or ""),
            version=version(),
        )


def _unwritten(what: str, exc: Exception) -> Line:
    """Whatever it is: the run is over, and its outcome must be heard."""
    why = " ".join(f"{type(exc).__name__}: {exc}".split())[:300]
    return Line("", f"{what}: {why}", "warn")


def heard_as(task: Any) -> Task:
    """A task of Ansible's, as the story knows one."""
    return Task(
        name=str(task.get_name()).partition(" : ")[2] or str(task.get_name()),
        action=str(getattr(task, "resolved_action", None) or task.action),
        args=dict(task.args) if isinstance(task.args, dict) else {},
        check_mode=task.check_mode is True or str(task.check_mode).lower() == "true",
    )


def near(path: Path) -> str:
    """A path, relative to the working directory where it is below it."""
    here = Path.cwd()
    return os.path.relpath(path, here) if path.is_relative_to(here) else str(path)


def version() -> str:
    """Of this collection; empty if it cannot be told."""
    for name, pattern in (
        ("MANIFEST.json", r'"version": "([^"]+)"'),
        ("galaxy.yml", r"(?m)^version: (\S+)"),
    ):
        try:
            found = re.search(pattern, (ROOT / name).read_text(encoding="utf-8"))
        except OSError:
            continue
        if found:
            return found.group(1)
    return ""
