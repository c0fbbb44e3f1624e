from __future__ import annotations

import itertools
import math
import time
from fractions import Fraction

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary import (
    exact_tests as exact,
)
from hypothesis import given, settings
from hypothesis import strategies as st

QUIET = settings(max_examples=150, deadline=None)


def tail_by_hand(x, n, p):
    """P(X >= x), in fractions: every term written out."""
    return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(max(x, 0), n + 1))


@QUIET
@given(st.integers(0, 80), st.integers(0, 80), st.fractions(0, 1, max_denominator=1000))
def test_binomial_tail_is_that_of_the_fractions(x, n, p):
    wanted = float(tail_by_hand(x, n, p))
    assert exact.binomial_tail(x, n, float(p)) == pytest.approx(wanted, rel=1e-10, abs=1e-14)


def test_binomial_tail_far_out_keeps_its_digits():
    wanted = tail_by_hand(180, 200, Fraction(1, 2))
    assert exact.binomial_tail(180, 200, 0.5) == pytest.approx(float(wanted), rel=1e-12)
    assert exact.binomial_tail(1000, 1000, 0.5) == pytest.approx(2.0**-1000, rel=1e-11)


@QUIET
@given(st.integers(1, 10**9), st.floats(0.001, 0.999), st.floats(-8, 8))
def test_both_tails_make_one(n, p, z):
    x = min(n, max(1, round(n * p + z * math.sqrt(n * p * (1 - p)))))
    lower = exact.binomial_tail(n - x + 1, n, 1 - p)
    assert exact.binomial_tail(x, n, p) + lower == pytest.approx(1, abs=1e-7)


def test_huge_counts_are_quick_and_agree_with_the_normal_law():
    started = time.process_time()
    n = 10**9
    for z, wanted in ((1.0, 0.158655), (3.0, 0.00134990), (6.0, 9.8659e-10)):
        x = math.ceil(n / 2 + z * math.sqrt(n) / 2)
        assert exact.binomial_tail(x, n, 0.5) == pytest.approx(wanted, rel=1e-3)
    assert time.process_time() - started < 2


# --- the exact test over windows ---------------------------------------------------------------


def law_by_hand(strata):
    """Every way in which the events can fall, in fractions."""
    law = {0: Fraction(1)}
    for count, share in strata:
        for _each in range(count):
            law_next = {}
            for x, mass in law.items():
                law_next[x] = law_next.get(x, 0) + mass * (1 - share)
                law_next[x + 1] = law_next.get(x + 1, 0) + mass * share
            law = law_next
    return law


STRATA = st.lists(
    st.tuples(st.integers(0, 6), st.fractions(0, 1, max_denominator=20)), min_size=1, max_size=6
)


@QUIET
@given(STRATA, st.integers(0, 40))
def test_share_tail_is_that_of_every_way_in_which_events_can_fall(strata, x):
    wanted = sum(mass for hits, mass in law_by_hand(strata).items() if hits >= x)
    found = exact.share_tail(x, [(count, float(share)) for count, share in strata])
    assert found == pytest.approx(float(wanted), rel=1e-9, abs=1e-12)


@QUIET
@given(STRATA, st.integers(0, 40))
def test_beyond_the_convolution_the_bound_is_never_below_the_exact_tail(strata, x):
    wanted = sum(mass for hits, mass in law_by_hand(strata).items() if hits >= x)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "EXACT_TOTAL", -1)
        found = exact.share_tail(x, [(count, float(share)) for count, share in strata])
    assert found >= float(wanted) - 1e-12


@QUIET
@given(st.integers(1, 30), st.integers(1, 30), st.data())
def test_two_binomials_are_judged_conservatively(n, m, data):
    """Requests that fail or not: given the total the exact law is hypergeometric (Fisher)."""
    total = data.draw(st.integers(1, n + m))
    x = data.draw(st.integers(0, total))
    ways = math.comb(n + m, total)
    fisher = sum(
        Fraction(math.comb(n, i) * math.comb(m, total - i), ways)
        for i in range(x, total + 1)
        if i <= n and 0 <= total - i <= m
    )
    share = n / (n + m)
    found = exact.share_tail(x, [(total, share)])
    if x >= total * share + 1:  # nearer to the mean neither is ever small
        assert found >= float(fisher) - 1e-12


def test_the_test_has_its_level_by_enumeration():
    """All outcomes of two arms of 12 requests at the same rate: never more than alpha fail."""
    n, alpha = 12, 0.05
    for rate in (Fraction(1, 20), Fraction(1, 4), Fraction(1, 2), Fraction(9, 10)):
        wrong = Fraction(0)
        for x, y in itertools.product(range(n + 1), repeat=2):
            if x + y and exact.share_tail(x, [(x + y, 0.5)]) <= alpha:
                wrong += (
                    math.comb(n, x) * rate**x * (1 - rate) ** (n - x)
                    * math.comb(n, y) * rate**y * (1 - rate) ** (n - y)
                )  # fmt: skip
        assert wrong <= alpha


