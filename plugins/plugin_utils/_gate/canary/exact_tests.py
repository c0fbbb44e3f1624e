# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tests and limits that the canary's judge stands on; standard library only.

Everything here is a plain function of numbers. Counts may be huge (10**9): nothing is enumerated
whose length grows with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import NormalDist

# Up to this total a null distribution over windows with different shares is convolved exactly.
EXACT_TOTAL = 400
# The signed-rank distribution is counted exactly up to this many blocks; the caller merges more.
MOST_BLOCKS = 64
# From this count on the exact limits of a Poisson count and the normal ones agree in 4 digits.
_LARGE = 10_000.0
# A Poisson count as the successes of so many trials; the two differ by a share of count / trials.
_TRIALS = 1e9
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def binomial_tail(x: float, n: float, p: float) -> float:
    """``P(X >= x)`` for X ~ Binomial(n, p); 0 <= p <= 1.

    The regularised incomplete beta function I_p(x, n - x + 1): continued fraction by modified
    Lentz, prefactor by Loader's saddle-point form ("Fast and accurate computation of binomial
    probabilities", 2000), so that 10**9 trials lose no digits. ``x`` and ``n`` need not be whole:
    counts that are divided by their dispersion are judged by the same function.
    """
    if x <= 0:
        return 1.0
    if x > n or p <= 0:
        return 0.0
    if p >= 1:
        return 1.0
    a, b = x, n - x + 1
    if p < (a + 1) / (a + b + 2):
        return min(1.0, _mass(x, n, p) * (1 - p) * _fraction(a, b, p))
    return max(0.0, 1.0 - _mass(x - 1, n, p) * p * _fraction(b, a, 1 - p))


def _mass(x: float, n: float, p: float) -> float:
    """The probability of exactly ``x`` of ``n``, after Loader; x and n may be broken."""
    if x < 0:
        # Only met for 0 < x < 1 in the caller's complement: the gamma form still holds there.
        log = math.lgamma(n + 1) - math.lgamma(x + 1) - math.lgamma(n - x + 1)
        return math.exp(log + x * math.log(p) + (n - x) * math.log1p(-p))
    if x == 0:
        return math.exp(n * math.log1p(-p))
    if x >= n:
        return math.exp(n * math.log(p))
    log = _stirling_error(n) - _stirling_error(x) - _stirling_error(n - x)
    log -= _deviance(x, n * p) + _deviance(n - x, n * (1 - p))
    return math.exp(log - _HALF_LOG_2PI + 0.5 * math.log(n / (x * (n - x))))


def _stirling_error(n: float) -> float:
    """log(n!) less Stirling's formula."""
    if n <= 15:
        return math.lgamma(n + 1) - (n + 0.5) * math.log(n) + n - _HALF_LOG_2PI
    s = 1 / (n * n)
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - s / 1188) * s) * s) * s) / n


def _deviance(x: float, mean: float) -> float:
    """x log(x / mean) + mean - x, without cancellation where x is near the mean."""
    if abs(x - mean) >= 0.1 * (x + mean):
        return x * math.log(x / mean) + mean - x
    v = (x - mean) / (x + mean)
    total, term, i = (x - mean) * v, 2 * x * v, 1
    while True:
        term *= v * v
        more = total + term / (2 * i + 1)
        if more == total:
            return total
        total, i = more, i + 1


