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
from contextlib import suppress
from typing import Callable, Dict, List, Optional, Sequence

from ansible_collections.fleetops.gunicorn.plugins.module_utils import _haproxy_lease as leases
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._haproxy_drain import Change, Clock
from ansible_collections.fleetops.gunicorn.plugins.module_utils._haproxy_lease import Lease
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

    def take(self, seconds: float, backends: Sequence[str]) -> List[str]:
        """From now on the server is put back after so long. Returns what a person should know."""
        boot = boot_id()
        if not boot:
            raise FleetError("A lease needs Linux's /proc, which is not here. Set lease to 0.")
        with self._directory.locked(create=True) as box:
            if not box:
                raise FleetError(f"The directory of the leases, {self._directory.path}, is gone.")
            notes: List[str] = []
            before: Optional[Lease] = None
            try:
                before = self._read(box)
            except (leases.Damaged, leases.Newer) as exc:
                notes.append(f"the lease before could not be believed and was replaced: {exc}")
            until = boottime() + seconds
            all_of_them = leases.merged(backends, before)
            if before and self._alive(before):
                box.write(
                    self._name, leases.dump(before._replace(until=until, backends=all_of_them))
                )
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
                ),
            )
        return notes

    def drop(self, backends: Sequence[str]) -> None:
        """No promise for these backends any more; without any left, no watcher either."""
        with self._directory.locked() as box:
            if not box:
                return
            found: Optional[Lease] = None
            with suppress(leases.Damaged, leases.Newer):
                found = self._read(box)
            rest = tuple(name for name in found.backends if name not in backends) if found else ()
            if found and rest:
                box.write(self._name, leases.dump(found._replace(backends=rest)))
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
        leases.Watcher(lease, self._post()).run()

    def _post(self) -> leases.Post:
        inside: Dict[str, Opened] = {}

        def read() -> Optional[Lease]:
            if "box" in inside:
                return self._read(inside["box"])
            with self._directory.opened() as box:
                return self._read(box) if box else None

        def alone(act: Callable[[], bool]) -> bool:
            with self._directory.locked() as box:
                if not box:
                    return True
                inside["box"] = box
                try:
                    return act()
                finally:
                    inside.clear()

        def restore(found: Lease) -> str:
            address = parse_address(found.socket)
            return leases.put_back(
                lambda commands: ask(address, commands, self._patience),
                found.server,
                found.backends,
                Clock(time.monotonic, time.time, time.sleep),
                self._patience,
            )

        def log(text: str) -> None:
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            line = " ".join(f"{when} {self._server} on {self._address.text}: {text}".split())
            # The server is what counts: a full disk does not keep it out.
            with suppress(OSError, FleetError):
                inside["box"].append(leases.LOG, line[:1000].encode(), leases.LOG_LIMIT)

        def remove() -> None:
            inside["box"].remove(self._name)

        return leases.Post(read, alone, restore, log, remove, boottime, time.sleep)


def carry_out(change: Change, state: str, kept: Leases, seconds: float) -> None:
    """What was asked, and a drained server never without somebody who puts it back."""
    ready_before = [row.backend for row in change.mine if row.own == "ready"]
    everywhere = [row.backend for row in change.mine]
    leased = state == "drained" and seconds > 0
    renewed = time.monotonic()

    def keep(drained: bool) -> None:
        # A drain may last longer than its lease, and its end is where the lease counts from.
        nonlocal renewed
        if drained or time.monotonic() - renewed > seconds / 3:
            for text in kept.take(seconds, everywhere):
                change.note(text)
            renewed = time.monotonic()

    if leased:
        try:
            keep(True)
        except FleetError as exc:
            raise FleetError(
                f"Nothing was changed, since the lease of {change.wish.server} could not be taken."
                f" {exc}"
            ) from None
        change.keep = keep
    try:
        change.carry_out(state)
    except FleetError:
        if leased and not change.changed:
            _drop(kept, ready_before, change.note)
        raise
    finally:
        if state == "ready" and "ready_at" in change.measured:
            _drop(kept, everywhere, change.note)


def _drop(kept: Leases, backends: Sequence[str], note: Callable[[str], None]) -> None:
    # The server serves: a lease that goes on would only find that.
    if backends:
        try:
            kept.drop(backends)
        except FleetError as exc:
            note(f"its lease could not be cancelled: {exc}")
