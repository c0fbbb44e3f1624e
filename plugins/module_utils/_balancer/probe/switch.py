# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes a server look ill and well again: by a file, or by a pair of commands.

What was done is known by what is left of it: our text in a file, a file beside the one that was
taken away, or a note in the lease's directory. What somebody else has done has none of it.
"""

import json
import os
import shutil
import stat
import subprocess
import tempfile
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from typing import Any, Dict, Iterator, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.options import (
    Settings,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.machine import (
    boot_id,
    boottime,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import (
    Unbelievable,
    believe,
    fields,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fencing import key_of

_OURS = b"fleetops.gunicorn took this server out of rotation\n"
# Where a file waits that was taken away, beside where it was.
ASIDE = ".fleetops-gunicorn"
_SCHEMA = 1
_COMMAND_TIMEOUT = 60.0
_OUTPUT = 600
_PATHS = os.pathsep.join(["/usr/sbin", "/usr/local/sbin", "/sbin"])


class State(NamedTuple):
    """Whether the server is made to look ill, and whether by us."""

    ill: bool
    ours: bool


class Note:
    """When this server was made ill here, in seconds since this boot; void after a reboot."""

    def __init__(self, directory: str, text: str, server: str) -> None:
        self._box = StateDirectory(directory, private=True)
        self._name = f"{key_of(text, server)}.probe"

    def read(self) -> Optional[float]:
        try:
            with self._box.opened() as box:
                content = box.read(self._name) if box else None
            return None if content is None else believe(content, _SCHEMA, self._since)
        except Unbelievable:
            return None

    @staticmethod
    def _since(record: Dict[str, Any]) -> Optional[float]:
        found = fields(record, {"boot_id": (str,), "since": (int, float)})
        return float(found["since"]) if found["boot_id"] == boot_id() else None

    def write(self) -> None:
        record = {"schema": _SCHEMA, "boot_id": boot_id(), "since": boottime()}
        with self._box.opened(create=True) as box:
            if box:
                box.write(self._name, json.dumps(record, sort_keys=True).encode() + b"\n")

    def remove(self) -> None:
        with self._box.opened() as box:
            if box:
                box.remove(self._name)


class Switch(ABC):
    """One server's."""

    text: str
    """What is done, for people, and what tells this switch from others."""
    undo: str
    """How a person makes it well."""
    note: Note

    @abstractmethod
    def look(self) -> State:
        """As it is now."""

    @abstractmethod
    def glance(self) -> bool:
        """Whether it looks ill, as cheaply as can be."""

    @abstractmethod
    def make_ill(self) -> None:
        """An error may leave it half done."""

    @abstractmethod
    def make_well(self) -> None:
        """Undoes what was done here, and nothing else."""

    @abstractmethod
    def refusal(self) -> str:
        """Why this user may not; empty if he may."""

    def age(self) -> Optional[float]:
        """For how long it has been ill by our hand; None if that is not known."""
        with suppress(FleetError):
            since = self.note.read()
            return None if since is None else max(boottime() - since, 0.0)
        return None


def switch_of(settings: Settings, server: str) -> Switch:
    if settings.file:
        return FileSwitch(settings.file, settings.file_means, settings.directory, server)
    return CommandSwitch(
        settings.ill_command,
        settings.well_command,
        settings.state_command,
        settings.directory,
        server,
    )