def _fraction(a: float, b: float, p: float) -> float:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22)."""
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * p / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, 2_000_000):
        for top in (
            m * (b - m) * p / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * p / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + top * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + top / c
            c = c if abs(c) > tiny else tiny
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def share_tail(x: int, strata: Sequence[tuple[int, float]]) -> float:
    """``P(X >= x)`` where X is a sum of Binomial(total, share) over ``strata``: the exact test.

    Given how many events a window had in both arms together, those of the canary are
    Binomial(total, share of the canary in the exposure) when both arms have the same rate
    (Przyborowski and Wilenski, "Homogeneity of results in testing samples from Poisson series",
    Biometrika 1940). Windows are strata: load and error rate may change together over time.

    Exact for Poisson counts. For two binomials (requests that fail or not) the exact law is
    hypergeometric: less spread with the same mean, thus the answer is conservative (Hoeffding 1956
    with Vatutin and Mikhailov 1982). Beyond ``EXACT_TOTAL`` events with unequal shares the tail at
    the mean share is taken, which by Hoeffding, "On the distribution of the number of successes in
    independent trials" (1956), is never smaller than the exact one from the mean plus 1 on.
    """
    groups: dict[float, int] = {}
    for count, share in strata:
        if count:
            groups[share] = groups.get(share, 0) + count
    total = sum(groups.values())
    if x <= 0:
        return 1.0
    if x > total:
        return 0.0
    mean = sum(count * share for share, count in groups.items())
    if len(groups) == 1:
        return binomial_tail(x, total, next(iter(groups)))
    if total <= EXACT_TOTAL:
        return _convolved_tail(x, groups)
    if x < mean + 1:
        return min(1.0, mean / x)  # Markov: Hoeffding says nothing so near the mean
    return binomial_tail(x, total, mean / total)


def _convolved_tail(x: int, groups: dict[float, int]) -> float:
    law = [1.0]
    for share, count in groups.items():
        masses = [
            math.comb(count, i) * share**i * (1 - share) ** (count - i) for i in range(count + 1)
        ]
        grown = [0.0] * (len(law) + count)
        for i, left in enumerate(law):
            if left:
                for j, right in enumerate(masses):
                    grown[i + j] += left * right
        law = grown
    return min(1.0, math.fsum(law[x:]))


@lru_cache(maxsize=4096)
def rate_limits(count: float, miss: float) -> tuple[float, float]:
    """One-sided lower and upper limit of a Poisson mean, each wrong with probability ``miss``.

    Exact (Garwood, "Fiducial limits for the Poisson distribution", Biometrika 1936). From 10,000
    events on Rao's score limits, which then agree with them to four digits.
    """
    if count >= _LARGE:
        z = normal_quantile(1 - miss)
        half = z * math.sqrt(count + z * z / 4)
        return count + z * z / 2 - half, count + z * z / 2 + half
    ceiling = count + 12 * math.sqrt(count + 25) + 60
    # P(X <= count) as the tail of the failures, so that nothing cancels.
    upper = _root(
        lambda mean: binomial_tail(_TRIALS - count, _TRIALS, 1 - mean / _TRIALS) - miss,
        count,
        ceiling,
    )
    if not count:
        return 0.0, upper
    return _root(lambda mean: miss - binomial_tail(count, _TRIALS, mean / _TRIALS), 0, count), upper


def _root(falls: Callable[[float], float], low: float, high: float) -> float:
    """Where a function falls through 0 between ``low`` and ``high``."""
    for _each in range(60):
        middle = (low + high) / 2
        if falls(middle) > 0:
            low = middle
        else:
            high = middle
        if high - low <= 1e-9 * high:
            break
    return high


def difference_limit(
    canary: tuple[float, float], baseline: tuple[float, float], miss: float
) -> float:
    """Upper limit of the difference of two rates, each given as (count, exposure).

    MOVER (Zou and Donner, Statistics in Medicine 2008; method 10 of Newcombe 1998 is its best known
    case) from the exact limits of each arm. Its error is near ``miss``; the simulation measures it.
    """
    (x, n), (y, m) = canary, baseline
    above = rate_limits(x, miss)[1] / n - x / n
    below = y / m - rate_limits(y, miss)[0] / m
    return x / n - y / m + math.hypot(above, below)


def dispersion(counts: Sequence[int], exposures: Sequence[float]) -> tuple[float, float, float]:
    """(statistic, mean, variance) of the index of dispersion of counts over windows.

    Fisher's index with the moments that it has given the total (Haldane, "The exact value of the
    moments of the distribution of chi-squared", Biometrika 1937), right for sparse counts too.
    """
    total, whole = sum(counts), sum(exposures)
    pairs = [(count, each / whole) for count, each in zip(counts, exposures, strict=True) if each]
    windows = len(pairs)
    if windows < 2 or total < 2:
        return 0.0, 0.0, 0.0
    statistic = sum((count - total * q) ** 2 / (total * q) for count, q in pairs)
    spread = sum(1 / q for _count, q in pairs) - windows**2 - 2 * windows + 2
    return statistic, windows - 1.0, max(0.0, 2 * (windows - 1) + spread / total)


def gamma_score(value: float, mean: float, variance: float) -> float:
    """Standard deviations above the mean of a gamma-like statistic (Wilson and Hilferty 1931)."""
    if mean <= 0 or variance <= 0:
        return 0.0
    spread = variance / (9 * mean * mean)
    return float(((value / mean) ** (1 / 3) - (1 - spread)) / math.sqrt(spread))


def signed_rank_tail(differences: Sequence[float]) -> float:
    """p of Wilcoxon's signed-rank test that the differences lie above 0, exact, with mid-ranks.

    (Wilcoxon 1945; exact with ties as Pratt and Gibbons, "Concepts of nonparametric theory", 1981.)
    Zeros count as against the alternative. At most ``MOST_BLOCKS`` differences.
    """
    ordered = sorted(differences, key=abs)
    if len(ordered) > MOST_BLOCKS:
        raise ValueError(f"{len(ordered)} differences; at most {MOST_BLOCKS}")
    doubled: list[int] = []
    first = 0
    while first < len(ordered):
        last = first
        while last + 1 < len(ordered) and abs(ordered[last + 1]) == abs(ordered[first]):
            last += 1
        doubled += [first + last + 2] * (last - first + 1)
        first = last + 1
    reached = sum(rank for rank, value in zip(doubled, ordered, strict=True) if value > 0)
    ways = [1] + [0] * sum(doubled)
    for rank in doubled:
        for place in range(len(ways) - 1, rank - 1, -1):
            ways[place] += ways[place - rank]
    return float(sum(ways[reached:]) / (1 << len(ordered)))


def lag_one(values: Sequence[float]) -> float:
    """The correlation of neighbours in time."""
    mean = sum(values) / len(values)
    spread = sum((value - mean) ** 2 for value in values)
    if not spread:
        return 0.0
    return sum((a - mean) * (b - mean) for a, b in zip(values, values[1:], strict=False)) / spread


def normal_quantile(p: float) -> float:
    """Quantile of the standard normal distribution."""
    return NormalDist().inv_cdf(p)
