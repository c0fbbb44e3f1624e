from __future__ import annotations

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._status import (
    fleet_status,
    status_table,
)

from tests.unit.plugins.plugin_utils.paper_questions import OF

WEB1 = {
    "inventory_hostname": "web1",
    "_service_info": {
        "program": {"state": "RUNNING"},
        "arbiter": {"gunicorn": "23.0.0", "python": "3.11.7", "started": 0.0},
        "workers": [{}, {}],
        "venv": {"kind": "symlink", "release": "23.0.0-py3.11-1a2b3c4d"},
    },
    "_load_balancer_result": {"results": [{"item": "lb1", "servers": [{"status": "UP"}]}]},
}


RUN = {
    "kind": "upgrade to gunicorn 23.0.0",
    "owner": "alice",
    "began": 0.0,
    "status": "halted",
    "host": "web1",
    "why": "logs the error",
}


def table(*hosts, **more):
    return status_table(fleet_status(hosts, **more))


def test_a_host_is_one_line():
    header, line, *_rest = table(WEB1)
    assert header.split()[:3] == ["host", "in", "rotation"]
    assert " ".join(line.split()) == (
        "web1 lb1 UP 23.0.0 3.11.7 23.0.0-py3.11-1a2b3c4d 1970-01-01 00:00:00Z 2 RUNNING -"
    )
    assert header.index("gunicorn") == line.index("23.0.0")


def test_a_host_that_cannot_be_asked_is_shown_with_the_reason():
    lost = {"inventory_hostname": "web2", "_service_info": {"msg": "ssh: timed out"}}
    line = table(WEB1, lost)[2]
    assert line.startswith("web2")
    assert "ssh: timed out" in line


def test_a_host_that_we_never_touched_has_no_release():
    legacy = {**WEB1, "_service_info": {**WEB1["_service_info"], "venv": {"kind": "directory"}}}
    assert "(directory)" in table(legacy)[1]


def test_a_balancer_that_cannot_be_asked_is_a_question():
    blind = {**WEB1, "_load_balancer_result": {"results": [{"item": "lb1", "msg": "refused"}]}}
    assert "lb1 ?" in table(blind)[1]


def test_what_balancers_were_asked_once_is_told_of_each_host():
    lease = {"until": 1000.0, "seconds_left": 60.0, "pid": 7}
    about = {
        "w1": {"servers": [{"backend": "app", "status": "DRAIN"}], "lease": lease},
        "w2": {"msg": "Server 'w2' is not in backend 'app'"},
    }
    question = {**OF, "balancer": "lb1", "servers": ["w1", "w2"]}
    hosts = [
        {
            "inventory_hostname": name,
            "_service_info": WEB1["_service_info"],
            "_settings_checked": {"host": {"server": server, **OF}},
        }
        for name, server in (("web1", "w1"), ("web2", "w2"))
    ]
    status = fleet_status(hosts, balancers=[{"item": question, "about": about}])
    _header, web1, web2, *_rest = status_table(status)
    assert "lb1 DRAIN (back in 60 s)" in web1
    assert "lb1 ?" in web2
    assert "is not in backend" in status["hosts"][1]["balancers"][0]["error"]


def test_a_long_reason_is_cut_in_the_table_and_whole_in_the_data():
    long = "the log says " + "very " * 200 + "much"
    status = fleet_status([WEB1], record={"record": {"run": {**RUN, "why": long}}})
    [line] = [each for each in status_table(status) if each.startswith("last run")]
    assert line.endswith("...") and len(line) < 500
    assert status["run"]["why"] == long


def test_a_part_of_its_weight_is_shown():
    part = {"status": "UP", "weight_set": 10, "weight_full": 100}
    seen = {"results": [{"item": "lb1", "servers": [part]}]}
    assert "lb1 UP 10 %" in table({**WEB1, "_load_balancer_result": seen})[1]


def test_a_lease_tells_when_the_balancer_puts_the_server_back():
    lease = {"until": 1000.0, "seconds_left": 539.6, "pid": 7}
    out = {"item": "lb1", "servers": [{"status": "DRAIN"}], "lease": lease}
    line = table({**WEB1, "_load_balancer_result": {"results": [out]}})[1]
    assert "lb1 DRAIN (back in 540 s)" in line