class FileSwitch(Switch):
    """A file whose presence (`means` is ``ill``) or absence (``well``) makes the page fail."""

    def __init__(self, path: str, means: str, directory: str, server: str) -> None:
        self._path = path
        self._folder, self._name = os.path.split(os.path.normpath(path))
        self._aside = self._name + ASIDE
        self._present_is_ill = means == "ill"
        self.text = f"file {path} {'made' if self._present_is_ill else 'taken away'}"
        self.undo = f"remove {path}" if self._present_is_ill else f"make {path} again"
        self.note = Note(directory, self.text, server)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """The directory, whatever its path is made to mean meanwhile."""
        handle = -1
        try:
            handle = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            yield handle
        except OSError as exc:
            raise FleetError(
                f"Asked for {self._path}, by which a server is made to look ill. {exc.strerror}."
                " Name a file in a directory that is there, and that this user may change"
                " (load_balancer_probe_file)."
            ) from None
        finally:
            if handle >= 0:
                os.close(handle)

    def look(self) -> State:
        with self._opened() as folder:
            there = _exists(folder, self._name)
            if self._present_is_ill:
                return State(there, there and _is_ours(folder, self._name))
            return State(not there, _exists(folder, self._aside))

    def glance(self) -> bool:
        return self.look().ill

    def make_ill(self) -> None:
        with suppress(FleetError):
            self.note.write()
        with self._opened() as folder:
            if self._present_is_ill:
                self._create(folder)
            else:
                os.rename(self._name, self._aside, src_dir_fd=folder, dst_dir_fd=folder)
            _sync(folder)

    def _create(self, folder: int) -> None:
        """With its whole text or not at all: half of it would be somebody else's."""
        scratch = f".fleetops-gunicorn-{os.getpid()}-{os.urandom(4).hex()}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        file = os.open(scratch, flags, 0o644, dir_fd=folder)
        try:
            with os.fdopen(file, "wb") as opened:
                # Whoever serves the page is another user, and looks for it.
                os.fchmod(opened.fileno(), 0o644)
                opened.write(_OURS)
                opened.flush()
                os.fsync(opened.fileno())
            os.link(scratch, self._name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            os.unlink(scratch, dir_fd=folder)

    def make_well(self) -> None:
        with self._opened() as folder:
            if self._present_is_ill:
                if _exists(folder, self._name) and not _is_ours(folder, self._name):
                    raise FleetError(
                        f"{self._path} is not the file that was made here: somebody else's was"
                        f" put in its place. It is left so; {self.undo} when the server may serve."
                    )
                with suppress(FileNotFoundError):
                    os.unlink(self._name, dir_fd=folder)
            elif _exists(folder, self._name):
                # Somebody made it anew meanwhile: theirs counts.
                with suppress(FileNotFoundError):
                    os.unlink(self._aside, dir_fd=folder)
            else:
                os.rename(self._aside, self._name, src_dir_fd=folder, dst_dir_fd=folder)
            _sync(folder)
        with suppress(FleetError):
            self.note.remove()

    def refusal(self) -> str:
        if os.access(self._folder, os.W_OK | os.X_OK):
            return ""
        return (
            f"{self._path} cannot be made or removed by uid {os.geteuid()}. Become a user who may"
            " change its directory (ansible_become), or name another file"
            " (load_balancer_probe_file)."
        )


class CommandSwitch(Switch):
    """A command that makes the page fail, such as one that stops a local nginx, and its undoing."""

    def __init__(
        self,
        ill: Sequence[str],
        well: Sequence[str],
        state: Sequence[str],
        directory: str,
        server: str,
    ) -> None:
        self._ill, self._well, self._state = tuple(ill), tuple(well), tuple(state)
        self.text = f"command `{' '.join(ill)}`"
        self.undo = f"run `{' '.join(well)}`"
        self.note = Note(directory, self.text, server)

    def look(self) -> State:
        ours = self.note.read() is not None
        if not self._state:
            return State(ours, ours)
        status, said = _run(self._state)
        if status < 0:
            raise FleetError(f"`{' '.join(self._state)}`, which tells whether it is well: {said}.")
        return State(status != 0, ours)

    def glance(self) -> bool:
        return self.note.read() is not None

    def make_ill(self) -> None:
        # First: whatever becomes of us now, it is known that it is to be made well.
        self.note.write()
        self._do(self._ill)

    def make_well(self) -> None:
        self._do(self._well)
        self.note.remove()

    @staticmethod
    def _do(command: Sequence[str]) -> None:
        status, said = _run(command)
        if status:
            raise FleetError(
                f"`{' '.join(command)}` failed ({f'exit {status}' if status > 0 else 'no exit'}):"
                f" {said or 'it says nothing'}."
            )

    def refusal(self) -> str:
        for command in (self._ill, self._well, self._state):
            if command and not shutil.which(command[0], path=_places()):
                return (
                    f"There is no program {command[0]!r} on this server, or this user may not run"
                    " it. Give the command with its whole path (load_balancer_probe_ill_command,"
                    " load_balancer_probe_well_command)."
                )
        return ""


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _is_ours(folder: int, name: str) -> bool:
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        # Not to be read, or a link: nothing that was made here.
        return False
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return False
        return os.read(handle, len(_OURS) + 1) == _OURS
    finally:
        os.close(handle)


def _sync(folder: int) -> None:
    with suppress(OSError):
        os.fsync(folder)


def _places() -> str:
    return os.environ.get("PATH", os.defpath) + os.pathsep + _PATHS


def _run(command: Sequence[str]) -> Tuple[int, str]:
    """Exit status and the end of what it said; below 0 without an exit. What it leaves running in
    the background is left alone."""
    environment = dict(os.environ, PATH=_places(), LC_ALL="C")
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                list(command),
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, subprocess.SubprocessError) as exc:
            return -1, f"it cannot be run ({getattr(exc, 'strerror', None) or exc})"
        try:
            status = process.wait(_COMMAND_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return -1, f"it had not ended after {_COMMAND_TIMEOUT:g} s, and was killed"
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - _OUTPUT))
        said = " ".join(output.read().decode("utf-8", "replace").split())
        return (status, said) if status >= 0 else (-1, f"signal {-status}; {said}")
