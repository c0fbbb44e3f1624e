# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the story keeps for the report, as tasks of the roles make it."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.data import Run, report
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story import story as run_story
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.story import Story, Task

OURS = "fleetops.gunicorn."


def task(action, name="x | Do", **args):
    return Task(name, action, args)


def kept(story, kind):
    return [
        {key: value for key, value in event.items() if key not in ("at", "kind", "host")}
        for event in story.events
        if event["kind"] == kind
    ]


def server(name, requests, status="UP"):
    return {"server": name, "status": status, "counters": {"stot": requests, "rtime": 5}}


def look(pid=9, requests=5):
    """What haproxy_server_info says of lb1, asked for web-1, which the inventory calls web1."""
    rows = [server("web-1", requests), server("web-2", requests)]
    return {
        "item": "lb1",
        "node": {"pid": pid},
        "servers": rows[:1],
        "backends": [{"name": "app", "servers": rows}, {"name": "api", "servers": rows[:1]}],
        "totals": [{"backend": "app", "counters": {"req_tot": 2 * requests}}],
    }


def test_a_server_of_several_backends_counts_once_with_all_of_them():
    story = Story()
    story.ended(1, "web1", task(OURS + "haproxy_server_info"), {"results": [look()]})
    (event,) = kept(story, "counters")
    assert event["servers"]["web-1"] == {"status": "UP", "stot": 10, "rtime": 5}
    assert event["servers"]["web-2"]["stot"] == 5
    assert event["server"] == "web-1"


def test_a_server_that_is_down_in_one_backend_is_not_up():
    result = look()
    result["backends"][1]["servers"] = [server("web-1", 1, "MAINT")]
    story = Story()
    story.ended(1, "web1", task(OURS + "haproxy_server_info"), {"results": [result]})
    assert kept(story, "counters")[0]["servers"]["web-1"]["status"] == "MAINT"


@pytest.mark.parametrize("state", ["drained", "ready"])
def test_what_a_server_had_counted_when_it_was_out_is_kept(state):
    story = Story()
    result = {"item": "lb1", "node": {"pid": 9}, "servers": [server("web-1", 7)], "waited": 1}
    story.ended(1, "web1", task(OURS + "haproxy_server", state=state), {"results": [result]})
    assert kept(story, "counters") == [
        {
            "balancer": "lb1",
            "pid": 9,
            "servers": {"web-1": {"status": "UP", "stot": 7, "rtime": 5}},
            "totals": {},
        }
    ]


def test_what_is_kept_of_a_large_fleet_is_bounded(monkeypatch):
    monkeypatch.setattr(run_story, "_COUNTED_ROWS", 90)
    story = Story()
    for number in range(200):
        story.keep(number, "said", "web1", text="x")
        asked = task(OURS + "haproxy_server_info")
        story.ended(number, "web1", asked, {"results": [look(requests=number)]})
    rows = kept(story, "counters")
    assert 10 < len(rows) <= 30
    assert len(kept(story, "said")) == 200
    found = report(story.events, Run("upgrade", 0, 200))
    # What is left is spread over the run, and says as much in all.
    times = [event["at"] for event in story.events if event["kind"] == "counters"]
    assert times[0] == 0 and times[-1] >= 190
    assert found["balancers"]["lb1"]["total"]["requests"] == 2 * times[-1]


def test_the_verdicts_of_a_soak_are_kept():
    story = Story()
    judged = {"verdict": "fail", "summary": "5 requests", "reasons": ["log dirty"], "stop": False}
    facts = {"ansible_facts": {"_gate_judged": judged, "_gate_verdict": "fail"}}
    story.ended(1, "web1", task("ansible.builtin.set_fact"), facts)
    assert kept(story, "verdict") == [
        {"gate": "soak", "verdict": "fail", "summary": "5 requests", "reasons": ["log dirty"]}
    ]


def test_the_verdict_at_boot_is_kept_whichever_it_is():
    story = Story()
    judge = task("ansible.builtin.assert", "judge | Let only a pass through")
    story.ended(1, "web1", judge, {"msg": "boot: pass; log clean"})
    story.failed(2, "web1", judge, {"msg": "boot: fail; 1 of 2 workers are alive"})
    assert kept(story, "verdict") == [
        {"gate": "boot", "verdict": "pass", "summary": "log clean", "reasons": []},
        {"gate": "boot", "verdict": "fail", "summary": "", "reasons": ["1 of 2 workers are alive"]},
    ]


def test_a_soak_is_a_state():
    story = Story()
    story.ended(
        1, "web1", task("x", "soak | Begin to watch"), {"ansible_facts": {"_gate_soak_until": 9}}
    )
    assert [event["state"] for event in kept(story, "state")] == ["soaking"]


def test_a_look_at_the_log_knows_whose_it_is():
    story = Story()
    arbiter = {"pid": 5, "started": 100.0, "gunicorn": "20.0.1", "python": "3.6"}
    story.ended(1, "web1", task(OURS + "gunicorn_info"), {"arbiter": arbiter})
    story.ended(2, "web1", task(OURS + "log_check"), {"verdict": "clean", "counts": {"x": 1}})
    switched = {"generation": {"pid": 6, "started": 200.0}, "timings": {"down_s": 0.5}}
    story.ended(3, "web1", task(OURS + "active_release"), switched)
    story.ended(4, "web1", task(OURS + "log_check"), {"verdict": "dirty", "counts": {}})
    # It could not look: that is no look.
    story.ended(5, "web1", task(OURS + "log_check"), {"msg": "no such file", "failed": True})
    # The same answers in one call.
    answers = {"service": {"arbiter": {**arbiter, "pid": 7}}, "log": {"verdict": "clean"}}
    story.ended(6, "web1", task(OURS + "server_info"), answers)
    assert kept(story, "log") == [
        {"verdict": "clean", "counts": {"x": 1}, "pid": 5, "started": 100.0},
        {"verdict": "dirty", "counts": {}, "pid": 6, "started": 200.0},
        {"verdict": "clean", "counts": {}, "pid": 7, "started": 100.0},
    ]
    assert kept(story, "state")[-1]["down"] == 0.5


@pytest.mark.parametrize(
    "name, action, rollout",
    [
        ("lock | Ask who holds the lock", "fleet_lock", True),
        ("record | Read the record", "fleet_record", True),
        # As status.yml asks.
        ("status | Ask who works on the fleet", "fleet_lock", False),
        ("status | Read the record of the fleet", "fleet_record", False),
        ("x | Look", "gunicorn_info", False),
    ],
)
def test_which_runs_have_a_report(name, action, rollout):
    story = Story()
    story.began(1, "web1", task(OURS + action, name))
    assert story.rollout is rollout


def test_no_half_of_a_secret_is_kept():
    story = Story()
    text = "x" * 3980 + " https://user:hunter2hunter2@index/simple"
    story.failed(1, "web1", task("m", "repair | End the run"), {"msg": text})
    story.ended(2, "web1", task("ansible.builtin.debug"), {"msg": text})
    assert "hunter2" not in repr(story.events)
