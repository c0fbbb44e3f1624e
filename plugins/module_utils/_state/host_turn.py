# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The turn and the lock of one home on this host, for the modules that change or await it."""

import os
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator

from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fencing import (
    Fence,
    directory_of,
    key_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.host_lock import HostLock

TURN_OPTIONS: Dict[str, Dict[str, Any]] = {
    "turn": {"type": "int", "default": 0},
    "turn_by": {"type": "str", "default": ""},
    "state_directory": {"type": "path", "default": ""},
}


class HostTurn:
    """``params`` has ``home`` and the TURN_OPTIONS. In check mode nothing is written or awaited."""

    def __init__(
        self,
        params: Dict[str, Any],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        check_mode: bool,
    ) -> None:
        home = os.path.realpath(params["home"])
        given = (params["state_directory"] or "").rstrip("/")
        directory = StateDirectory(directory_of(given, home, os.geteuid()), private=True)
        self._by = params["turn_by"]
        self._check_mode = check_mode
        self._fence = Fence(directory, key_of(home), params["turn"], self._by, home)
        self._lock = HostLock(directory, key_of(home), home, clock, sleep)

    @contextmanager
    def alone(self, patience: float, what: str) -> Iterator[float]:
        """In here no other process changes the home. Whoever is older hears at his next step that
        he may not, and is waited for. Gives for how long that was."""
        if self._check_mode:
            self._fence.check()
            yield 0.0
            return
        self._fence.claim()
        by = f", for {self._by}" if self._by else ""
        with self._lock.held(patience, f"pid {os.getpid()}, {what}{by}") as waited:
            self._fence.check()
            yield waited

    def check(self) -> None:
        """Raises if a newer run has been here."""
        self._fence.check()
