# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The leases of a balancer's host: their files, and the processes that watch them.

A watcher is a fork of the module that took the lease. Once that has ended, what Ansible copied
to the host is gone: all that a watcher needs is imported here, at the top.
"""

import encodings.idna  # noqa: F401  pylint: disable=unused-import  # sockets import it when used
import fcntl
import os
import signal
import socket
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import Callable, Dict, Iterator, List, Optional, Sequence

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer import lease as leases
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer import (
    snapshot as memories,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.lease import Hold, Lease
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import (
    CLOCK,
    Access,
    Change,
    Guard,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import (
    Found,
    Glance,
    Node,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.machine import (
    boot_id,
    boottime,
    started,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    Opened,
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import Unbelievable

_NAME = "fleetops-lease"
_START_TIMEOUT = 10.0


class Leases:
    """The leases of one server of one balancer, one for each set of backends it is taken out of,
    and what is remembered of it."""

    def __init__(self, directory: str, access: Access, server: str, patience: float) -> None:
        self._directory = StateDirectory(directory, private=True)
        self._access = access
        self._server = server
        self._patience = patience
        self._memory = leases.file_name(access.where, server, end="found")
        # Of a watcher: the file that it watches.
        self._name = ""
        self._inside: Optional[Opened] = None

    @contextmanager
    def alone(self, create: bool = False, timeout: float = 30) -> Iterator[Optional[Opened]]:
        """Nobody else takes, renews or cancels a lease of this host, or takes a server out, in
        here. May be entered again from inside."""
        if self._inside:
            yield self._inside
            return
        with self._directory.locked(create, timeout) as box:
            self._inside = box
            try:
                yield box
            finally:
                self._inside = None

    def make(self) -> None:
        """The directory; an error if it cannot be had."""
        with self._directory.opened(create=True):
            pass

    def look(
        self, note: Callable[[str], object], backends: Sequence[str] = ()
    ) -> Optional[Dict[str, object]]:
        """The lease on these backends (or any) that ends first, as data; None, and a note, if there
        is none that can be believed."""
        found: List[Lease] = []
        try:
            with self._directory.opened() as box:
                if box:
                    mine = self._all(box, lambda name, exc: self._doubt(note, backends, name, exc))
                    found = list(mine.values())
        except FleetError as exc:
            note(f"whether there is a lease cannot be told: {exc}")
        found = [each for each in found if not backends or set(each.backends) & set(backends)]
        if not found:
            return None
        soonest = min(found, key=lambda each: each.until)
        return leases.as_data(soonest, self._alive(soonest), boottime(), time.time())

    def _doubt(
        self, note: Callable[[str], object], backends: Sequence[str], name: str, exc: FleetError
    ) -> None:
        if not backends or name in self._names(backends):
            note(f"whether there is a lease cannot be told: {exc}")

    def take(
        self, seconds: float, backends: Sequence[str], hold: Hold = leases.NOTHING
    ) -> List[str]:
        """From now on the server is put back after so long, and until then kept out as `hold`
        says. Returns what a person should know."""
        boot = boot_id()
        if not boot:
            raise FleetError("A lease needs Linux's /proc, which is not here. Set lease to 0.")
        name = self._file_name(backends)
        with self.alone(create=True) as box:
            if not box:
                raise FleetError(f"The directory of the leases, {self._directory.path}, is gone.")
            notes: List[str] = []

            def doubt(which: str, exc: FleetError) -> None:
                if which in self._names(backends):
                    notes.append(f"the lease before could not be believed and was replaced: {exc}")
                    box.remove(which)

            there = self._all(box, doubt)
            before = there.pop(name, None)
            until = boottime() + seconds
            if before and self._alive(before):
                renewed = before._replace(until=until)
                if hold.out:
                    renewed = renewed._replace(hold=hold)
                box.write(name, leases.dump(renewed))
            else:
                if before:
                    notes.append(
                        f"the process that kept the lease (pid {before.pid}) was gone: a new one"
                        " was started"
                    )
                    self._end(before)
                self._start(
                    box,
                    name,
                    Lease(
                        token=os.urandom(8).hex(),
                        socket=self._access.text,
                        server=self._server,
                        backends=tuple(dict.fromkeys(backends)),
                        boot_id=boot,
                        until=until,
                        pid=0,
                        start_ticks=0,
                        hold=hold,
                    ),
                )
            # What another one promised for these backends is promised here.
            self._shorten(box, there, backends)
        return notes

    def let_go(self, backends: Sequence[str]) -> None:
        """The server may go back into these backends: nobody takes it out again. The promise to
        put it back stays."""
        with self.alone() as box:
            for name, found in self._all(box).items() if box else ():
                out = tuple(held for held in found.hold.out if held[0] not in backends)
                if box and out != found.hold.out:
                    hold = found.hold._replace(out=out)
                    box.write(name, leases.dump(found._replace(hold=hold)))

    def drop(self, backends: Sequence[str]) -> None:
        """No promise for these backends any more; without any left, no watcher either."""
        with self.alone() as box:
            if not box:
                return
            mine = self._names(backends)
            there = self._all(box, lambda name, exc: box.remove(name) if name in mine else None)
            self._shorten(box, there, backends)

    def _shorten(self, box: Opened, there: Dict[str, Lease], backends: Sequence[str]) -> None:
        for name, found in there.items():
            rest = leases.without(found, backends)
            if rest and rest != found:
                box.write(name, leases.dump(rest))
            elif not rest:
                # A watcher that is not ended finds its file gone: here no promise is kept half.
                box.remove(name)
                self._end(found)

    # -- what was found --------------------------------------------------------------------------

    def recall(self) -> Dict[str, Found]:
        """What a drain found in each backend; an error if it cannot be told."""
        if self._inside:
            return self._recall(self._inside)
        with self._directory.opened() as box:
            return self._recall(box) if box else {}

    def _remembered(self, box: Opened) -> Dict[str, Found]:
        content = box.read(self._memory)
        memory = memories.parse(content) if content is not None else None
        return dict(memory.found) if memory and memory.boot_id == boot_id() else {}

    def _recall(self, box: Opened) -> Dict[str, Found]:
        found = self._remembered(box)
        # A lease of before there was a memory: whoever took it had found the server ready.
        for lease in self._all(box).values():
            for backend, _state in lease.hold.out:
                found.setdefault(backend, Found("ready", False))
        return found

    def remember(self, backends: Sequence[str], after: Dict[str, Found]) -> None:
        """From now on just this is remembered of these backends."""
        with self.alone(create=bool(after)) as box:
            if not box:
                return
            before: Dict[str, Found] = {}
            with suppress(Unbelievable):
                before = self._remembered(box)
            found = memories.replaced(before, backends, after)
            if found:
                memory = memories.Memory(boot_id(), self._access.text, self._server, found)
                box.write(self._memory, memories.dump(memory))
            else:
                box.remove(self._memory)

    # -- files -----------------------------------------------------------------------------------

    def _file_name(self, backends: Sequence[str]) -> str:
        return leases.file_name(self._access.where, self._server, backends)

    def _names(self, backends: Sequence[str]) -> List[str]:
        """Of the lease on these backends, and of one from before leases were kept apart."""
        return [self._file_name(backends), self._file_name(())]

    def _all(
        self, box: Opened, doubt: Optional[Callable[[str, FleetError], object]] = None
    ) -> Dict[str, Lease]:
        """Every lease on this server of this balancer, by the name of its file."""
        found = {}
        for name in sorted(os.listdir(box.handle)):
            if not name.endswith(".json") or name.startswith("."):
                continue
            try:
                lease = self._read(box, name)
            except Unbelievable as exc:
                if doubt:
                    doubt(name, exc)
                continue
            if lease and lease.server == self._server and self._access.is_at(lease.socket):
                found[name] = lease
        return found

    def _read(self, box: Opened, name: str) -> Optional[Lease]:
        content = box.read(name)
        found = leases.parse(content) if content is not None else None
        # After a reboot nobody watches any more.
        return found if found and found.boot_id == boot_id() else None

    def _alive(self, lease: Lease) -> bool:
        # One that is stopped keeps no promise.
        return started(lease.pid, stopped_too=False) == lease.start_ticks > 0

    def _end(self, lease: Lease) -> None:
        """End a watcher that is not needed. It holds nothing: only here it acts, and we are here.

        One that is stopped is ended too, so that it does not wake up next week.
        """
        if lease.pid > 1 and started(lease.pid) == lease.start_ticks > 0:
            with suppress(OSError):
                os.kill(lease.pid, signal.SIGKILL)
            deadline = time.monotonic() + 2
            while started(lease.pid) == lease.start_ticks and time.monotonic() < deadline:
                time.sleep(0.005)

    # -- the watcher ---------------------------------------------------------------------------

    def _start(self, box: Opened, name: str, lease: Lease) -> None:
        """A watcher, and then the file that it watches; or an error, and neither."""
        self._name = name
        link = self._fork(lease)
        try:
            pid = int(link.recv(32) or b"0")
            ticks = started(pid)
            if not ticks:
                raise FleetError("it ended at once")
            box.write(name, leases.dump(lease._replace(pid=pid, start_ticks=ticks)))
        except (OSError, FleetError) as exc:
            raise self._not_started(exc) from None
        finally:
            # The watcher looks for its file now; without one it ends.
            link.close()

    def _fork(self, lease: Lease) -> socket.socket:
        try:
            ours, theirs = socket.socketpair()
            child = os.fork()
        except OSError as exc:
            raise self._not_started(exc) from None
        if child == 0:
            try:
                self._become_watcher(theirs, lease)
            finally:
                os._exit(0)
        theirs.close()
        os.waitpid(child, 0)
        ours.settimeout(_START_TIMEOUT)
        return ours

    def _not_started(self, exc: Exception) -> FleetError:
        return FleetError(
            f"The process that would put {self._server} back at the lease's end could not be"
            f" started on this host: {exc}. Without it nothing is drained. Look at the limits of"
            f" processes and memory and at {self._directory.path}, or set lease to 0."
        )

    def _become_watcher(self, link: socket.socket, lease: Lease) -> None:
        """Runs in the child: nothing of the module, of ssh or of a terminal holds it."""
        os.setsid()
        if os.fork():
            os._exit(0)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.chdir("/")
        os.umask(0o077)
        handle = fcntl.fcntl(link.fileno(), fcntl.F_DUPFD, 10)
        for name in os.listdir("/proc/self/fd"):
            if int(name) != handle:
                with suppress(OSError):
                    os.close(int(name))
        null = os.open(os.devnull, os.O_RDWR)  # number 0, the lowest that is free
        os.dup2(null, 1)
        os.dup2(null, 2)
        with suppress(OSError), open("/proc/self/comm", "w") as file:
            file.write(_NAME)
        os.write(handle, str(os.getpid()).encode())
        os.read(handle, 1)  # ends when the file is written, or the module is dead
        os.close(handle)
        self.watch(lease)

    def watch(self, lease: Lease) -> None:
        self._inside = None  # that was the module's
        leases.Watcher(lease, self._post()).run()

    def _post(self) -> leases.Post:

        def read() -> Optional[Lease]:
            if self._inside:
                return self._read(self._inside, self._name)
            with self._directory.opened() as box:
                return self._read(box, self._name) if box else None

        def alone(act: Callable[[], bool], timeout: float) -> bool:
            with self.alone(timeout=timeout) as box:
                return act() if box else True

        def glance(found: Lease, timeout: float) -> Glance:
            backends = [backend for backend, _state in found.hold.out]
            return self._access.glance(found.server, backends, timeout)

        def again(found: Lease, backends: Sequence[str]) -> str:
            return leases.take_out_again(self._access, found, backends, CLOCK)

        def restore(found: Lease) -> str:
            patience = self._patience
            memory: Dict[str, Found] = {}
            with suppress(FleetError):
                memory = self.recall()
            said = leases.put_back(
                self._access, found.server, found.backends, CLOCK, patience, memory
            )
            with suppress(FleetError):
                self.remember(found.backends, leases.left_out(memory, found.backends))
            return said

        def log(text: str) -> None:
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            line = " ".join(f"{when} {self._server} on {self._access.text}: {text}".split())
            # The server is what counts: a full disk does not keep it out.
            with suppress(OSError, FleetError):
                if self._inside:
                    self._inside.append(leases.LOG, line[:1000].encode(), leases.LOG_LIMIT)

        def remove() -> None:
            if self._inside:
                self._inside.remove(self._name)

        return leases.Post(
            self._access, read, alone, glance, again, restore, log, remove, boottime, time.sleep
        )


class LeaseGuard(Guard):
    """Keeps drains of one balancer apart, and no drained server without somebody to put it back."""

    def __init__(self, change: Change, kept: Leases, seconds: float) -> None:
        self._change = change
        self._kept = kept
        self._seconds = seconds
        self._renewed = 0.0
        self._hold = leases.NOTHING

    @contextmanager
    def alone(self) -> Iterator[None]:
        with ExitStack() as stack:
            if self._can_be_alone():
                stack.enter_context(self._kept.alone(create=True))
            yield

    def _can_be_alone(self) -> bool:
        try:
            self._kept.make()
        except FleetError as exc:
            if self._seconds > 0:
                raise self._not_taken(exc) from None
            # Without a lease nothing else needs the directory.
            self._change.note(f"another drain at the same time would not be noticed: {exc}")
            return False
        return True

    def begin(self) -> None:
        if self._seconds > 0:
            try:
                self._take(self._hold)
            except FleetError as exc:
                raise self._not_taken(exc) from None

    def _not_taken(self, exc: FleetError) -> FleetError:
        return FleetError(
            f"The lease of {self._change.wish.server} could not be taken, and without it nothing is"
            f" drained. {exc}"
        )

    def keep(self, out: Dict[str, str], node: Node, drained: bool = False) -> None:
        # A drain may last longer than its lease, and its end is where the lease counts from.
        if self._seconds <= 0:
            return
        hold = leases.held(out, node.pid, node.uptime, self._change.wish.need)
        news = (hold.out, hold.pid) != (self._hold.out, self._hold.pid)
        if drained or news or time.monotonic() - self._renewed > self._seconds / 3:
            self._take(hold)

    def recall(self, memory: Dict[str, Found]) -> Dict[str, Found]:
        try:
            return self._kept.recall()
        except FleetError as exc:
            self._change.note(f"what was found before cannot be told: {exc}")
            return memory

    def remember(self, memory: Dict[str, Found]) -> None:
        try:
            self._kept.remember([row.backend for row in self._change.mine], memory)
        except FleetError as exc:
            if self._seconds > 0:
                raise self._not_taken(exc) from None
            self._change.note(f"what the server was in before cannot be remembered: {exc}")

    def let_go(self, backends: Sequence[str]) -> None:
        try:
            self._kept.let_go(backends)
        except FleetError as exc:
            self._change.note(f"its lease could not be told that it goes back: {exc}")

    def _take(self, hold: Hold) -> None:
        backends = [row.backend for row in self._change.mine]
        for text in self._kept.take(self._seconds, backends, hold):
            self._change.note(text)
        self._renewed = time.monotonic()
        self._hold = hold


def carry_out(change: Change, state: str, kept: Leases, seconds: float) -> None:
    """What was asked, and a drained server never without somebody who puts it back."""
    leased = state == "drained" and seconds > 0
    change.guard = LeaseGuard(change, kept, seconds if leased else 0)
    try:
        change.carry_out(state)
    except FleetError:
        if leased and not change.changed:
            _drop(kept, [row.backend for row in change.mine if row.own == "ready"], change.note)
        raise
    finally:
        if state == "ready" and "ready_at" in change.measured:
            _drop(kept, [row.backend for row in change.mine], change.note)


def _drop(kept: Leases, backends: Sequence[str], note: Callable[[str], None]) -> None:
    # The server serves: a lease that goes on would only find that.
    if backends:
        try:
            kept.drop(backends)
        except FleetError as exc:
            note(f"its lease could not be cancelled: {exc}")
