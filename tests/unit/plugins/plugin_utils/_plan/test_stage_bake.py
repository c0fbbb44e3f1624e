# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a run may go where a stage bakes: of every server, by its own time, or by the record."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._internal.stage_bake import (
    stage_bake_decision,
    stage_bake_place,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.stage_bake import (
    Wish,
    beyond,
    decide,
    hold,
    moment_words,
    place,
    rest_words,
    second_person,
    worth_noting,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.steps import (
    Running,
    plan_host,
)

HOUR = 3600.0
# 2026-11-28 12:00:00 UTC
NOON = 1795867200.0
STAGES = (
    {"number": 1, "gunicorn": "21.2.0", "python": "", "bake": 4 * HOUR},
    {"number": 2, "gunicorn": "23.0.0", "python": "3.11", "bake": 0.0},
)
WISH = Wish(STAGES, NOON)
FINE = {"verdict": "pass", "reasons": []}
ILL = {"verdict": "fail", "reasons": ["log dirty: 1 reentrant"]}
BLIND = {"verdict": "error", "reasons": ["could not look at the log"]}


def before(name="web2", todo=(1, 2)):
    return {"host": name, "todo": list(todo), "runs": 0, "age": 9e9, "gate": {}}


def on_it(name="web1", age=4 * HOUR, gate=None, runs=1, todo=(2,)):
    gate = FINE if gate is None else gate
    return {"host": name, "todo": list(todo), "runs": runs, "age": age, "gate": gate}


def through(name="web3"):
    return {"host": name, "todo": [], "runs": 2, "age": 5.0, "gate": {}}


def unseen(name="web2", why="is not known to run it"):
    return {"host": name, "through": [], "why": why}


def role(*hosts, outside=(), **wish):
    return decide(WISH._replace(**wish), hosts, list(outside)).role


# -- the decision ----------------------------------------------------------------------------------


def test_the_first_run_takes_the_stage_and_goes_no_further():
    found = decide(WISH, [before("web1"), before("web2")], [])
    assert (found.role, found.horizon, found.leg) == ("stage", 1, 0)


def test_every_server_must_have_run_it_that_long_the_youngest_counts():
    found = decide(WISH, [on_it("web1", 9 * HOUR), on_it("web2", HOUR)], [])
    assert (found.role, found.horizon, found.left) == ("rest", 1, 3 * HOUR)
    assert found.text == (
        "stage 1 of 2 is on every server; stage 2 not before 15:00 UTC: run the same command then"
        " (web2 has run it for 1 h of 4 h: 3 h more)"
    )


def test_a_restart_begins_its_time_anew():
    assert role(on_it("web1"), on_it("web2")) == "free"
    assert role(on_it("web1"), on_it("web2", age=2.0)) == "rest"


def test_when_the_time_has_come_the_run_goes_on():
    found = decide(WISH, [on_it("web1"), on_it("web2", 5 * HOUR)], [])
    assert (found.role, found.horizon, found.leg, found.stage) == ("free", 0, 1, 0)


def test_who_runs_it_waits_for_who_does_not_run_it_yet():
    found = decide(WISH, [on_it("web1", 9 * HOUR), before("web2")], [])
    assert (found.role, found.horizon) == ("stage", 1)
    assert "web2 now" in found.text


def test_a_server_that_is_past_the_stage_holds_nobody():
    assert role(through(), on_it("web1"), before("web4", todo=())) == "free"


def test_without_a_bake_or_with_nothing_left_nobody_waits():
    assert role(before("web1"), stages=({**STAGES[0], "bake": 0.0}, STAGES[1])) == "free"
    assert role(through("web1"), through("web2")) == "free"
    # A bake of the last stage holds nothing.
    last = (STAGES[0] | {"bake": 0.0}, STAGES[1] | {"bake": HOUR})
    assert role(before("web1"), stages=last) == "free"


@pytest.mark.parametrize("age", [10.0, 9 * HOUR])
@pytest.mark.parametrize("other", [on_it("web2", 10.0), on_it("web2"), before("web2")])
def test_one_that_fell_ill_stops_it_whenever_that_was_and_names_the_way_back(age, other):
    found = decide(WISH, [on_it("web1", age, ILL), other], [])
    assert found.role == "ill"
    assert "fell ill while it baked: web1: fail: log dirty: 1 reentrant" in found.text
    assert "rollback.yml -l web1" in found.text and "rollout_promote" in found.text


def test_what_cannot_be_judged_stops_it_when_it_is_time_and_not_before():
    assert role(on_it("web1", 9 * HOUR, BLIND), on_it("web2")) == "blind"
    assert role(on_it("web1", HOUR, BLIND), on_it("web2")) == "rest"
    assert role(on_it("web1", 9 * HOUR, BLIND), before("web2")) == "stage"
    assert role(on_it("web1", 9 * HOUR, {}), on_it("web2")) == "blind"


def test_a_limited_run_goes_no_further_than_what_is_known_of_the_others():
    found = decide(WISH, [on_it("web1")], [unseen()])
    assert (found.role, found.horizon) == ("rest", 1)
    assert "stage 2 begins on no server before every server" in found.text
    assert "web2, outside of this run, is not known to run it" in found.text
    assert role(on_it("web1"), outside=[unseen() | {"through": [1]}]) == "free"
    # Nor does it wait for what it cannot see.
    assert role(on_it("web1"), outside=[unseen()], wait=True) == "rest"
    assert role(before("web1"), outside=[unseen()]) == "stage"


def test_a_run_may_wait_in_place():
    found = decide(WISH._replace(wait=True), [on_it("web1", HOUR), before("web2")], [])
    assert (found.role, found.horizon, found.stage) == ("wait", 0, 1)
    assert role(on_it("web1", HOUR, ILL), before("web2"), wait=True) == "ill"


def test_a_promotion_goes_on_and_says_what_it_passed_over():
    hosts = [on_it("web1", HOUR, ILL), on_it("web2", HOUR), before("web4")]
    found = decide(WISH._replace(promote=True), hosts, [unseen("web3")])
    assert (found.role, found.horizon, found.hosts) == ("promoted", 0, ("web1", "web2"))
    for words in ("web1: fail: log dirty", "web4 does not run", "3 h more", "web3, outside"):
        assert words in found.text
    assert role(on_it("web1"), on_it("web2"), promote=True) == "free"


def test_each_of_several_stages_bakes_on_its_own():
    stages = (*STAGES, {"number": 3, "gunicorn": "26.1.0", "python": "3.12", "bake": 0.0})
    stages = (stages[0], stages[1] | {"bake": HOUR}, stages[2])
    first = decide(Wish(stages, NOON), [on_it("web1", todo=(2, 3)), on_it("web2", todo=(2, 3))], [])
    assert (first.role, first.horizon, first.leg) == ("stage", 2, 1)
    second = decide(Wish(stages, NOON), [on_it("web1", 5.0, runs=2, todo=(3,))], [])
    assert (second.role, second.horizon, second.left) == ("rest", 2, HOUR - 5)
    # The time of stage 2 counts, not that of stage 1.
    assert decide(Wish(stages, NOON), [on_it("web1", HOUR, runs=2, todo=(3,))], []).role == "free"


def test_the_last_words_of_a_run_say_until_when():
    hosts = [on_it("web1", 60.0), on_it("web2", 10.0)]
    words = rest_words(WISH._replace(promote=True, wait=True), hosts, [])
    assert words.startswith("stage 1 of 2 is on every server; stage 2 not before 16:00 UTC: run")
    assert "run the same command again" in rest_words(WISH, [on_it("web1")], [])


def test_what_ansible_core_2_16_makes_of_it_is_read():
    wish = {"stages": list(STAGES), "now": f"{NOON}", "promote": "False", "wait": "False"}
    assert stage_bake_decision([on_it("web1", 5.0)], wish, [])["role"] == "rest"
    assert stage_bake_decision([on_it("web1", 5.0)], wish | {"promote": "True"}, [])["role"] == (
        "promoted"
    )


# -- where a server is -----------------------------------------------------------------------------

RAW = [{"gunicorn": "21.2.0", "bake": "4h"}, {"gunicorn": "23.0.0", "python": "3.11"}]


def steps(gunicorn, python="3.6.15", unfinished=False, raw=None):
    return plan_host(raw or RAW, "", False, Running(gunicorn, python, "r", unfinished))


@pytest.mark.parametrize(
    ("gunicorn", "python", "todo", "runs", "judge"),
    [
        ("20.0.1", "3.6.15", [1, 2], 0, False),
        ("21.2.0", "3.6.15", [2], 1, True),
        # Past the one, and not on the other: it has nothing to bake.
        ("22.0.0", "3.8.1", [2], 0, False),
        ("23.0.0", "3.11.7", [], 2, False),
    ],
)
def test_where_a_server_is(gunicorn, python, todo, runs, judge):
    found = stage_bake_place(steps(gunicorn, python))
    assert found == {"todo": todo, "runs": runs, "judge": judge}


def test_what_was_never_proved_has_not_begun_to_bake():
    assert place(steps("21.2.0", unfinished=True)["steps"]) == {"todo": [1, 2], "runs": 0}


def test_stages_that_differ_by_their_python_are_told_apart():
    raw = [{"gunicorn": "21.2.0", "bake": 5}, {"gunicorn": "21.2.0", "python": "3.11"}]
    assert place(steps("21.2.0", raw=raw)["steps"]) == {"todo": [2], "runs": 1}
    assert place(steps("21.2.0", "3.11.2", raw=raw)["steps"])["todo"] == []


def test_what_must_wait_is_nothing_to_do_now():
    held = hold(steps("20.0.1"), 1)
    assert [step["action"] for step in held["steps"]] == ["upgrade", "skip"]
    assert held["steps"][1]["reason"] == "waits until stage 1 has baked"
    assert hold(steps("20.0.1"), 0) == steps("20.0.1")


# -- outside the run -------------------------------------------------------------------------------


def seen(record, asked=NOON):
    wish = {"plan": "p", "stages": STAGES, "asked": asked}
    return beyond(record, ["web1", "web2"], ["web1"], wish)


def note(at=NOON, gunicorn="21.2.0", python="3.6", ran=4 * HOUR):
    return {"gunicorn": gunicorn, "python": python, "ran": ran, "by": "ada", "at": at}


def passed(stage, plan="p", phase="passed"):
    return {"phase": phase, "stage": stage, "plan": plan, "by": "ada", "at": NOON}


def test_of_a_server_outside_the_run_the_record_speaks():
    assert seen({"hosts": {}})[0]["through"] == []
    [other] = seen({"hosts": {"web2": passed(1)}})
    assert (other["through"], other["why"]) == ([], "has not been seen to bake")
    assert seen({"hosts": {"web2": passed(2)}})[0]["through"] == [1]
    # Of another plan the numbers of stages say nothing, and of what failed neither.
    assert seen({"hosts": {"web2": passed(2, "q")}})[0]["through"] == []
    assert seen({"hosts": {"web2": passed(2, phase="returned")}})[0]["through"] == []


@pytest.mark.parametrize(
    ("given", "enough"),
    [
        (note(), True),
        (note(NOON - 4 * HOUR), True),
        # Nobody has looked for longer than it was to bake; nor does a clock that was set back tell.
        (note(NOON - 4 * HOUR - 1), False),
        (note(NOON + 1), False),
        (note(ran=HOUR), False),
        (note(gunicorn="20.0.1"), False),
        (note(gunicorn="23.0.0", python="3.11"), True),
        (note(gunicorn="23.0.0", python="3.9"), False),
    ],
)
def test_a_note_that_it_has_baked_counts_for_as_long_as_a_bake(given, enough):
    [other] = seen({"hosts": {"web2": passed(1)}, "bakes": {"web2": given}})
    assert other["through"] == ([1] if enough else [])


def test_what_has_baked_is_worth_a_note():
    assert worth_noting(WISH, on_it("web1"))
    assert not worth_noting(WISH, on_it("web1", age=HOUR))
    assert not worth_noting(WISH, on_it("web1", gate=ILL))
    assert not worth_noting(WISH, on_it("web1", gate={}))
    assert not worth_noting(WISH, before("web1")) and not worth_noting(WISH, through("web1"))


# -- who promotes ----------------------------------------------------------------------------------


def test_whoever_ran_it_does_not_promote_it():
    record = {"hosts": {"web1": passed(1), "web2": passed(1) | {"by": "ben"}}}
    assert second_person(record, ["web1"], "ben") == ""
    assert "web1 was taken by ada too" in second_person(record, ["web1"], "ada")
    assert "web2 was taken by ben" in second_person(record, ["web1", "web2"], "ben")
    assert second_person(record, ["web1", "web2"], "cleo") == ""


@pytest.mark.parametrize(
    "record", [None, {"hosts": {}}, {"hosts": {"web1": passed(1, phase="out")}}]
)
def test_what_nobody_has_run_has_no_second_person(record):
    assert "nobody has run it on record" in second_person(record, ["web1"], "ada")


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (3 * HOUR, "15:00 UTC"),
        (HOUR + 1, "13:01 UTC"),
        (90.0, "12:01:30 UTC"),
        (0.2, "12:00:01 UTC"),
        (12 * HOUR, "2026-11-29 00:00 UTC"),
    ],
)
def test_a_moment_is_never_told_too_early(left, words):
    assert moment_words(NOON, left) == words


def test_a_sentence_stays_one_on_a_large_fleet():
    hosts = [on_it(f"web{n}", 5.0, ILL) for n in range(900)]
    assert len(decide(WISH, hosts, []).text) < 2500
    many = [unseen(f"web{n}") for n in range(1000, 1900)]
    assert len(decide(WISH, [on_it("web1")], many).text) < 800
