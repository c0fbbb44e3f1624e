# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a service manager must answer of one program. No I/O here.

Another manager is a folder beside this file with a subclass of `Manager`, and a line in
``managers.py``; nothing else names one.
"""

from typing import Any, Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Process,
    Reader,
    descendants,
)

# The states of a program, whatever a manager's own words are.
UP_STATES = ("STARTING", "RUNNING")
# The manager keeps it, or will start it anew by itself.
RUNNING_STATES = (*UP_STATES, "BACKOFF")
STOPPING = "STOPPING"
STOPPED_STATES = ("STOPPED", "EXITED", "FATAL")

Deviation = Dict[str, str]
Program = Dict[str, Any]


class Mark(NamedTuple):
    """Where a program's words stood: only what came later is told of a new generation."""

    at: int = 0
    of: str = ""


class Start(NamedTuple):
    """How a program is started: its command, and what is added to the manager's environment."""

    command: str
    environment: Dict[str, str]


class Manager:
    """One program of one service manager. Nothing is asked before `attach`.

    A program is told as a dict: ``manager``, ``name``, ``group``, ``state`` (one of those above),
    ``said`` (the manager's own word for it), ``pid`` (0: none), ``exitstatus``, ``spawnerr``,
    ``command``, ``directory``, ``user``, ``stopsignal`` (without SIG), ``stopwaitsecs``,
    ``stopasgroup``, ``killasgroup``, ``startsecs``, ``stdout_logfile``, ``stderr_logfile``,
    ``redirect_stderr``. A setting that nobody tells is None: unknown, not the default.
    """

    # How messages call it.
    word = ""
    # What an operator types to have a changed configuration taken.
    reload = ""

    # Known once `attach` has been called.
    name = ""
    pid = 0  # the manager's own process
    reader: Reader
    # The other programs that run, by the pid of their first process.
    others: Dict[int, str] = {}
    # Names of those whose configuration names this home.
    sharing: Tuple[str, ...] = ()
    # Those that are stopped and started with it (app_programs), by their own names.
    together: FrozenSet[str] = frozenset()
    # What else starts it by itself when a client comes.
    activated_by: Tuple[str, ...] = ()
    # The variables that the program's configuration sets, as it writes them.
    environment = ""

    def attach(self, reader: Reader, homes: List[str]) -> None:
        """Find the program, or refuse; ``homes`` are the names of the application's directory."""
        raise NotImplementedError

    def told_as(self) -> str:
        """What `others` and `sharing` of another program call it."""
        return self.name

    def program(self) -> Program:
        """What is known of the program now, and with which settings it would be started."""
        raise NotImplementedError

    def state(self) -> str:
        """Its state alone, to be asked often."""
        raise NotImplementedError

    def check_tree(self, program: Program, table: Dict[int, Process]) -> None:
        """Raise if the program's pid cannot be a process of this host."""

    def tree(self, program: Program, table: Dict[int, Process]) -> List[Process]:
        """The program's first process and everything below it, parents first."""
        return [table[each] for each in descendants(table, program["pid"])]

    def rest(self, table: Dict[int, Process], tree: List[Process]) -> List[Process]:
        """What else the manager ends when it stops the program."""
        return []

    def holds(self, pid: int) -> bool:
        """Does the kernel count this process as the program's, whoever its parent is?"""
        return False

    def deviations(
        self, program: Program, options: Dict[str, str], wrapped: bool
    ) -> List[Deviation]:
        """Settings that make a switch slower or less safe.

        ``options`` are gunicorn's; ``wrapped``: it is not the program's first process.
        """
        raise NotImplementedError

    def refusals(self, program: Program, arbiter: int = 0) -> List[str]:
        """Why a switch under this manager would be done wrong; empty if it would not.

        ``arbiter`` is gunicorn's process, 0 if it does not run.
        """
        return []

    def kept(self) -> List[str]:
        """Addresses that the manager itself keeps open for the program, whether it runs or not.

        Its clients wait while it is stopped. As gunicorn's ``bind`` writes them.
        """
        return []

    def hold(self, seconds: float) -> None:
        """See that nobody but us starts the program, as a client of a kept address would.

        Until `start` or `let_go`, or this process has ended, or ``seconds`` are over.
        """

    def holds_back(self) -> bool:
        """Does what `hold` began still stand?"""
        return True

    def let_go(self) -> None:
        """End what `hold` began; nothing if it did not."""

    def stop(self) -> None:
        """Ask for the stop and return at once."""
        raise NotImplementedError

    def start(self) -> None:
        """Ask for the start and return at once; no error if it runs already."""
        raise NotImplementedError

    def mark(self, program: Program) -> Mark:
        """Where its words stand; called while it is stopped."""
        raise NotImplementedError

    def said_since(self, mark: Mark, limit: int) -> str:
        """The end of what it said since then, at most ``limit`` bytes; "" if that is not known."""
        raise NotImplementedError

    def log_option(self) -> str:
        """What an operator sets so that it names a log file."""
        raise NotImplementedError

    def stream(self, number: int) -> Tuple[str, str]:
        """Where standard output (1) or error (2) goes if that is no file: the name of a log that
        can be read all the same, or why it cannot; both empty if that is not known."""
        return "", ""

    def own_logs(self) -> List[Optional[str]]:
        """The files that the manager names as the program's, without a look at what runs."""
        raise NotImplementedError
