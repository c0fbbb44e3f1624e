# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an operator reads while a rollout is on."""

from __future__ import annotations

DOCUMENTATION = r"""
name: story
type: stdout
short_description: Tell the story of a rollout instead of its tasks
version_added: 0.1.0
author:
  - The fleetops.gunicorn authors (@fleetops)
description:
  - Shows where a rollout is, what each server goes through, and every error with its whole text.
  - The last lines name the host that stopped the run, and why. The very last one has a code for
    what kind of stop that is, and the page of this collection that says what to do.
  - With C(-v) and above everything is shown as by P(ansible.builtin.default#callback), with the
    same last lines.
  - On a terminal the looks of a soak overwrite each other; elsewhere each is a line.
  - At the end of a run that changes a fleet, or plans to, it writes the report and names it, as
    P(fleetops.gunicorn.report#callback) does where something else shows the run.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
  - fleetops.gunicorn.report
options:
  heartbeat:
    description: Seconds after which a task that is still running is mentioned; 0 for never.
    type: float
    default: 10
    env:
      - name: FLEETOPS_STORY_HEARTBEAT
    ini:
      - section: callback_story
        key: heartbeat
requirements:
  - set as stdout in configuration
"""

import re
import shutil
import sys
import threading
import time
from typing import Any

from ansible import constants as C
from ansible.plugins.callback.default import CallbackModule as Default
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact
from ansible_collections.fleetops.gunicorn.plugins.module_utils._visible import visible
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.reporter import (
    ROOT,
    Reporter,
    heard_as,
    near,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.story import (
    STOPPED,
    Line,
    Story,
)

_COLOUR = re.compile(r"(\x1b\[(?:0|[01];3[0-7]|38;5;\d{1,3})m)")
# Characters of what a module said that broke down.
_SAID = 1500
# Ansible makes these attributes from its configuration.
_COLOURS = {
    "plain": None,
    "good": getattr(C, "COLOR_OK", None),
    "warn": getattr(C, "COLOR_WARN", None),
    "bad": getattr(C, "COLOR_ERROR", None),
    "title": getattr(C, "COLOR_HIGHLIGHT", None),
}


class CallbackModule(Default):
    """Shows what `Story` makes of a run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "fleetops.gunicorn.story"

    def __init__(self) -> None:
        super().__init__()
        _lock(self._display)
        self.story = Story(docs=near(ROOT / "docs"))
        self._reporter = Reporter(self.story)
        self._title = ""
        self._live = False
        self._live_shown = 0.0
        self._shown = time.monotonic()
        self._running: dict[str, tuple[str, float]] = {}
        self._over = threading.Event()
        self._heart: threading.Thread | None = None

    @property
    def _quiet(self) -> bool:
        return int(self._display.verbosity) == 0

    # -- showing -----------------------------------------------------------------------------

    def _show(self, lines: list[Line]) -> None:
        if not self._quiet:
            return
        for line in lines:
            self._show_title()
            if line.live and not self._worth_it():
                continue
            self._show_line(line)

    def _worth_it(self) -> bool:
        """Where nothing can be overwritten, a soak of hours must not fill the screen."""
        if sys.stdout.isatty() or time.monotonic() - self._live_shown >= self._every():
            self._live_shown = time.monotonic()
            return True
        return False

    def _every(self) -> float:
        return float(self.get_option("heartbeat") or 10)

    def _show_line(self, line: Line) -> None:
        line = _fit(line)
        now = time.strftime("%H:%M:%S")
        head = f"{now}  {line.host}".rstrip() if line.host else now
        first, *rest = line.text.rstrip().splitlines() or [""]
        overwrite = line.live and sys.stdout.isatty()
        self._end_live(keep=not overwrite)
        text = f"{head}  {first}"
        if overwrite:
            sys.stdout.write("\r\x1b[K" + text[: _columns()])
            sys.stdout.flush()
            self._live = True
        else:
            self._display.display(text, color=_COLOURS[line.tone])
            for more in rest:
                self._display.display(" " * (len(now) + 2) + more, color=_COLOURS[line.tone])
        self._shown = time.monotonic()

    def _end_live(self, keep: bool) -> None:
        if self._live and keep:
            sys.stdout.write("\n")
            sys.stdout.flush()
            self._live = False

    def _show_title(self) -> None:
        if self._title:
            self._end_live(keep=True)
            self._display.display(f"\n== {visible(self._title)}", color=_COLOURS["title"])
            self._title = ""

    def _beat(self) -> None:
        """Nothing is silent for long: say what is still running."""
        every = self._every()
        while not self._over.wait(min(every / 4, 1)):
            if time.monotonic() - self._shown < every:
                continue
            for host, (name, since) in list(self._running.items()):
                seconds = time.monotonic() - since
                if seconds >= every / 2:
                    self._show_title()
                    self._show_line(Line(host, f"... {name}, {seconds:.0f} s", live=True))

    # -- what Ansible tells -------------------------------------------------------------------

    def v2_playbook_on_start(self, playbook: Any) -> None:
        self._reporter.playbook_began(str(playbook._file_name), self.get_option)
        if not self._quiet:
            super().v2_playbook_on_start(playbook)
        elif float(self.get_option("heartbeat") or 0) > 0:
            self._heart = threading.Thread(target=self._beat, daemon=True)
            self._heart.start()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        if not self._quiet:
            super().v2_playbook_on_play_start(play)
        self._play = play
        self._title = self.story.play_began(time.time(), play.get_name().strip())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._running.clear()
        if not self._quiet:
            super().v2_playbook_on_task_start(task, is_conditional)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        heard = heard_as(task)
        self._running[host.get_name()] = (heard.name, time.monotonic())
        self.story.began(time.time(), host.get_name(), heard)
        if not self._quiet:
            super().v2_runner_on_start(host, task)

    def v2_runner_on_ok(self, result: Any) -> None:
        self._running.pop(_host(result), None)
        task = heard_as(result._task)
        self._show(self.story.ended(time.time(), _host(result), task, result._result))
        if not self._quiet:
            super().v2_runner_on_ok(result)
        elif result._task.action not in C._ACTION_DEBUG:
            self._handle_warnings(result._result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._running.pop(_host(result), None)
        lines = self.story.failed(
            time.time(),
            _host(result),
            heard_as(result._task),
            result._result,
            ignored=ignore_errors,
        )
        if self._quiet:
            self._show(lines + self._module_said(_host(result), result._result))
        else:
            super().v2_runner_on_failed(result, ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._running.pop(_host(result), None)
        ignored = bool(getattr(result._task, "ignore_unreachable", False))
        self._show(
            self.story.failed(
                time.time(),
                _host(result),
                heard_as(result._task),
                result._result,
                unreachable=True,
                ignored=ignored,
            )
        )
        if not self._quiet:
            super().v2_runner_on_unreachable(result)

    def _module_said(self, host: str, result: dict[str, Any]) -> list[Line]:
        """A module that broke down says why where nobody looks."""
        said = [str(result.get(name) or "") for name in ("module_stderr", "module_stdout")]
        tail = "\n".join(text.strip() for text in said if text.strip())[-4 * _SAID :]
        return [Line(host, redact(tail)[-_SAID:], "bad")] if tail else []

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._running.pop(_host(result), None)
        if not self._quiet:
            super().v2_runner_on_skipped(result)

    def v2_runner_item_on_ok(self, result: Any) -> None:
        if not self._quiet:
            super().v2_runner_item_on_ok(result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        # The whole loop is told when it has ended, with every item that failed.
        if not self._quiet:
            super().v2_runner_item_on_failed(result)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        if not self._quiet:
            super().v2_runner_item_on_skipped(result)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        if not self._quiet:
            super().v2_playbook_on_include(included_file)

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        if not self._quiet:
            super().v2_playbook_on_no_hosts_remaining()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._over.set()
        if self._heart:
            self._heart.join(5)
        self._end_live(keep=True)
        if not self._quiet:
            super().v2_playbook_on_stats(stats)
        failed, lost = list(stats.failures), list(stats.dark)
        self._title = ""
        # Without a host nothing was done, which exit_code says.
        lines = self.story.summary(failed, lost) if stats.processed else []
        # The host, the reason and where it is explained stay last.
        last = next((n for n, line in enumerate(lines) if line.text.startswith(STOPPED)), -1)
        lines[last:last] = self._reporter.write(failed, lost, self.get_option)
        if lines:
            self._display.display("")
        for line in map(_fit, lines):
            head = f"{line.host}  " if line.host else ""
            self._display.display(head + line.text, color=_COLOURS[line.tone])


def _lock(display: Any) -> None:
    """From here on nothing but text, and Ansible's own colours, gets to the terminal.

    Warnings and tracebacks of modules that are not ours do not come through this callback.
    """
    show = display.display
    if getattr(show, "_fleetops", False):
        return

    def locked(msg: Any, *args: Any, **kwargs: Any) -> Any:
        pieces = _COLOUR.split(str(msg))
        pieces[::2] = map(visible, pieces[::2])
        return show("".join(pieces), *args, **kwargs)

    locked._fleetops = True  # type: ignore[attr-defined]
    display.display = locked


def _fit(line: Line) -> Line:
    """The line as a terminal may get it, whoever wrote it."""
    return line._replace(host=visible(line.host), text=visible(line.text))


def _host(result: Any) -> str:
    return str(result._host.get_name())


def _columns() -> int:
    return max(shutil.get_terminal_size().columns - 1, 20)
