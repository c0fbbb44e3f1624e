# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stop a program until nothing of it is left, and start it.

The service manager's word is not enough: it says STOPPED while orphans hold the port.
"""

from typing import Callable, Dict, List, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.snapshot import (
    Observation,
    clashes,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Listener,
    Process,
    alive,
    read_inodes,
    read_listeners,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.manager import (
    RUNNING_STATES,
    STOPPED_STATES,
    STOPPING,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.site import Site

POLL = 0.01
# After an orphan was killed, or a stop overran: how long until the kernel and the manager know.
AFTERMATH = 10.0
TERM, KILL = 15, 9

Kill = Callable[[int, int], None]


class Control:
    """Stops and starts one program. ``warnings`` is added to."""

    def __init__(
        self,
        site: Site,
        stop_timeout: float,
        kill_after: Optional[float],
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        kill: Kill,
        warnings: List[str],
    ) -> None:
        self.site = site
        self.warnings = warnings
        self._stop_timeout = stop_timeout
        self._kill_after = kill_after
        self._clock = clock
        self._sleep = sleep
        self._kill = kill

    def stop(self, seen: Observation, begin: float, expected: List[str]) -> Dict[str, float]:
        """Judge by processes and ports, and return how long both took."""
        site, clock = self.site, self._clock
        reader = site.reader
        deadline = begin + self._stop_timeout
        arbiter_pid = seen.arbiter.pid if seen.arbiter else 0
        tracked = {each.pid: each for each in seen.tree}
        tracked.update({each.pid: each for each in seen.rest})
        tracked.update({each.process.pid: each.process for each in seen.orphans})
        state = seen.program["state"]
        stopped_at: Optional[float] = None
        workers = {each.pid for each in seen.workers + [o.process for o in seen.orphans]}
        kill_at = None if self._kill_after is None else begin + self._kill_after
        if state in RUNNING_STATES:
            site.manager.stop()
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
                state = site.manager.state()
                if state in RUNNING_STATES:
                    # The manager was faster, and has started it anew.
                    site.manager.stop()
                elif state in STOPPED_STATES:
                    late = site.observe()
                    busy = _busy(late.listening, expected)
                    if not late.orphans and not late.tree and not late.rest and not busy:
                        break
                    tracked = {each.process.pid: each.process for each in late.orphans}
                    tracked.update({each.pid: each for each in [*late.tree, *late.rest]})
                    left = list(tracked.values())
            if kill_at is not None and now >= kill_at:
                # Never an arbiter: it ends when its workers have, and the manager sees to the rest.
                hanging = [each for each in left if stopped_at or each.pid in workers]
                for each in hanging:
                    self._signal(each, KILL)
                if hanging:
                    kill_at, deadline = None, max(deadline, now + AFTERMATH)
            if now >= deadline:
                raise FleetError(self._overrun(left, state, expected))
            self._sleep(POLL)
        done = clock()
        return {
            "stop_s": round((stopped_at or done) - begin, 3),
            "free_s": round(done - (stopped_at or done), 3),
        }

    def start(self) -> None:
        self.site.manager.start()

    def start_again(self, was_running: bool, stop_begin: float, stopwaitsecs: int) -> str:
        """Nothing was switched: back to how it was found."""
        if not was_running:
            return "The program was not running before and is left so."
        site = self.site
        # It cannot be started before it has ended; the manager kills it after stopwaitsecs.
        deadline = max(self._clock(), stop_begin + stopwaitsecs) + AFTERMATH
        try:
            while site.manager.state() == STOPPING:
                if self._clock() >= deadline:
                    return (
                        "THE OLD PROGRAM COULD NOT BE STARTED AGAIN, because it is still stopping;"
                        " start it when it has ended."
                    )
                self._sleep(POLL)
            self.start()
            return "The old program was started again."
        except FleetError as exc:
            return f"THE OLD PROGRAM COULD NOT BE STARTED AGAIN: {exc}"

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
        busy = _busy(read_listeners(reader, self.site.manager.pid), expected)
        inodes = {each.pid: read_inodes(reader, each.pid) for each in left}
        parts = []
        for each in left[:20]:
            held = sorted(a for a, inode in busy.items() if inode in inodes[each.pid])
            parts.append(f"{each.pid}{' (' + ', '.join(held) + ')' if held else ''}")
        free = {inode for held in inodes.values() for inode in held}
        others = sorted(address for address, inode in busy.items() if inode not in free)
        text = f"{self.site.name} was asked to stop, but after {self._stop_timeout:g} s "
        if parts:
            text += f"these processes still run: {', '.join(parts)}"
        if others:
            owners = ", ".join(self._owner(busy[each], each) for each in others)
            text += f"{' and ' if parts else ''}someone still listens: {owners}"
        if not parts and not others:
            text += f"{self.site.manager.word} still calls it {state}"
        return text + (
            ". They may be busy with long requests or tasks: drain first, or raise stop_timeout."
            " The active release was not changed."
        )

    def _owner(self, inode: int, address: str) -> str:
        for name in self.site.reader.names("/proc"):
            if name.isdigit() and inode in read_inodes(self.site.reader, int(name)):
                return f"process {name} on {address}"
        return f"an unknown process on {address}"


def _busy(listening: List[Listener], expected: List[str]) -> Dict[str, int]:
    """Addresses of the old generation on which someone listens: {address: inode}."""
    return {each.address: each.inode for each in listening if clashes(each.address, expected)}
