from __future__ import annotations

import itertools
import math
import random
import time

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.duration import (
    Traffic,
    bake_seconds,
    power_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.exact_tests import (
    share_tail,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.model import (
    RULES,
    Settings,
)
from hypothesis import given, settings
from hypothesis import strategies as st

THRESHOLD = Settings(looks=12).threshold(RULES["errors"], last=True)


def binomial(x, n, p):
    return math.comb(n, x) * p**x * (1 - p) ** (n - x)


def power_by_hand(n, m, rate, change, threshold, tolerance):
    """Two binomials, every outcome."""
    return math.fsum(
        binomial(x, n, rate + change) * binomial(y, m, rate)
        for x, y in itertools.product(range(60), range(60))
        if x / n - y / m >= tolerance - 1e-12 and share_tail(x, [(x + y, n / (n + m))]) <= threshold
    )


@pytest.mark.parametrize(
    ("n", "m", "rate", "change", "tolerance"),
    [
        (3000, 3000, 0.0, 0.005, 0.001),
        (2000, 2000, 0.001, 0.005, 0.0),
        (1000, 5000, 0.001, 0.004, 0.001),
        (3000, 3000, 0.002, 0.006, 0.006),
    ],
)
def test_power_is_that_of_every_outcome(n, m, rate, change, tolerance):
    wanted = power_by_hand(n, m, rate, change, THRESHOLD, tolerance)
    # Poisson for binomial: the rates are small.
    assert power_of(n, m, rate, change, THRESHOLD, tolerance) == pytest.approx(wanted, abs=0.005)


def test_what_the_goals_ask_for():
    assert power_of(3000, 3000, 0, 0.005, THRESHOLD, 0.001) >= 0.99
    assert power_of(6000, 6000, 0.001, 0.004, THRESHOLD, 0.001) >= 0.95


def test_the_sum_over_few_totals_is_that_over_all():
    from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary import (
        duration as canary_duration,
    )

    few = power_of(60000, 60000, 0.02, 0.003, THRESHOLD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canary_duration, "_NODES", 1e9)
        assert few == pytest.approx(power_of(60000, 60000, 0.02, 0.003, THRESHOLD), abs=2e-3)


def test_power_without_anything_is_none():
    assert power_of(0, 100, 0.1, 0.1, THRESHOLD) == 0
    assert power_of(100, 0, 0.1, 0.1, THRESHOLD) == 0
    assert power_of(100, 100, 0, 0, THRESHOLD) == 0


@settings(max_examples=40, deadline=None)
@given(
    st.floats(1, 500),
    st.floats(1, 2000),
    st.sampled_from([0.0, 0.0005, 0.005]),
    st.sampled_from([0.002, 0.005, 0.05]),
    st.sampled_from([0.8, 0.95, 0.99]),
)
def test_the_bake_is_long_enough_and_not_much_longer(canary, baseline, rate, change, power):
    seconds = bake_seconds(Traffic(canary, baseline, rate), change, THRESHOLD, power, 0.001)

    def seen(duration):
        return power_of(canary * duration, baseline * duration, rate, change, THRESHOLD, 0.001)

    assert seen(seconds) >= power
    # Of two or three errors that must come, power is a staircase: no finer than this.
    if seconds > 40:
        assert seen(0.5 * seconds) < power


def test_more_traffic_or_a_greater_change_takes_less_time():
    def seconds(speed, change):
        return bake_seconds(Traffic(speed, speed, 0.001), change, THRESHOLD)

    assert seconds(50, 0.005) < seconds(5, 0.005)
    assert seconds(50, 0.01) < seconds(50, 0.005)


def test_what_can_never_be_seen_is_none():
    assert bake_seconds(Traffic(0, 10, 0.1), 0.1, THRESHOLD) is None
    assert bake_seconds(Traffic(1e-6, 1e-6, 0.1), 0.001, THRESHOLD) is None
    assert bake_seconds(Traffic(10, 10, 0), 0.001, THRESHOLD, 0.95, tolerance=0.002) is None


def test_any_traffic_is_planned_quickly():
    started = time.process_time()
    dice = random.Random(7)
    for _each in range(10):
        bake_seconds(
            Traffic(
                10 ** dice.uniform(-2, 5), 10 ** dice.uniform(-2, 5), 10 ** dice.uniform(-4, -1)
            ),
            0.005,
            THRESHOLD,
        )
    assert time.process_time() - started < 20
