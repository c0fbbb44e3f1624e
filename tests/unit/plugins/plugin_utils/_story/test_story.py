# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.story import Story, Task

OURS = "fleetops.gunicorn."
OLD = {"gunicorn": "20.0.1", "python": "3.6.15"}
NEW = {"gunicorn": "23.0.0", "python": "3.11.7", "release": "new"}


def task(action, name="x | Do", check_mode=False, **args):
    return Task(name, action, args, check_mode)


def ours(action, **args):
    return task(OURS + action, **args)


def texts(lines):
    return [line.text for line in lines]


@pytest.fixture
def story():
    begun = Story()
    stages = [{"number": 1, "gunicorn": "21.2.0", "python": ""}]
    steps = [{"stage": 1, "action": "upgrade"}]
    for host in ("web1", "web2"):
        facts = {"ansible_facts": {"_rollout_plan": {"stages": stages, "steps": steps}}}
        begun.ended(0, host, task("ansible.builtin.set_fact"), facts)
        seen = {"arbiter": OLD, "venv": {"release": None}}
        begun.ended(0, host, ours("gunicorn_info"), seen)
    return begun


def drained(story, at, host, took=2.0):
    drain = ours("haproxy_server", state="drained")
    story.began(at, host, drain)
    result = {"results": [{"item": "lb1", "waited": took, "servers": [], "sessions_cut": 0}]}
    return story.ended(at + took, host, drain, result)


def restored(story, at, host):
    ready = ours("haproxy_server", state="ready")
    story.began(at, host, ready)
    return story.ended(at + 1, host, ready, {"results": [{"item": "lb1", "servers": []}]})


def test_who_was_stopped_by_another_one_is_not_the_one_who_stopped_it():
    story = Story()
    halt = task("m", "halt | Stop")
    story.failed(1, "web2", halt, {"msg": "Another server stopped the run."})
    story.failed(2, "web1", halt, {"msg": "hook | Stop: Hook x (once_before) failed on web1: no"})
    lines = [line.text for line in story.summary(["web1", "web2"], [])]
    assert lines[-2].startswith("STOPPED, since web1 failed: hook | Stop")
    assert lines[-1].startswith("F-HOOK")


def test_a_ramp_is_told_and_is_no_outage(story):
    drained(story, 10, "web1")
    ready = ours("haproxy_server", state="ready")

    def share(at, now):
        server = {"weight_set": now, "weight_full": 100, "backend": "app", "server": "web1"}
        server |= {"status": "UP", "counters": {}}
        story.began(at, "web1", ready)
        return story.ended(
            at + 1, "web1", ready, {"results": [{"item": "lb1", "servers": [server]}]}
        )

    assert "with 1 % of its weight" in share(15, 1)[0].text
    begun = {"ansible_facts": {"_gate_soak_until": 20}}
    story.ended(17, "web1", task("ansible.builtin.set_fact"), begun)
    assert texts(share(20, 10)) == ["10 % of its weight on lb1"]
    assert len(story.out_for["web1"]) == 1
    states = [e["state"] for e in story.events if e["kind"] == "state" and e["host"] == "web1"]
    assert states[-2:] == ["serving", "soaking"]


def test_the_way_of_a_host(story):
    assert story.play_began(1, "Stage 1") == (
        "Stage 1 of 1: gunicorn 21.2.0 on the Python in place"
    )
    told = {"event": "taken", "host": "web1"}
    note = ours("fleet_record", event="{{ rollout_event }}")
    run = {"run": {"status": "running"}}
    taken = story.ended(2, "web1", note, {"record": run, "told": told})
    assert texts(taken) == ["taken (stage 1 of 1, host 1 of 2)"]
    assert texts(drained(story, 10, "web1")) == ["out of rotation on lb1, drained in 2.0 s"]
    switch = ours("active_release")
    story.began(13, "web1", switch)
    result = {"release": "new", "diff": {"after": NEW}, "timings": {"down_s": 0.5}}
    assert texts(story.ended(14, "web1", switch, result)) == [
        "runs gunicorn 23.0.0 on Python 3.11.7 (new), silent for 0.5 s"
    ]
    assert texts(restored(story, 15, "web1")) == ["back in rotation on lb1 after 6.0 s"]
    states = [event["state"] for event in story.events if event["kind"] == "state"]
    assert states == ["draining", "drained", "switching", "switched", "restoring", "serving"]
    assert texts(story.summary([], [])) == [
        "gunicorn 20.0.1 on 3.6.15 -> 23.0.0 on 3.11.7; out of rotation 1 x, 6.0 s at most",
        "gunicorn 20.0.1 on 3.6.15",
        "Done.",
    ]


