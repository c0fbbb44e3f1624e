# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is a count of one server more than is normal? Sources of normal, in this order:

1. servers beside it that do not run the stage yet, over the same time;
2. the same server before its drain;
3. servers of the stage that passed already, over the same time, for the last ones.

The same time is the better evidence: an outage hits all. So a source of the same time is never
contradicted by the past; where it is of servers that run the new release too, which would hide a
release that is worse everywhere, both must speak against the server.

The tests are those of the canary (`canary.exact_tests`, `canary.judge`). A gate looks again and
again, at several measures: `share` and the weights divide its chance of a false alarm among all of
them (Bonferroni, so nothing is assumed of how they depend on each other). Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.exact_tests import (
    EXACT_TOTAL,
    binomial_tail,
    difference_limit,
    rate_limits,
    share_tail,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.judge import (
    Sample,
    burst_of,
    clustered_tail,
    unseen_burst,
)

FALSE_ALARM, FALSE_ALARM_ROLLOUT = 0.01, 0.05
# Two servers are never quite alike, nor is the same one an hour later: so much more is no evidence.
RATIO_BESIDE, RATIO_PAST = 1.1, 1.5
# A p-value that is no reason to go back, and one to look on.
ODD, ODD_PAST = 0.10, 0.01
# Other than usual, but for this.
_SURELY = 0.05
# Below this the servers beside it do not suffer from the same, as far as can be told: 1 to 0.
_NOT_ALIKE = 0.6
# Where nobody can see bursts, in one or two windows, so many events may count as one.
UNSEEN = 20.0
# Nothing speaks against it, or no more.
CLEAR = 0.2
# How the looks of a gate share its false alarms: all before the soak is over, the one at its end,
# those at multiples of the soak beyond it, and the very last.
_EARLY, _MAIN, _BEYOND, _LAST = 0.02, 0.50, 0.12, 0.36


class Count(NamedTuple):
    """So many events in so much exposure: requests, or hours of one server."""

    events: int
    of: float


class Evidence(NamedTuple):
    """One comparison. ``p`` has bursts discounted, ``raw`` believes that each event is its own."""

    mine: Count
    normal: Count
    p: float
    raw: float

    @property
    def difference(self) -> float:
        """Of the two rates."""
        return self.mine.events / self.mine.of - self.normal.events / self.normal.of


class Measure(NamedTuple):
    """One count and what it is compared with.

    ``weight``: its share of the gate's false alarms; ``group``: that of all its kin together.
    ``floor``: the least difference of rates that is acted upon. ``same``: over the same time;
    ``passed``: whether that is of servers that run the stage too. ``past``: of itself, or
    ``assumed`` where nothing is known.
    """

    name: str
    weight: float
    group: float
    floor: float
    mine: Count
    same: Evidence | None = None
    passed: bool = False
    past: Evidence | None = None
    assumed: bool = False


class Plan(NamedTuple):
    """How often a gate looks: ``soak`` looks, and up to ``most`` where it cannot tell."""

    soak: int
    most: int
    gates: int = 1

    @property
    def alpha(self) -> float:
        """The false alarms of one gate."""
        return min(FALSE_ALARM, FALSE_ALARM_ROLLOUT / self.gates)

    def share(self, look: int) -> float:
        """What one look may spend of them; early ones see disasters only (Haybittle, Peto)."""
        extended = self.most > self.soak
        main = _MAIN if extended else 1 - _EARLY
        beyond = list(range(2 * self.soak, self.most, self.soak))
        if look == self.soak:
            return main
        if extended and look >= self.most:
            return _LAST + (0.0 if beyond else _BEYOND)
        if look in beyond:
            return _BEYOND / len(beyond)
        others = self.most - 1 - len(beyond) - (1 if extended else 0)
        return _EARLY / max(1, others)


def over_same_time(samples: Sequence[Sample], most: float) -> Evidence | None:
    """Compare with others over the same time, window by window; None where one side had nothing.

    ``most``: how many events at most may count as one when they come in bursts.
    """
    mine = _sum([(each.canary, each.canary_exposure) for each in samples])
    normal = _sum([(each.baseline, each.baseline_exposure) for each in samples])
    if mine.of <= 0 or normal.of <= 0:
        return None
    whole = _share(mine.of, normal.of, RATIO_BESIDE)
    strata = [
        (
            each.canary + each.baseline,
            _share(each.canary_exposure, each.baseline_exposure, RATIO_BESIDE)
            if each.canary_exposure + each.baseline_exposure
            else whole,
        )
        for each in samples
        if each.canary + each.baseline
    ]
    raw = _tail(mine.events, strata)
    return Evidence(mine, normal, _discounted(mine.events, strata, raw, samples, most), raw)


def over_its_past(samples: Sequence[Sample], past: Count, most: float) -> Evidence | None:
    """Compare with the same server at an earlier time; None where nothing is known of it."""
    mine = _sum([(each.canary, each.canary_exposure) for each in samples])
    if mine.of <= 0 or past.of <= 0:
        return None
    strata = [(mine.events + past.events, _share(mine.of, past.of, RATIO_PAST))]
    raw = _tail(mine.events, strata)
    own = [each._replace(baseline=0, baseline_exposure=0.0) for each in samples]
    return Evidence(mine, past, _discounted(mine.events, strata, raw, own, most), raw)


def believed(long: Count, recent: Count) -> Count:
    """The past of a server: all that is known, unless what came lately is surely something else.

    An outage that is over is no normal, nor is a night when it is noon.
    """
    if not recent.of or recent.of >= long.of:
        return recent if recent.of else long
    least, _most = rate_limits(recent.events, _SURELY)
    _least, most = rate_limits(recent.events, 0.001)
    if least / recent.of > long.events / long.of:
        return recent
    return Count(min(long.events, int(long.of * most / recent.of)), long.of)


def is_worse(measure: Measure, plan: Plan, look: int) -> bool:
    """Whether it is more than normal, beyond chance: a verdict."""
    loose = plan.alpha * plan.share(look)
    limit = loose * measure.weight
    same, past = _acted(measure.same, measure.floor), _acted(measure.past, measure.floor)
    if measure.same and measure.past:
        if measure.passed:
            return past <= limit and same <= loose
        return same <= limit / 2 or (past <= limit / 2 and same <= loose)
    return min(same, past) <= limit


def is_odd(measure: Measure, odd: float = ODD) -> bool:
    """Whether something speaks against it, so that it is worth looking on."""
    if not measure.mine.events:
        return False
    same = measure.same.raw if measure.same else None
    past = measure.past.raw if measure.past else None
    if same is not None and past is not None:
        if measure.passed:
            return min(past, same) <= odd and max(past, same) <= CLEAR
        return same <= odd or (past <= ODD_PAST and same <= _NOT_ALIKE)
    known = same if same is not None else past
    return known is not None and known <= odd


def speaks_against(measure: Measure, plan: Plan) -> bool:
    """Whether so much speaks against it at the very end that only the operator can let it pass."""
    spent = plan.alpha * measure.group
    same, past = _acted(measure.same, measure.floor), _acted(measure.past, measure.floor)
    if measure.same and measure.past:
        if measure.passed:
            return past <= spent and same <= _SURELY
        return same <= spent or (past <= plan.alpha * measure.weight and same <= CLEAR)
    return min(same, past) <= spent


def is_proven(measure: Measure, change: float, missed: float = 0.05) -> bool:
    """Whether a rise by ``change`` is ruled out, at the risk of ``missed``."""
    known = measure.same or measure.past
    if known is None:
        return False
    mine, normal = known.mine, known.normal
    sides = (mine.events, mine.of), (normal.events, normal.of)
    return difference_limit(*sides, missed) <= change


def _acted(evidence: Evidence | None, floor: float) -> float:
    """Its p-value, if the difference is worth acting upon."""
    return evidence.p if evidence and evidence.difference >= floor else 1.0


def _share(mine: float, normal: float, ratio: float) -> float:
    """The share of the events that is mine where I have up to ``ratio`` times as many."""
    return ratio * mine / (ratio * mine + normal)


def _sum(counts: Sequence[tuple[int, float]]) -> Count:
    return Count(sum(each[0] for each in counts), math.fsum(each[1] for each in counts))


def _tail(events: int, strata: Sequence[tuple[int, float]]) -> float:
    total = sum(count for count, _share in strata)
    mean = sum(count * share for count, share in strata)
    if not events or events <= mean:
        return 1.0
    if events >= mean + 1:
        # The tail at the mean share is never smaller there (Hoeffding 1956).
        quick = binomial_tail(events, total, mean / total)
        if quick > CLEAR or total > EXACT_TOTAL:
            return quick
    return share_tail(events, strata)


def _discounted(
    events: int,
    strata: Sequence[tuple[int, float]],
    raw: float,
    samples: Sequence[Sample],
    most: float,
) -> float:
    if raw > CLEAR:
        return raw
    unseen = unseen_burst(samples)
    burst = min(most, max(burst_of(samples), UNSEEN if math.isinf(unseen) else unseen))
    return max(raw, clustered_tail(events, strata, burst)) if burst > 1 else raw
