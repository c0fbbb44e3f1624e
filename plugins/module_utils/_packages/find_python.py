# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the Pythons, the installer and the users of this host by looking and asking."""

import contextlib
import glob
import json
import os
import pwd
import re
import shutil
import sys
from typing import List, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import User, run
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import Reader
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.trust import as_whom, doubt
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.interpreters import (
    PROBE,
    Found,
    Probed,
    find,
    parse_probe,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.python_places import (
    patterns,
    told_by,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.venv import site_packages


def homes() -> List[str]:
    """Homes under which version managers keep Pythons; an unreadable one is passed over.

    HOME may be another one than the user's: sudo keeps it, a service has none, a test sets it.
    """
    places = [os.path.expanduser("~"), "/root"]
    with contextlib.suppress(KeyError):
        places.insert(1, pwd.getpwuid(os.geteuid()).pw_dir)
    return [p for p in dict.fromkeys(places) if os.access(p, os.R_OK | os.X_OK)]


def find_uv() -> str:
    """uv on this host, or nothing."""
    places = [os.path.dirname(sys.executable), "/usr/local/bin", "/opt/uv/bin"]
    places += [os.path.join(home, d) for home in homes() for d in (".local/bin", ".cargo/bin")]
    path = os.pathsep.join([os.environ.get("PATH", os.defpath)] + places)
    return shutil.which("uv", path=path) or ""


def user_named(name: str) -> User:
    """A user of this host, with all his groups."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise FleetError(f"user {name!r} does not exist on this host") from None
    return User(entry.pw_uid, entry.pw_gid, tuple(os.getgrouplist(name, entry.pw_gid)))


def user_of_pid(pid: int) -> Optional[User]:
    """The user as whom a process runs, if it is there."""
    text = Reader().text(f"/proc/{pid}/status")

    def numbers(name: str) -> List[int]:
        match = re.search(rf"^{name}:[ \t]*(.*)$", text, re.M)
        return [int(word) for word in match.group(1).split()] if match else []

    uids, gids = numbers("Uid"), numbers("Gid")
    return User(uids[1], gids[1], tuple(numbers("Groups"))) if uids and gids else None


def venv_of(path: str) -> str:
    """The directory whose ``bin`` holds a Python."""
    return os.path.dirname(os.path.dirname(path))


def probe_python(path: str, user: Optional[User] = None) -> Probed:
    """Ask a Python what it is, and whether ``user`` can run it: what root can, others may not.

    Root asks as somebody else what somebody else may have written: a virtualenv runs code of its
    site-packages before anything that it is told to run.
    """
    if not os.path.isfile(path) or not os.access(path, os.X_OK):
        return Probed(None, "")
    env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "HOME": "/"}
    whom = as_whom(path, os.path.realpath(path), *site_packages(venv_of(path)), user=user)
    result = run([path, "-I", "-c", PROBE], env, "/", 60, whom)
    if result.status != 0:
        # Python 2 knows no -I; it gets its chance to say which it is.
        result = run([path, "-E", "-s", "-c", PROBE], env, "/", 60, whom)
    try:
        answer = json.loads(result.output.strip().splitlines()[-1])
        it = parse_probe(answer)
    except (ValueError, IndexError, KeyError, TypeError):
        why = result.error or " ".join(result.output.split())[-160:] or "it says nothing"
        return Probed(None, f"does not run ({why})")
    real = os.path.realpath(it.executable)
    it = it._replace(executable=real)
    if not os.access(real, os.X_OK):
        return Probed(None, f"its base installation {it.executable} is gone")
    if user is not None and os.geteuid() == 0 and user.uid != 0:
        tried = run([real, "-I", "-c", "import encodings, ssl"], env, "/", 60, user)
        if tried.status != 0:
            return Probed(
                None,
                "cannot be run by uid {} ({})".format(
                    user.uid, tried.error or " ".join(tried.output.split())[-120:]
                ),
            )
    return Probed(it)


def find_python(wanted: str, extra: List[str], user: Optional[User], uv: str) -> Found:
    """The Python to build with."""
    places = patterns(wanted, told_by(os.environ, homes()), extra)

    def look(path: str) -> Probed:
        probed = probe_python(path, user)
        if probed.interpreter is None or os.geteuid() != 0:
            return probed
        # Root will run it to build, so it must be what root alone can have put there, and its
        # answers must be its own rather than those of a virtualenv made from it.
        real = probed.interpreter.executable
        found = doubt(real)
        if found:
            return Probed(
                None,
                f"{found}, and root runs nothing that others may have written; give it to root, or "
                "build as that user (ansible_become_user)",
            )
        return probed if path == real else probe_python(real, user)

    return find(wanted, places, lambda p: sorted(glob.glob(p)), look, bool(uv))
