# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One count against what is normal: which source decides, and what the looks may spend."""

import math

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.judge import Sample
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.normal import (
    Count,
    Measure,
    Plan,
    believed,
    is_odd,
    is_proven,
    is_worse,
    over_its_past,
    over_same_time,
    speaks_against,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.normal_words import (
    measure_words,
)

PLAN = Plan(12, 60, 4)


def spread(events, of, windows=12):
    """Evenly over the windows."""
    each = [events // windows + (i < events % windows) for i in range(windows)]
    return [(x, of / windows) for x in each]


def measure(mine, same=None, past=None, passed=False, floor=0.001):
    own = spread(*mine)
    others = spread(*(same or (0, 0.0)))
    samples = [Sample(x, n, y, m) for (x, n), (y, m) in zip(own, others, strict=True)]
    return Measure(
        "http_5xx",
        0.55,
        0.55,
        floor,
        Count(*mine),
        over_same_time(samples, 100.0) if same else None,
        passed,
        over_its_past(samples, Count(*past), 100.0) if past else None,
    )


@pytest.mark.parametrize("plan", [Plan(12, 60), Plan(12, 12), Plan(1, 5), Plan(1, 1), Plan(2, 3)])
def test_all_looks_together_spend_no_more_than_there_is(plan):
    spent = math.fsum(plan.share(look) for look in range(1, plan.most + 1))
    assert spent <= 1 + 1e-9
    assert all(plan.share(look) > 0 for look in range(1, plan.most + 1))
    # The end of the soak keeps the most.
    assert plan.share(plan.soak) == max(plan.share(look) for look in range(1, plan.most + 1))


def test_a_rollout_has_five_percent_for_all_its_gates():
    assert Plan(12, 60, 1).alpha == Plan(12, 60, 5).alpha == pytest.approx(0.01)
    assert Plan(12, 60, 20).alpha == pytest.approx(0.0025)


def test_as_many_as_beside_it_is_normal_however_many():
    for errors, of in ((6, 600), (60, 600), (300, 30000)):
        assert not is_worse(measure((errors, of), (errors, of)), PLAN, 12)


def test_more_than_beside_it_is_worse():
    assert is_worse(measure((30, 600), (6, 600)), PLAN, 12)
    assert not is_worse(measure((9, 600), (6, 600)), PLAN, 12)


def test_the_servers_beside_it_come_before_its_past():
    """An outage hits all: the past knows nothing of it."""
    outage = measure((60, 600), (58, 600), past=(0, 100000))
    assert outage.past.p < 1e-9
    assert not is_worse(outage, PLAN, 12) and not speaks_against(outage, PLAN)


def test_the_last_is_judged_against_its_own_past_and_those_that_passed():
    both = measure((60, 600), (3, 600), past=(30, 6000), passed=True)
    assert is_worse(both, PLAN, 12)
    # Worse than it was, and like those that passed: an outage, or a release that is worse for all.
    outage = measure((60, 600), (58, 600), past=(30, 6000), passed=True)
    assert not is_worse(outage, PLAN, 12)
    # Worse than those that passed, and as it always was.
    always = measure((60, 600), (3, 600), past=(600, 6000), passed=True)
    assert not is_worse(always, PLAN, 12)


def test_a_fleet_of_one_has_its_past():
    assert is_worse(measure((12, 600), past=(0, 5000)), PLAN, 12)
    assert not is_worse(measure((6, 600), past=(50, 5000)), PLAN, 12)


def test_nothing_to_compare_with_is_no_evidence():
    alone = measure((50, 600))
    assert not is_worse(alone, PLAN, 12) and not is_odd(alone)
    assert "with nothing to compare it with" in measure_words(alone, [], "undecided")


def test_servers_that_differ_a_little_by_nature_are_alike():
    """5.4 % and 5.0 % over 300,000 answers are surely different, and no reason to go back."""
    assert not is_worse(measure((16200, 300000), (15000, 300000)), PLAN, 12)
    assert is_worse(measure((21000, 300000), (15000, 300000)), PLAN, 12)


def test_one_bad_moment_is_odd_and_no_verdict():
    own = [(60 if i == 4 else 0, 50.0) for i in range(12)]
    samples = [Sample(x, n, 0, n) for x, n in own]
    one = Measure("http_5xx", 0.55, 0.55, 0.001, Count(60, 600), over_same_time(samples, 100.0))
    assert is_odd(one) and not is_worse(one, PLAN, 12)


def test_two_long_looks_of_a_busy_controller_can_tell():
    """Met on a real one: 141 of 1385 beside 16, in two windows of half a minute, was no verdict."""
    busy = [Sample(151, 1400.0, 16, 1400.0)] * 2
    two = Measure("http_5xx", 0.55, 0.55, 0.001, Count(302, 2800), over_same_time(busy, 100.0))
    assert is_worse(two, Plan(10, 50), 10)
    burst = [Sample(80, 1400.0, 0, 1400.0), Sample(0, 1400.0, 0, 1400.0)]
    one = Measure("http_5xx", 0.55, 0.55, 0.001, Count(80, 2800), over_same_time(burst, 100.0))
    assert is_odd(one) and not is_worse(one, Plan(10, 50), 10)


def test_deaths_in_the_log_may_speak_before_the_neighbour_can_prove_them():
    """Two in a minute, where a day had none: worth looking on, and no verdict yet."""
    few = measure((2, 1 / 60), (0, 1 / 60), past=(0, 24.0), floor=0.0)._replace(
        weight=0.02, group=0.3
    )
    assert is_odd(few) and not is_worse(few, PLAN, 12)
    usual = measure((2, 1 / 60), (0, 1 / 60), past=(480, 24.0), floor=0.0)
    assert not is_odd(usual)


def test_of_the_past_no_outage_is_believed():
    assert believed(Count(50, 10000), Count(5, 900)) == Count(50, 10000)
    assert believed(Count(5, 1000), Count(0, 0)) == Count(5, 1000)
    # 20 % since the balancer began, and none in the last 500.
    assert believed(Count(20000, 100000), Count(0, 500)).events < 2000
    # Few at night, and many since: what came lately is normal now.
    assert believed(Count(10, 100000), Count(20, 900)) == Count(20, 900)


def test_proven_is_what_rules_out_a_change():
    assert is_proven(measure((0, 3000), (0, 3000)), 0.005)
    assert not is_proven(measure((0, 100), (0, 100)), 0.005)
    assert not is_proven(measure((0, 100)), 0.005)


def test_what_was_compared_with_what_is_said():
    one = measure((7, 612), (6, 598))
    assert measure_words(one, ["web1"], "as before") == (
        "7 of 612 answers 5xx (1.1 %), web1 beside it 6 of 598 (1.0 %): as before"
    )
    last = measure((7, 612), (6, 598), past=(12, 3000), passed=True)
    assert measure_words(last, ["web1", "web2"], "as before") == (
        "7 of 612 answers 5xx (1.1 %), web1, web2, passed before, 6 of 598 (1.0 %), before its"
        " drain 12 of 3000 (0.4 %): as before"
    )
    log = measure((2, 1 / 60), (0, 1 / 60), past=(20, 24.0))._replace(name="worker_killed")
    assert measure_words(log, ["web2"], "as before") == (
        "2 worker killed in 1 min, web2 beside it 0 in 1 min, before its drain 20 in 1 d 0 h:"
        " as before"
    )
