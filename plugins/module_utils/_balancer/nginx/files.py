# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of somebody else's, replaced as a whole: owner, mode, labels stay, links are followed."""

import os
import stat
import tempfile
from contextlib import suppress
from typing import Dict, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

# Begins so that no `include *` and no `include *.conf` takes it for a part of the configuration.
_SCRATCH = ".fleetops-gunicorn-"


def replace(path: str, before: str, after: str) -> None:
    """Put new content into a file that is still what it was; an error leaves it untouched."""
    real = os.path.realpath(path)
    scratch = ""
    try:
        if _content(real) != before:
            raise FleetError(
                f"{path} was changed by somebody else in this very moment. Nothing was written; try"
                " again when they are done."
            )
        found = os.stat(real)
        handle, scratch = tempfile.mkstemp("", _SCRATCH, os.path.dirname(real))
        with os.fdopen(handle, "wb") as file:
            file.write(after.encode("latin-1"))
            if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), found.st_uid, found.st_gid)
            os.fchmod(file.fileno(), stat.S_IMODE(found.st_mode))
            _label(real, file.fileno())
            file.flush()
            os.fsync(file.fileno())
        os.rename(scratch, real)
        scratch = ""
        _sync(os.path.dirname(real))
    except OSError as exc:
        raise FleetError(
            f"Asked to write {path}. {exc.strerror or exc}. What was there is unchanged. Become"
            " root, or make room."
        ) from None
    finally:
        if scratch:
            with suppress(OSError):
                os.unlink(scratch)


def _content(path: str) -> str:
    with open(path, "rb") as file:
        return file.read().decode("latin-1")


def _label(source: str, handle: int) -> None:
    """SELinux' context, access lists, and whatever else is kept beside the mode."""
    with suppress(OSError, AttributeError):
        for name in os.listxattr(source):
            with suppress(OSError):
                os.setxattr(handle, name, os.getxattr(source, name))


def _sync(directory: str) -> None:
    with suppress(OSError):
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def may_replace(path: str) -> bool:
    """Whether this user may."""
    folder = os.path.dirname(os.path.realpath(path))
    return os.access(folder, os.W_OK | os.X_OK) and os.access(path, os.R_OK)


Signature = Tuple[int, int, int, int]


def signatures(paths: "Dict[str, str]") -> Dict[str, Signature]:
    """What tells cheaply that a file has been changed or replaced."""
    found: Dict[str, Signature] = {}
    for path in paths:
        with suppress(OSError):
            status = os.stat(path)
            found[path] = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return found
