# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prove a generation: watch until nothing speaks against it, and a moment longer."""

from typing import Callable, List, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.plan import Plan, Wanted
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.verdict import (
    death,
    elsewhere,
    mismatches,
    problems,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.snapshot import (
    Observation,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.bounded_http import Endpoint
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.manager import UP_STATES
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.site import Site

PROOF_POLL = 0.02
URL_TIMEOUT = 5.0
# Without a URL only time shows that the workers could import the application.
STABLE_WITHOUT_URL = 2.0

Probe = Callable[[Endpoint, float], Tuple[int, str]]


class Proved(NamedTuple):
    """The last look at a generation that stood its proof, and when it was first found good."""

    seen: Observation
    good_at: float


class Prover:
    """Watches one program. The clock, the sleep and the question to the URL come from outside."""

    def __init__(
        self,
        site: Site,
        wanted: Wanted,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        probe: Probe,
    ) -> None:
        self.site = site
        self.wanted = wanted
        self._clock = clock
        self._sleep = sleep
        self._probe = probe

    def runs_already(
        self, seen: Observation, plan: Plan, check_mode: bool
    ) -> Optional[Observation]:
        """The observation that proves it, or None. A young generation is given time to finish."""
        if plan.flip_to or plan.adopt or self.wanted.restart:
            return None
        # What keeps a new generation from starting need not keep an old one from serving: where
        # nothing was stopped, the way back is there already.
        kept = self.site.manager.kept()
        against = problems(seen, plan, self.wanted, kept, beside=not self.wanted.going_back)
        if not against and (check_mode or self._answers(URL_TIMEOUT)):
            return seen
        if check_mode or mismatches(seen, plan, self.wanted) or elsewhere(seen, kept):
            return None
        young = self.wanted.start_timeout - self.site.age(seen)
        if seen.arbiter is None or young <= 0:
            return None
        # A run that was killed asked for this start and could not prove it any more.
        try:
            return self.prove(plan, [], self._clock() + young).seen
        except FleetError:
            return None

    def prove(self, plan: Plan, expected: List[str], deadline: float) -> Proved:
        """Wait until nothing speaks against the new generation, then a moment longer."""
        site, clock = self.site, self._clock
        wanted = self.wanted
        stable = wanted.stable_for
        kept = site.manager.kept()
        if wanted.url is None:
            stable = max(stable, STABLE_WITHOUT_URL)
        first_pid = 0
        identity: Tuple[int, int] = (0, 0)
        good: Optional[float] = None
        against = ["it has not been looked at"]
        while True:
            seen = site.observe(waiting=True)
            program, arbiter = seen.program, seen.arbiter
            if program["state"] not in UP_STATES or (first_pid and program["pid"] != first_pid):
                raise FleetError(death(program, first_pid))
            first_pid = first_pid or program["pid"]
            wrong = mismatches(seen, plan, wanted) + elsewhere(seen, kept)
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
                    else:
                        return Proved(seen, good)
            else:
                good = None
            if now >= deadline and not (good is not None and now - good < stable):
                against = problems(site.observe(), plan, wanted, expected) or against
                raise FleetError(
                    f"The new generation was not proved within {wanted.start_timeout:g} s:"
                    f" {'; '.join(against) or 'it became good too late'}."
                )
            self._sleep(PROOF_POLL)

    def _answers(self, timeout: float) -> bool:
        if self.wanted.url is None:
            return True
        return 0 < self._probe(self.wanted.url, timeout)[0] < 500

    def _url_problem(self, timeout: float) -> str:
        if self.wanted.url is None:
            return ""
        status, why = self._probe(self.wanted.url, timeout)
        if 0 < status < 500:
            return ""
        said = f"answered with status {status}" if status else f"did not answer: {why}"
        return f"{self.wanted.url}{self.wanted.url.path} {said}"
