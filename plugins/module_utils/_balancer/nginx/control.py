# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One nginx: what it runs, and how its files are changed so that it runs that, or nothing does."""

import os
import shlex
import signal
import subprocess
from contextlib import suppress
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx import files
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx import (
    running as runs,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.config import (
    Config,
    digests,
    load,
    states,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.processes import (
    Away,
    Proc,
    Workers,
    prefix,
    workers,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import Clock
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.machine import (
    boot_id,
    boottime,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import Unbelievable
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fencing import key_of

_COMMAND_TIMEOUT = 60.0
_POLL = 0.02
# If fewer workers serve than before for so long, then no more will come.
_FEWER = 1.0
# How much of an error log is read for why a reload failed.
_TAIL = 16 * 1024
_PATHS = os.pathsep.join(["/usr/sbin", "/usr/local/sbin", "/sbin"])
DEFAULT_PID_FILE = "/run/nginx.pid"


class Settings(NamedTuple):
    """How this nginx is reached. Commands are lists of words, empty for what nginx itself does."""

    conf: str
    pid_file: str
    test_command: Tuple[str, ...]
    reload_command: Tuple[str, ...]
    reload_timeout: float
    probe: str
    probe_status: Tuple[int, ...]
    probe_headers: Dict[str, str]
    probe_timeout: float
    directory: str


class ReloadFailed(FleetError):
    """The new configuration is not what runs; the files are as they were, if that was `undone`."""

    def __init__(self, text: str, undone: bool) -> None:
        FleetError.__init__(self, text)
        self.undone = undone


class Sight(NamedTuple):
    """One look: the files, the processes, and whether the one is what the other runs."""

    config: Config
    workers: Workers
    running: runs.Running
    digests: Dict[str, str]


def words_of(command: str) -> Tuple[str, ...]:
    return tuple(shlex.split(command))


class Control:
    """The files and the processes of one nginx."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        proc: Optional[Proc] = None,
        fence: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.proc = proc or Proc()
        self._clock = clock
        self._fence = fence
        self._box = StateDirectory(settings.directory, private=True)
        self._record_name = f"{key_of(os.path.realpath(settings.conf))}.nginx"
        self._signatures: Dict[str, files.Signature] = {}

    # -- looking ---------------------------------------------------------------------------------

    def look(self) -> Sight:
        config = load(self.settings.conf)
        self._signatures = files.signatures(config.texts)
        found = self.processes(config)
        now = digests(config)
        began = self._clock.wall() - boottime() + found.generation.ticks / _hertz()
        running = runs.judge(
            self._record(),
            boot_id(),
            found.generation,
            began,
            now,
            states(config),
            {path: each[3] / 1e9 for path, each in self._signatures.items()},
        )
        return Sight(config, found, running, now)

    def processes(self, config: Config) -> Workers:
        return workers(self.proc, self.pid_file(config), self.settings.conf)

    def pid_file(self, config: Config) -> str:
        if self.settings.pid_file:
            return self.settings.pid_file
        found = config.pid_file or DEFAULT_PID_FILE
        if not os.path.isabs(found):
            raise FleetError(
                f"{config.conf} says `pid {found}`, and what that is relative to is compiled into"
                " nginx. Name the whole path (load_balancer_nginx_pid_file)."
            )
        return found

    def touched(self, config: Config) -> bool:
        """Whether somebody has changed a file since the last look; costs little."""
        return files.signatures(config.texts) != self._signatures

    def refusal(self, config: Config, backends: Sequence[str]) -> str:
        """Why nothing of these upstreams may be changed from here; empty if something may."""
        wanted = [up for up in config.upstreams if up.name in backends or not backends]
        mine = sorted({line.path for up in wanted for line in up.lines})
        wrong = [path for path in mine if not files.may_replace(path)]
        if not wrong:
            return ""
        return (
            f"{wrong[0]}, which has a server of an upstream, may not be replaced by uid"
            f" {os.geteuid()}. Become root on this balancer (ansible_become), or the owner of its"
            " directory."
        )

    def version(self, master: int) -> str:
        """Of the program that runs; empty if it is not to be had."""
        program = self.proc.program(master)
        with suppress(FleetError):
            if program:
                return self._run((program, "-v"))[1].rpartition("/")[2].partition(" ")[0][:40]
        return ""

    def _record(self) -> Optional[runs.Record]:
        try:
            with self._box.opened() as box:
                content = box.read(self._record_name) if box else None
            return None if content is None else runs.parse(content)
        except Unbelievable:
            return None
        except FleetError:
            # Whoever may not read it may not change anything either.
            return None

    def _remember(self, sight: Sight, loaded: Dict[str, runs.State]) -> None:
        record = runs.Record(boot_id(), sight.workers.generation, sight.digests, loaded)
        with self._box.opened(create=True) as box:
            if box:
                box.write(self._record_name, runs.dump(record))

    # -- changing --------------------------------------------------------------------------------

    def apply(self, sight: Sight, texts: Dict[str, str]) -> Sight:
        """Write these files, have nginx read them, and wait until new workers serve with them.

        Whatever fails, the files are as they were, and an error says why.
        """
        self._fence()
        if not sight.running.changed:
            # Should this be the last that we do, it is known what runs, and what does not yet.
            self._remember(sight, sight.running.states)
        before = sight.config.texts
        written: List[str] = []
        try:
            for path, text in texts.items():
                files.replace(path, before[path], text)
                written.append(path)
            self._test(sight.workers.master.pid)
            self._reload(sight)
        except FleetError as exc:
            raise self._undone(exc, before, texts, written) from None
        now = self.look()
        # Without it the times of files and workers tell the same.
        with suppress(FleetError):
            self._remember(now, states(now.config))
        return self.look()

    def _undone(
        self,
        exc: FleetError,
        before: Dict[str, str],
        texts: Dict[str, str],
        written: Sequence[str],
    ) -> FleetError:
        errors = []
        for path in written:
            try:
                files.replace(path, texts[path], before[path])
            except FleetError as error:
                errors.append(str(error))
        if errors:
            return ReloadFailed(
                f"{exc} THE FILES COULD NOT BE PUT BACK: {' '.join(errors)} Look for the comment"
                " `# fleetops.gunicorn:`, take it out with what it says, and reload nginx.",
                False,
            )
        if isinstance(exc, _Late):
            # Perhaps it reads them only now: then it is to read what is there now.
            with suppress(FleetError, OSError):
                self._signal()
        return ReloadFailed(f"{exc} The files are as they were.", True)

    def _test(self, master: int) -> None:
        command = self.settings.test_command
        if not command:
            # As it runs: another nginx may be first in the path, and paths are relative to `-p`.
            command = (self.proc.program(master) or "nginx", "-t", "-q", "-c", self.settings.conf)
            place = prefix(self.proc, master)
            command += ("-p", place) if place else ()
        status, said = self._run(command)
        if status:
            raise FleetError(
                f"`{' '.join(command)}` refuses the configuration (exit {status}): {said or 'it'}"
                f"{'' if said else ' says nothing'}. Nothing was reloaded."
            )

    def _run(self, command: Sequence[str]) -> Tuple[int, str]:
        places = os.environ.get("PATH", os.defpath) + os.pathsep + _PATHS
        try:
            done = subprocess.run(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_COMMAND_TIMEOUT,
                env=dict(os.environ, PATH=places, LC_ALL="C"),
                check=False,
            )
        except FileNotFoundError:
            raise FleetError(
                f"There is no {command[0]!r} on this balancer. Give the command with its whole path"
                " (load_balancer_nginx_test_command, load_balancer_nginx_reload_command)."
            ) from None
        except (OSError, subprocess.SubprocessError) as exc:
            raise FleetError(f"`{' '.join(command)}` could not be run: {exc}") from None
        said = " ".join(done.stdout.decode("utf-8", "replace").split())
        return done.returncode, said[-600:]

    def _signal(self) -> None:
        command = self.settings.reload_command
        if command:
            status, said = self._run(command)
            if status:
                raise FleetError(f"`{' '.join(command)}` failed (exit {status}): {said}")
            return
        master = self.processes(load(self.settings.conf)).master
        try:
            os.kill(master.pid, signal.SIGHUP)
        except OSError as exc:
            raise FleetError(
                f"nginx (pid {master.pid}) could not be told to reload: {exc.strerror}. Become"
                " root, or give the command that may (load_balancer_nginx_reload_command)."
            ) from None

    def _reload(self, sight: Sight) -> None:
        """Until all workers that serve are new. nginx tells nobody of a reload that failed."""
        old = {(each.pid, each.ticks) for each in sight.workers.everybody}
        log = self._error_log(sight.config)
        size = _size(log)
        self._signal()
        deadline = self._clock.now() + self.settings.reload_timeout
        wanted = len(sight.workers.serving)
        since: Optional[float] = None
        while True:
            count = self._renewed(sight.config, old)
            since = None if not count else self._clock.now() if since is None else since
            # They come one by one; and as many as before, unless somebody has changed how many.
            if count >= wanted or (since is not None and self._clock.now() - since >= _FEWER):
                return
            said = _emergency(log, size)
            late = self._clock.now() >= deadline
            if said or late:
                why = said or f"no new workers within {self.settings.reload_timeout:g} s"
                raise (FleetError if said else _Late)(
                    f"nginx (pid {sight.workers.master.pid}) did not take the new configuration:"
                    f" {why}. What ran before still runs. See its error log"
                    f" ({log or 'not in a file'})."
                )
            self._clock.sleep(_POLL)

    def _renewed(self, config: Config, old: Set[Tuple[int, int]]) -> int:
        """How many serve, all of them new; 0 while an old one does."""
        try:
            now = self.processes(config)
        except Away:
            return 0
        if any((each.pid, each.ticks) in old for each in now.serving):
            return 0
        return len(now.serving)

    def _error_log(self, config: Config) -> str:
        path = config.error_log
        return path if os.path.isabs(path) else ""


class _Late(FleetError):
    """It was told to reload, and did not; perhaps it still will."""


def _hertz() -> int:
    return os.sysconf("SC_CLK_TCK")


def _size(path: str) -> int:
    with suppress(OSError):
        return os.stat(path).st_size if path else 0
    return 0


def _emergency(path: str, begin: int) -> str:
    """What nginx says in its log of a reload that failed."""
    if not path:
        return ""
    try:
        with open(path, "rb") as file:
            file.seek(max(begin, _size(path) - _TAIL))
            lines = file.read(_TAIL).decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    # A port that is taken is tried again a few times, and may be had.
    found = [line for line in lines if "[emerg]" in line and "bind() to" not in line]
    return found[-1].partition("[emerg] ")[2][:300] if found else ""
