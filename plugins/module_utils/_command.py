# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run commands that end with us: in time, as the wanted user, output bounded."""

import contextlib
import ctypes
import os
import signal
import subprocess
import tempfile
from typing import (
    IO,
    Any,
    Callable,
    Collection,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from ansible_collections.fleetops.gunicorn.plugins.module_utils._habits import Habits, take_on

_PR_SET_PDEATHSIG = 1
# In the environment of what a build starts: the build's own place, whose name nobody can guess.
MARK = "FLEETOPS_BUILD"
# In that of a trial of a release, with a number that nobody can guess.
TRIAL = "FLEETOPS_BOOT_TEST"
_marks: Dict[str, str] = {}
OUTPUT_LIMIT = 256 * 1024


class User(NamedTuple):
    """Whom to run as."""

    uid: int
    gid: int
    groups: Tuple[int, ...]
    habits: Habits = Habits()


class Result(NamedTuple):
    """How a command ended; ``status`` is None if it had to be killed or could not start."""

    status: Optional[int]
    output: str
    error: str = ""


def _prctl() -> Any:
    try:
        return ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return None


def in_child(user: Optional[User], death_signal: int) -> Callable[[], None]:
    """What a child does to itself between fork and exec."""
    prctl = _prctl()

    def prepare() -> None:
        habits = user.habits if user else Habits()
        os.umask(habits.umask)
        take_on(habits)
        if user is not None and os.geteuid() == 0:
            os.setgroups(list(user.groups))
            os.setgid(user.gid)
            os.setuid(user.uid)
        # After setuid, which clears it: a killed builder takes its children with it.
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)

    return prepare


def start(
    argv: Sequence[str],
    environment: Mapping[str, str],
    directory: str,
    output: IO[bytes],
    user: Optional[User] = None,
    death_signal: int = signal.SIGKILL,
) -> "subprocess.Popen[bytes]":
    """Start a command in a process group of its own; OSError if that cannot be."""
    return subprocess.Popen(
        list(argv),
        env=dict(environment, **_marks),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        preexec_fn=in_child(user, death_signal),
        start_new_session=True,
    )


@contextlib.contextmanager
def marked(place: str) -> Iterator[None]:
    """Mark whatever is started meanwhile, with its children, as this build's."""
    _marks[MARK] = place
    try:
        yield
    finally:
        del _marks[MARK]


def carriers(places: Collection[str], proc: str = "/proc") -> List[int]:
    """The processes that builds in these places have started, and their children.

    Only who carries the mark itself: a path stands in many an innocent environment (OLDPWD) or
    command line (tail, an editor).
    """
    marks = {f"{MARK}={place}".encode() for place in places}
    found = []
    for name in os.listdir(proc):
        if name.isdigit() and int(name) != os.getpid():
            with contextlib.suppress(OSError), open(f"{proc}/{name}/environ", "rb") as file:
                if marks & set(file.read().split(b"\0")):
                    found.append(int(name))
    return found


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """End a command and what it started, and take note that it ended."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def read_bounded(file: IO[bytes], limit: int = OUTPUT_LIMIT) -> str:
    """The head and the tail of what was written."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size <= limit:
        return file.read().decode("utf-8", "replace")
    head = file.read(limit // 2)
    file.seek(size - limit // 2)
    return (head + b"\n[...]\n" + file.read()).decode("utf-8", "replace")


def run(
    argv: Sequence[str],
    environment: Mapping[str, str],
    directory: str = "/",
    timeout: float = 1800,
    user: Optional[User] = None,
) -> Result:
    """Run a command to its end; never raises for what the command does."""
    with tempfile.TemporaryFile() as output:
        try:
            process = start(argv, environment, directory, output, user)
        except (OSError, subprocess.SubprocessError) as exc:
            return Result(None, "", "{}: {}".format(argv[0], getattr(exc, "strerror", None) or exc))
        error = ""
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            error = f"{os.path.basename(argv[0])} was ended after {timeout:g} s"
        finally:
            kill_group(process)
        return Result(None if error else process.returncode, read_bounded(output), error)
