# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs that are switched with the gunicorn: a worker, a scheduler, another gunicorn.

They are stopped before it, the last first, while it still runs: a worker that takes its time to
end keeps nobody from an answer, and one that does not end leaves everything as it was. They are
started after it in their order, each right after the one before, and proved together.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.evidence import (
    gather_evidence,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.plan import Plan, Wanted
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.restart import (
    Control,
    Kill,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.verdict import (
    death,
    mismatches,
    problems,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.manager import (
    RUNNING_STATES,
    STOPPING,
    UP_STATES,
    Mark,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.programs import (
    Look,
    faults,
    look_at,
    mismatch,
    not_through,
    refusals,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.site import Site

POLL = 0.1


class Watch(NamedTuple):
    """What is known of one that was started. ``good_at``: since when nothing is against it."""

    pid: int = 0
    first: Tuple[int, int] = (0, 0)
    good_at: Optional[float] = None


class Companion:
    """One program: how it was found, and the means to stop and to start it."""

    def __init__(self, site: Site, look: Look, control: Control) -> None:
        self.site = site
        self.found = look
        self.control = control
        self.name = site.name
        self.mark = Mark()
        self.watch = Watch()

    @property
    def expected(self) -> List[str]:
        return sorted({each.address for each in self.found.seen.listeners})

    @property
    def was_running(self) -> bool:
        return self.found.seen.program["state"] in (*RUNNING_STATES, STOPPING)


class Companions:
    """All of them. The clock, the sleep and every change come from outside."""

    def __init__(
        self,
        sites: List[Site],
        wanted: Wanted,
        stable_for: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        kill: Kill,
        warnings: List[str],
    ) -> None:
        self._sites = sites
        self._wanted = wanted
        self._stable_for = stable_for
        self._clock = clock
        self._sleep = sleep
        self._kill = kill
        self._warnings = warnings
        self._all: List[Companion] = []

    @property
    def names(self) -> List[str]:
        return [site.name for site in self._sites]

    def look(self) -> None:
        """See what they are before anything is touched."""
        self._all = [self._companion(site, look_at(site)) for site in self._sites]

    def _companion(self, site: Site, look: Look) -> Companion:
        wanted = self._wanted
        # Only of a gunicorn it is known who must never be killed.
        kill_after = wanted.kill_after if look.gunicorn else None
        return Companion(
            site,
            look,
            Control(
                site, wanted.stop_timeout, kill_after, self._clock, self._sleep, self._kill,
                self._warnings,
            ),
        )  # fmt: skip

    def refuse(self, plan: Plan) -> None:
        """Whatever would make the stop be in vain."""
        for each in self._all:
            why = not_through(each.site, each.found) if plan.flip_to else ""
            refused = [why] if why else refusals(each.site, each.found)
            unread = [path for path in each.site.unread(each.found.seen) if path.endswith("/exe")]
            if unread:
                refused.append(
                    f"This user may not read {', '.join(unread[:5])} of {each.name}, so nothing"
                    " could be proved. Become root, or the user that runs it."
                )
            if refused:
                raise FleetError(f"Nothing was stopped: {' '.join(refused)}")

    # -- stop

    def stop(self, begin: float) -> None:
        """Stop all, the last first, together in the time that the gunicorn has too."""
        self._stop(self._all, begin)

    def _stop(self, those: List[Companion], begin: float) -> None:
        for each in reversed(those):
            each.control.stop(each.found.seen, begin, each.expected)
            each.mark = each.site.manager.mark(each.found.seen.program)

    def start_again(self, begin: float) -> str:
        """Nothing was switched: back to how they were found."""
        failed = []
        for each in self._all:
            if each.was_running:
                patience = each.found.seen.program["stopwaitsecs"] or 0
                said = each.control.start_again(True, begin, patience)
                if "COULD NOT" in said:
                    failed.append(f"{each.name}: {said}")
        return " ".join(failed)

    # -- start

    def start(self) -> None:
        """Ask for the start of all, in their order; none waits for the one before."""
        self._start(self._all)

    def _start(self, those: List[Companion]) -> None:
        for each in those:
            each.watch = Watch()
            each.control.start()

    def prove(self, plan: Plan, deadline: float) -> None:
        """Wait until nothing speaks against any of them, and until that has lasted."""
        self._prove(self._all, plan, deadline)

    def _prove(self, those: List[Companion], plan: Plan, deadline: float) -> None:
        pending = list(those)
        while pending:
            for each in list(pending):
                try:
                    if self._stands(each, plan, deadline):
                        pending.remove(each)
                except FleetError as exc:
                    raise gather_evidence(
                        each.site, exc, plan, each.mark, self._wanted.advise
                    ) from exc
            if pending:
                self._sleep(POLL)

    def _stands(self, each: Companion, plan: Plan, deadline: float) -> bool:
        """One look: whether its proof is over; raises where it has failed."""
        look = look_at(each.site, waiting=True)
        program, watch = look.seen.program, each.watch
        if program["state"] not in UP_STATES or (watch.pid and program["pid"] != watch.pid):
            raise FleetError(f"{each.name}: {death(program, watch.pid)}")
        wrong = self._wrong(each, look, plan)
        if wrong:
            raise FleetError(f"{each.name} is not what was wanted: {'; '.join(wrong)}.")
        against = self._against(each, look, plan)
        first = (look.first.pid, look.first.start_ticks) if look.first else (0, 0)
        now = self._clock()
        good_at = None
        if not against:
            if watch.first not in ((0, 0), first):
                raise FleetError(
                    f"{each.name} changed from process {watch.first[0]} to {first[0]} while it was"
                    " watched: it does not stay up."
                )
            good_at = now if watch.good_at is None else watch.good_at
        each.watch = Watch(program["pid"], watch.first if against else first, good_at)
        if good_at is not None and now - good_at >= self._stable_for:
            return True
        # What was good in time is watched to the end.
        if now >= deadline and good_at is None:
            raise FleetError(
                f"{each.name} was not proved within {self._wanted.start_timeout:g} s:"
                f" {'; '.join(against)}."
            )
        return False

    def _against(self, each: Companion, look: Look, plan: Plan) -> List[str]:
        if look.gunicorn or each.found.gunicorn:
            return problems(look.seen, plan, self._wanted, each.expected)
        return faults(look, plan.path)

    def _wrong(self, each: Companion, look: Look, plan: Plan) -> List[str]:
        """What waiting cannot cure."""
        if look.gunicorn:
            return mismatches(look.seen, plan, self._wanted)
        # A shell that has yet to become the program cannot be told.
        return mismatch(look, plan.path) if look.prefix else []

    # -- where the gunicorn runs already

    def missing(self, plan: Plan) -> List[Companion]:
        """Those that do not run, or not from the release: a killed run left them so."""
        return [each for each in self._all if self._against(each, each.found, plan)]

    def bring_up(self, plan: Plan, permit: Callable[[], None]) -> bool:
        """Start what is missing, and nothing else; whether anything was."""
        those = self.missing(plan)
        if not those:
            return False
        begin = self._clock()
        permit()
        anew = [each for each in those if not self._young(each, plan)]
        self._stop(anew, begin)
        self._start(anew)
        self._prove(those, plan, self._clock() + self._wanted.start_timeout)
        return True

    def _young(self, each: Companion, plan: Plan) -> bool:
        """Was it started a moment ago, and needs nothing but time?"""
        look, state = each.found, each.found.seen.program["state"]
        if look.gunicorn:
            return state in UP_STATES and not mismatches(look.seen, plan, self._wanted)
        return state == "STARTING" and look.prefix in (None, plan.path)

    def generations(self) -> List[Dict[str, Any]]:
        """What runs now of each, by which a later look knows it again."""
        found = []
        for each in self._all:
            pid, ticks = each.watch.first if each.watch.first != (0, 0) else _identity(each.found)
            found.append({"program": each.name, "pid": pid, "start_ticks": ticks})
        return found


def _identity(look: Look) -> Tuple[int, int]:
    return (look.first.pid, look.first.start_ticks) if look.first else (0, 0)