def test_what_the_fleet_has_been_through():
    mark = {"mark": "bad", "host": "web1", "by": "alice", "at": 60.0, "why": "logs the error"}
    told = {"phase": "returned", "stage": 2, "at": 60.0, "release": "old"}
    record = {
        "record": {
            "run": RUN,
            "hosts": {"web1": told},
            "marks": {"new": mark, "old": {**mark, "mark": "good"}},
        }
    }
    held = {"failed": True, "held_by_other": True, "msg": "held by bob", "holder": {"owner": "bob"}}
    lines = table(WEB1, record=record, lock=held)
    assert lines[1].endswith("returned stage 2 1970-01-01 00:01:00Z")
    assert lines[3:] == [
        "lock      held by bob",
        "last run  upgrade to gunicorn 23.0.0 by alice, 1970-01-01 00:00:00Z: halted by web1:"
        " logs the error",
        "bad       new: web1, alice, 1970-01-01 00:01:00Z: logs the error",
    ]


def test_a_run_that_was_killed_shows():
    run = {**RUN, "status": "running", "host": "", "why": ""}
    record = {"record": {"run": run, "hosts": {}, "marks": {}}}
    free = {"holder": {"owner": "me"}, "changed": True}
    assert "without a lock: it was killed" in table(WEB1, record=record, lock=free)[-1]
    held = {"held_by_other": True, "failed": True, "holder": {}, "msg": "held"}
    assert "killed" not in table(WEB1, record=record, lock=held)[-1]


def test_what_could_not_be_asked_says_why():
    lost = {"unreachable": True, "msg": "no route"}
    lines = table(WEB1, record=lost, lock=lost)
    assert "lock      no route" in lines
    assert "record    no route" in lines


# -- what is left, and what happened last ----------------------------------------------------------

WAITS = {"now": 100.0, "soak": 160, "bake": 7200.0}
RELEASE = "23.0.0-py3.11-1a2b3c4d"


def recorded(phase, release=RELEASE, plan="p1", events=()):
    told = {"phase": phase, "release": release, "stage": 1, "plan": plan, "at": 50.0}
    return {"record": {"hosts": {"web1": told}, "events": list(events)}}


def left(host=None, waits=None, **told):
    record = recorded(**told)
    return fleet_status([host or WEB1], record=record, waits=waits or WAITS)["hosts"][0]["left"]


def test_a_host_in_its_soak_tells_how_long():
    assert left(phase="taken") == {"what": "soak", "seconds": 60.0}
    assert "soak about 1 min" in table(WEB1, record=recorded("taken"), waits=WAITS)[1]
    assert left(phase="taken", waits={**WAITS, "soak": 60}) is None
    # The first of a stage has its ramp before that; whoever follows has none.
    ramp = {**WAITS, "soak": 60, "ramp": 90.0}
    assert left(phase="taken", waits=ramp) == {"what": "soak", "seconds": 50.0}
    record = recorded("taken")
    record["record"]["hosts"]["web2"] = {**record["record"]["hosts"]["web1"], "phase": "passed"}
    assert fleet_status([WEB1], record=record, waits=ramp)["hosts"][0]["left"] is None


def test_a_host_that_is_out_or_not_yet_switched_does_not_soak():
    lb1 = {"item": "lb1", "servers": [{"status": "DRAIN"}]}
    assert left({**WEB1, "_load_balancer_result": {"results": [lb1]}}, phase="taken") is None
    assert left(phase="taken", release="another") is None


def test_a_canary_tells_how_long_it_bakes():
    assert left(phase="passed") == {"what": "bake", "seconds": 7100.0}
    assert "bake 1 h 58 min" in table(WEB1, record=recorded("passed"), waits=WAITS)[1]
    assert "baked" in table(WEB1, record=recorded("passed"), waits={**WAITS, "now": 9000})[1]
    assert left(phase="passed", waits={**WAITS, "bake": 0.0}) is None
    assert left(phase="passed", plan="") is None


def test_the_last_incident_of_a_host_is_the_newest_of_its_own():
    events = [
        {"event": "failed", "host": "web1", "at": 1.0, "why": "first"},
        {"event": "failed", "host": "web1", "at": 60.0, "why": "the log is\n  dirty " + "x" * 99},
        {"event": "failed", "host": "web2", "at": 70.0, "why": "another host"},
        {"event": "passed", "host": "web1", "at": 80.0, "why": ""},
    ]
    line = table(WEB1, record=recorded("passed", events=events))[1]
    assert "1970-01-01 00:01:00Z the log is dirty xxx" in line
    assert line.endswith("x...")


