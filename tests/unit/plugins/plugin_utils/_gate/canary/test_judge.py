from __future__ import annotations

import json
import math
import time

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.fleetops.gunicorn.plugins.filter import canary, canary_windows
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.duration import (
    Traffic,
    bake_seconds,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.exact_tests import (
    signed_rank_tail,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.input import (
    read_settings,
    read_windows,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.judge import (
    blocks,
    judge,
    judge_canary,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.model import (
    RULES,
    Arm,
    Settings,
    Window,
)
from hypothesis import given, settings
from hypothesis import strategies as st

QUIET = settings(max_examples=200, deadline=None)
ERRORS = {"errors": RULES["errors"]}
LAST = Settings(look=12, looks=12)


def window(x=0, y=0, n=250, m=250, seconds=5.0):
    return Window(seconds, Arm(n, x, 0, 0, seconds), Arm(m, y, 0, 0, seconds))


def spread(x, y, n=3000, m=3000, windows=12):
    """The errors one by one, as evenly as they go."""
    return [
        window(
            x // windows + (i < x % windows),
            y // windows + (i < y % windows),
            n // windows,
            m // windows,
        )
        for i in range(windows)
    ]


def verdict(windows, **changes):
    return judge(windows, LAST._replace(**changes)).verdict


# --- what comes out ----------------------------------------------------------------------------


def test_no_errors_in_enough_traffic_pass():
    found = judge_canary(spread(0, 0), LAST)
    assert (found["verdict"], found["reasons"], found["needed"]) == ("pass", [], {})


def test_errors_on_the_canary_alone_fail_and_say_so():
    found = judge_canary(spread(12, 0), LAST)
    assert found["verdict"] == "fail"
    assert (
        "12 of 3000 (0.4 %) on the canary, 0 of 3000 (0 %) on the baseline" in found["reasons"][0]
    )
    errors = found["measures"][0]
    assert errors["name"] == "errors"
    assert errors["p"] == pytest.approx(0.5**12)
    assert errors["threshold"] == pytest.approx(0.01 * 0.9 * 0.98)


def test_seven_to_none_is_the_least_that_fails():
    assert verdict(spread(7, 0)) == "fail"
    assert verdict(spread(6, 0)) != "fail"


def test_little_traffic_is_inconclusive_and_says_how_long_it_takes():
    found = judge_canary(spread(0, 0, 300, 300), LAST)
    assert found["verdict"] == "inconclusive"
    needed = found["needed"]
    assert needed["measure"] == "errors"
    # 3,000 requests see 0 -> 0.5 % with 99 %; at 5 a second 95 % take somewhat under 600 s.
    assert 400 < needed["seconds"] < 600
    assert needed["more_seconds"] == needed["seconds"] - 60
    assert "about" in found["reasons"][-1]


@pytest.mark.parametrize(
    ("windows", "side"),
    [
        ([], "canary"),
        ([window(n=0)] * 12, "canary"),
        ([window(m=0)] * 12, "baseline"),
        ([Window(5, Arm(100), Arm(100, 0))] * 12, "canary"),
    ],
)
def test_no_traffic_and_no_counter_are_inconclusive(windows, side):
    found = judge_canary(windows, LAST)
    assert found["verdict"] == "inconclusive"
    assert side in found["reasons"][0]
    assert found["needed"]["seconds"] is None


def test_before_the_last_look_nothing_passes_but_a_disaster_fails():
    early = {"look": 2, "looks": 12}
    found = judge_canary([window()] * 2, early)
    assert (found["verdict"], found["needed"]) == ("inconclusive", {})
    assert found["reasons"] == ["look 2 of 12: nothing against the canary so far"]
    assert (
        judge_canary([window(n=2000, m=2000), window(x=2000, n=2000, m=2000)], early)["verdict"]
        == "fail"
    )
    # What fails at the end may be chance now, for there will be more looks.
    assert judge_canary(spread(7, 0), early)["verdict"] == "inconclusive"


def test_the_false_alarms_of_all_looks_and_measures_are_those_of_the_gate():
    for gates, wanted in ((1, 0.01), (4, 0.01), (20, 0.0025)):
        whole = Settings(looks=12, gates=gates)
        spent = sum(
            whole._replace(look=look).threshold(rule)
            for look in range(1, 13)
            for rule in whole.rules.values()
        )
        assert spent == pytest.approx(wanted)
        assert sum(Settings(gates=gates).threshold(r) for r in RULES.values()) == pytest.approx(
            wanted
        )


def test_one_burst_is_not_enough_many_are():
    quiet = [window()] * 11
    found = judge(quiet + [window(x=15)], LAST)
    assert found.verdict == "inconclusive"
    assert "bursts" in found.reasons[0]
    assert judge(quiet + [window(x=15)], LAST._replace(burst=1.0)).verdict == "fail"
    assert verdict(quiet + [window(x=200)]) == "inconclusive"
    assert verdict(quiet + [window(x=200)], burst=10.0) == "fail"
    assert verdict(quiet[:6] + [window(x=50)] * 6) == "fail"


@pytest.mark.parametrize("windows", [1, 2])
def test_in_one_or_two_windows_nobody_sees_bursts_so_many_errors_may_be_one(windows):
    """A hundred errors in an hour: one bad second, or one after the other."""
    found = judge(spread(100, 20, 20000, 20000, windows), LAST)
    assert found.verdict == "inconclusive" and found.measures[0].verdict == "suspect"
    assert f"{windows} windows cannot rule that out" in found.reasons[0]
    assert verdict(spread(100, 20, 20000, 20000, windows), burst=1.0) == "fail"
    assert verdict(spread(1500, 20, 20000, 20000, windows)) == "fail"


@pytest.mark.parametrize("windows", [3, 5, 7])
def test_few_windows_rule_out_what_they_can(windows):
    """Evenly over all of them they are no burst; in one of them they may be."""
    assert verdict(spread(100, 20, 20000, 20000, windows)) == "fail"
    quiet = spread(0, 0, 20000, 20000, windows)
    assert verdict([*quiet[1:], quiet[0]._replace(canary=Arm(20000 // windows, 100))]) == (
        "inconclusive"
    )


def test_bursts_take_longer():
    windows = [window()] * 11 + [window(x=15)]
    one_by_one = judge_canary(spread(0, 0, 300, 300), LAST)["needed"]["each"]["errors"]
    needed = judge_canary(windows, LAST)["needed"]
    # All 15 came at once, so they tell as much as one of a fifteenth of the requests would.
    as_if = bake_seconds(
        Traffic(50 / 15, 50 / 15, 15 / 6000), 0.005, LAST.threshold(RULES["errors"]), 0.95, 0.001
    )
    assert needed["seconds"] == as_if > one_by_one["seconds"]


def test_a_burst_over_several_windows_is_seen_too():
    fine = [window(n=20, m=20)] * 96
    burst = [window(x=1, n=20, m=20)] * 8
    assert verdict(fine + burst + fine) == "inconclusive"
    assert verdict(fine + burst + fine, burst=1.0) == "fail"


def test_a_difference_below_the_tolerance_does_not_fail_however_sure():
    windows = spread(11000, 10000, 12_000_000, 12_000_000)
    found = judge(windows, LAST)
    assert found.measures[0].p < 1e-6
    assert found.verdict == "pass"
    strict = {"errors": RULES["errors"]._replace(tolerance=0.00005)}
    assert verdict(windows, rules=strict) == "fail"


def test_load_and_errors_that_rise_together_fail_nobody():
    """Simpson's paradox: the canary's share grows while everybody's errors do."""
    quiet = [window(0, 1, 100, 900)] * 6
    busy = [window(18, 2, 900, 100)] * 6
    # Without the second net, which would take them for a burst.
    assert verdict(quiet + busy, burst=1.0) != "fail"
    whole = [Window(60, Arm(6000, 108), Arm(6000, 18))]
    assert verdict(whole, burst=1.0) == "fail"


@pytest.mark.parametrize("name", ["connection_errors", "incidents"])
def test_other_counts_fail_too_but_are_not_required(name):
    windows = spread(0, 0)
    bad = [each._replace(canary=each.canary._replace(**{name: 2})) for each in windows]
    found = judge(bad, LAST)
    assert (found.verdict, [m.name for m in found.measures if m.verdict == "fail"]) == (
        "fail",
        [name],
    )
    none = [each._replace(canary=each.canary._replace(**{name: None})) for each in windows]
    assert verdict(none) == "pass"
    rules = {**RULES, name: RULES[name]._replace(required=True)}
    assert verdict(none, rules=rules) == "inconclusive"


def test_huge_counts_are_quick():
    windows = [window(10**8, 10**8 + 10**5, 10**9, 10**9)] * 12
    started = time.process_time()
    assert judge_canary(windows, LAST)["verdict"] == "pass"
    worse = [window(10**8 + 10**7, 10**8, 10**9, 10**9)] * 12
    assert judge_canary(worse, LAST)["verdict"] == "fail"
    unequal = [window(10**8, 10**8, 10**9 + i, 10**9) for i in range(12)]
    assert judge_canary(unequal, LAST)["verdict"] == "pass"
    assert time.process_time() - started < 3


def test_the_result_is_plain_data():
    for windows in (spread(0, 0), spread(12, 0), spread(0, 0, 300, 300), []):
        assert json.loads(json.dumps(judge_canary(windows, {"look": 12, "looks": 12})))


# --- properties --------------------------------------------------------------------------------

COUNTS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 300), st.integers(0, 300)),
    min_size=1,
    max_size=15,
)


@QUIET
@given(COUNTS, st.data())
def test_more_errors_on_the_canary_never_turn_a_failure_into_a_pass(counts, data):
    windows = [window(*each) for each in counts]
    place = data.draw(st.integers(0, len(windows) - 1))
    more = data.draw(st.integers(1, 30))
    look = data.draw(st.sampled_from([1, 12]))
    now = LAST._replace(look=look)
    before = judge(windows, now)
    hit = windows[place].canary
    windows[place] = windows[place]._replace(canary=hit._replace(errors=hit.errors + more))
    after = judge(windows, now)
    if before.verdict == "fail":
        assert after.verdict != "pass"
    old, new = before.measures[0].p, after.measures[0].p
    if old is not None:
        assert new <= old * (1 + 1e-9)


@QUIET
@given(COUNTS, st.data())
def test_more_errors_on_the_baseline_never_turn_a_pass_into_a_failure(counts, data):
    windows = [window(*each) for each in counts]
    before = judge(windows, LAST)
    place = data.draw(st.integers(0, len(windows) - 1))
    hit = windows[place].baseline
    windows[place] = windows[place]._replace(baseline=hit._replace(errors=hit.errors + 1))
    if before.verdict == "pass":
        assert judge(windows, LAST).verdict != "fail"


@QUIET
@given(COUNTS)
def test_not_both_can_be_worse(counts):
    windows = [window(*each) for each in counts]
    swapped = [each._replace(canary=each.baseline, baseline=each.canary) for each in windows]
    here, there = judge(windows, LAST), judge(swapped, LAST)
    assert (
        "pass" in (here.verdict, there.verdict) or [here.verdict, there.verdict].count("fail") < 2
    )
    p, q = here.measures[0].p, there.measures[0].p
    if p is not None and q is not None:
        assert p + q >= 1 - 1e-9


@QUIET
@given(COUNTS, st.data())
def test_splitting_windows_changes_no_p_value(counts, data):
    """Requests in proportion, errors anyhow: the same events in more pieces."""
    windows, pieces = [], []
    for x, y, n, m in counts:
        windows.append(window(x, y, 2 * n, 2 * m))
        a, b = data.draw(st.integers(0, x)), data.draw(st.integers(0, y))
        pieces += [window(a, b, n, m, 2.5), window(x - a, y - b, n, m, 2.5)]
    whole, split = judge(windows, LAST).measures[0], judge(pieces, LAST).measures[0]
    assert (whole.canary, whole.baseline) == (split.canary, split.baseline)
    if whole.p is not None:
        assert split.p == pytest.approx(whole.p, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(COUNTS, st.integers(1, 12))
def test_no_data_breaks_the_judge(counts, look):
    found = judge_canary([window(*each) for each in counts], LAST._replace(look=look))
    assert found["verdict"] in ("pass", "fail", "inconclusive")
    if found["verdict"] != "pass":
        assert all(found["reasons"])


# --- times -------------------------------------------------------------------------------------

TIMES = Settings(rules={"times": RULES["times"]._replace(required=True, weight=0.5)})


def timed(pairs, requests=200):
    return [Window(5, Arm(requests, time_ms=a), Arm(requests, time_ms=b)) for a, b in pairs]


@pytest.mark.parametrize(
    ("pairs", "wanted"),
    [
        ([(50 + i % 3, 50 + i % 5) for i in range(15)], "pass"),
        ([(80 + i % 3, 50 + i % 5) for i in range(15)], "fail"),
        ([(57 + i % 3, 50 + i % 5) for i in range(15)], "pass"),  # longer, but below x1.2
        ([(8, 2)] * 15, "pass"),  # x4, but below the 10 ms that anybody would act on
        ([(80, 50)] * 5, "inconclusive"),
        ([(50, 50)] * 5, "inconclusive"),  # five blocks could not have shown it
        ([], "inconclusive"),
        ([(None, 50)] * 20, "inconclusive"),
        ([(0, 0)] * 15, "pass"),
    ],
)
def test_times(pairs, wanted):
    found = judge_canary(timed(pairs), TIMES)
    assert found["verdict"] == wanted, found
    if wanted == "inconclusive":
        assert "blocks" in found["needed"]["text"]


def test_a_load_that_both_share_fails_nobody():
    assert judge(timed([(50 + 10 * i, 50 + 10 * i) for i in range(15)]), TIMES).verdict == "pass"


def test_neighbours_that_resemble_each_other_count_less():
    """One slow spell of one server in a long gate: 32 samples, but not 32 witnesses."""
    spell = [(50, 50)] * 8 + [(90, 50)] * 24
    alone = signed_rank_tail([math.log(a) - math.log(max(1.2 * b, b + 10)) for a, b in spell])
    assert judge(timed(spell), TIMES).measures[0].p > 100 * alone


def test_blocks_gather_enough_requests_of_both_arms():
    windows = [Window(5, Arm(100, time_ms=10 * (i + 1)), Arm(300, time_ms=20)) for i in range(5)]
    assert blocks(windows, 200) == [(15, 20), (35, 20)]


def test_a_long_bake_has_more_blocks_than_can_be_ranked():
    assert judge(timed([(80 + i % 3, 50 + i % 5) for i in range(2000)]), TIMES).verdict == "fail"


# --- mistakes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("windows", "words"),
    [
        ([{"seconds": 5, "canary": {"requests": -3}}], ["Window 1", "requests", "-3", "reset"]),
        ([{"seconds": -5}], ["Window 1", "order of time"]),
        ([{"seconds": "soon"}], ["Window 1", "seconds", "soon"]),
        ([{}], ["seconds", "None"]),
        ([{"seconds": 5, "canary": {"errors": "many"}}], ["errors of the canary", "many"]),
        ([{"seconds": 5, "canary": {"errors": 1.5}}], ["errors of the canary", "whole"]),
        ([{"seconds": 5, "canary": {"time_ms": float("nan")}}], ["time_ms", "nan"]),
        ([{"seconds": 5, "canary": {"requests": float("inf")}}], ["requests", "inf"]),
        ([{"seconds": 5, "canary": {"hrsp_5xx": 1}}], ["unknown hrsp_5xx", "errors"]),
        ([{"seconds": 5, "control": {}}], ["unknown control"]),
        (["x"], ["Window 1", "mapping"]),
    ],
)
def test_mistakes_in_the_windows_are_sentences(windows, words):
    with pytest.raises(FleetError) as raised:
        judge_canary(windows)
    assert all(word in str(raised.value) for word in words), raised.value


@pytest.mark.parametrize(
    ("given_settings", "words"),
    [
        ({"false_alarm": 2}, ["false_alarm", "2"]),
        ({"look": 13, "looks": 12}, ["look 13 of 12"]),
        ({"look": 0}, ["look 0 of 1"]),
        ({"gates": 0}, ["gates is 0"]),
        ({"burst": 0}, ["burst"]),
        ({"alpha": 0.1}, ["unknown alpha", "false_alarm"]),
        ({"power": "high"}, ["power", "high"]),
        ({"rules": {"latency": {}}}, ["unknown latency", "times"]),
        ({"rules": {"errors": {"limit": 1}}}, ["unknown limit", "tolerance"]),
        ({"rules": {"errors": {"change": 0.0001}}}, ["rule errors", "above"]),
        ({"rules": {"times": {"tolerance": 0.2}}}, ["rule times", "ratios"]),
        ({"rules": {"errors": {"weight": 2}}}, ["weights", "2"]),
        ({"rules": {}}, ["no rule"]),
        ("strict", ["mapping"]),
    ],
)
def test_mistakes_in_the_settings_are_sentences(given_settings, words):
    with pytest.raises(FleetError) as raised:
        judge_canary([], given_settings)
    assert all(word in str(raised.value) for word in words), raised.value


def test_plain_data_means_what_the_types_mean():
    plain = [
        {
            "seconds": 5,
            "canary": {"requests": 250, "errors": "1", "connection_errors": None, "time_ms": 4.5},
            "baseline": {"requests": 250.0, "errors": 0, "server_seconds": 10},
        }
    ]
    assert read_windows(plain) == [
        Window(5.0, Arm(250, 1, None, None, 5.0, 4.5), Arm(250, 0, None, None, 10.0))
    ]
    wanted = read_settings({"look": "2", "looks": 3, "rules": {"errors": {"change": 0.01}}})
    assert (wanted.look, wanted.looks) == (2, 3)
    assert wanted.rules == {"errors": RULES["errors"]._replace(change=0.01)}


def test_the_filter_documents_the_defaults_that_hold():
    options = yaml.safe_load(canary.DOCUMENTATION)["options"]
    defaults = dict(Settings()._asdict())
    del defaults["rules"]
    assert {name: options[name]["default"] for name in defaults} == defaults
    assert set(options) == {"_input", "rules", *defaults}


def test_the_filter_turns_mistakes_into_errors_of_ansible():
    with pytest.raises(AnsibleFilterError, match="requests of the canary is -1"):
        canary.canary([{"seconds": 1, "canary": {"requests": -1}}])
    with pytest.raises(AnsibleFilterError, match="cannot be the canary"):
        canary_windows.canary_windows([], ["web1"], ["web1"])
    assert canary.canary([], rules=None)["verdict"] == "inconclusive"
