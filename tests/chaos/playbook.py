# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One `ansible-playbook` under way: where it is, what it says, and how to hurt it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple

from tests.chaos.wrong import Wrong

BEGINS = re.compile(r"^(?:PLAY|TASK) \[(.+?)\] \**$")
# A bound, and no figure: a run takes half a minute on a machine that has nothing else to do.
PATIENCE = 1200.0


class Task(NamedTuple):
    """A play or task, and the moment at which the run began it."""

    name: str
    at: float


class Run:
    """A playbook that was started; a thread reads what it says as it comes."""

    def __init__(
        self,
        command: list[str],
        directory: Path,
        environment: dict[str, str],
        inside: bool = False,
    ) -> None:
        """``inside``: the command only enters a container, and what it starts there is the run."""
        self.tasks: list[Task] = []
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._over = False
        self._process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # So that Ctrl-C reaches the run and nobody else.
            start_new_session=True,
        )
        self._inside = inside
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self._lines.append(line)
                found = BEGINS.match(line.rstrip())
                if found:
                    self.tasks.append(Task(found.group(1), time.time()))
                self._news.notify_all()
        with self._news:
            self._over = True
            self._news.notify_all()

    @property
    def text(self) -> str:
        with self._news:
            return "".join(self._lines)

    @property
    def words(self) -> str:
        """All it said, with the line breaks of YAML and JSON folded."""
        return " ".join(self.text.replace("\\n", " ").replace('\\"', '"').split())

    @property
    def end(self) -> str:
        return self.text[-1500:]

    def reaches(self, task: str, times: int = 1, patience: float = PATIENCE) -> Task:
        """Wait until it begins a task whose name holds this text, for the n-th time."""

        def found() -> list[Task]:
            return [each for each in self.tasks if task in each.name]

        with self._news:
            self._news.wait_for(lambda: len(found()) >= times or self._over, patience)
            if len(found()) < times:
                raise Wrong(f"the run never came to {task!r}: {''.join(self._lines)[-1500:]}")
            return found()[times - 1]

    def passes(self, number: int, patience: float = PATIENCE) -> str:
        """Wait until it begins its n-th task or ends; says which task that was."""
        with self._news:
            self._news.wait_for(lambda: len(self.tasks) > number or self._over, patience)
            return self.tasks[number].name if len(self.tasks) > number else "the end"

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit code. A run that does not end is killed, and that is wrong."""
        try:
            code = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            where = self.tasks[-1].name if self.tasks else "the start"
            self.kill()
            raise Wrong(f"the run did not end within {patience:g} s, at {where!r}") from None
        self._reader.join(10)
        return code

    def ended_within(self, seconds: float) -> bool:
        with self._news:
            self._news.wait_for(lambda: self._over, seconds)
            return self._over

    def signal(self, number: int) -> None:
        """SIGINT as a terminal sends it, to the whole group; anything else to the run alone."""
        if self._inside:
            for pid in descendants(self.pid)[: None if number == signal.SIGINT else 1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        elif number == signal.SIGINT:
            os.killpg(self.pid, number)
        else:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Kill -9 it and all that it has started and that still belongs to it."""
        if self._process.poll() is not None:
            return
        for pid in (self.pid, *descendants(self.pid)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()
        self._reader.join(10)


def descendants(pid: int) -> list[int]:
    """The living children of a process, their children, and so on."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = Path(f"/proc/{name}/stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(name))
    found, left = [], [pid]
    while left:
        left = [child for each in left for child in children.get(each, [])]
        found += left
    return found
