# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a release the one that runs: stop, wait, (adopt,) flip, start, prove.

What else runs from the virtualenv (`Companions`) is stopped before and started after.

Between stop and proof the host serves nobody, so whatever can be known, refused or prepared
before the stop is, and nothing waits longer than it must.
"""

from contextlib import suppress
from typing import Any, Callable, Dict, List, Optional, Sequence

from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.companions import (
    Companions,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.evidence import (
    Evidence,
    gather_evidence,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.files import Files, Link
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.plan import (
    Plan,
    Wanted,
    make_plan,
    refuse_in_vain,
    side_effects,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.proof import (
    Probe,
    Prover,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.restart import (
    AFTERMATH,
    Control,
    Kill,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.live_venv import (
    gunicorn_version,
    python_version,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.snapshot import (
    Observation,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.reader import standing
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.manager import (
    RUNNING_STATES,
    STOPPING,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.site import Site
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fencing import Fenced

# How much longer than a stop may last the clients of a program that is held back wait for us.
HOLD_MARGIN = 3 * AFTERMATH
# Seconds: so long the other programs have at least, where the gunicorn took all the time.
MOMENT = 5.0


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
        permit: Callable[[], None] = lambda: None,
        others: Sequence[Site] = (),
        programs_stable_for: float = 0.0,
        programs_only: bool = False,
    ) -> None:
        self.site = site
        self.wanted = wanted
        self._programs_only = programs_only
        self._clock = clock
        # Raises if somebody else may change the host by now.
        self._permit = permit
        self.timings: Dict[str, Optional[float]] = {}
        self.warnings: List[str] = []
        self._logs: List[Dict[str, Any]] = []
        self._link = Link(site, files, wanted.going_back, stamp)
        self._control = Control(
            site, wanted.stop_timeout, wanted.kill_after, clock, sleep, kill, self.warnings
        )
        self._prover = Prover(site, wanted, clock, sleep, probe)
        self._others = Companions(
            list(others), wanted, programs_stable_for, clock, sleep, kill, self.warnings
        )

    def run(self, check_mode: bool) -> Dict[str, Any]:
        begin = self._clock()
        site, wanted = self.site, self.wanted
        seen = site.observe()
        plan = make_plan(site.reader, site, seen, wanted)
        self.warnings.extend(side_effects(site, seen))
        self._others.look()
        if self._programs_only:
            if plan.flip_to or plan.adopt or not seen.arbiter:
                raise FleetError(
                    "programs_only leaves the gunicorn as it is, but"
                    f" {'another release is wanted' if seen.arbiter else 'none runs'}."
                )
            done: Optional[Observation] = seen
        else:
            done = self._prover.runs_already(seen, plan, check_mode)
        if done is None:
            refuse_in_vain(site, seen, plan)
            self._others.refuse(plan)
            if check_mode:
                return self._result(plan, seen, None, True)
            # Asked now, the answer is known when the new generation is to be proved.
            site.pythons.version(site.reader.real(f"{plan.path}/bin/python"))
            self._link.prepare(plan)
            try:
                self._hold()
                done = self._switch(seen, plan)
            finally:
                with suppress(FleetError):
                    site.manager.let_go()
                self._link.tidy()
            changed = True
        elif check_mode:
            changed = bool(self._others.missing(plan))
        else:
            changed = self._others.bring_up(plan, self._permit)
        self.timings["total_s"] = round(self._clock() - begin, 3)
        return self._result(plan, seen, done, changed)

    def _hold(self) -> None:
        """A client must not start the old release between stop and switch."""
        try:
            stops = 2 if self._others.names else 1
            self.site.manager.hold(stops * self.wanted.stop_timeout + HOLD_MARGIN)
        except FleetError as exc:
            raise FleetError(f"Nothing was stopped: {exc}") from exc

    def _switch(self, seen: Observation, plan: Plan) -> Observation:
        site, clock = self.site, self._clock
        kept = site.manager.kept()
        was_running = seen.program["state"] in (*RUNNING_STATES, STOPPING)
        served = bool(seen.arbiter and seen.listeners)
        before = {each.address for each in seen.listeners}
        # Given listeners, gunicorn binds none itself; what runs may have been started without.
        expected = sorted(kept or before)
        # Only while it runs can it be seen what it writes to.
        logs = site.logs(seen)
        self._permit()
        self._stop_others()
        down = clock()
        try:
            held = {address for stray in seen.orphans for address in stray.addresses}
            freed = sorted(held.union(before).difference(kept))
            self.timings.update(self._control.stop(seen, down, freed))
            stopped = clock()
            self._permit()
            if not site.manager.holds_back():
                raise FleetError(
                    f"{site.manager.word} did not keep others from starting {site.name} any more."
                )
            self._link.flip(plan)
        except (FleetError, OSError) as exc:
            again = self._control.start_again(was_running, down, seen.program["stopwaitsecs"] or 0)
            again = f"{again} {self._others.start_again(down)}".rstrip()
            raise FleetError(f"{exc} {again}") from exc
        mark = site.manager.mark(seen.program)
        # The old generation is gone: what is in its logs now was not written by the new one.
        self._logs = standing(logs)
        start = clock()
        self.timings["switch_s"] = round(start - stopped, 3)
        try:
            self._control.start()
            self._others.start()
            if plan.flip_to:
                # The new generation boots meanwhile; after a power cut the old link is as good.
                self._link.sync()
            # Nothing is left stopped for whoever comes next, nor does he wait for a proof.
            self._permit()
            deadline = start + self.wanted.start_timeout
            proved, good = self._prover.prove(plan, expected, deadline)
            self._others.prove(plan, max(deadline, clock() + MOMENT))
        except (Fenced, Evidence):
            raise
        except (FleetError, OSError) as exc:
            advise = self.wanted.advise
            raise gather_evidence(site, exc, plan, mark, advise) from exc
        self.timings["start_s"] = round(good - start, 3)
        self.timings["down_s"] = round(good - down, 3) if served else None
        now, then = len(proved.workers), len(seen.workers)
        if now < then and not (proved.arbiter and proved.arbiter.workers_wanted):
            self.warnings.append(f"{now} workers run where there were {then}.")
        return proved

    def _stop_others(self) -> None:
        """While the gunicorn still runs: what does not end in time leaves all as it was."""
        if not self._others.names:
            return
        begin = self._clock()
        try:
            self._others.stop(begin)
            self._permit()
        except (FleetError, OSError) as exc:
            again = self._others.start_again(begin)
            again = again or "Nothing was switched, and the programs were started again."
            raise FleetError(f"{exc} {again}") from exc

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
                "logs": self._logs,
                "programs": self._others.generations() if done else [],
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
