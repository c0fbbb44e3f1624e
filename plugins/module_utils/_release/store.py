# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory of the releases: its lock, its trees, what in it is to be believed."""

import ctypes
import errno
import fcntl
import mmap
import os
import shutil
import stat
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import (
    MARK,
    kill_carriers,
    run,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.trust import (
    as_whom,
    cure,
    doubt,
    read_file,
    user_name,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.venv import (
    freeze,
    read_dists,
    site_packages,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.record import (
    LOCK,
    RECORD,
    SCRATCH,
    Space,
    changed_since,
    dumps,
    is_build_name,
    parse_record,
)

LOCK_TIMEOUT = 1800.0
# A record of some hundred packages has a few dozen KiB.
LIMIT = 1 << 24


def read_record(path: str) -> Optional[Dict[str, Any]]:
    """The record of a release; None if the directory has none. FleetError if it is no good."""
    try:
        content = read_file(os.path.join(path, RECORD), LIMIT)
        if content is None:
            raise FleetError(f"its {RECORD} is not a file")
        return parse_record(content.decode("utf-8"), os.path.basename(path))
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as exc:
        raise FleetError(f"its {RECORD} is not text ({exc})") from exc
    except OSError as exc:
        raise FleetError(f"its {RECORD} cannot be read ({exc.strerror})") from exc


def why_not_believed(path: str) -> str:
    """Why a directory with a release's name is not one; empty if it is."""
    try:
        record = read_record(path)
        if record is None:
            return f"it has no {RECORD}"
        found = None if record.get("adopted") else doubt(path)
        if found:
            return f"{found}, who may have changed it"
        changed = (
            []
            if record.get("adopted")
            else changed_since(record["freeze"], freeze(read_dists(path)))
        )
        if changed:
            return "it was changed after it was built: {}".format(", ".join(changed[:8]))
        python = path + "/bin/python"
        if run([python, "-c", ""], {}, "/", 60, as_whom(python, *site_packages(path))).status != 0:
            return "its Python does not run any more"
    except FleetError as exc:
        return str(exc)
    return ""


def make_releases(path: str) -> str:
    """The directory of the releases: ours alone to write to, or root might be led elsewhere."""
    with suppress(FileExistsError):
        os.mkdir(path, 0o755)
    refuse_doubt(path)
    return path


def refuse_doubt(path: str) -> None:
    """An error, with the way out, if root could be led elsewhere while it builds there."""
    found = doubt(path)
    if found is None:
        return
    text = (
        f"{found}, who could lead root elsewhere while it builds in {path}. Nothing was written. "
        f"Either keep that for root: `{cure(found)}`"
    )
    if found.owned:
        text += f"; or build as {user_name(found.uid)}: ansible_become_user"
    raise FleetError(text + ".")


@contextmanager
def locked(
    releases: str, sleep: Callable[[float], None] = time.sleep, timeout: float = LOCK_TIMEOUT
) -> Iterator[None]:
    """One builder at a time in one home. The kernel lets go of the lock of a dead one."""
    path = os.path.join(releases, LOCK)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as exc:
                if exc.errno not in (errno.EAGAIN, errno.EACCES):
                    raise FleetError(f"{path} cannot be locked: {exc.strerror}") from exc
            if time.monotonic() > deadline:
                owner = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
                raise FleetError(
                    "another build in {} (pid {}) has not ended within {:g} s".format(
                        releases, owner or "unknown", timeout
                    )
                )
            sleep(0.2)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def remove_tree(path: str) -> None:
    """Remove a directory of ours, with whatever a dead builder's children still do in it."""
    for _attempt in range(5):
        kill_carriers([f"{MARK}={path}"])
        shutil.rmtree(path, ignore_errors=True)
        if not os.path.lexists(path):
            return
        time.sleep(0.2)
    raise FleetError(f"{path} cannot be removed")


def clear_stale(releases: str) -> List[str]:
    """Remove what dead builders left. Only for the holder of the lock: nobody else builds."""
    stale = [n for n in sorted(os.listdir(releases)) if is_build_name(n)]
    for name in stale:
        remove_tree(os.path.join(releases, name))
    return stale


def discard(releases: str, identity: str) -> None:
    """Remove a release. Its name goes first, so that nobody believes what a crash leaves of it."""
    path = os.path.join(releases, identity)
    for top, _directories, _files in os.walk(path):
        # The next build would stumble over what cannot be removed.
        if not os.access(top, os.R_OK | os.W_OK | os.X_OK):
            raise FleetError(
                f"{path} was to be removed, and this user may not remove what is in {top}. It was"
                " left as it is. Become root, or the owner of that directory."
            )
    nameless = os.path.join(releases, f"{SCRATCH}{identity}-{os.urandom(4).hex()}")
    os.rename(path, nameless)
    sync_directory(releases)
    remove_tree(nameless)


def free_space(path: str) -> Space:
    """What is free for the user who builds."""
    info = os.statvfs(path)
    # Some file systems (btrfs) make inodes as they go and say 0 of 0.
    inodes = info.f_favail if info.f_files else None
    return Space(info.f_bavail * info.f_frsize // (1 << 20), inodes)


_SYNC_FILE_RANGE_WRITE = 2
# A disk takes one flush for many that wait for it at once.
_SYNCERS = 16


def sync_tree(path: str) -> None:
    """Bring what was built to its disk, so that a release survives a power cut whole.

    That, and not the file system: what other programs have written there is not ours to wait for.
    All is begun before any of it is waited for, or each file would cost a turn of the disk.
    """
    files, directories = [], []
    for top, _directories, names in os.walk(path):
        directories.append(top)
        full = (os.path.join(top, name) for name in names)
        files += [each for each in full if stat.S_ISREG(os.lstat(each).st_mode)]
    try:
        begin = ctypes.CDLL(None).sync_file_range
        begin.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    except (OSError, AttributeError):
        begin = None
    if begin is not None:
        for name in files:
            _with_handle(name, lambda handle: begin(handle, 0, 0, _SYNC_FILE_RANGE_WRITE))
    with ThreadPoolExecutor(_SYNCERS) as pool:
        # A list, so that an error of any is ours.
        list(pool.map(lambda name: _with_handle(name, os.fsync), files))
        list(pool.map(sync_directory, directories))


def _with_handle(path: str, use: Callable[[int], Any]) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        use(handle)
    finally:
        os.close(handle)


def sync_directory(path: str) -> None:
    """Bring a directory's entries to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_record(path: str, record: Mapping[str, Any]) -> None:
    """Write release.json, to the disk."""
    target = os.path.join(path, RECORD)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(dumps(record))
        file.flush()
        os.fsync(file.fileno())
    os.chmod(target, 0o644)
    sync_directory(path)


def set_modes(path: str) -> None:
    """Readable for all, writable for the owner, whatever wheels and umask wanted."""
    for top, _directories, files in os.walk(path):
        os.chmod(top, 0o755)
        for name in files:
            full = os.path.join(top, name)
            mode = os.lstat(full).st_mode
            if stat.S_ISREG(mode):
                os.chmod(full, 0o755 if mode & 0o111 else 0o644)


def _content_with(path: str, needle: bytes) -> Optional[bytes]:
    """The content of a regular file that holds the needle, else None."""
    info = os.lstat(path)
    if not stat.S_ISREG(info.st_mode) or info.st_size < len(needle):
        return None
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return view[:] if view.find(needle) >= 0 else None


def rename_inside(path: str, old: str, new: str) -> int:
    """Replace one name by another of the same length in all files and links of a tree."""
    if len(old) != len(new):
        raise ValueError("names of different length")
    before, after = old.encode(), new.encode()
    count = 0
    for top, directories, files in os.walk(path):
        for name in directories + files:
            full = os.path.join(top, name)
            if os.path.islink(full):
                target = os.readlink(full)
                if old in target:
                    os.unlink(full)
                    os.symlink(target.replace(old, new), full)
                    count += 1
                continue
            if name in directories:
                continue
            info = os.lstat(full)
            content = _content_with(full, before)
            if content is None:
                continue
            content = content.replace(before, after)
            # A new file, never a write into one: it may be a hard link to somebody's cache.
            handle, temporary = tempfile.mkstemp(dir=top)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(temporary, stat.S_IMODE(info.st_mode))
            # Byte-code is checked against the time and size of its source.
            os.utime(temporary, ns=(info.st_atime_ns, info.st_mtime_ns))
            os.rename(temporary, full)
            count += 1
    return count


def names_inside(path: str, name: str) -> List[str]:
    """The files, links and names of a tree that hold a name."""
    needle = name.encode()
    found = []
    for top, directories, files in os.walk(path):
        for entry in directories + files:
            full = os.path.join(top, entry)
            if name in entry:
                found.append(full)
            elif os.path.islink(full):
                if name in os.readlink(full):
                    found.append(full)
            elif entry in files and _content_with(full, needle) is not None:
                found.append(full)
    return found


def put_aside(path: str, why: str) -> str:
    """Move away what has a release's name and is none; never the live one."""
    live = os.path.join(os.path.dirname(os.path.dirname(path)), "venv")
    if os.path.realpath(live) == os.path.realpath(path):
        raise FleetError(
            f"{path} is the live release and cannot be trusted: {why}. Roll back or switch to "
            "another release first, then remove it."
        )
    aside = f"{path}.untrusted-{os.urandom(4).hex()}"
    os.rename(path, aside)
    return f"{path} was not trusted ({why}) and was moved to {os.path.basename(aside)}."
