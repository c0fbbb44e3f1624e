# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a release the one that runs: stop, wait, (adopt,) flip, start, prove.

Between stop and proof the host serves nobody, so whatever can be known, refused or prepared
before the stop is, and nothing waits longer than it must.
"""

import json
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._processes import (
    Listener,
    Process,
    Reader,
    alive,
    read_inodes,
    read_listeners,
    redact,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service import (
    RUNNING_STATES,
    STOPPED_STATES,
    Observation,
    Site,
    add_history,
    clashes,
    freeze,
    gunicorn_version,
    history_path,
    python_version,
    read_history,
    read_venv,
    release_path,
    version_matches,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._supervisor import (
    ALREADY_STARTED,
    Endpoint,
    RpcFault,
)

POLL = 0.01
PROOF_POLL = 0.02
URL_TIMEOUT = 5.0
# After an orphan was killed, or a stop overran: how long until the kernel and supervisord know.
AFTERMATH = 10.0
# Without a URL only time shows that the workers could import the application.
STABLE_WITHOUT_URL = 2.0
LOG_BYTES = 1 << 16
LOG_LINES = 30

Probe = Callable[[Endpoint, float], Tuple[int, str]]
Kill = Callable[[int, int], None]
TERM, KILL = 15, 9


class Wanted(NamedTuple):
    """What the operator asked for."""

    release: Optional[str]
    gunicorn: Optional[str]
    python: Optional[str]
    url: Optional[Endpoint]
    adopt_as: Optional[str]
    restart: bool
    going_back: bool
    kill_orphans: bool
    stop_timeout: float
    start_timeout: float
    stable_for: float


class Plan(NamedTuple):
    """What will be done. ``flip_to`` and ``adopt`` are None if not needed."""

    release: str
    path: str
    flip_to: Optional[str]
    adopt: Optional[str]
    before: Optional[str]


class Evidence(FleetError):
    """A new generation failed its proof; carries what there is to see."""

    def __init__(self, text: str, details: Dict[str, Any]) -> None:
        super().__init__(text)
        self.details = details


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


def make_plan(reader: Reader, site: Site, seen: Observation, wanted: Wanted) -> Plan:
    """Decide what is to be done, or refuse; nothing has been touched yet."""
    venv = seen.venv
    home = site.home
    if venv.kind not in ("symlink", "directory", "absent"):
        raise FleetError(
            f"{venv.path} is neither a virtualenv nor a link to one, but a {venv.kind}."
            " Move it away."
        )
    before = venv.release or venv.target
    adopted = wanted.adopt_as
    if venv.kind == "directory":
        adopted = adopted or site.adopted_id(venv)
        before = adopted
    # The way back after a failure before the adoption: what shall become that release runs still.
    unadopted = adopted and reader.kind(release_path(home, adopted)) == "absent"
    in_place = venv.kind == "directory" and (
        wanted.release is None or (wanted.release == adopted and bool(unadopted))
    )
    if in_place or wanted.release is None:
        if venv.kind == "absent":
            raise FleetError(
                f"{venv.path} does not exist, so there is no active release. Name one."
            )
        path, release = venv.target or venv.path, str(before)
        flip_to = None
    else:
        named = wanted.release
        path = release_path(home, named)
        real = reader.real(path)
        inside = os.path.dirname(real) == reader.real(f"{home}/releases")
        release = os.path.basename(real) if inside else real
        known = [name for name in reader.names(f"{home}/releases") if not name.startswith(".")]
        if reader.kind(real) != "directory":
            raise FleetError(
                f"Release {named} is not on this host: there is no directory {path}."
                f" Present: {', '.join(known[-20:]) or 'none'}. Build it first."
            )
        flip_to = None
        if venv.kind != "symlink" or venv.target != real:
            flip_to = f"releases/{release}" if inside else real
        path = real
    _check_release(reader, path, release, wanted)
    adopt = adopted if venv.kind == "directory" and not in_place else None
    if adopt:
        if "/" in adopt or adopt.startswith("."):
            raise FleetError(f"adopt_as is the name of a release, not a path: {adopt!r}.")
        if not unadopted:
            raise FleetError(
                f"{venv.path} is a directory that shall become the release {adopt}, but"
                f" {home}/releases/{adopt} exists already. Name another with adopt_as, or remove"
                " what is there."
            )
    return Plan(release, path, flip_to, adopt, before)


def _check_release(reader: Reader, path: str, release: str, wanted: Wanted) -> None:
    """Versions that are wrong in the files need no down-time to be found wrong."""
    if reader.kind(f"{path}/bin/python") == "absent":
        raise FleetError(f"{path} is no virtualenv: it has no bin/python. Build release {release}.")
    found = {"gunicorn": gunicorn_version(reader, path), "Python": python_version(reader, path)}
    for what, asked in (("gunicorn", wanted.gunicorn), ("Python", wanted.python)):
        if what == "gunicorn" and found[what] is None:
            raise FleetError(f"Release {release} ({path}) has no gunicorn in it. Build it again.")
        if found[what] is not None and not version_matches(found[what], asked):
            raise FleetError(
                f"Release {release} holds {what} {found[what]}, but {asked} is wanted."
                " Nothing was stopped. Name another release, or correct the expectation."
            )


def problems(seen: Observation, plan: Plan, wanted: Wanted, expected: List[str]) -> List[str]:
    """What still speaks against "the wanted generation runs"; empty means it does."""
    program, arbiter = seen.program, seen.arbiter
    if program["state"] not in ("RUNNING", "STARTING"):
        return [f"supervisord calls the program {program['state']}"]
    if arbiter is None:
        return [f"no gunicorn runs under the program's process ({program['pid']})"]
    found = []
    if not seen.listeners:
        found.append(f"arbiter {arbiter.pid} listens nowhere")
    mine = {each.address for each in seen.listeners}
    missing = sorted(set(expected) - mine)
    if missing and mine:
        found.append(
            f"arbiter {arbiter.pid} does not listen on {', '.join(missing)} as the one before did"
        )
    count, least = len(seen.workers), arbiter.workers_wanted or 1
    if count < least:
        found.append(f"arbiter {arbiter.pid} has {count} of {least} workers")
    for stray in seen.orphans:
        found.append(f"orphan {stray.process.pid} of an earlier generation still runs")
    for stray in seen.unmanaged:
        shared = sorted(mine & set(stray.addresses))
        if shared:
            found.append(f"unmanaged gunicorn {stray.process.pid} also serves {', '.join(shared)}")
    return found + mismatches(seen, plan, wanted)


def mismatches(seen: Observation, plan: Plan, wanted: Wanted) -> List[str]:
    """What waiting cannot cure: another virtualenv or version runs than was wanted."""
    arbiter = seen.arbiter
    if arbiter is None:
        return []
    found = []
    if arbiter.prefix is None:
        found.append(f"what arbiter {arbiter.pid} runs from cannot be told")
    elif arbiter.prefix != plan.path:
        found.append(f"arbiter {arbiter.pid} runs from {arbiter.prefix}, not from {plan.path}")
    for what, have, want in (
        ("gunicorn", arbiter.gunicorn, wanted.gunicorn),
        ("Python", arbiter.python, wanted.python),
    ):
        if not version_matches(have, want):
            found.append(f"arbiter {arbiter.pid} is {what} {have or 'unknown'}, not {want}")
    return found


def _busy(listening: List[Listener], expected: List[str]) -> Dict[str, int]:
    """Addresses of the old generation on which someone listens: {address: inode}."""
    return {each.address: each.inode for each in listening if clashes(each.address, expected)}


def digest(log: str) -> List[str]:
    """The end of a log, redacted; of a traceback only its end, so that the reasons are in it."""
    kept: List[str] = []
    frames: List[str] = []
    for line in log.splitlines():
        if not line.startswith("  "):
            kept += frames[-2:]
            frames = []
            if line.strip() and (not kept or line != kept[-1]):
                kept.append(line)
        elif line.strip(" ^~"):
            frames.append(line)
    return [redact(line)[:300] for line in kept + frames[-2:]][-LOG_LINES:]


def adoption_record(reader: Reader, path: str, release: str, built_at: str) -> Dict[str, Any]:
    """release.json for a virtualenv that someone else built; says only what the files say."""
    lines = freeze(reader, path)
    python = python_version(reader, path)
    uv = "uv = " in reader.text(f"{path}/pyvenv.cfg", 1 << 16)
    return {
        "schema": 1,
        "id": release,
        "stage": {
            "gunicorn": gunicorn_version(reader, path),
            "python": ".".join((python or "").split(".")[:2]) or None,
        },
        "python_executable": reader.real(f"{path}/bin/python"),
        "python_version": python,
        "gunicorn": gunicorn_version(reader, path),
        "freeze": lines,
        "inputs_sha256": None,
        "requirements_source": "adopted",
        "installer": "uv" if uv else "pip",
        "built_at": built_at,
        "built_by": "adopted",
        "adopted": True,
        "checks": {},
    }


class Activation:
    """One switch. The clock, the sleep and every change come in from outside."""

    def __init__(
        self,
        site: Site,
        wanted: Wanted,
        files: Files,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        probe: Probe,
        kill: Kill,
        stamp: str,
    ) -> None:
        self.site = site
        self.wanted = wanted
        self._files = files
        self._clock = clock
        self._sleep = sleep
        self._probe = probe
        self._kill = kill
        self._stamp = stamp
        self.timings: Dict[str, Optional[float]] = {}
        self.warnings: List[str] = []
        self._next_link = f"{site.home}/.venv-next"

    def run(self, check_mode: bool) -> Dict[str, Any]:
        begin = self._clock()
        site, wanted = self.site, self.wanted
        seen = site.observe()
        plan = make_plan(site.reader, site, seen, wanted)
        self._warn(seen)
        done = self._runs_already(seen, plan, check_mode)
        if done is None:
            self._refuse(seen, plan)
            if check_mode:
                return self._result(plan, seen, None, True)
            self._prepare(plan)
            try:
                done = self._switch(seen, plan)
            finally:
                self._files.remove(self._next_link)
            changed = True
        else:
            changed = False
        self.timings["total_s"] = round(self._clock() - begin, 3)
        return self._result(plan, seen, done, changed)

    # -- before

    def _warn(self, seen: Observation) -> None:
        for other in self.site.sharing:
            self.warnings.append(
                f"Program {other} runs from the same virtualenv; it is left alone and may import"
                " from the new release without having been restarted."
            )
        for stray in seen.unmanaged:
            if not stray.program:
                self.warnings.append(
                    f"gunicorn {stray.process.pid} of this home runs outside supervisord (a"
                    " left-over of USR2?); it is left alone."
                )

    def _runs_already(
        self, seen: Observation, plan: Plan, check_mode: bool
    ) -> Optional[Observation]:
        """The observation that proves it, or None. A young generation is given time to finish."""
        if plan.flip_to or plan.adopt or self.wanted.restart:
            return None
        if not problems(seen, plan, self.wanted, []) and (check_mode or self._answers(URL_TIMEOUT)):
            return seen
        if check_mode or mismatches(seen, plan, self.wanted):
            return None
        young = self.wanted.start_timeout - self.site.age(seen)
        if seen.arbiter is None or young <= 0:
            return None
        # A run that was killed asked for this start and could not prove it any more.
        try:
            return self._prove(plan, [], self._clock() + young)
        except FleetError:
            return None

    def _answers(self, timeout: float) -> bool:
        if self.wanted.url is None:
            return True
        return 0 < self._probe(self.wanted.url, timeout)[0] < 500

    def _refuse(self, seen: Observation, plan: Plan) -> None:
        """Everything that would make the stop be in vain."""
        site, program = self.site, seen.program
        if plan.flip_to and not site.goes_through_venv(seen):
            raise FleetError(
                f"Nothing was stopped: {site.name} does not start through {seen.venv.path}, so"
                " switching that would change nothing. Its command is"
                f" {redact(str(program['command']))!r}. Let the command (or the wrapper in it) use"
                f" {seen.venv.path}/bin/…, then run `supervisorctl update` yourself."
            )
        mine = [each.address for each in seen.listeners]
        for stray in seen.unmanaged:
            shared = [a for a in stray.addresses if clashes(a, mine)]
            if shared and not stray.program:
                raise FleetError(
                    f"Nothing was stopped: gunicorn {stray.process.pid}, which supervisord does"
                    f" not know (a left-over of USR2?), also listens on {', '.join(shared)}, so a"
                    " new generation could not. End it first: kill -TERM"
                    f" {stray.process.pid}."
                )
        unread = [path for path in site.unread(seen) if path.endswith(("/fd", "/exe"))]
        if unread:
            raise FleetError(
                f"Nothing was stopped: this user may not read {', '.join(unread[:5])}, so nothing"
                " could be proved. Become root, or the user that runs gunicorn."
            )

    def _prepare(self, plan: Plan) -> None:
        """All that may fail for want of rights or space, while the old generation serves."""
        home, files = self.site.home, self._files
        # Asked now, the answer is known when the new generation is to be proved.
        self.site.python(self.site.reader.real(f"{plan.path}/bin/python"))
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
        if longer != history and not self.wanted.going_back:
            self._files.make_dir(f"{home}/releases", home)
            text = json.dumps(longer, indent=2, sort_keys=True) + "\n"
            self._files.write(history_path(home), text, home)

    # -- the switch

    def _switch(self, seen: Observation, plan: Plan) -> Observation:
        site, clock = self.site, self._clock
        was_running = seen.program["state"] in RUNNING_STATES + ("STOPPING",)
        served = bool(seen.arbiter and seen.listeners)
        expected = sorted({each.address for each in seen.listeners})
        channel = "Stdout" if seen.program["redirect_stderr"] else "Stderr"
        down = clock()
        try:
            held = {address for stray in seen.orphans for address in stray.addresses}
            self._stop(seen, down, sorted(held.union(expected)))
            mark = clock()
            self._flip(plan)
        except (FleetError, OSError) as exc:
            again = self._start_again(was_running, down, seen.program["stopwaitsecs"] or 0)
            raise FleetError(f"{exc} {again}") from exc
        offset = site.supervisor.log_size(site.name, channel)
        start = clock()
        self.timings["switch_s"] = round(start - mark, 3)
        try:
            self._start()
            if plan.flip_to:
                # The new generation boots meanwhile; after a power cut the old link is as good.
                self._files.sync(site.home)
            proved = self._prove(plan, expected, start + self.wanted.start_timeout)
        except (FleetError, OSError) as exc:
            raise self._evidence(exc, plan, channel, offset) from exc
        good = self._good_at
        self.timings["start_s"] = round(good - start, 3)
        self.timings["down_s"] = round(good - down, 3) if served else None
        now, then = len(proved.workers), len(seen.workers)
        if now < then and not (proved.arbiter and proved.arbiter.workers_wanted):
            self.warnings.append(f"{now} workers run where there were {then}.")
        return proved

    def _stop(self, seen: Observation, begin: float, expected: List[str]) -> None:
        """Judge by processes and ports: supervisord says STOPPED while orphans hold the port."""
        site, clock = self.site, self._clock
        reader = site.reader
        deadline = begin + self.wanted.stop_timeout
        arbiter_pid = seen.arbiter.pid if seen.arbiter else 0
        tracked = {each.pid: each for each in seen.tree}
        tracked.update({each.process.pid: each.process for each in seen.orphans})
        state = seen.program["state"]
        stopped_at: Optional[float] = None
        headless_before = [each.process.pid for each in seen.orphans]
        killed = False
        if state in RUNNING_STATES:
            site.supervisor.stop(site.name)
        wrapped = arbiter_pid in tracked and arbiter_pid != seen.program["pid"]
        if wrapped and not seen.program["stopasgroup"]:
            # The signal went to a wrapper that does not pass it on.
            self._signal(tracked[arbiter_pid], TERM)
        for stray in seen.orphans:
            # Its arbiter would have said so; then it need not wait for its next look around.
            self._signal(stray.process, TERM)
        while True:
            left = [each for each in tracked.values() if alive(reader, each)]
            now = clock()
            if stopped_at is None and arbiter_pid not in [each.pid for each in left]:
                stopped_at = now
            if not left:
                state = str(site.info()["statename"])
                if state in RUNNING_STATES:
                    # autorestart was faster than we.
                    site.supervisor.stop(site.name)
                elif state in STOPPED_STATES:
                    late = site.observe()
                    busy = _busy(late.listening, expected)
                    if not late.orphans and not late.tree and not busy:
                        break
                    tracked = {each.process.pid: each.process for each in late.orphans}
                    tracked.update({each.pid: each for each in late.tree})
                    left = list(tracked.values())
            if now >= deadline:
                # While its arbiter lives, a worker is no orphan: that one still counts the time.
                headless = [each for each in left if stopped_at or each.pid in headless_before]
                if not headless or not self.wanted.kill_orphans or killed:
                    raise FleetError(self._overrun(left, state, expected))
                killed, deadline = True, now + AFTERMATH
                for each in headless:
                    self._signal(each, KILL)
            self._sleep(POLL)
        done = clock()
        self.timings["stop_s"] = round((stopped_at or done) - begin, 3)
        self.timings["free_s"] = round(done - (stopped_at or done), 3)

    def _signal(self, process: Process, number: int) -> None:
        if not alive(self.site.reader, process):
            return
        try:
            self._kill(process.pid, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            self.warnings.append(f"This user may not send a signal to process {process.pid}.")

    def _overrun(self, left: List[Process], state: str, expected: List[str]) -> str:
        reader = self.site.reader
        busy = _busy(read_listeners(reader, self.site.supervisor_pid), expected)
        inodes = {each.pid: read_inodes(reader, each.pid) for each in left}
        parts = []
        for each in left[:20]:
            held = sorted(a for a, inode in busy.items() if inode in inodes[each.pid])
            parts.append(f"{each.pid}{' (' + ', '.join(held) + ')' if held else ''}")
        free = {inode for held in inodes.values() for inode in held}
        others = sorted(address for address, inode in busy.items() if inode not in free)
        text = f"{self.site.name} was asked to stop, but after {self.wanted.stop_timeout:g} s "
        if parts:
            text += f"these processes still run: {', '.join(parts)}"
        if others:
            owners = ", ".join(self._owner(busy[each], each) for each in others)
            text += f"{' and ' if parts else ''}someone still listens: {owners}"
        if not parts and not others:
            text += f"supervisord still calls it {state}"
        return text + (
            ". They may be busy with long requests: drain first, or raise stop_timeout. The active"
            " release was not changed."
        )

    def _owner(self, inode: int, address: str) -> str:
        for name in self.site.reader.names("/proc"):
            if name.isdigit() and inode in read_inodes(self.site.reader, int(name)):
                return f"process {name} on {address}"
        return f"an unknown process on {address}"

    def _start_again(self, was_running: bool, stop_begin: float, stopwaitsecs: int) -> str:
        """Nothing was switched: back to how it was found."""
        if not was_running:
            return "The program was not running before and is left so."
        site = self.site
        # It cannot be started before it has ended; supervisord kills it after stopwaitsecs.
        deadline = max(self._clock(), stop_begin + stopwaitsecs) + AFTERMATH
        try:
            while site.info()["statename"] == "STOPPING":
                if self._clock() >= deadline:
                    return (
                        "THE OLD PROGRAM COULD NOT BE STARTED AGAIN, because it is still stopping;"
                        " start it when it has ended."
                    )
                self._sleep(POLL)
            self._start()
            return "The old program was started again."
        except FleetError as exc:
            return f"THE OLD PROGRAM COULD NOT BE STARTED AGAIN: {exc}"

    def _flip(self, plan: Plan) -> None:
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

    def _start(self) -> None:
        try:
            self.site.supervisor.start(self.site.name)
        except RpcFault as fault:
            # By supervisord itself (autorestart): what runs is judged by the proof.
            if fault.code != ALREADY_STARTED:
                raise

    # -- the proof

    def _prove(self, plan: Plan, expected: List[str], deadline: float) -> Observation:
        """Wait until nothing speaks against the new generation, then a moment longer."""
        site, clock = self.site, self._clock
        wanted = self.wanted
        stable = wanted.stable_for
        if wanted.url is None:
            stable = max(stable, STABLE_WITHOUT_URL)
        first_pid = 0
        identity: Tuple[int, int] = (0, 0)
        good: Optional[float] = None
        against = ["it has not been looked at"]
        while True:
            seen = site.observe(waiting=True)
            program, arbiter = seen.program, seen.arbiter
            if program["state"] not in ("STARTING", "RUNNING") or (
                first_pid and program["pid"] != first_pid
            ):
                raise FleetError(_death(program, first_pid))
            first_pid = first_pid or program["pid"]
            wrong = mismatches(seen, plan, wanted)
            if wrong:
                raise FleetError(f"The new generation is not what was wanted: {'; '.join(wrong)}.")
            against = problems(seen, plan, wanted, expected)
            now = clock()
            if not against and arbiter:
                if identity not in ((0, 0), (arbiter.pid, arbiter.start_ticks)):
                    raise FleetError(
                        f"The arbiter changed from {identity[0]} to {arbiter.pid} while it was"
                        " watched: it does not stay up."
                    )
                identity = (arbiter.pid, arbiter.start_ticks)
                if good is None or now - good >= stable:
                    answer = self._url_problem(max(0.1, min(URL_TIMEOUT, deadline - now)))
                    now = clock()
                    if answer:
                        against = [answer]
                        good = None
                    elif good is None:
                        good = now
                        self._good_at = now
                    else:
                        return seen
            else:
                good = None
            if now >= deadline and not (good is not None and now - good < stable):
                against = problems(site.observe(), plan, wanted, expected) or against
                raise FleetError(
                    f"The new generation was not proved within {wanted.start_timeout:g} s:"
                    f" {'; '.join(against) or 'it became good too late'}."
                )
            self._sleep(PROOF_POLL)

    _good_at = 0.0

    def _url_problem(self, timeout: float) -> str:
        if self.wanted.url is None:
            return ""
        status, why = self._probe(self.wanted.url, timeout)
        if 0 < status < 500:
            return ""
        said = f"answered with status {status}" if status else f"did not answer: {why}"
        return f"{self.wanted.url}{self.wanted.url.path} {said}"

    def _evidence(self, exc: Exception, plan: Plan, channel: str, offset: int) -> Evidence:
        """What an operator needs at 3 a.m., from the program as it was left."""
        site = self.site
        program: Dict[str, Any] = {}
        lines: List[str] = []
        seen: Optional[Observation] = None
        try:
            lines = digest(site.supervisor.log_since(site.name, channel, offset, LOG_BYTES))
            seen = site.observe()
            program = seen.program
        except FleetError as trouble:
            lines.append(f"(more evidence could not be had: {trouble})")
        text = (
            f"{exc} Release {plan.release} is switched on and {site.name} is left as it is"
            f" ({program.get('state', 'unknown')}) for you to look at; to go back, activate"
            f" {plan.before or 'another release'}."
        )
        if lines:
            text += " Last lines of its log:\n" + "\n".join(lines)
        evidence = {
            "state": program.get("state"),
            "pid": program.get("pid"),
            "exitstatus": program.get("exitstatus"),
            "spawnerr": program.get("spawnerr"),
            "orphans": [each.process.pid for each in seen.orphans] if seen else [],
            "log": lines,
        }
        return Evidence(
            text, {"evidence": evidence, "release": plan.release, "previous": plan.before}
        )

    # -- after

    def _result(
        self, plan: Plan, seen: Observation, done: Optional[Observation], changed: bool
    ) -> Dict[str, Any]:
        arbiter = done.arbiter if done else None
        names = ("stop_s", "free_s", "switch_s", "start_s", "total_s", "down_s")
        old = seen.arbiter
        after_python = python_version(self.site.reader, plan.path)
        running = seen.program["state"] in RUNNING_STATES
        return {
            "changed": changed,
            "release": plan.release,
            "previous": plan.before if changed and plan.before != plan.release else None,
            "adopted": plan.adopt,
            "generation": {
                "pid": arbiter.pid if arbiter else None,
                "started": arbiter.started if arbiter else None,
                "start_ticks": arbiter.start_ticks if arbiter else None,
            },
            "timings": {name: self.timings.get(name) for name in names},
            "diff": {
                "before": {
                    "release": plan.before,
                    "gunicorn": old.gunicorn if old else seen.venv.gunicorn,
                    "python": old.python if old else seen.venv.python,
                    "running": running,
                },
                "after": {
                    "release": plan.release,
                    "gunicorn": gunicorn_version(self.site.reader, plan.path),
                    "python": arbiter.python if arbiter else after_python,
                    "running": True,
                },
            },
        }


def _death(program: Dict[str, Any], first_pid: int) -> str:
    name = f"The new generation ({first_pid})" if first_pid else "The new generation"
    text = f"{name} did not stay up: supervisord calls the program {program['state']}"
    if program["pid"] not in (0, first_pid):
        return f"{text} again, as process {program['pid']}."
    return f"{text}, exit status {program['exitstatus']}. {redact(program['spawnerr'])}".rstrip()
