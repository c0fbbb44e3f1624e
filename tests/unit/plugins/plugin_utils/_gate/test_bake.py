# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_history import (
    LOOK_LIMIT,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.bake import (
    Wish,
    bake_look,
    compare,
    decide,
    duration_words,
    elsewhere,
    seconds_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._internal.bake import bake_decision

WISH = Wish(7200, "abc123", 1, "pass", False, ())
FINE = {"verdict": "pass", "reasons": []}
NOT_GIVEN = object()


def todo(name="web2"):
    return {"host": name, "todo": True, "canary": False, "age": 9e9, "gate": {}, "compared": {}}


def canary(age=7200.0, gate=NOT_GIVEN, compared=None, name="web1"):
    return {
        "host": name,
        "todo": False,
        "canary": True,
        "age": age,
        "gate": FINE if gate is NOT_GIVEN else gate,
        "compared": compared or FINE,
    }


@pytest.mark.parametrize(
    "given, wanted",
    [("2h", 7200), ("1h30m", 5400), ("45s", 45), ("1d", 86400), (90, 90), ("0", 0), ("1.5", 1.5)],
)
def test_durations(given, wanted):
    assert seconds_of(given) == wanted


@pytest.mark.parametrize("given", ["", "2 hours", "h", "-1", "2w", None, "30m2h", True, [2]])
def test_what_is_no_duration_is_refused(given):
    with pytest.raises(FleetError, match="no duration"):
        seconds_of(given)


@pytest.mark.parametrize(
    "seconds, words", [(7199, "1 h 59 min"), (45, "45 s"), (0.2, "0 s"), (90061, "1 d 1 h")]
)
def test_words_of_a_duration(seconds, words):
    assert duration_words(seconds) == words


def test_without_a_bake_everybody_may_go():
    assert decide(WISH._replace(bake=0), [todo(), todo("web3")]).role == "free"


def test_a_finished_fleet_needs_no_permission():
    assert decide(WISH, [canary(age=1)]).role == "done"


def test_the_first_host_is_the_canary_and_no_more_than_the_first_wave():
    assert decide(WISH, [todo()]).role == "canary"
    refused = decide(WISH, [todo(), todo("web3")])
    assert refused.role == "refused"
    assert "-l web2" in refused.text and "2 h" in refused.text
    assert decide(WISH._replace(wave=2), [todo(), todo("web3")]).role == "canary"


def test_others_follow_when_the_canary_has_baked():
    assert decide(WISH, [canary(), todo()]).role == "follow"


def test_they_do_not_follow_before_and_are_told_until_when():
    refused = decide(WISH, [canary(age=7100), todo()])
    assert (refused.role, refused.more) == ("refused", 100)
    assert "1 min 40 s more" in refused.text


def test_one_canary_that_has_baked_is_enough_but_all_must_be_well():
    young = canary(age=5, name="web3")
    assert decide(WISH, [canary(), young, todo()]).role == "follow"
    ill = {**young, "gate": {"verdict": "fail", "reasons": ["reentrant"]}}
    refused = decide(WISH, [canary(), ill, todo()])
    assert refused.role == "refused" and "web3: fail: reentrant" in refused.text


@pytest.mark.parametrize("verdict", ["fail", "inconclusive", "error"])
def test_only_a_gate_that_passes_lets_them_follow(verdict):
    refused = decide(WISH, [canary(gate={"verdict": verdict, "reasons": ["why"]}), todo()])
    assert refused.role == "refused" and f"{verdict}: why" in refused.text
    assert refused.more == 0


@pytest.mark.parametrize("gate", [{}, None])
def test_a_canary_that_was_not_judged_lets_nobody_follow(gate):
    assert decide(WISH, [canary(gate=gate), todo()]).role == "refused"


@pytest.mark.parametrize(
    "needs, verdict, role",
    [
        ("pass", "inconclusive", "refused"),
        ("pass", "fail", "refused"),
        ("no_fail", "inconclusive", "follow"),
        ("no_fail", "fail", "refused"),
        ("nothing", "fail", "follow"),
    ],
)
def test_what_the_comparison_must_say_is_the_operators_choice(needs, verdict, role):
    compared = {"verdict": verdict, "reasons": ["5xx"]}
    assert decide(WISH._replace(needs=needs), [canary(compared=compared), todo()]).role == role


def test_a_canary_outside_the_run_must_be_added_to_it():
    refused = decide(WISH._replace(elsewhere=("web1",)), [todo()])
    assert refused.role == "refused" and "add it to -l" in refused.text


def test_a_promotion_goes_on_and_says_what_it_passed_over():
    promoted = decide(WISH._replace(promote=True), [canary(age=60), todo()])
    assert promoted.role == "promoted" and "1 h 59 min more" in promoted.text
    both = decide(WISH._replace(promote=True), [todo(), todo("web3")])
    assert both.role == "promoted"


def test_a_promotion_that_is_not_needed_is_none():
    assert decide(WISH._replace(promote=True), [canary(), todo()]).role == "follow"


def test_who_passed_with_the_plan_outside_the_run():
    def host(phase="passed", plan="p"):
        return {"phase": phase, "plan": plan}

    record = {
        "hosts": {
            "in": host(),
            "out": host(),
            "other plan": host(plan="q"),
            "failed": host(phase="returned"),
            "gone from the inventory": host(),
        }
    }
    fleet = ["in", "out", "other plan", "failed", "new"]
    assert elsewhere(record, "p", fleet, ["in"]) == ["out"]
    assert elsewhere(None, "p", fleet, []) == []


# --- the comparison with the others ---------------------------------------------------------------


def look(at, pid=1, **servers):
    rows = [
        {
            "backend": "app",
            "server": name,
            "counters": {"stot": sent, "hrsp_5xx": bad, "hrsp_2xx": sent - bad, "unused": 1},
        }
        for name, (sent, bad) in servers.items()
    ]
    return bake_look(
        [{"item": "lb1", "node": {"name": "n", "pid": pid}, "backends": [{"servers": rows}]}], at
    )


def test_a_canary_with_errors_fails_against_one_without():
    then = look(0, web1=(100, 0), web2=(100, 0))
    now = look(7200, web1=(300100, 1500), web2=(300100, 0))
    found = compare(then, now, "web1", ["web2"])
    assert found["verdict"] == "fail" and found["reasons"]
    assert compare(then, now, "web2", ["web1"])["verdict"] == "pass"


@pytest.mark.parametrize("errors", [50, 300])
def test_what_may_be_a_burst_in_the_one_window_of_a_bake_is_no_failure_and_no_pass(errors):
    """Two looks, hours apart: 50 errors of one bad second look like 50 errors all along."""
    then = look(0, web1=(100, 0), web2=(100, 0))
    now = look(7200, web1=(30100, errors), web2=(30100, 0))
    found = compare(then, now, "web1", ["web2"])
    assert (found["verdict"], found["suspect"]) == ("inconclusive", True)
    for needs, role in (("pass", "refused"), ("no_fail", "refused"), ("nothing", "follow")):
        decided = decide(WISH._replace(needs=needs), [canary(compared=found), todo()])
        assert decided.role == role


def test_too_little_traffic_cannot_tell():
    then, now = look(0, web1=(0, 0), web2=(0, 0)), look(60, web1=(20, 0), web2=(20, 0))
    assert compare(then, now, "web1", ["web2"])["verdict"] == "inconclusive"


def test_without_a_look_at_the_begin_or_another_server_nothing_is_told():
    now = look(60, web1=(20, 0), web2=(20, 0))
    for then, others in (({}, ["web2"]), (now, []), (now, ["unknown"])):
        found = compare(then, now, "web1", others)
        assert found["verdict"] == "inconclusive" and len(found["reasons"]) == 1


def test_a_look_keeps_what_is_needed_and_nothing_of_a_balancer_that_did_not_answer():
    kept = look(5, web1=(1, 0))
    assert "unused" not in str(kept)
    assert bake_look([{"failed": True, "msg": "gone"}], 1)["balancers"] == []


def test_ansible_core_2_16_gives_numbers_as_words():
    wish = {**WISH._asdict(), "bake": "0.0", "wave": "1"}
    assert bake_decision([todo("web1"), todo()], wish)["role"] == "free"
    assert bake_decision([todo("web1")], {**wish, "bake": "7200.0"})["role"] == "canary"


COUNTERS = {"stot": 5, "hrsp_2xx": 5}


def counted(servers, backends=("app",), balancers=("lb1", "lb2", "lb3")):
    """Results of haproxy_server_info on balancers of a large fleet."""
    return [
        {
            "item": item,
            "node": {"name": "", "pid": 7},
            "backends": [
                {
                    "name": name,
                    "servers": [
                        {"backend": name, "server": f"web{n}", "counters": COUNTERS}
                        for n in range(servers)
                    ],
                }
                for name in backends
            ],
        }
        for item in balancers
    ]


def servers_of(look):
    return [
        {row["server"] for row in backend["servers"]}
        for balancer in look["balancers"]
        for backend in balancer["backends"]
    ]


@pytest.mark.parametrize("backends", [("app",), ("app", "api"), tuple(f"b{n}" for n in range(50))])
def test_a_look_that_is_kept_does_not_grow_with_the_fleet(backends):
    look = bake_look(counted(5000, backends), 1.0, "web4711")
    assert len(json.dumps(look)) < LOOK_LIMIT
    [names] = {frozenset(each) for each in servers_of(look)}
    assert "web4711" in names and len(names) >= 2


def test_a_small_fleet_is_kept_whole():
    assert servers_of(bake_look(counted(20), 1.0, "web3")) == [{f"web{n}" for n in range(20)}] * 3


def test_looks_keep_the_same_others_and_rather_no_mates():
    mates = [f"web{n}" for n in range(4000)]
    first = bake_look(counted(5000), 1.0, "web1", mates)
    again = bake_look(counted(5000), 2.0, "web2", mates)
    assert servers_of(first)[0] - {"web1"} == servers_of(again)[0] - {"web2"}
    assert not servers_of(first)[0] & set(mates) - {"web1"}
    assert bake_look(counted(5), 1.0, "web1", mates)["balancers"]
    assert servers_of(bake_look(counted(5), 1.0, "web1", mates))[0] == {f"web{n}" for n in range(5)}


def test_a_sample_is_compared_like_the_whole():
    then = bake_look(counted(5000), 1.0, "web1")
    now = bake_look(counted(5000), 601.0)
    assert compare(then, now, "web1", [f"web{n}" for n in range(2, 5000)])["verdict"]


def test_a_refusal_stays_a_sentence_on_a_large_fleet():
    hosts = [todo(f"web{n}") for n in range(999)]
    refused = decide(WISH._replace(elsewhere=tuple(f"lb{n}" for n in range(500))), hosts)
    assert len(refused.text) < 1000 and "and 987 more" in refused.text
    wrong = [canary(gate={"verdict": "fail", "reasons": ["x"]}, name=f"w{n}") for n in range(500)]
    assert len(decide(WISH, [*wrong, todo()]).text) < 1500