STAGES = [
    {"gunicorn": "23.0.0", "python": "3.11", "bake": "4h"},
    {"gunicorn": "26.1.0", "python": "3.12"},
]
# 1970-01-02 12:00:00 UTC
STAGED = {"now": 129600.0, "soak": 60, "bake": 0.0, "stages": STAGES, "to": ""}


def server(name, age, gunicorn="23.0.0", python="3.11.7"):
    info = WEB1["_service_info"]
    arbiter = {"gunicorn": gunicorn, "python": python, "started": 0.0}
    return {
        **WEB1,
        "inventory_hostname": name,
        "_service_info": {**info, "arbiter": arbiter, "age": age},
    }


def test_a_stage_tells_until_when_it_bakes_on_whom():
    status = fleet_status([server("web1", 7200.0), server("web2", 3600.0)], waits=STAGED)
    assert [host["left"]["seconds"] for host in status["hosts"]] == [7200.0, 10800.0]
    [bake] = status["bakes"]
    assert (bake["left"], bake["until"], bake["behind"]) == (10800.0, 129600.0 + 10800, [])
    told = "\n".join(status_table(status))
    assert "bake      stage 1 of 2 (gunicorn 23.0.0) bakes until 15:00 UTC on web1, web2" in told
    assert "bake 3 h" in told


def test_who_does_not_run_the_stage_yet_is_named_and_who_is_past_it_is_not():
    young, past = server("web2", 9e9, "20.0.1", "3.6.1"), server("web3", 5.0, "26.1.0", "3.12.1")
    lost = {"inventory_hostname": "web4", "_service_info": {"msg": "ssh: timed out"}}
    told = "\n".join(table(server("web1", 9e9), young, past, lost, waits=STAGED))
    assert "has baked on web1; web2, web4 does not run it yet" in told


def test_without_a_bake_or_a_stage_after_it_nothing_bakes():
    one = [STAGES[0]]
    assert fleet_status([server("web1", 5.0)], waits={**STAGED, "stages": one})["bakes"] == []
    bare = [{"gunicorn": "23.0.0", "python": "3.11"}, STAGES[1]]
    assert fleet_status([server("web1", 5.0)], waits={**STAGED, "stages": bare})["bakes"] == []
    wrong = {**STAGED, "stages": [{"gunicorn": "soon"}]}
    assert fleet_status([server("web1", 5.0)], waits=wrong)["bakes"] == []


def test_a_program_beside_it_that_does_not_run_is_told_with_the_state():
    programs = [
        {"program": "worker:worker", "state": "FATAL"},
        {"program": "beat:beat", "state": "RUNNING"},
    ]
    more = {**WEB1, "_service_info": {**WEB1["_service_info"], "programs": programs}}
    assert "RUNNING, worker:worker FATAL" in table(more)[1]
    assert "beat" not in table(more)[1]


def test_the_last_reports_are_named_and_how_those_runs_ended():
    kept = [
        {"name": f"2026112{day}T000000Z-upgrade-1a2b3c4d", "result": "done", "host": "", "code": ""}
        for day in (9, 8, 7, 6)
    ]
    kept = [{**each, "by": "ada", "error": ""} for each in kept]
    kept[1].update(result="stopped", host="web2", code="F-GATE")
    kept[2] = {"name": kept[2]["name"], "error": "it is empty"}
    status = fleet_status([], reports={"reports": kept})
    assert len(status["reports"]) == 4 and status["reports_error"] == ""
    assert [line for line in status_table(status) if line.startswith("report ")] == [
        "report    20261129T000000Z-upgrade-1a2b3c4d: done, by ada",
        "report    20261128T000000Z-upgrade-1a2b3c4d: stopped by web2, F-GATE, by ada",
        "report    20261127T000000Z-upgrade-1a2b3c4d: it is empty",
    ]


def test_reports_that_cannot_be_named_are_told_as_such():
    status = fleet_status([], reports={"failed": True, "msg": "it has the mode 0755"})
    assert status_table(status)[-1] == "report    it has the mode 0755"