def test_each_time_that_it_was_out_is_told_with_how_long(story):
    for begun, took in ((10, "6.0"), (30, "4.0")):
        drained(story, begun, "web1")
        told = texts(restored(story, begun + float(took) - 1, "web1"))
        assert told == [f"back in rotation on lb1 after {took} s"]


def test_there_and_back_again_is_shown(story):
    story.ended(1, "web1", ours("active_release"), {"diff": {"after": NEW}})
    story.ended(2, "web1", ours("active_release"), {"diff": {"after": OLD}})
    assert "20.0.1 on 3.6.15 -> 23.0.0 on 3.11.7 -> 20.0.1 on 3.6.15" in (
        story.summary([], [])[0].text
    )


def test_asking_whether_a_drain_would_do_is_no_drain(story):
    ask = ours("haproxy_server", state="drained", check_mode=True)
    story.began(1, "web1", ask)
    assert story.ended(2, "web1", ask, {"results": [{"item": "lb1", "waited": 0}]}) == []
    assert [event for event in story.events if event["kind"] == "state"] == []


def test_the_first_of_two_that_failed_comes_last_and_whole(story):
    story.failed(5, "web2", task("m", "halt | Stop"), {"msg": "stops before web2"})
    story.failed(3, "web1", task("m", "repair | End the run"), {"msg": "web1: failed.\nWhy: 500"})
    last = story.summary(["web1", "web2"], [])
    assert last[-2].text == "STOPPED, since web1 failed: web1: failed.\nWhy: 500"
    assert last[-3] == ("web2", "stops before web2", "bad", False)


def test_a_host_that_cannot_be_reached_is_named_last(story):
    story.failed(3, "web1", task("m"), {"msg": "no route"}, unreachable=True)
    assert story.summary([], ["web1"])[-2].text == (
        "STOPPED, since web1 could not be reached: x | Do: no route"
    )


def test_the_very_last_line_says_what_kind_of_stop_it_was_and_where_it_is_explained():
    story = Story(docs="/somewhere/docs")
    guard = task("ansible.builtin.assert", "refuse_bad | Refuse a release that failed before")
    story.failed(3, "web1", guard, {"msg": "x is marked bad"})
    last = story.summary(["web1"], [])[-1]
    assert last.text.startswith("F-BAD: the release failed a gate, or was rolled back")
    assert last.text.endswith(" What now: /somewhere/docs/operations.md#f-bad")
    assert last.tone == "bad"
    assert Story().docs == "docs"


def test_a_failure_that_was_mended_is_not_the_end(story):
    story.failed(3, "web1", task("m"), {"msg": "x"})
    assert story.summary([], [])[-1].text == "Done."


def test_a_run_that_ends_where_a_stage_bakes_ends_with_until_when(story):
    facts = {"ansible_facts": {"_rollout_rest": "stage 2 not before 16:40 UTC"}}
    story.ended(3, "web1", task("ansible.builtin.set_fact"), facts)
    assert story.summary([], [])[-1].text == "Done so far: stage 2 not before 16:40 UTC"


def test_a_note_that_a_host_has_baked_is_no_word_of_this_run(story):
    note = ours("fleet_record", event="{{ rollout_event }}")
    record = {"run": {"status": "halted", "id": "of another"}}
    told = {"event": "baked", "host": "web1"}
    assert story.ended(3, "web1", note, {"record": record, "told": told}) == []
    assert story.run == {}


