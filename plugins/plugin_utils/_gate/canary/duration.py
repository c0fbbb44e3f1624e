# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long must the canary be watched so that this traffic can show a given change?

Counts are taken as Poisson: given their total the canary's share is binomial, so the power of the
test is a sum over totals: exact up to 1,000 expected events, beyond over ``_NODES`` of them per
standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.exact_tests import (
    binomial_tail,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.model import (
    Measure,
    Settings,
    Window,
)

_NODES = 16
_LONGEST = 366 * 86400


class Traffic(NamedTuple):
    """What a second brings: requests (incidents: server-hours) to each arm, and the usual rate.

    ``rate``: events per request (incidents: per server-hour) of a healthy server.
    """

    canary: float
    baseline: float
    rate: float


def power_of(
    canary: float,
    baseline: float,
    rate: float,
    change: float,
    threshold: float,
    tolerance: float = 0.0,
) -> float:
    """Chance that the last look fails a canary whose rate is ``rate + change``.

    ``canary`` and ``baseline``: exposures (requests, server-hours). ``threshold``: see
    ``Settings.threshold``. Looks before the last are not counted, so a gate sees a little more.
    """
    if canary <= 0 or baseline <= 0:
        return 0.0
    bad, good = canary * (rate + change), baseline * rate
    expected = bad + good
    if expected <= 0:
        return 0.0
    share, truth = canary / (canary + baseline), bad / expected
    needed_x, found, mass = 0, 0.0, 0.0
    for total, weight in _totals(expected):
        needed_x = _critical(total, share, threshold, needed_x)
        apart = math.ceil((tolerance + total / baseline) / (1 / canary + 1 / baseline) - 1e-9)
        found += weight * binomial_tail(max(needed_x, apart), total, truth)
        mass += weight
    return found / mass


def _totals(expected: float) -> Iterator[tuple[int, float]]:
    """Poisson totals with their weights; of very many every so-manieth, for the sum is smooth."""
    sd = math.sqrt(expected)
    low, high = max(0, int(expected - 6 * sd)), int(expected + 6 * sd + 20)
    step = max(1, int(sd / _NODES))
    for total in range(low, high + 1, step):
        yield total, math.exp(total * math.log(expected) - expected - math.lgamma(total + 1))


def _critical(total: int, share: float, threshold: float, start: int) -> int:
    """The fewest events on the canary that are significant; ``total + 1`` if even all are not."""
    if binomial_tail(total, total, share) > threshold:
        return total + 1
    # It grows with the total, so one less than that of a smaller total is still too few.
    low = max(start - 1, 0)
    step, high = 1, low + 1
    while binomial_tail(high, total, share) > threshold:
        low, step = high, step * 2
        high = min(total, high + step)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (middle, high) if binomial_tail(middle, total, share) > threshold else (low, middle)
        )
    return high


def bake_seconds(
    traffic: Traffic, change: float, threshold: float, power: float = 0.95, tolerance: float = 0.0
) -> float | None:
    """Seconds of this traffic in which a rise by ``change`` fails the gate with chance ``power``.

    None if a year would not do. Whole counts make the power of slightly longer times dip by a
    fraction of a percent; at the returned time it holds.
    """

    def sees(seconds: float) -> bool:
        a, b = traffic.canary * seconds, traffic.baseline * seconds
        return power_of(a, b, traffic.rate, change, threshold, tolerance) >= power

    if change <= tolerance or traffic.canary <= 0 or traffic.baseline <= 0:
        return None
    high = 1.0
    while not sees(high):
        high *= 2
        if high > _LONGEST:
            return None
    low = high / 2 if high > 1 else 0.0
    # To a hundredth, then to whole seconds: nobody bakes by the millisecond.
    while high - low > max(0.01 * high, 1.0):
        middle = (low + high) / 2
        low, high = (low, middle) if sees(middle) else (middle, high)
    whole = float(math.ceil(high))
    return whole if sees(whole) else next((s for s in _after(whole) if sees(s)), None)


def _after(seconds: float) -> Iterator[float]:
    """A little longer, and longer yet: past a dip of the power."""
    for i in range(1, 200):
        yield float(math.ceil(seconds * (1 + i / 100)))


def needed(
    windows: Sequence[Window], settings: Settings, measures: Sequence[Measure]
) -> dict[str, Any]:
    """How long the gate must be for the measures that keep it inconclusive, at the traffic seen.

    ``{"seconds", "more_seconds", "measure", "text", "each": {measure: {"seconds", "change",
    "requests_per_second": {"canary", "baseline"}, "baseline_rate", "power"}}}``. ``seconds`` counts
    from the first window; None if no time will do, and ``text`` says why.
    """
    seen = math.fsum(window.seconds for window in windows)
    each: dict[str, dict[str, Any]] = {}
    for measure in measures:
        if measure.verdict == "suspect" or (measure.required and measure.verdict == "inconclusive"):
            each[measure.name] = _needed(measure, seen, settings)
    if not each:
        return {}
    worst = max(each, key=lambda name: each[name]["seconds"] or math.inf)
    seconds = each[worst]["seconds"]
    more = None if seconds is None else max(0.0, seconds - seen)
    if seconds is None:
        text = f"needed: {worst}: {each[worst]['why']}"
    else:
        text = (
            f"needed: {worst}: about {seconds:.0f} s of this traffic in all"
            f" ({seen:.0f} s seen): {each[worst]['why']}"
        )
    return {"seconds": seconds, "more_seconds": more, "measure": worst, "text": text, "each": each}


def _needed(measure: Measure, seen: float, settings: Settings) -> dict[str, Any]:
    rule = settings.rules[measure.name]
    threshold = settings.threshold(rule, last=True)
    counts = measure.counts or {}
    result: dict[str, Any] = {"change": rule.change, "power": settings.power, "seconds": None}
    if measure.name == "times":
        blocks = counts.get("blocks", 0)
        wanted = math.ceil(-math.log2(threshold))
        if blocks and seen:
            # As many again as the least that can be significant: noise takes its share.
            result["seconds"] = math.ceil(max(1.5 * wanted, blocks + wanted) * seen / blocks)
        return {
            **result,
            "why": f"the least is {wanted} blocks of {settings.time_block} timed requests on each"
            f" side; {blocks:.0f} were seen",
        }
    n, m = counts.get("canary_of", 0), counts.get("baseline_of", 0)
    if not seen or not n or not m:
        side = "canary" if not n else "baseline"
        return {**result, "why": f"no traffic, or no such counter, on the {side}"}
    # A healthy canary is like its baseline; both arms tell its rate.
    rate = (counts["canary"] + counts["baseline"]) / (n + m)
    burst = measure.burst
    traffic = Traffic(n / seen / burst, m / seen / burst, rate)
    seconds = bake_seconds(traffic, rule.change, threshold, settings.power, rule.tolerance)
    result["seconds"] = seconds
    result["requests_per_second"] = {"canary": n / seen, "baseline": m / seen}
    result["baseline_rate"] = rate
    if seconds is not None:
        # What was seen did not decide, so less of the same is never the answer.
        result["seconds"] = max(seconds, math.ceil(1.25 * seen)) if seconds <= seen else seconds
    chance = f"{100 * settings.power:.0f} %"
    why = f"a rise of {rule.change:g} over {rate:.3g} is then seen with a chance of {chance}"
    if seconds is None:
        why = f"no year is enough, at {n / seen:.3g} requests/s on the canary"
    return {**result, "why": why}
