# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One at a time changes what a host serves: held for as long as the process lives, and no longer.

The kernel gives it back when the holder ends, however it ends: there is nothing stale to break.
"""

import fcntl
import os
import stat
from contextlib import contextmanager, suppress
from typing import Callable, Iterator

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import plain

_POLL = 0.1
_WORDS = 400


class HostLock:
    """The lock of one thing on this host, in a private directory. ``what`` is for a person."""

    def __init__(
        self,
        directory: StateDirectory,
        key: str,
        what: str,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._directory = directory
        self._name = f"{key}.lock"
        self._what = what
        self._clock = clock
        self._sleep = sleep

    @contextmanager
    def held(self, timeout: float, words: str) -> Iterator[float]:
        """Gives how long it was waited. Whoever has to wait too long hears who it is."""
        with self._directory.opened(create=True) as box:
            handle = -1 if box is None else self._open(box.handle)
        try:
            begin = self._clock()
            self._take(handle, timeout)
            with suppress(OSError):
                # Only words: on a full disk the way back must be open all the same.
                os.ftruncate(handle, 0)
                os.pwrite(handle, plain(words).encode()[:_WORDS], 0)
            yield round(self._clock() - begin, 3)
        finally:
            # The file stays: who waits for it must not get another one than who comes next.
            os.close(handle)

    def _open(self, directory: int) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(self._name, flags, 0o600, dir_fd=directory)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise FleetError(f"{self._directory.path}/{self._name} is not a file. Remove it.")
        return handle

    def _take(self, handle: int, timeout: float) -> None:
        deadline = self._clock() + timeout
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if self._clock() >= deadline:
                    who = plain(os.pread(handle, _WORDS, 0).decode("utf-8", "replace"))
                    raise FleetError(
                        f"Nothing was touched: another process has been changing {self._what} for"
                        f" {timeout:g} s ({who or 'unknown'}). It ends by itself; if it does not,"
                        f" `fuser -v {self._directory.path}/{self._name}` shows which it is."
                    ) from None
            self._sleep(_POLL)