def test_a_host_that_failed_without_a_word_is_named(story):
    lines = story.summary(["web1"], [])
    assert ("web1", "failed") in [(line.host, line.text) for line in lines]
    assert "Done." not in texts(lines)


def test_what_is_ignored_is_shown_and_stops_nothing(story):
    lines = story.failed(3, "web1", task("m"), {"msg": "x"}, ignored=True)
    assert texts(lines) == ["(goes on) x | Do: x"]
    assert story.failures == {}


def test_a_host_that_was_not_put_back_is_named(story):
    drained(story, 10, "web1")
    assert "LEFT OUT OF ROTATION" in story.summary(["web1"], [])[0].text


@pytest.mark.parametrize("nothing", ["All assertions passed", "All items completed"])
def test_what_says_nothing_is_not_shown(story, nothing):
    assert story.ended(1, "web1", task("ansible.builtin.assert"), {"msg": nothing}) == []


def test_what_a_task_says_is_shown(story):
    say = task("ansible.builtin.debug")
    assert story.ended(1, "web1", say, {"msg": "hello"}) == [("web1", "hello", "plain", False)]
    assert story.ended(1, "web1", say, {"msg": ["a", "b"]}) == [("", "a\nb", "plain", False)]


def test_an_incident_is_kept_once(story):
    incident = {"event": "reentrant", "path": "/l", "offset": 5, "first": 1.0}
    for at in (1, 2):
        story.ended(at, "web1", ours("log_check"), {"incidents": [incident]})
    assert [e["event"] for e in story.events if e["kind"] == "incident"] == ["reentrant"]


@pytest.mark.parametrize("kind", ["haproxy", "nginx"])
def test_counters_are_kept_of_every_balancer(story, kind):
    counters = {"req_tot": 5, "hrsp_5xx": 1, "bin": 7}
    servers = [{"server": "web1", "status": "UP", "counters": counters}]
    item = {
        "item": "lb1",
        "node": {"pid": 9},
        "backends": [{"name": "app", "servers": servers}],
        "totals": [{"backend": "app", "counters": counters}],
    }
    story.ended(1, "web1", ours(f"{kind}_server_info"), {"results": [item]})
    kept = [event for event in story.events if event["kind"] == "counters"]
    assert kept == [
        {
            "at": 1,
            "kind": "counters",
            "balancer": "lb1",
            "pid": 9,
            "servers": {"web1": {"status": "UP", "req_tot": 5, "hrsp_5xx": 1}},
            "totals": {"app": {"req_tot": 5, "hrsp_5xx": 1}},
        }
    ]


def checked(story, verdict):
    hosts = [{"host": "web1", "verdict": verdict}, {"host": "web2", "verdict": "clean"}]
    report = {"verdict": verdict, "hosts": hosts}
    told = {"ansible_facts": {"_check_report": report}}
    story.ended(1, "web1", task("ansible.builtin.set_fact"), told)


@pytest.mark.parametrize(
    ("verdict", "tone"), [("clean", "good"), ("dirty", "bad"), ("inconclusive", "warn")]
)
def test_a_check_ends_with_its_verdict_and_has_stopped_nothing(story, verdict, tone):
    checked(story, verdict)
    story.failed(2, "web1", task("ansible.builtin.assert"), {"msg": verdict})
    last = story.summary(["web1"] if verdict != "clean" else [], [])
    assert [(line.host, line.tone) for line in last] == [("", tone)]
    assert last[0].text.startswith(f"check: {verdict.upper()} (")


def test_what_failed_beside_a_check_is_told_as_ever(story):
    checked(story, "clean")
    story.failed(2, "web3", task("ansible.builtin.command"), {"msg": "boom"})
    assert "STOPPED, since web3 failed" in story.summary(["web3"], [])[-2].text
