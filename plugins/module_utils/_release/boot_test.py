# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prove that a release serves: start its gunicorn beside the live one and ask it.

Nothing of the live service is touched: own loopback port, own log, own pid file; and
nothing is left behind, whatever the program did (every descendant carries a token in its
environment and is found by it).
"""

import contextlib
import glob
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from typing import IO, Any, Dict, Iterator, Mapping, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import (
    TRIAL,
    User,
    carrying,
    ended,
    kill_carriers,
    kill_group,
    read_bounded,
    run,
    start,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.http_request import (
    ask,
    parse_url,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.inherited import habits_of
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Reader,
    read_environ,
    read_inodes,
    read_listeners,
    read_process,
    read_table,
    shown,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    gunicorn_arguments as running_arguments,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.trust import as_whom
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.find_python import (
    user_of_pid,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.requirements import (
    same_version,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.venv import site_packages
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import HIDDEN
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.launch import (
    Launch,
    arguments_at,
    boot_launch,
    check_launch,
    config_location,
    gunicorn_arguments,
    literal_start,
    log_tail,
    marked_as_trial,
    parse_command,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.start_directory import (
    starting_place,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.trial_config import (
    LOGS,
    NAME,
    trial_config,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.managers import (
    TRIAL_UNIT,
    end_trial,
    inherited,
    start_of,
    trial_command,
    write_file,
)

ATTEMPTS = 3
POLL = 0.1
# An application may answer 5xx while it warms up; it is given this much to get over it.
GRACE_FOR_5XX = 5.0
STOP_TIMEOUT = 10.0
SCRATCH = "gunicorn-boot-"
# The environment of what runs as somebody else, who can read it: ours may hold credentials.
PLAIN = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}

# Reads the configuration just as gunicorn does, and loads the worker class, which
# --check-config does not.
_IMPORT = """
import sys
sys.argv[0] = "gunicorn"
import gunicorn
from gunicorn.app.wsgiapp import WSGIApplication
worker = WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]").cfg.worker_class
print("fleetops", gunicorn.__version__, worker.__module__, gunicorn.__file__)
"""
_IMPORT_ALONE = """
import gunicorn, gunicorn.app.wsgiapp
print("fleetops", gunicorn.__version__, "-", gunicorn.__file__)
"""


class Wanted(NamedTuple):
    """What must answer."""

    prefix: str
    gunicorn: str
    python: str
    # Words of the start that name another Python's directory; see stale_words.
    stale: Tuple[str, ...] = ()

    @property
    def advice(self) -> str:
        """What an error that these words may have caused should say of them."""
        if not self.stale:
            return ""
        words = ", ".join(shown(word[:200] for word in self.stale[:3]))
        return (
            f"\nThe start names the old Python's directory: {words}. The service manager will go on"
            " saying so after the switch, and there is no such directory in the new release. Name a"
            " path without a Python's version, or change it in step with the stage."
        )


def user_of(launch: Launch) -> User:
    """Whom to become, and with which limits; an error if we may not."""
    if os.geteuid() not in (0, launch.uid):
        raise FleetError(
            f"the application runs as uid {launch.uid} and this as uid {os.geteuid()}: only root "
            "may try a release as another user (become: true)."
        )
    return User(launch.uid, launch.gid, launch.groups, launch.habits)


def live_launch(
    pid: int,
    environment: Dict[str, str],
    fallback: Optional[Launch],
    directory: str = "",
    command: str = "",
) -> Launch:
    """How the live arbiter was started: by the service manager's word, else from the kernel.

    ``fallback`` is the service manager's command where it shows gunicorn, ``directory`` where that
    is started (empty: where the service manager itself is), ``command`` how it was told.
    """
    reader = Reader()
    process = read_process(reader, pid)
    if process is None:
        raise FleetError(
            f"like_pid: there is no process {pid}. It was to be read for how the application is "
            "started; look again with gunicorn_info, or give command."
        )
    if running_arguments(process.cmdline) is None:
        raise FleetError(
            "like_pid: process {} is no gunicorn: {}".format(
                pid, " ".join(shown(process.cmdline))[:200]
            )
        )
    base = f"/proc/{pid}/"
    cwd = reader.link(base + "cwd")
    env = read_environ(reader, pid)
    user = user_of_pid(pid)
    if cwd is None or user is None or (base + "environ") in reader.denied:
        raise FleetError(
            f"like_pid: process {pid} belongs to another user and may not be read; become root or "
            "its user."
        )

    origin = f"the live arbiter (pid {pid})"
    argv, arguments = process.cmdline, running_arguments(process.cmdline) or ()
    literal = literal_start(fallback.argv, arguments) if fallback else None
    if argv[0].startswith("gunicorn: "):
        # setproctitle has written its title over the arguments and the environment.
        if fallback is None:
            raise FleetError(
                f"like_pid: process {pid} hides its command line (setproctitle); give command too."
            )
        started = start_of(reader, process.ppid, command)
        variables = fallback.environment
        words = fallback.argv
        if started:
            words, more = parse_command(started.command)
            variables = dict(fallback.environment, **more)
        if any(HIDDEN in word for word in words):
            raise FleetError(
                f"like_pid: process {pid} hides its command line (setproctitle), and the command of"
                " its program holds what looks like a secret, which is not told. Put that into the"
                " program's environment, or set release_boot_test to none."
            )
        argv = literal = words
        arguments = argv[arguments_at(argv) or 0 :]
        env = dict(read_environ(reader, process.ppid), **(started.environment if started else {}))
        env.update(environment)
        env.update({k: v for k, v in variables.items() if k not in env})
        if not started:
            origin += ", whose variables are hidden by setproctitle"
    return Launch(
        # To the letter what will be started, rather than what became of it.
        argv=tuple(literal or argv),
        environment={k: v for k, v in env.items() if re.match(r"^[A-Za-z_]\w*$", k)},
        directory=starting_place(
            directory,
            reader.link(f"/proc/{process.ppid}/cwd") or "",
            fallback is not None,
            env,
            cwd,
            arguments,
        ),
        uid=user.uid,
        gid=user.gid,
        groups=user.groups,
        origin=origin,
        literal=literal is not None,
        habits=habits_of(reader.text(base + "status"), reader.text(base + "limits")),
    )


def _token() -> str:
    return "{:x}".format(int.from_bytes(os.urandom(8), "big"))


def check_import(launch: Optional[Launch], wanted: Wanted) -> Dict[str, Any]:
    """Import gunicorn and the worker class that the configuration names."""
    python = wanted.prefix + "/bin/python"
    if launch is None:
        whom = as_whom(python, *site_packages(wanted.prefix))
        result = run(
            [python, "-c", _IMPORT_ALONE], marked_as_trial(PLAIN, _token()), "/", 120, whom
        )
    else:
        argv = [python, "-c", _IMPORT] + gunicorn_arguments(launch)
        variables = marked_as_trial(launch.environment, _token())
        result = run(argv, variables, launch.directory, 120, user_of(launch))
    match = re.search(r"^fleetops (\S+) (\S+) (.*)$", result.output, re.M)
    environment = launch.environment if launch else {}
    if result.status != 0 or not match:
        raise FleetError(
            "import test: gunicorn, its configuration or its worker class cannot be imported in "
            "the new release:\n{}{}".format(
                result.error or log_tail(result.output, environment) or "(no output)",
                wanted.advice,
            )
        )
    if not same_version(match.group(1), wanted.gunicorn) or not match.group(3).startswith(
        wanted.prefix + "/"
    ):
        raise FleetError(
            f"import test: gunicorn {match.group(1)} from {match.group(3)} was imported, "
            f"{wanted.gunicorn} from the release was wanted; the application's PYTHONPATH puts "
            "another one first."
        )
    return {"gunicorn": match.group(1), "worker": match.group(2)}


def check_config(launch: Launch) -> str:
    """Why ``gunicorn --check-config`` refuses; empty if it does not."""
    with _scratch(launch) as scratch:
        checked = check_launch(launch, scratch, _token())
        result = run(checked.argv, checked.environment, checked.directory, 120, user_of(launch))
        if result.status == 0:
            return ""
        logs = _logs_told(_diverted(scratch), launch.environment)
    said = result.error or log_tail(result.output, launch.environment) or "(no output)"
    return said + logs


def _variables_file(token: str) -> str:
    """Where systemd, and nobody else, reads the variables of a trial."""
    return os.path.join(tempfile.gettempdir(), f"{SCRATCH}{os.getpid()}-{token}.env")


def _start(
    launch: Launch, output: IO[bytes], user: User, scratch: str, token: str, timeout: float
) -> "subprocess.Popen[bytes]":
    """Start a trial, in the sandbox of its unit if it has one."""
    if not launch.sandbox:
        return start(
            launch.argv, launch.environment, launch.directory, output, user, signal.SIGTERM
        )
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(_variables_file(token), flags, 0o600), "w", encoding="utf-8") as file:
        file.write(write_file(inherited(launch.environment)))
    found = shutil.which(launch.argv[0], path=launch.environment.get("PATH", os.defpath))
    command = trial_command(
        launch.sandbox,
        TRIAL_UNIT + token,
        _variables_file(token),
        scratch,
        launch.directory,
        (found or launch.argv[0], *launch.argv[1:]),
        timeout + STOP_TIMEOUT + 60,
    )
    return start(command, PLAIN, "/", output, None, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stop(
    process: "subprocess.Popen[bytes]", token: str, patience: float, boxed: bool = False
) -> None:
    """TERM, a while, then KILL; and again whoever slipped out of the group.

    ``boxed``: it runs in a sandbox, and the process only waits for it.
    """
    if ended(process, 0) is None:
        if boxed:
            end_trial(TRIAL_UNIT + token)
        else:
            os.kill(process.pid, signal.SIGTERM)
        ended(process, STOP_TIMEOUT if boxed else patience)
    kill_group(process)
    for _round in range(50):
        left = kill_carriers([f"{TRIAL}={token}"])
        if not left:
            return
        time.sleep(POLL)
    raise FleetError(f"boot test: processes {left} cannot be ended")


def _owner(port: int, pid: int, token: str) -> Optional[int]:
    """The process of ours that listens on the port: the arbiter, not a worker that inherited it."""
    reader = Reader()
    address = f"127.0.0.1:{port}"
    inodes = {s.inode for s in read_listeners(reader, os.getpid()) if s.address == address}
    mine = {pid} | set(carrying([f"{TRIAL}={token}"]))
    owners = [p for p in sorted(mine) if inodes & read_inodes(reader, p)]
    table = read_table(reader)
    for owner in owners:
        if owner in table and table[owner].ppid not in owners:
            return owner
    return owners[0] if owners else None


def _prove(port: int, pid: int, token: str, wanted: Wanted, log: str) -> int:
    """The one that answers is ours, from the release, with the wanted version."""
    owner = _owner(port, pid, token)
    if owner is None:
        raise FleetError(
            f"boot test: something answers on 127.0.0.1:{port}, but it is not the gunicorn that "
            "was started"
        )
    process = read_process(Reader(), owner)
    words = process.cmdline if process else ()
    title = bool(words) and words[0].startswith("gunicorn: ")
    if not title and not any(w.startswith(wanted.prefix + "/") for w in words[:3]):
        raise FleetError(
            "boot test: the program's command does not start gunicorn from the release {}, but "
            "{}. It must name the gunicorn of <app_home>/venv.".format(
                wanted.prefix, " ".join(shown(words[:3]))[:200]
            )
        )
    match = re.search(r"Starting gunicorn (\S+)", log)
    if match and not same_version(match.group(1), wanted.gunicorn):
        raise FleetError(
            f"boot test: gunicorn {match.group(1)} came up, {wanted.gunicorn} was wanted"
        )
    return owner


@contextlib.contextmanager
def _scratch(launch: Launch) -> Iterator[str]:
    """A directory for one trial, the application's user's, with the configuration file of it.

    What a killed one left is recognised by its pid, and removed.
    """
    for path in glob.glob(os.path.join(tempfile.gettempdir(), SCRATCH + "*")):
        pid = os.path.basename(path)[len(SCRATCH) :].split("-")[0]
        if pid.isdigit() and not os.path.exists("/proc/" + pid):
            if path.endswith(".env"):
                with contextlib.suppress(OSError):
                    os.unlink(path)
            shutil.rmtree(path, ignore_errors=True)
    scratch = tempfile.mkdtemp(prefix=f"{SCRATCH}{os.getpid()}-")
    try:
        # Workers may run as yet another user (gunicorn's own setting), and log too.
        os.chmod(scratch, 0o711)
        os.mkdir(os.path.join(scratch, LOGS))
        os.chmod(os.path.join(scratch, LOGS), 0o1777)
        config = os.path.join(scratch, NAME)
        with open(config, "w", encoding="utf-8") as file:
            file.write(trial_config(config_location(launch), scratch))
        os.chmod(config, 0o644)
        if os.geteuid() == 0:
            os.chown(scratch, launch.uid, launch.gid)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _diverted(scratch: str, limit: int = 1 << 16) -> str:
    """The ends of the logs that the trial wrote beside its output.

    Whoever runs the application may put links there: none is followed, and what has a second name
    is somebody's file.
    """
    text = ""
    directory = os.path.join(scratch, LOGS)
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(directory))[-8:]:
            with contextlib.suppress(OSError):
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                handle = os.open(os.path.join(directory, name), flags)
                with os.fdopen(handle, "rb") as file:
                    info = os.fstat(handle)
                    if stat.S_ISREG(info.st_mode) and info.st_nlink == 1:
                        file.seek(max(0, info.st_size - limit))
                        text += "\n" + file.read(limit).decode("utf-8", "replace")
    return text


def _logs_told(logs: str, environment: Mapping[str, str]) -> str:
    told = log_tail(logs, environment, 6)
    return (
        f"\nThe log files that it opened, kept apart from the live ones, end:\n{told}"
        if told
        else ""
    )


def boot(launch: Launch, wanted: Wanted, path: str, timeout: float) -> Dict[str, Any]:
    """Start, ask, prove, stop. Returns what was seen; an error carries the end of the log."""
    why, log, logs = "", "", ""
    for _attempt in range(ATTEMPTS):
        with _scratch(launch) as scratch:
            why, log, seen = _once(launch, wanted, path, timeout, scratch, _token())
            logs = _diverted(scratch)
        if seen is not None:
            return seen
        if not any(f"{word} in use" in log + logs for word in ("Address already", "Connection")):
            break
    raise FleetError(
        "boot test: gunicorn {} on Python {} {} (started as {} starts it, as uid {}, in {}). Its "
        "log ends:\n{}{}{}".format(
            wanted.gunicorn,
            wanted.python,
            why,
            launch.origin,
            launch.uid,
            launch.directory,
            log_tail(log, launch.environment) or "(empty)",
            _logs_told(logs, launch.environment),
            wanted.advice,
        )
    )


def _once(
    launch: Launch, wanted: Wanted, path: str, timeout: float, scratch: str, token: str
) -> Tuple[str, str, Optional[Dict[str, Any]]]:
    """One attempt: (why it failed, log, what was seen or None)."""
    port = _free_port()
    user = user_of(launch)
    this = boot_launch(launch, f"127.0.0.1:{port}", scratch, wanted.gunicorn, token)
    headers = dict(launch.headers)
    targets = [parse_url(f"{s}://127.0.0.1:{port}{path}") for s in ("http", "https")]
    # Not in the scratch directory: it belongs to the application's user by now.
    with tempfile.TemporaryFile() as output:
        if os.geteuid() == 0:
            # So that a program which opens /dev/stderr by name may do so.
            os.fchown(output.fileno(), launch.uid, launch.gid)
        began = time.monotonic()
        try:
            process = _start(this, output, user, scratch, token, timeout)
        except (OSError, subprocess.SubprocessError) as exc:
            reason = getattr(exc, "strerror", None) or exc
            return f"cannot be started ({this.argv[0]}: {reason})", "", None
        good = False
        try:
            why = f"did not answer within {timeout:g} s"
            bad_since: Optional[float] = None
            while time.monotonic() - began < timeout:
                status = ended(process, 0)
                if status is not None:
                    why = f"ended at once with status {status}"
                    break
                answer = ask(targets[0], min(timeout, 10.0), time.monotonic, headers)
                if answer.status is None and "refused" not in answer.error:
                    answer = ask(targets[1], min(timeout, 10.0), time.monotonic, headers)
                if answer.status is not None and answer.status < 500:
                    good = True
                    seconds = time.monotonic() - began
                    log = read_bounded(output)
                    _prove(port, process.pid, token, wanted, log)
                    return (
                        "",
                        log,
                        {
                            "status": answer.status,
                            "seconds": round(seconds, 3),
                            "path": path,
                            "uid": launch.uid,
                        },
                    )
                if answer.status is not None:
                    why = f"answers {answer.status} on {path}"
                    bad_since = bad_since or time.monotonic()
                    if time.monotonic() - bad_since > GRACE_FOR_5XX:
                        break
                time.sleep(POLL)
        finally:
            _stop(process, token, STOP_TIMEOUT if good else POLL, bool(this.sandbox))
            with contextlib.suppress(FileNotFoundError):
                os.unlink(_variables_file(token))
        return why, read_bounded(output), None
