# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small files that are whole or absent, in a directory that nobody else can write to."""

import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager
from shlex import quote
from typing import Callable, Iterator, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import Unbelievable

# What is larger is not written here, and was not.
_LIMIT = 1024 * 1024
_TEMPORARY = ".tmp-"
_ALONE = ".alone"
# Between making a temporary file and giving it its name lie milliseconds.
_ABANDONED = 60


class Opened:
    """The files of an open directory: whatever its path is made to mean later."""

    def __init__(self, handle: int, path: str, mode: int) -> None:
        self.handle = handle
        self._path = path
        self._mode = mode

    def read(self, name: str, limit: int = _LIMIT) -> Optional[bytes]:
        """The content; None if there is no such file. Half of one is never taken for the whole."""
        try:
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self.handle)
        except FileNotFoundError:
            return None
        except OSError as exc:
            if exc.errno != errno.ELOOP:
                raise
            raise FleetError(
                f"{self._path}/{name} is a symbolic link, and is not followed. Remove it."
            ) from None
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FleetError(f"{self._path}/{name} is not a file. Look at it and remove it.")
            content = file.read(limit + 1)
        if len(content) > limit:
            raise Unbelievable(f"{self._path}/{name} is larger than {limit} bytes")
        return content

    def exists(self, name: str) -> bool:
        """Whether there is anything of that name."""
        try:
            os.stat(name, dir_fd=self.handle, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def write(self, name: str, content: bytes, limit: int = _LIMIT) -> None:
        """Replace the file as a whole. What could not be read again is not written."""
        if len(content) > limit:
            raise FleetError(
                f"{self._path}/{name} was not written: {len(content)} bytes, of {limit} at most."
                " What was there is unchanged."
            )
        temporary = self._temporary(content)
        try:
            os.rename(temporary, name, src_dir_fd=self.handle, dst_dir_fd=self.handle)
        except BaseException:
            self._unlink(temporary)
            raise
        os.fsync(self.handle)

    def create(self, name: str, content: bytes) -> bool:
        """Put a whole file where none is. Of all who try at once, one gets True."""
        temporary = self._temporary(content)
        try:
            os.link(temporary, name, src_dir_fd=self.handle, dst_dir_fd=self.handle)
        except FileExistsError:
            return False
        finally:
            self._unlink(temporary)
        os.fsync(self.handle)
        return True

    def remove(self, name: str) -> bool:
        if not self._unlink(name):
            return False
        # A power cut must not bring it back.
        os.fsync(self.handle)
        return True

    def _unlink(self, name: str) -> bool:
        try:
            os.unlink(name, dir_fd=self.handle)
        except FileNotFoundError:
            return False
        return True

    def append(self, name: str, line: bytes, limit: int) -> None:
        """Add a line; of a file that grew beyond `limit` bytes, the older half of it goes."""
        try:
            content = self.read(name, limit) or b""
        except Unbelievable:
            # It was never so large: nothing of it is worth more than the line.
            content = b""
        if content and not content.endswith(b"\n"):
            content += b"\n"
        content += line + b"\n"
        if len(content) > limit:
            content = content[-(limit // 2) :].split(b"\n", 1)[1] or line[: limit - 1] + b"\n"
        self.write(name, content, limit)

    def _temporary(self, content: bytes) -> str:
        self._sweep()
        name = f"{_TEMPORARY}{os.getpid()}-{os.urandom(8).hex()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        handle = os.open(name, flags, 0o600, dir_fd=self.handle)
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), self._mode)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            self._unlink(name)
            raise
        return name

    def _sweep(self) -> None:
        """Remove what a process left that was killed between two lines of `create`."""
        for name in os.listdir(self.handle):
            if name.startswith(_TEMPORARY):
                try:
                    found = os.stat(name, dir_fd=self.handle, follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if time.time() - found.st_mtime > _ABANDONED:
                    self._unlink(name)


class StateDirectory:
    """A directory of this user's, or root's. `private`: of this user alone, for its eyes only."""

    def __init__(
        self,
        path: str,
        private: bool,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not os.path.isabs(path):
            raise FleetError(f"The directory is {path!r}. Give an absolute path.")
        self.path = path.rstrip("/") or "/"
        self._private = private
        self._now = now
        self._sleep = sleep

    @contextmanager
    def opened(self, create: bool = False) -> Iterator[Optional[Opened]]:
        """The directory, checked; None if there is none (and `create` is false)."""
        handle = None
        try:
            handle = self._open(create)
            mode = 0o600 if self._private else 0o644
            yield None if handle is None else Opened(handle, self.path, mode)
        except OSError as exc:
            raise FleetError(self._explain(exc)) from None
        finally:
            if handle is not None:
                os.close(handle)

    @contextmanager
    def locked(self, create: bool = False, timeout: float = 30) -> Iterator[Optional[Opened]]:
        """The same, and nobody else is in here."""
        with self.opened(create) as box:
            if box is None:
                yield None
                return
            handle = box.handle if self._private else self._own(box.handle)
            if handle < 0:
                yield box
                return
            try:
                self._lock(handle, timeout)
                try:
                    yield box
                finally:
                    # Closing is not enough: a process forked in here has the handle for a moment.
                    fcntl.flock(handle, fcntl.LOCK_UN)
            finally:
                if handle != box.handle:
                    os.close(handle)

    def _own(self, directory: int) -> int:
        """What to lock where others may read: whoever can open a directory could hold it for ever.

        -1 for whoever may only read here, who has nothing to be alone for.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            return os.open(_ALONE, flags, 0o600, dir_fd=directory)
        except OSError as exc:
            if exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                return -1
            raise

    def _lock(self, handle: int, timeout: float) -> None:
        deadline = self._now() + timeout
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if self._now() >= deadline:
                    raise FleetError(
                        f"Another process has been at work in {self.path} for {timeout:g} s:"
                        f" `fuser -v {quote(self.path)}` shows which. Is it stopped? End it, or"
                        " try again."
                    ) from None
            self._sleep(0.05)

    def _open(self, create: bool) -> Optional[int]:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        made = False
        try:
            handle = os.open(self.path, flags)
        except FileNotFoundError:
            if not create:
                return None
            made = self._make()
            handle = os.open(self.path, flags)
        try:
            self._check(os.fstat(handle))
            if made and not self._private:
                # Whatever the umask is: others may read who holds it.
                os.fchmod(handle, 0o755)
        except BaseException:
            os.close(handle)
            raise
        return handle

    def _make(self) -> bool:
        try:
            os.mkdir(self.path, 0o700)
            return True
        except FileExistsError:
            return False
        except FileNotFoundError:
            raise FleetError(
                f"{self.path} cannot be made: {os.path.dirname(self.path)} is not there. Make it,"
                " or name another directory."
            ) from None

    def _check(self, found: os.stat_result) -> None:
        me = os.geteuid()
        mode = stat.S_IMODE(found.st_mode)
        if found.st_uid != me and (self._private or found.st_uid != 0):
            raise FleetError(
                f"{self.path} belongs to uid {found.st_uid}, and this is uid {me}: what is in it"
                " is not believed. Become its owner, or name another directory."
            )
        if mode & (0o077 if self._private else 0o022):
            wanted = "0700" if self._private else "0755"
            raise FleetError(
                f"{self.path} has the mode {mode:04o}: others get at it, so what is in it is not"
                f" believed. Look through it and set {wanted}, or name another directory."
            )

    def _explain(self, exc: OSError) -> str:
        if exc.errno in (errno.ELOOP, errno.ENOTDIR):
            return (
                f"{self.path} is a symbolic link or no directory, and is not followed. Remove it,"
                " or name the directory itself."
            )
        if exc.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return (
                f"{self.path}: {exc.strerror} for uid {os.geteuid()}. Become its owner (root), or"
                " name another directory."
            )
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"{self.path}: {exc.strerror}. Nothing was written. Make room, then try again."
        return f"{self.path}: {exc.strerror or exc}. Look at it, or name another directory."
