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

from ansible_collections.fleetops.gunicorn.plugins.module_utils import _haproxy_lease as leases
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._haproxy import (
    Glance,
    Node,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._haproxy_drain import (
    Balancer,
    Change,
    Clock,
    Guard,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._haproxy_lease import Hold, Lease
from ansible_collections.fleetops.gunicorn.plugins.module_utils._haproxy_socket import (
    Address,
    ask,
    parse_address,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._machine import (
    boot_id,
    boottime,
    started,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state_directory import (
    Opened,
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state_file import Unbelievable

_NAME = "fleetops-lease"
_START_TIMEOUT = 10.0


class Leases:
    """The lease of one server of one balancer."""

    def __init__(self, directory: str, address: Address, server: str, patience: float) -> None:
        self._directory = StateDirectory(directory, private=True)
        self._address = address
        self._server = server
        self._patience = patience
        self._name = leases.file_name(address.where, server)
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

    def look(self, note: Callable[[str], object]) -> Optional[Dict[str, object]]:
        """The lease as data; None, and a note, if there is none that can be believed."""
        found = None
        try:
            with self._directory.opened() as box:
                found = self._read(box) if box else None
        except FleetError as exc:
            note(f"whether there is a lease cannot be told: {exc}")
        if found is None:
            return None
        return leases.as_data(found, self._alive(found), boottime(), time.time())

    def take(
        self, seconds: float, backends: Sequence[str], hold: Hold = leases.NOTHING
    ) -> List[str]:
        """From now on the server is put back after so long, and until then kept out as `hold`
        says. Returns what a person should know."""
        boot = boot_id()
        if not boot:
            raise FleetError("A lease needs Linux's /proc, which is not here. Set lease to 0.")
        with self.alone(create=True) as box:
            if not box:
                raise FleetError(f"The directory of the leases, {self._directory.path}, is gone.")
            notes: List[str] = []
            before: Optional[Lease] = None
            try:
                before = self._read(box)
            except Unbelievable as exc:
                notes.append(f"the lease before could not be believed and was replaced: {exc}")
            until = boottime() + seconds
            all_of_them = leases.merged(backends, before)
            if before and self._alive(before):
                renewed = before._replace(until=until, backends=all_of_them)
                if hold.out:
                    renewed = renewed._replace(hold=hold)
                box.write(self._name, leases.dump(renewed))
                return notes
            if before:
                notes.append(
                    f"the process that kept the lease (pid {before.pid}) was gone: a new one was"
                    " started"
                )
                self._end(before)
            self._start(
                box,
                Lease(
                    token=os.urandom(8).hex(),
                    socket=self._address.text,
                    server=self._server,
                    backends=all_of_them,
                    boot_id=boot,
                    until=until,
                    pid=0,
                    start_ticks=0,
                    hold=hold,
                ),
            )
        return notes

    def let_go(self, backends: Sequence[str]) -> None:
        """The server may go back into these backends: nobody takes it out again. The promise to
        put it back stays."""
        with self.alone() as box:
            found = self._read(box) if box else None
            if box and found and found.hold.out:
                out = tuple(held for held in found.hold.out if held[0] not in backends)
                hold = found.hold._replace(out=out)
                box.write(self._name, leases.dump(found._replace(hold=hold)))

    def drop(self, backends: Sequence[str]) -> None:
        """No promise for these backends any more; without any left, no watcher either."""
        with self.alone() as box:
            if not box:
                return
            found: Optional[Lease] = None
            with suppress(Unbelievable):
                found = self._read(box)
            rest = tuple(name for name in found.backends if name not in backends) if found else ()
            if found and rest:
                out = tuple(held for held in found.hold.out if held[0] in rest)
                hold = found.hold._replace(out=out)
                box.write(self._name, leases.dump(found._replace(backends=rest, hold=hold)))
                return
            # A watcher that is not ended finds its file gone: here no promise is kept half.
            box.remove(self._name)
            if found:
                self._end(found)

    def _read(self, box: Opened) -> Optional[Lease]:
        content = box.read(self._name)
        found = leases.parse(content) if content is not None else None
        # After a reboot nobody watches, and HAProxy has started anew.
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

    def _start(self, box: Opened, lease: Lease) -> None:
        """A watcher, and then the file that it watches; or an error, and neither."""
        link = self._fork(lease)
        try:
            pid = int(link.recv(32) or b"0")
            ticks = started(pid)
            if not ticks:
                raise FleetError("it ended at once")
            box.write(self._name, leases.dump(lease._replace(pid=pid, start_ticks=ticks)))
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
        clock = Clock(time.monotonic, time.time, time.sleep)

        def asker(found: Lease, timeout: float) -> Callable[[Sequence[str]], str]:
            address = parse_address(found.socket)
            return lambda commands: ask(address, commands, timeout)

        def read() -> Optional[Lease]:
            if self._inside:
                return self._read(self._inside)
            with self._directory.opened() as box:
                return self._read(box) if box else None

        def alone(act: Callable[[], bool], timeout: float) -> bool:
            with self.alone(timeout=timeout) as box:
                return act() if box else True

        def glance(found: Lease, timeout: float) -> Glance:
            backends = [backend for backend, _state in found.hold.out]
            return Balancer(asker(found, timeout), backends).glance(found.server)

        def again(found: Lease, backends: Sequence[str]) -> str:
            return leases.take_out_again(asker(found, leases.LOOK), found, backends, clock)

        def restore(found: Lease) -> str:
            patience = self._patience
            return leases.put_back(
                asker(found, patience), found.server, found.backends, clock, patience
            )

        def log(text: str) -> None:
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            line = " ".join(f"{when} {self._server} on {self._address.text}: {text}".split())
            # The server is what counts: a full disk does not keep it out.
            with suppress(OSError, FleetError):
                if self._inside:
                    self._inside.append(leases.LOG, line[:1000].encode(), leases.LOG_LIMIT)

        def remove() -> None:
            if self._inside:
                self._inside.remove(self._name)

        return leases.Post(read, alone, glance, again, restore, log, remove, boottime, time.sleep)


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