def test_no_event_says_nothing():
    assert exact.share_tail(0, []) == 1
    assert exact.share_tail(0, [(0, 0.5)]) == 1
    assert exact.share_tail(1, []) == 0


# --- limits ------------------------------------------------------------------------------------


def poisson_at_most(count, mean):
    """P(X <= count) for a Poisson mean, term by term."""
    return math.fsum(
        math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(count + 1)
    )


@pytest.mark.parametrize("count", [0, 1, 2, 7, 30, 400])
@pytest.mark.parametrize("miss", [0.05, 0.01])
def test_limits_of_a_rate_are_wrong_exactly_as_often_as_they_say(count, miss):
    lower, upper = exact.rate_limits(count, miss)
    assert poisson_at_most(count, upper) == pytest.approx(miss, rel=1e-5)
    if count:
        assert 1 - poisson_at_most(count - 1, lower) == pytest.approx(miss, rel=1e-5)
    else:
        assert lower == 0


def test_exact_and_normal_limits_meet():
    below, above = exact.rate_limits(9999.999, 0.05), exact.rate_limits(10000, 0.05)
    assert below == pytest.approx(above, rel=2e-4)


@QUIET
@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 5000), st.integers(1, 5000))
def test_the_limit_of_the_difference_lies_above_it_and_grows_with_the_errors(x, y, n, m):
    limit = exact.difference_limit((x, n), (y, m), 0.05)
    assert limit >= x / n - y / m
    assert exact.difference_limit((x + 1, n), (y, m), 0.05) > limit


def poisson(count, mean):
    return math.exp(-mean + count * math.log(mean) - math.lgamma(count + 1)) if mean else not count


@pytest.mark.parametrize(
    ("n", "m", "rate", "change"),
    [(1000, 1000, 0.002, 0.005), (3000, 3000, 0.01, 0.005), (1000, 9000, 0.002, 0.005)],
)
def test_the_limit_of_the_difference_is_too_low_no_more_often_than_it_says(n, m, rate, change):
    """Every outcome of a canary that is worse by just the change: how many would pass?"""
    passed = math.fsum(
        poisson(x, n * (rate + change)) * poisson(y, m * rate)
        for x, y in itertools.product(range(100), range(100))
        if exact.difference_limit((x, n), (y, m), 0.05) <= change
    )
    assert 0.025 < passed <= 0.05


# --- bursts and ranks --------------------------------------------------------------------------


def test_moments_of_the_dispersion_are_those_of_every_way_to_place_the_errors():
    exposures, total = [1, 2, 3], 4
    values, masses = [], []
    whole = sum(exposures)
    for places in itertools.product(range(3), repeat=total):
        counts = [places.count(i) for i in range(3)]
        masses.append(math.prod(exposures[i] / whole for i in places))
        values.append(exact.dispersion(counts, exposures)[0])
    mean = math.fsum(m * v for m, v in zip(masses, values, strict=True))
    variance = math.fsum(m * v * v for m, v in zip(masses, values, strict=True)) - mean**2
    assert exact.dispersion([4, 0, 0], exposures)[1:] == pytest.approx((mean, variance))


def test_a_burst_stands_out_and_spread_errors_do_not():
    def score(counts):
        return exact.gamma_score(*exact.dispersion(counts, [60] * 50))

    assert score([15] + [0] * 49) > 10
    assert score([1] * 15 + [0] * 35) < 0


@QUIET
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=10))
def test_signed_rank_tail_is_that_of_all_signs(values):
    def statistic(signs):
        size = [abs(value) for value in values]
        ranks = [
            sum(1 for s in size if s < each) + (sum(1 for s in size if s == each) + 1) / 2
            for each in size
        ]
        return sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign > 0)

    reached = statistic(values)
    every = [statistic(signs) for signs in itertools.product((-1, 1), repeat=len(values))]
    wanted = sum(1 for each in every if each >= reached) / len(every)
    assert exact.signed_rank_tail(values) == pytest.approx(wanted)


def test_signed_rank_of_the_most_blocks_is_quick_and_more_are_refused():
    started = time.process_time()
    assert exact.signed_rank_tail([1.0] * exact.MOST_BLOCKS) == 2.0**-exact.MOST_BLOCKS
    assert time.process_time() - started < 1
    with pytest.raises(ValueError, match="65 differences"):
        exact.signed_rank_tail([1.0] * 65)


def test_lag_one():
    assert exact.lag_one([1, 1, 1]) == 0
    assert exact.lag_one([1, -1] * 20) < -0.9
    assert exact.lag_one([1] * 20 + [-1] * 20) > 0.9
