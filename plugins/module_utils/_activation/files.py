# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a switch changes in files: prepared while the old generation serves, done by one rename."""

import errno
import json
import os
import stat
from contextlib import suppress

from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.plan import Plan
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.live_venv import (
    add_history,
    adoption_record,
    history_path,
    read_history,
    read_venv,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.trust import cure, doubt
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.site import Site

NEXT = ".venv-next"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Files:
    """The few changes in a home, made through open directories, whatever their paths mean by now.

    The application's user may own the home: a link of his, put there in the middle of it, must
    not lead root out of it.
    """

    def __init__(self) -> None:
        self._path = ""
        self._home = self._releases = -1

    def open(self, home: str) -> None:
        """The home itself may be anybody's; the way to it may not."""
        found = doubt(home)
        if found and found.path != os.path.realpath(home):
            raise FleetError(
                f"Nothing was stopped: {found}, who could lead root elsewhere than to {home}."
                f" Keep that for root: `{cure(found)}`."
            )
        self._path = home
        self._home = os.open(home, _DIRECTORY)

    def close(self) -> None:
        for handle in (self._home, self._releases):
            if handle >= 0:
                os.close(handle)
        self._home = self._releases = -1

    def open_releases(self) -> int:
        """``releases``, made if it is not there."""
        if self._releases < 0:
            try:
                os.mkdir("releases", 0o755, dir_fd=self._home)
            except FileExistsError:
                self._releases = self._open_present()
            else:
                self._releases = os.open("releases", _DIRECTORY | os.O_NOFOLLOW, dir_fd=self._home)
                os.fchmod(self._releases, 0o755)
        return self._releases

    def _open_present(self) -> int:
        try:
            return os.open("releases", _DIRECTORY | os.O_NOFOLLOW, dir_fd=self._home)
        except OSError as exc:
            # A link is as good, if nobody else could have made it.
            path = f"{self._path}/releases"
            found = doubt(path)
            if exc.errno in (errno.ELOOP, errno.ENOTDIR) and found is None:
                return os.open(path, _DIRECTORY)
            raise FleetError(
                f"Nothing was stopped: {path} is no directory"
                + (f" but a link, and {found}." if found else ".")
                + " Root follows no link that somebody else could have made. Look at it and"
                " remove it."
            ) from exc

    def write_record(self, text: str) -> None:
        """release.json of the directory that shall be adopted."""
        venv = os.open("venv", _DIRECTORY | os.O_NOFOLLOW, dir_fd=self._home)
        try:
            _write(venv, "release.json", text)
        finally:
            os.close(venv)

    def write_history(self, text: str) -> None:
        _write(self.open_releases(), os.path.basename(history_path("")), text)

    def symlink(self, target: str) -> None:
        """Make the next link anew; a left-over of a killed run is replaced."""
        with suppress(FileNotFoundError):
            os.unlink(NEXT, dir_fd=self._home)
        os.symlink(target, NEXT, dir_fd=self._home)

    def flip(self) -> None:
        os.rename(NEXT, "venv", src_dir_fd=self._home, dst_dir_fd=self._home)

    def adopt(self, release: str) -> None:
        os.rename("venv", release, src_dir_fd=self._home, dst_dir_fd=self.open_releases())

    def disown(self, release: str) -> None:
        os.rename(release, "venv", src_dir_fd=self.open_releases(), dst_dir_fd=self._home)

    def remove(self) -> None:
        """The next link, if it was not needed."""
        if self._home >= 0:
            with suppress(OSError):
                if stat.S_ISLNK(os.lstat(NEXT, dir_fd=self._home).st_mode):
                    os.unlink(NEXT, dir_fd=self._home)

    def sync(self) -> None:
        os.fsync(self._home)

    def same_device(self) -> bool:
        venv = os.lstat("venv", dir_fd=self._home)
        return venv.st_dev == os.fstat(self.open_releases()).st_dev

    def may_move(self) -> bool:
        """The kernel rewrites a moved directory's ``..``, so it must be writable itself."""
        return os.access("venv", os.W_OK, dir_fd=self._home)


def _write(directory: int, name: str, text: str) -> None:
    """Replace a file as a whole. Never into one that is there: it may be a link to another."""
    temporary = f"{name}.new"
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(temporary, flags, 0o600, dir_fd=directory)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        os.fchmod(handle, 0o644)
        file.write(text)
        file.flush()
        os.fsync(handle)
    os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)


class Link:
    """``<home>/venv`` and its flip to another release."""

    def __init__(self, site: Site, files: Files, going_back: bool, stamp: str) -> None:
        self.site = site
        self._files = files
        self._going_back = going_back
        self._stamp = stamp

    def prepare(self, plan: Plan) -> None:
        """All that may fail for want of rights or space, while the old generation serves."""
        home, files = self.site.home, self._files
        try:
            files.open(home)
            if plan.flip_to:
                files.symlink(plan.flip_to)
                self._note(plan)
            if plan.adopt:
                venv = f"{home}/venv"
                if not files.same_device():
                    raise FleetError(
                        f"Nothing was stopped: {venv} cannot be moved into {home}/releases, which"
                        " is another file system. Mount both on one."
                    )
                if not files.may_move():
                    raise FleetError(
                        f"Nothing was stopped: this user may not move {venv}. Become root, or"
                        " its owner."
                    )
                record = adoption_record(self.site.reader, venv, plan.adopt, self._stamp)
                files.write_record(json.dumps(record, indent=2, sort_keys=True) + "\n")
        except OSError as exc:
            self.tidy()
            raise FleetError(
                f"Nothing was stopped: the switch could not be prepared in {home}: {exc}."
                " Become root, or the owner of that directory, and see that it has space."
            ) from exc
        except FleetError:
            self.tidy()
            raise

    def _note(self, plan: Plan) -> None:
        """Remember the way back, before there is one to go: a crash must not lose it."""
        home, reader = self.site.home, self.site.reader
        history = read_history(reader, home)
        longer = add_history(history, plan.before, plan.release)
        if longer != history and not self._going_back:
            self._files.write_history(json.dumps(longer, indent=2, sort_keys=True) + "\n")

    def flip(self, plan: Plan) -> None:
        home = self.site.home
        if plan.adopt:
            # A crash right here leaves no venv; the next run then only makes the link.
            self._files.adopt(plan.adopt)
        if not plan.flip_to:
            return
        try:
            self._files.flip()
        except OSError:
            if plan.adopt:
                self._files.disown(plan.adopt)
            raise
        if read_venv(self.site.reader, home).target != plan.path:
            raise FleetError(f"{home}/venv was switched to {plan.path}, but leads elsewhere.")

    def sync(self) -> None:
        self._files.sync()

    def tidy(self) -> None:
        self._files.remove()
        self._files.close()
