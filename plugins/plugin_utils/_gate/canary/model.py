# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the canary analysis takes and gives: shapes, units, defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Arm(NamedTuple):
    """What one side did within one window: deltas, summed over its servers.

    ``None`` means: not measured. ``requests``: answered or tried. ``errors``: of them 5xx.
    ``connection_errors``: refused, broken or reset (HAProxy's econ + eresp). ``incidents``: of the
    log, over ``server_seconds`` (seconds times servers). ``time_ms``: the mean response time of
    *these* requests in ms (``_canary_windows.fresh_average`` gets it from HAProxy's moving one).
    """

    requests: int = 0
    errors: int | None = None
    connection_errors: int | None = None
    incidents: int | None = None
    server_seconds: float = 0.0
    time_ms: float | None = None


class Window(NamedTuple):
    """One stretch of time, the same for both arms."""

    seconds: float
    canary: Arm
    baseline: Arm


class Rule(NamedTuple):
    """How one measure is judged.

    ``weight``: its share of the false alarms. ``tolerance``: the smallest observed difference that
    may fail the canary (times: ratio). ``change``: the difference that a pass rules out, and that
    ``needed`` is about (times: ratio). ``required``: whether the gate is inconclusive if it is.
    """

    weight: float
    tolerance: float
    change: float
    required: bool


RULES: dict[str, Rule] = {
    # Rates of requests: 0.001 is one in a thousand.
    "errors": Rule(0.90, 0.001, 0.005, True),
    "connection_errors": Rule(0.04, 0.001, 0.005, False),
    # Per server and hour.
    "incidents": Rule(0.03, 0.0, 60.0, False),
    # Ratios of response times.
    "times": Rule(0.03, 1.2, 1.5, False),
}


class Settings(NamedTuple):
    """How a gate is judged; the defaults are those of the simulation.

    ``false_alarm``: chance that a gate fails a canary as good as its baseline, all measures and
    looks together. ``false_alarm_rollout``: the same for all ``gates`` of a rollout; a gate gets
    no more than its even share. ``missed``: chance that a gate passes a canary that is worse by
    ``change``. ``power``: chance with which ``needed`` wants to see that change. ``look`` of
    ``looks``: which look at this gate this is; only the last one can pass. ``early``: share of the
    false alarms that the looks before the last may spend together. ``burst``: the most errors
    that may count as one when they come in bursts (1: never). ``time_block``: requests of each arm
    that make one sample of the response time. ``time_floor_ms``: a difference of times below this
    is never acted on. ``rules``: by measure; a measure without a rule is not judged.
    """

    false_alarm: float = 0.01
    false_alarm_rollout: float = 0.05
    gates: int = 1
    missed: float = 0.05
    power: float = 0.95
    look: int = 1
    looks: int = 1
    early: float = 0.02
    burst: float = 100.0
    time_block: int = 200
    time_floor_ms: float = 10.0
    rules: Mapping[str, Rule] = RULES

    @property
    def last(self) -> bool:
        """Whether the gate ends with this look."""
        return self.look == self.looks

    @property
    def alpha(self) -> float:
        """The false alarms of one gate."""
        return min(self.false_alarm, self.false_alarm_rollout / self.gates)

    def threshold(self, rule: Rule, last: bool | None = None) -> float:
        """The p-value at or below which a measure fails at this look.

        Haybittle (1971) and Peto et al. (1976): looks before the last spend next to nothing, so the
        last keeps nearly all. By Bonferroni over looks and measures nothing else is assumed.
        """
        whole = self.alpha * rule.weight
        if self.looks == 1:
            return whole
        if self.last if last is None else last:
            return whole * (1 - self.early)
        return whole * self.early / (self.looks - 1)


class Measure(NamedTuple):
    """One comparison. Rates are per request or per server-hour; times are in ms.

    ``upper``: upper limit of the difference of rates (times: none). ``burst``: how many errors
    counted as one. None: could not be computed.
    """

    name: str
    verdict: str
    reason: str
    canary: float | None = None
    baseline: float | None = None
    p: float | None = None
    threshold: float | None = None
    upper: float | None = None
    burst: float = 1.0
    required: bool = False
    counts: Mapping[str, float] | None = None


class Judgement(NamedTuple):
    """The verdict of one look; ``reasons`` in the order of ``measures``."""

    verdict: str
    reasons: tuple[str, ...]
    measures: tuple[Measure, ...]
