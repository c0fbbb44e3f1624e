# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is the canary worse than the servers beside it, over the same time?

``judge_canary(windows, settings)`` compares rates of failed requests, connection errors and log
incidents by exact conditional tests, and response times by a signed-rank test on blocks. Verdicts:

``fail``          worse than the baseline, by more than is tolerated, beyond the chance of
                  ``false_alarm`` for the whole gate (all measures, all looks).
``pass``          not so, and a change worth acting on is ruled out at the risk of ``missed``.
``inconclusive``  this traffic cannot tell; ``needed`` says how long it would take.

``docs/canary.md`` has the reasoning and the figures. Pure functions, standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.duration import needed
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.exact_tests import (
    MOST_BLOCKS,
    binomial_tail,
    difference_limit,
    dispersion,
    gamma_score,
    lag_one,
    rate_limits,
    share_tail,
    signed_rank_tail,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.input import (
    read_settings,
    read_windows,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.model import (
    Judgement,
    Measure,
    Rule,
    Settings,
    Window,
)

# Clustering is believed this many standard deviations above chance: a false belief costs power.
_CLUSTERED = 2.5
# In as many windows bursts are seen or not. In fewer, as large ones are assumed as these windows
# leave possible, but for a risk of `_UNSEEN`; below the least nobody sees any.
_BURSTS_SEEN_IN, _LEAST_WINDOWS = 8, 3
_UNSEEN = 0.2


class Sample(NamedTuple):
    """One window of one measure: counts and exposures of both arms."""

    canary: int
    canary_exposure: float
    baseline: int
    baseline_exposure: float


def judge_canary(
    windows: Sequence[Window | Mapping[str, Any]],
    settings: Settings | Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Judge all windows of a gate so far, in the order of time.

    Both arguments may be plain data, shaped like ``Window`` and ``Settings``. Returns
    ``{"verdict", "reasons": [str], "measures": [{"name", "verdict", "canary", "baseline", "p",
    "threshold", "upper", "burst", "required", "reason", "counts"}], "needed": {...}}``; ``needed``
    is empty unless the last look is inconclusive, see ``_gate.canary.duration.needed``.
    Raises ``FleetError`` for data that cannot be, such as a counter that fell.
    """
    wanted = read_settings(settings)
    seen = read_windows(windows)
    found = judge(seen, wanted)
    more: dict[str, Any] = {}
    if wanted.last and found.verdict == "inconclusive":
        more = needed(seen, wanted, found.measures)
    return {
        "verdict": found.verdict,
        "reasons": list(found.reasons) + ([more["text"]] if more else []),
        "measures": [measure._asdict() for measure in found.measures],
        "needed": more,
    }


def judge(windows: Sequence[Window], settings: Settings) -> Judgement:
    """Judge typed windows; see ``judge_canary``."""
    measures = []
    for name, rule in settings.rules.items():
        if name == "times":
            measures.append(_judge_times(windows, rule, settings))
        else:
            measures.append(_judge_counts(name, samples(windows, name), rule, settings))
    fails = [measure for measure in measures if measure.verdict == "fail"]
    if fails:
        return Judgement("fail", tuple(each.reason for each in fails), tuple(measures))
    if not settings.last:
        text = f"look {settings.look} of {settings.looks}: nothing against the canary so far"
        return Judgement("inconclusive", (text,), tuple(measures))
    open_ones = [
        each
        for each in measures
        if each.verdict == "suspect" or (each.required and each.verdict == "inconclusive")
    ]
    verdict = "inconclusive" if open_ones else "pass"
    return Judgement(verdict, tuple(each.reason for each in open_ones), tuple(measures))


def samples(windows: Sequence[Window], name: str) -> list[Sample]:
    """The windows in which both arms measured ``name``."""
    found = []
    for window in windows:
        canary, baseline = getattr(window.canary, name), getattr(window.baseline, name)
        if canary is None or baseline is None:
            continue
        if name == "incidents":
            exposures = window.canary.server_seconds / 3600, window.baseline.server_seconds / 3600
        else:
            exposures = float(window.canary.requests), float(window.baseline.requests)
        found.append(Sample(canary, exposures[0], baseline, exposures[1]))
    return found


# --- counts ------------------------------------------------------------------------------------


def _judge_counts(name: str, found: list[Sample], rule: Rule, settings: Settings) -> Measure:
    what = name.replace("_", " ")
    x, n = sum(each.canary for each in found), math.fsum(each.canary_exposure for each in found)
    y, m = sum(each.baseline for each in found), math.fsum(each.baseline_exposure for each in found)
    counts = {"canary": x, "canary_of": n, "baseline": y, "baseline_of": m}
    blank = Measure(name, "inconclusive", "", required=rule.required, counts=counts)
    if n <= 0 or m <= 0:
        side = "the canary" if n <= 0 else "the baseline"
        return blank._replace(reason=f"{what}: not measured, or no traffic, on {side}")
    strata = [(each.canary + each.baseline, _share(each, n, m)) for each in found]
    p = share_tail(x, strata)
    threshold = settings.threshold(rule)
    burst = min(settings.burst, burst_of(found))
    done = blank._replace(canary=x / n, baseline=y / m, p=p, threshold=threshold, burst=burst)
    told = f"{what}: {_told(name, x, n)} on the canary, {_told(name, y, m)} on the baseline"
    if p <= threshold and x / n - y / m >= rule.tolerance:
        most = min(settings.burst, max(burst, unseen_burst(found)))
        if most > 1 and clustered_tail(x, strata, most) > threshold:
            few = "" if most == burst else f"; {len(found)} windows cannot rule that out"
            return done._replace(
                verdict="suspect",
                reason=f"{told}; worse, but in bursts of about {most:.1f} that may be chance{few}",
            )
        return done._replace(verdict="fail", reason=f"{told}; p = {p:.2g} (limit {threshold:.2g})")
    if not settings.last:
        return done._replace(reason=f"{told}; nothing against it so far")
    upper = difference_limit((x / burst, n / burst), (y / burst, m / burst), settings.missed)
    done = done._replace(upper=upper)
    if upper <= rule.change:
        return done._replace(verdict="pass", reason=f"{told}; not worse")
    return done._replace(
        reason=f"{told}; not proven worse, but it may be by up to {_rate(name, upper)}"
        f" ({_rate(name, rule.change)} is to be ruled out)"
    )


def _share(each: Sample, n: float, m: float) -> float:
    """The canary's share of the exposure; that of the whole gate if the window had none."""
    both = each.canary_exposure + each.baseline_exposure
    return each.canary_exposure / both if both else n / (n + m)


def clustered_tail(x: int, strata: Sequence[tuple[int, float]], burst: float) -> float:
    """The test on counts divided by their dispersion (quasi-likelihood, Wedderburn 1974)."""
    total = sum(count for count, _share in strata)
    share = sum(count * share for count, share in strata) / total
    return binomial_tail(x / burst, total / burst, share)


def burst_of(found: Sequence[Sample]) -> float:
    """How many errors come together: the index of dispersion within the arms, at its worst scale.

    Windows are merged by 2, 4, ... so that a burst that spans windows is seen too. Where it does
    not stand out of chance by ``_CLUSTERED`` standard deviations it is 1.
    """
    worst = 1.0
    while len(found) >= 2:
        statistic, mean, variance = _within_arms(found)
        if gamma_score(statistic, mean, variance) > _CLUSTERED:
            worst = max(worst, statistic / mean)
        if len(found) < 2 * _BURSTS_SEEN_IN:
            break
        found = [
            Sample(*(sum(parts) for parts in zip(*found[i : i + 2], strict=True)))
            for i in range(0, len(found), 2)
        ]
    return worst


def unseen_burst(found: Sequence[Sample]) -> float:
    """How many errors may come together unseen by few windows: an upper limit of `burst_of`.

    The index of dispersion, times the bursts' size, falls like chi-squared.
    """
    if len(found) >= _BURSTS_SEEN_IN:
        return 1.0
    statistic, mean, _variance = _within_arms(found)
    if len(found) < _LEAST_WINDOWS or mean <= 0:
        return math.inf
    return statistic / (2 * rate_limits(mean / 2, _UNSEEN)[0])


def _within_arms(found: Sequence[Sample]) -> tuple[float, float, float]:
    a = dispersion([e.canary for e in found], [e.canary_exposure for e in found])
    b = dispersion([e.baseline for e in found], [e.baseline_exposure for e in found])
    statistic, mean, variance = (left + right for left, right in zip(a, b, strict=True))
    return statistic, mean, variance


def _rate(name: str, rate: float) -> str:
    return f"{rate:.3g} per server-hour" if name == "incidents" else f"{100 * rate:.3g} %"


def _told(name: str, count: int, exposure: float) -> str:
    if name == "incidents":
        return f"{count} in {exposure:.3g} server-hours"
    return f"{count} of {exposure:.0f} ({_rate(name, count / exposure)})"


# --- times -------------------------------------------------------------------------------------


def _judge_times(windows: Sequence[Window], rule: Rule, settings: Settings) -> Measure:
    pairs = blocks(windows, settings.time_block)
    threshold = settings.threshold(rule)
    counts = {"blocks": float(len(pairs))}
    blank = Measure("times", "inconclusive", "", required=rule.required, counts=counts)
    if not pairs:
        text = f"times: no {settings.time_block} timed requests on each side yet"
        return blank._replace(reason=text, threshold=threshold)
    worse = _independent([_beyond(a, b, rule.tolerance, settings) for a, b in pairs])
    better = _independent([-_beyond(a, b, rule.change, settings) for a, b in pairs])
    canary = math.exp(sum(math.log(a) for a, _b in pairs) / len(pairs))
    baseline = math.exp(sum(math.log(b) for _a, b in pairs) / len(pairs))
    p = signed_rank_tail(worse)
    done = blank._replace(canary=canary, baseline=baseline, p=p, threshold=threshold)
    told = f"times: {canary:.4g} ms on the canary, {baseline:.4g} ms on the baseline"
    told += f" in {len(worse)} blocks"
    if p <= threshold:
        return done._replace(
            verdict="fail",
            reason=f"{told}; longer by more than x{rule.tolerance:g}, p = {p:.2g}"
            f" (limit {threshold:.2g})",
        )
    # A pass asks both: that the change is ruled out, and that there were blocks enough to see it.
    if signed_rank_tail(better) <= settings.missed and 0.5 ** len(worse) <= threshold:
        return done._replace(verdict="pass", reason=f"{told}; x{rule.change:g} is ruled out")
    return done._replace(reason=f"{told}; cannot rule out x{rule.change:g}")


def _beyond(canary: float, baseline: float, ratio: float, settings: Settings) -> float:
    """How far the canary is beyond ``ratio`` times its baseline, as a logarithm."""
    return math.log(canary) - math.log(max(baseline * ratio, baseline + settings.time_floor_ms))


def blocks(windows: Sequence[Window], size: int) -> list[tuple[float, float]]:
    """Mean times (canary, baseline) of stretches in which each arm had ``size`` requests."""
    found: list[tuple[float, float]] = []
    a = b = 0
    ta = tb = 0.0
    for window in windows:
        canary, baseline = window.canary, window.baseline
        if canary.time_ms is None or baseline.time_ms is None:
            continue
        a, ta = a + canary.requests, ta + canary.requests * canary.time_ms
        b, tb = b + baseline.requests, tb + baseline.requests * baseline.time_ms
        if a >= size and b >= size:
            # Whole ms from HAProxy: 0 means below half of one.
            found.append((max(ta / a, 0.5), max(tb / b, 0.5)))
            a = b = 0
            ta = tb = 0.0
    return found


def _independent(values: list[float]) -> list[float]:
    """Merge neighbours for as long as they resemble each other, or are more than can be ranked."""
    while len(values) > MOST_BLOCKS or (
        len(values) >= 8 and lag_one(values) > 2 / math.sqrt(len(values))
    ):
        values = [sum(values[i : i + 2]) / 2 for i in range(0, len(values) - 1, 2)]
    return values
