# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Mann-Whitney judge after Kayenta's published method, to compare with.

Written anew from the description in Kayenta's docs/canary-config.md and its classifier: a two-sided
Mann-Whitney test at confidence 0.98 on the points of one metric, the confidence interval of the
location shift (normal approximation with continuity and tie correction), and a tolerance band of
0.25 times the Hodges-Lehmann estimate: High if the interval lies above the band. Missing points are
zeros (nanStrategy: replace), one critical metric that may only increase. Limits are solved to
1e-4, as theirs are.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left, bisect_right
from collections import Counter
from statistics import NormalDist

CONFIDENCE, TOLERANCE, SOLVED = 0.98, 0.25, 1e-4


def fails(canary: list[float], baseline: list[float]) -> bool:
    """Whether the metric is High."""
    if sorted(canary) == sorted(baseline) or len(set(canary + baseline)) == 1:
        return False
    z = NormalDist().inv_cdf((1 - CONFIDENCE) / 2)
    low, high = min(canary) - max(baseline), max(canary) - min(baseline)
    lower, estimate = (_root(canary, baseline, q, low, high) for q in (-z, 0.0))
    return lower > TOLERANCE * abs(estimate)


def _root(x: list[float], y: list[float], quantile: float, low: float, high: float) -> float:
    """Where the statistic meets ``quantile``: Brent's zeroin (1973), as R's uniroot and they do.

    The statistic is a staircase, so where it stops depends on the steps that zeroin takes, and with
    counts full of zeros that decides the verdict. Hence no better solver than theirs.
    """

    def f(shift: float) -> float:
        return _z(x, y, shift) - quantile

    a, b, fa, fb = low, high, f(low), f(high)
    if quantile and fa <= 0:
        return low
    if quantile and fb >= 0:
        return high
    if fa == 0 or fb == 0:
        return a if fa == 0 else b
    c, fc = a, fa
    for _each in range(1000):
        before = b - a
        if abs(fc) < abs(fb):
            a, b, c, fa, fb, fc = b, c, b, fb, fc, fb
        least = 2 * sys.float_info.epsilon * abs(b) + SOLVED / 2
        step = (c - b) / 2
        if abs(step) <= least or fb == 0:
            return b
        if abs(before) >= least and abs(fa) > abs(fb):
            wide = c - b
            if a == c:
                p, q = wide * fb / fa, 1 - fb / fa
            else:
                q, r, t = fa / fc, fb / fc, fb / fa
                p = t * (wide * q * (q - r) - (b - a) * (r - 1))
                q = (q - 1) * (r - 1) * (t - 1)
            p, q = (p, -q) if p > 0 else (-p, q)
            if p < 0.75 * wide * q - abs(least * q) / 2 and p < abs(before * q / 2):
                step = p / q
        if abs(step) < least:
            step = math.copysign(least, step)
        a, fa = b, fb
        b += step
        fb = f(b)
        if fb * fc > 0:
            c, fc = a, fa
    return b


def _z(x: list[float], y: list[float], shift: float) -> float:
    """The standardised rank sum of x - shift among both."""
    # Rounded, so that shifts that differ by the last bit tie as they should.
    moved = [round(value - shift, 12) for value in x]
    still = sorted(round(value, 12) for value in y)
    above = sum(
        bisect_left(still, value) + (bisect_right(still, value) - bisect_left(still, value)) / 2
        for value in moved
    )
    n, m = len(x), len(y)
    distance = above - n * m / 2
    ties = sum(count**3 - count for count in Counter(moved + still).values() if count > 1)
    variance = n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1)))
    if variance <= 0:
        return 0.0
    return (distance - math.copysign(0.5, distance) * (distance != 0)) / math.sqrt(variance)
