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
import time
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

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.inherited import (
    Habits,
    take_on,
)

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


def carrying(variables: Collection[str], proc: str = "/proc") -> List[int]:
    """The processes that have one of these variables, "NAME=value", in their environment.

    Only who carries the very mark: a path stands in many an innocent environment (OLDPWD) or
    command line (tail, an editor).
    """
    pids = (int(name) for name in os.listdir(proc) if name.isdigit())
    return [pid for pid in pids if pid != os.getpid() and carries(pid, variables, proc)]


def carries(pid: int, variables: Collection[str], proc: str = "/proc") -> bool:
    with contextlib.suppress(OSError), open(f"{proc}/{pid}/environ", "rb") as file:
        found = set(file.read().split(b"\0"))
        return any(each.encode() in found for each in variables)
    return False


def kill_carriers(variables: Collection[str]) -> List[int]:
    """SIGKILL whoever carries one of these variables; returns whom that was."""
    found = carrying(variables)
    for pid in found:
        kill_while(pid, lambda each: carries(each, variables))
    return found


def kill_while(pid: int, is_still: Callable[[int], bool]) -> None:
    """SIGKILL a process that is still the one that was found, and not a later one of its number."""
    with contextlib.suppress(OSError):
        # Python 3.9: the handle is of this very process, whatever becomes of its number.
        handle = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else -1
        try:
            if is_still(pid):
                if handle >= 0:
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                else:
                    os.kill(pid, signal.SIGKILL)
        finally:
            if handle >= 0:
                os.close(handle)


def ended(process: "subprocess.Popen[bytes]", timeout: float) -> Optional[int]:
    """How a child has ended, as its returncode will tell it; None if it has not in that time.

    The kernel keeps its number until `kill_group`, so that no other process can have it.
    """
    deadline, delay = time.monotonic() + timeout, 0.001
    while process.returncode is None:
        try:
            found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return process.wait()
        if found is not None:
            status = found.si_status
            return int(status if found.si_code == os.CLD_EXITED else -status)
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        delay = min(delay * 2, left, 0.05)
        time.sleep(delay)
    return process.returncode


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """End a command and what it started, and take note that it ended."""
    if process.returncode is None:
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
            if ended(process, timeout) is None:
                error = f"{os.path.basename(argv[0])} was ended after {timeout:g} s"
        finally:
            kill_group(process)
        return Result(None if error else process.returncode, read_bounded(output), error)
