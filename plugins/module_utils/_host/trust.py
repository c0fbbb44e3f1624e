# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who else could change what a path means: root asks before it writes there or runs what is there.

Who is not root risks no more than what is his own already, and is asked nothing.
"""

import grp
import os
import pwd
import stat
from shlex import quote
from typing import FrozenSet, List, NamedTuple, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import User

NOBODY = 65534
_LINKS = 40


class Doubt(NamedTuple):
    """The first thing on the way to a path that somebody else could exchange, or fill."""

    path: str
    uid: int
    gid: int
    mode: int
    # It belongs to somebody else; if not, others may write to it.
    owned: bool
    # The path goes on from here.
    on_the_way: bool

    def __str__(self) -> str:
        who = user_name(self.uid)
        if self.owned:
            return f"{self.path} belongs to {who}"
        group = "group " + group_name(self.gid) if self.mode & stat.S_IWGRP else "everybody"
        return f"{self.path} is writable for {group}"


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def trusted_uids() -> FrozenSet[int]:
    """Root, ourselves, and who became us through sudo: he needs no trick to be root."""
    found = {0, os.geteuid()}
    through = os.environ.get("SUDO_UID", "")
    if through.isdigit():
        found.add(int(through))
    return frozenset(found)


def doubt(path: str) -> Optional[Doubt]:
    """Why root must not rely on a path; None if it may, or if we are not root.

    Others may write to a directory on the way if it is sticky, as /tmp is: they cannot exchange
    what is not theirs there. The directory that the path ends in, or in which its file is, must
    not be writable for them at all. What does not exist is judged by where it would be.
    """
    return _walk(path, trusted_uids()) if os.geteuid() == 0 else None


def _walk(path: str, trusted: FrozenSet[int]) -> Optional[Doubt]:
    todo = _names(path)
    here, links = "/", 0
    info = os.lstat(here)
    while True:
        goes_on = bool(todo)
        mode = stat.S_IMODE(info.st_mode)
        sticky_will_do = goes_on and not _is_file(here, todo)
        # Who is in root's own group is an administrator.
        others = mode & (0o022 if info.st_gid else 0o002)
        shared = others and not (mode & stat.S_ISVTX and sticky_will_do)
        if info.st_uid not in trusted or shared:
            owned = info.st_uid not in trusted
            return Doubt(here, info.st_uid, info.st_gid, mode, owned, goes_on)
        if not todo:
            return None
        name = todo.pop(0)
        full = os.path.dirname(here) if name == ".." else os.path.join(here, name)
        try:
            info = os.lstat(full)
            target = os.readlink(full) if stat.S_ISLNK(info.st_mode) else None
        except OSError:
            # It is not there, or is not ours to see: nothing will be done with it.
            return None
        if target is None:
            here = full
            continue
        links += 1
        if info.st_uid not in trusted or links > _LINKS:
            return Doubt(full, info.st_uid, info.st_gid, 0o777, True, True)
        todo = _names(target) + todo
        here = "/" if os.path.isabs(target) else here
        info = os.lstat(here)


def writer_in_doubt(path: str, info: os.stat_result, uids: FrozenSet[int]) -> str:
    """Who else could have written a log, or put another in its place; empty if nobody could.

    Groups are believed, other than where root writes: on most systems one of them owns /var/log.
    """
    if info.st_mode & stat.S_IWOTH:
        return f"{path} is writable for everybody"
    if info.st_uid not in uids | trusted_uids():
        return f"{path} belongs to {user_name(info.st_uid)}"
    here = os.path.dirname(os.path.realpath(path))
    while True:
        mode = os.stat(here).st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return f"{here} is writable for everybody"
        if here == "/":
            return ""
        here = os.path.dirname(here)


def _names(path: str) -> List[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _is_file(here: str, todo: List[str]) -> bool:
    """Whether what comes next is a file: in a sticky directory that may be a hard link."""
    return len(todo) == 1 and os.path.isfile(os.path.join(here, todo[0]))


def cure(found: Doubt) -> str:
    """What to type so that the doubt is gone; on the way its owner may still make files there."""
    path = quote(found.path)
    if not found.on_the_way:
        return f"chown -R root: {path} && chmod -R go-w {path}"
    if not found.owned:
        return f"chmod +t {path}"
    try:
        group = pwd.getpwuid(found.uid).pw_gid
    except KeyError:
        group = found.gid
    return f"chown {quote('root:' + group_name(group))} {path} && chmod 1775 {path}"


def as_whom(*paths: str, user: Optional[User] = None) -> Optional[User]:
    """As whom to run a program that these files belong to; None for as whom we are.

    What somebody else may have written, root runs as him: it is no more than he could do himself.
    ``user`` is the application's, who is taken in that case if he is known.
    """
    for path in paths:
        found = doubt(path)
        if found is None:
            continue
        if user is not None and user.uid != 0:
            return user
        uid = found.uid if found.owned else NOBODY
        try:
            return User(uid, pwd.getpwuid(uid).pw_gid, ())
        except KeyError:
            return User(uid, found.gid if found.owned else NOBODY, ())
    return None


def read_file(path: str, limit: int) -> Optional[bytes]:
    """The content of a regular file, at most ``limit`` of it; None if it is something else.

    A FIFO that somebody put in its place must not hang us, nor a device be opened for good.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        return file.read(limit) if stat.S_ISREG(os.fstat(handle).st_mode) else None
