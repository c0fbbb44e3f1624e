# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a switch changes in files: prepared while the old generation serves, done by one rename."""

import json
import os

from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation_plan import Plan
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service_site import Site
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service_venv import (
    add_history,
    adoption_record,
    history_path,
    read_history,
    read_venv,
)


class Files:
    """The few changes made to the file system."""

    def make_dir(self, path: str, like: str) -> None:
        if not os.path.isdir(path):
            os.mkdir(path, 0o755)
            self._own(path, like)

    def write(self, path: str, text: str, like: str) -> None:
        temporary = f"{path}.new"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        self._own(temporary, like)
        os.rename(temporary, path)

    def _own(self, path: str, like: str) -> None:
        if os.geteuid() == 0:
            owner = os.stat(like)
            os.chown(path, owner.st_uid, owner.st_gid)

    def symlink(self, target: str, path: str) -> None:
        """Make the link anew; a left-over of a killed run is replaced."""
        if os.path.lexists(path):
            os.unlink(path)
        os.symlink(target, path)

    def rename(self, old: str, new: str) -> None:
        os.rename(old, new)

    def remove(self, path: str) -> None:
        if os.path.islink(path):
            os.unlink(path)

    def sync(self, directory: str) -> None:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def same_device(self, one: str, other: str) -> bool:
        return os.stat(one).st_dev == os.stat(other).st_dev

    def may_move(self, path: str) -> bool:
        """The kernel rewrites a moved directory's ``..``, so it must be writable itself."""
        return os.access(path, os.W_OK)


class Link:
    """``<home>/venv`` and its flip to another release."""

    def __init__(self, site: Site, files: Files, going_back: bool, stamp: str) -> None:
        self.site = site
        self._files = files
        self._going_back = going_back
        self._stamp = stamp
        self._next_link = f"{site.home}/.venv-next"

    def prepare(self, plan: Plan) -> None:
        """All that may fail for want of rights or space, while the old generation serves."""
        home, files = self.site.home, self._files
        try:
            if plan.flip_to:
                files.symlink(plan.flip_to, self._next_link)
                self._note(plan)
            if plan.adopt:
                venv = f"{home}/venv"
                files.make_dir(f"{home}/releases", home)
                if not files.same_device(venv, f"{home}/releases"):
                    raise FleetError(
                        f"Nothing was stopped: {venv} cannot be moved into {home}/releases, which"
                        " is another file system. Mount both on one."
                    )
                if not files.may_move(venv):
                    raise FleetError(
                        f"Nothing was stopped: this user may not move {venv}. Become root, or"
                        " its owner."
                    )
                record = adoption_record(self.site.reader, venv, plan.adopt, self._stamp)
                text = json.dumps(record, indent=2, sort_keys=True) + "\n"
                files.write(f"{venv}/release.json", text, venv)
        except OSError as exc:
            files.remove(self._next_link)
            raise FleetError(
                f"Nothing was stopped: the switch could not be prepared in {home}: {exc}."
                " Become root, or the owner of that directory, and see that it has space."
            ) from exc
        except FleetError:
            files.remove(self._next_link)
            raise

    def _note(self, plan: Plan) -> None:
        """Remember the way back, before there is one to go: a crash must not lose it."""
        home, reader = self.site.home, self.site.reader
        history = read_history(reader, home)
        longer = add_history(history, plan.before, plan.release)
        if longer != history and not self._going_back:
            self._files.make_dir(f"{home}/releases", home)
            text = json.dumps(longer, indent=2, sort_keys=True) + "\n"
            self._files.write(history_path(home), text, home)

    def flip(self, plan: Plan) -> None:
        home = self.site.home
        if plan.adopt:
            # A crash right here leaves no venv; the next run then only makes the link.
            self._files.rename(f"{home}/venv", f"{home}/releases/{plan.adopt}")
        if not plan.flip_to:
            return
        try:
            self._files.rename(self._next_link, f"{home}/venv")
        except OSError:
            if plan.adopt:
                self._files.rename(f"{home}/releases/{plan.adopt}", f"{home}/venv")
            raise
        if read_venv(self.site.reader, home).target != plan.path:
            raise FleetError(f"{home}/venv was switched to {plan.path}, but leads elsewhere.")

    def sync(self) -> None:
        self._files.sync(self.site.home)

    def tidy(self) -> None:
        self._files.remove(self._next_link)
