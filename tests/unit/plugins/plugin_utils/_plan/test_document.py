"""The plan of a fleet on paper, as data and as lines."""

from __future__ import annotations

import json

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.document import (
    plan_document,
    problems_of,
    stages_to_look_at,
    who_asks,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.steps import (
    Running,
    plan_host,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.text import (
    built_lines,
    plan_lines,
)

STAGES = [{"gunicorn": "21.2.0"}, {"gunicorn": "23.0.0", "python": "3.11"}]
OLD = Running("20.0.1", "3.6.15", "")
DONE = Running("23.0.0", "3.11.7", "x")
NOW = {"flask": "2.0.3", "gunicorn": "20.0.1", "zipp": "3.6"}
SETTINGS = {"arguments": ["app:app"], "environment_arguments": [], "environment": []}
SETTINGS |= {"file": "", "names": {}, "whole": True, "error": ""}
INDEX = {"versions": [{"version": "24.1.1", "requires_python": ">=3.10"}], "asked": ["https://i"]}
LIMITS = {"soak": 60, "drain": 60, "stop": 60, "start": 60, "health": 15, "up": 60}


def release(stage, gunicorn, **more):
    told = {"stage": stage, "id": f"{gunicorn}-x", "there": False, "known": "pins", "error": ""}
    told |= {"packages": {"flask": "2.0.3"}, "source": "requirements", "dropped": []}
    return told | {"open": [], "may_move": False} | more


def host(name, running=OLD, stages=None, to="", seen=None, **more):
    found = {"packages": NOW, "settings": SETTINGS}
    found["stages"] = [release(1, "21.2.0"), release(2, "23.0.0")]
    told = {
        "inventory_hostname": name,
        "_rollout_plan": plan_host(stages or STAGES, to, False, running),
    }
    seen = {"problems": [], "found": found, "prune": {}} | (seen or {})
    return told | {"_preflight_seen": seen} | more


def down(name, problem="no gunicorn"):
    plan = plan_host(STAGES, "", False, None)
    told = {"inventory_hostname": name, "_rollout_plan": plan}
    return told | {"_preflight_seen": {"problems": [problem]}}


def document(*hosts, **more):
    names = [each["inventory_hostname"] for each in hosts]
    run = {"hash": "48d5daade134", "fleet": "app", "stages": STAGES, "to": "", "waves": [1]}
    run |= {"group": names, "present": names, "limits": LIMITS, "record": None, "index": INDEX}
    run |= {"outage": False}
    run |= {"asked_by": "web1", "keep": 5, "ramp": {"shares": [], "soak": 60}}
    run |= {"trial": {"test": "boot", "environment": []}}
    return plan_document(hosts, run | more)


def text(*hosts, **more):
    return "\n".join(plan_lines(document(*hosts, **more)))


def order(plan):
    return [(turn["stage"], turn["host"], turn["action"]) for turn in plan["turns"]]


def test_the_turns_are_in_the_order_in_which_they_are_taken():
    assert order(document(host("web1"), host("web2"))) == [
        (1, "web1", "upgrade"),
        (1, "web2", "upgrade"),
        (2, "web1", "upgrade"),
        (2, "web2", "upgrade"),
    ]


def test_it_is_json_and_names_itself():
    plan = json.loads(json.dumps(document(host("web1"), down("web2"))))
    assert plan["schema"] == 1
    assert plan["plan"] == "48d5daade134"


def test_the_text_tells_the_hazard_once_and_its_cure():
    told = text(host("web1"), host("web2"))
    assert told.startswith("Plan 48d5daade134 of fleet app: 2 stages, 4 turns of 2 hosts")
    assert "Stage 1 of 2: gunicorn 21.2.0 on the Python in place" in told
    assert "web2: gunicorn 21.2.0 on Python 3.6 -> gunicorn 23.0.0 on Python 3.11" in told
    assert told.count("hazard reentrant:") == 1
    assert told.index("hazard reentrant") < told.index("Stage 2 of 2")
    assert told.index("hazard arbiter-death") > told.index("Stage 2 of 2")
    assert "hazards that stay: reentrant" in told
    assert "24.1.1 has no reentrant, no arbiter-death" in told
    assert "packages of web1, web2, against now: gunicorn 20.0.1 -> 21.2.0" in told


def test_the_text_tells_what_goes_and_only_what_concerns_the_application():
    stages = [{"gunicorn": "23.0.0", "python": "3.11"}, {"gunicorn": "25.1.0"}]
    index = {"versions": [{"version": "26.1.0", "requires_python": ""}], "asked": ["https://i"]}

    def told(*arguments):
        settings = {**SETTINGS, "arguments": [*arguments, "app:app"]}
        found = {"packages": NOW, "settings": settings}
        found["stages"] = [release(1, "23.0.0"), release(2, "25.1.0")]
        one = host("web1", Running("21.2.0", "3.11.7", ""), stages, seen={"found": found})
        return text(one, stages=stages, index=index)

    sync, gthread = told(), told("-k", "gthread")
    for each in (sync, gthread):
        assert "hazards that go: cve-2024-1135, cve-2024-6827" in each
        assert "hazards that go: reentrant, arbiter-death" in each
        assert "reuse-port" not in each and "dirty" not in each
    assert "gthread-pool-exhausted" not in sync
    assert "hazard gthread-pool-exhausted: gives every accepted connection a thread" in gthread
    assert "    concerns: with worker_class gthread, or threads above 1" in gthread
    assert "26.1.0 has no gthread-pool-exhausted, no control-thread-before-fork" in gthread
    assert "26.1.0 has no control-thread-before-fork" in sync


def test_hosts_that_have_nothing_to_do_are_named_with_the_reason():
    told = text(host("web1", DONE), host("web2"))
    assert "web1: nothing to do, runs gunicorn 23.0.0 on Python 3.11 already" in told
    assert "Nothing to do on web1: runs gunicorn 23.0.0 on Python 3.11 already" in told
    assert "2 turns of 1 host" in told


def test_a_finished_fleet_takes_no_time_and_has_no_hazards_to_tell():
    told = text(host("web1", DONE), index={})
    assert "Time: none" in told
    assert "hazard" not in told
    assert "Newer releases" not in told


def test_what_was_never_proved_is_proved():
    told = text(host("web1", Running("23.0.0", "3.11.7", "x", True)))
    assert "gunicorn 23.0.0 on Python 3.11 is to be proved" in told
    assert "1 turn of 1 host" in told


def test_a_host_that_is_down_does_not_hide_the_plan_of_the_others():
    told = text(host("web1"), down("web2"))
    assert "web1: gunicorn 20.0.1" in told
    assert "PROBLEM web2: no gunicorn" in told
    assert document(host("web1"), down("web2"))["problems"] == {"web2": ["no gunicorn"]}


def test_a_host_that_was_lost_is_told_though_it_knows_nothing_of_itself():
    lost = {"inventory_hostname": "web1", "_service_info": {"msg": "no\r\nroute"}}
    plan = document(lost, host("web2"), present=["web2"])
    assert plan["problems"] == {"web1": ["cannot be reached: no route"]}
    assert {turn["host"] for turn in plan["turns"]} == {"web2"}


def test_what_is_not_in_the_run_is_said():
    plan = document(
        host("web1", to="21.2.0"), group=["web1", "web2", "web3"], to="21.2.0", present=["web1"]
    )
    assert plan["not"]["stages"] == ["23.0.0"]
    assert list(plan["not"]["hosts"]) == ["web2", "web3"]
    told = "\n".join(plan_lines(plan))
    assert "Not in this run: stage 23.0.0 (rollout_to)" in told
    assert "Not in this run: web2, web3 (--limit)" in told
    assert "Stage 2" not in told
    assert [stage["in_run"] for stage in plan["stages"]] == [True, False]


def test_releases_that_go_at_the_end_are_told_by_host():
    old = {"removed": ["20.1.0-py3.6-1", "20.0.0-py3.6-2"]}
    hosts = (
        host("web1", seen={"prune": old}),
        host("web2", seen={"prune": old}),
        host("web3", DONE, seen={"prune": {"removed": []}}),
        host("web4", seen={"prune": {"msg": "venv is\nabsent"}}),
    )
    gone = {"releases": old["removed"], "error": ""}
    unknown = {"releases": [], "error": "venv is absent"}
    told = document(*hosts)["prune"]
    assert told == {"keep": 5, "hosts": {"web1": gone, "web2": gone, "web4": unknown}}
    lines = [line for line in text(*hosts).splitlines() if line.startswith("Releases removed")]
    assert lines == [
        "Releases removed at the end on web1, web2 (rollout_keep_releases 5):"
        " 20.1.0-py3.6-1, 20.0.0-py3.6-2",
        "Releases removed at the end on web4 (rollout_keep_releases 5): not known, venv is absent",
    ]


def test_nothing_is_told_of_releases_that_all_stay():
    told = document(host("web1", seen={"prune": {"skipped": True}}), keep=0)
    assert told["prune"] == {"keep": 0, "hosts": {}}
    assert "Releases removed" not in text(host("web1", seen={"prune": {"removed": []}}))


def test_what_goes_is_not_known_where_a_release_that_is_coming_is_not():
    lost = [release(1, "21.2.0"), release(2, "23.0.0", id="", error="no Python 3.11")]
    found = {"packages": NOW, "settings": SETTINGS, "stages": lost}
    told = document(host("web1", seen={"found": found, "prune": {"removed": ["a"]}}))
    error = "the release of stage 23.0.0 is not known"
    assert told["prune"]["hosts"] == {"web1": {"releases": [], "error": error}}


def test_waves_are_shown_where_hosts_go_together():
    told = text(host("web1"), host("web2"), host("web3"), waves=[1, 2])
    assert "  wave 1: web1: gunicorn 20.0.1" in told
    assert "  wave 2: web3: gunicorn 20.0.1" in told
    assert "wave" not in text(host("web1"), host("web2")).partition("Time:")[0]


def test_what_is_there_is_exact_and_the_rest_is_not_claimed():
    there = release(1, "21.2.0", there=True, known="all", packages={"gunicorn": "21.2.0"})
    told = text(host("web1", seen={"found": {"packages": NOW, "stages": [there]}}))
    assert "built already" in told
    assert "gunicorn 20.0.1 -> 21.2.0; removed flask 2.0.3, zipp 3.6" in told
    open_ = text(host("web1"))
    assert "not pinned: zipp" in open_
    assert "removed" not in open_
    assert "decided when it is built" in open_


@pytest.mark.parametrize("found", [{"msg": "it broke"}, None, {"stages": [], "msg": "it broke"}])
def test_packages_that_could_not_be_read_are_not_known(found):
    told = text(host("web1", seen={"found": found}))
    assert "packages of web1, against now: not known" in told


def test_an_index_that_does_not_answer_is_one_line():
    told = text(host("web1"), index={"versions": [], "asked": ["https://i"], "error": "no route"})
    assert "Newer releases: the index could not be asked: no route" in told
    assert "Newer releases: the index could not be asked: nobody" in text(host("web1"), index={})


def test_many_hosts_are_counted():
    told = text(*[host(f"web{number}") for number in range(30)])
    assert "packages of web0, web1" in told
    assert "and 18 more, against now" in told


def test_who_asks_is_one_that_builds_and_answers():
    assert who_asks([down("web1"), host("web2", DONE), host("web3")]) == "web3"
    assert who_asks([down("web1"), host("web2", DONE)]) == ""
    assert who_asks([host("web1", seen={"problems": ["too old"]}), host("web2")]) == "web2"


def test_stages_to_look_at_are_those_of_the_run():
    stages = [*STAGES[:1], {**STAGES[1], "requirements": "/on/host.txt"}]
    first, second = stages_to_look_at(stages, "", "app.txt", {"app.txt": "flask==3"})
    assert first["requirements"] == "# app.txt\nflask==3"
    assert first["requirements_file"] == ""
    assert (second["requirements"], second["requirements_file"]) == ("", "/on/host.txt")
    assert [each["stage"] for each in stages_to_look_at(STAGES, "21.2.0", "", {})] == [1]
    assert stages_to_look_at(STAGES, "", "", {})[0]["requirements"] == ""


@pytest.mark.parametrize(
    ("info", "word"),
    [
        ({"failed": True, "msg": "socket gone"}, "socket gone"),
        ({"unreachable": True, "msg": "no route"}, "cannot be reached: no route"),
        ({"program": {"state": "STOPPED"}, "arbiter": None}, "says STOPPED"),
        ({}, "could not be asked"),
    ],
)
def test_what_is_wrong_with_a_host(info, word):
    (problem,) = problems_of(info, {"problems": []}, "app")
    assert word in problem


def test_nothing_is_wrong_with_a_good_one():
    info = {"program": {"state": "RUNNING"}, "arbiter": {"pid": 1}}
    assert problems_of(info, {"problems": []}, "app") == []
    assert problems_of(info, {"problems": ["too old"]}, "app") == ["too old"]


def test_after_the_build_the_packages_are_exact():
    releases = {"1": {"packages": {"flask": "2.0.3", "gunicorn": "21.2.0", "packaging": "21.3"}}}
    told = built_lines([host("web1", _rollout_releases=releases), host("web2")])
    assert told == [
        "Stage 1, packages of web1, as built, against now: gunicorn 20.0.1 -> 21.2.0;"
        " added packaging 21.3; removed zipp 3.6; 1 stay as they are"
    ]


RAMP = {"shares": [1, 10, 100], "soak": 30}


def test_a_ramp_is_told_with_whom_and_how_long():
    found = document(host("web1"), host("web2"), ramp=RAMP)
    stages = len({turn["stage"] for turn in found["turns"]})
    assert found["ramp"]["hosts"] == ["web1"]
    assert found["ramp"]["shares"] == [1, 10]
    assert found["ramp"]["seconds"] == stages * 60
    without = document(host("web1"), host("web2"))
    for bound in ("at_least", "at_most"):
        assert found["seconds"][bound] == without["seconds"][bound] + stages * 60
    told = "\n".join(plan_lines(found))
    assert (
        "web1 comes back with 1 %, 10 % and then all of its weight, each watched for 30 s" in told
    )
    assert "of ramp" not in text(host("web1"))


def test_who_follows_has_no_ramp():
    passed = {"phase": "passed", "plan": "48d5daade134", "stage": 9}
    found = document(host("web2"), ramp=RAMP, record={"hosts": {"web1": passed}})
    assert found["ramp"]["stages"] == [] and found["ramp"]["seconds"] == 0


def test_trials_are_counted_for_each_host_and_told():
    web1 = host("web1", _service_info={"program": {"user": "app"}})
    plan = document(web1, host("web2", DONE))
    assert list(plan["trials"]) == ["web1"]
    assert (plan["trials"]["web1"]["boots"], plan["trials"]["web1"]["user"]) == (3, "app")
    told = text(web1, trial={"test": "boot", "environment": ["DB"]})
    assert "Trials, before any host is drained: web1 import and boot the application 3 " in told
    assert "as app, with its own environment and DB of release_boot_environment" in told


def test_a_start_that_names_the_old_python_is_shown_with_its_stage():
    found = {"packages": NOW, "settings": SETTINGS}
    found["stages"] = [release(1, "21.2.0"), release(2, "23.0.0", stale=["PYTHONPATH=/v/lib"])]
    told = text(host("web1", seen={"found": found}))
    assert told.count("LOOK AT web1: the start names the old Python's directory: PYTHON") == 1


def test_what_cannot_be_built_is_a_problem_of_the_host_told_once():
    why = "carried over: gunicorn 23.0.0 is not allowed: mlflow 2.9.2 wants gunicorn<22"
    stages = [
        release(1, "21.2.0", problems=["stage 1: the venv holds config_local.py"]),
        release(
            2, "23.0.0", problems=["stage 2: the venv holds config_local.py", f"stage 2: {why}"]
        ),
    ]
    found = {"packages": NOW, "settings": SETTINGS, "stages": stages}
    told = document(host("web1", seen={"found": found}), host("web2"))
    assert told["problems"] == {
        "web1": ["stage 1, 2: the venv holds config_local.py", f"stage 2: {why}"]
    }


def test_who_may_have_to_move_is_told_with_the_stage():
    caps = ["pkg 1.0 wants Python<3.11"]
    found = {"packages": NOW, "settings": SETTINGS}
    found["stages"] = [release(1, "21.2.0"), release(2, "23.0.0", caps=caps)]
    told = text(host("web1", seen={"found": found}), host("web2"))
    assert (
        "not allowed by what web1 runs: pkg 1.0 wants Python<3.11; another version of these must"
        in told
    )


def test_what_else_runs_from_the_virtualenv_is_told_for_hosts_that_are_switched():
    celery = {"program": "celery:celery", "pid": 5, "python": "3.6.15", "gunicorn": False}
    info = {"beside": [{**celery, "listeners": [], "started": 1.0}]}
    hosts = [
        host("web1", _service_info=info),
        host("web2", _service_info=info),
        host("web3", DONE, _service_info=info),
    ]
    told = document(*hosts)["beside"]
    assert list(told) == ["web1", "web2"]
    (line,) = [line for line in text(*hosts).splitlines() if line.startswith("Beside it on")]
    assert line.startswith("Beside it on web1, web2: Program celery:celery runs from the same")
    assert "since Python 3.6 gives way to 3.11" in line


def test_what_is_switched_together_is_told_in_its_order():
    others = [{"program": "worker:worker", "problems": []}, {"program": "beat", "problems": []}]
    info = {"program": {"name": "app", "state": "RUNNING"}, "arbiter": {}, "programs": others}
    hosts = [host("web1", _service_info=info), host("web2", _service_info=info), host("web3")]
    assert document(*hosts)["programs"]["web1"] == ["app", "worker:worker", "beat"]
    assert (
        "Programs of web1, web2, started in this order with each release: app, worker, beat"
        in text(*hosts).splitlines()
    )


def test_what_speaks_against_one_of_them_is_a_problem_of_the_host():
    others = [{"program": "worker", "problems": ["worker is STOPPED."]}]
    info = {"program": {"state": "RUNNING"}, "arbiter": {"pid": 1}, "programs": others}
    assert problems_of(info, {"problems": []}, "app") == ["worker is STOPPED."]


# -- what bakes between the stages -----------------------------------------------------------------

BAKING = [{"gunicorn": "21.2.0", "bake": "4h"}, {"gunicorn": "23.0.0", "python": "3.11"}]
ON_IT = Running("21.2.0", "3.6.15", "r")


def baking(name, running=OLD, age=0.0):
    return host(name, running, stages=BAKING, _service_info={"age": age})


def test_a_bake_is_a_step_and_counts_in_the_time():
    plan = document(baking("web1"), baking("web2"), stages=BAKING)
    [bake] = plan["bakes"]["stages"]
    assert (bake["stage"], bake["seconds"], bake["left"]) == (1, 14400.0, 14400.0)
    assert plan["seconds"]["bake"] == 14400.0
    assert plan["seconds"]["at_least"] == 4 * 60 + 14400.0
    lines = plan_lines(plan)
    step = next(n for n, line in enumerate(lines) if line.startswith("Bake of stage 1: every"))
    assert next(n for n, line in enumerate(lines) if line.startswith("Stage 2")) == step + 1
    assert lines[step].endswith("the run ends there, and the same command goes on then")
    told = "\n".join(lines)
    assert "of that 4 h 0 min of bake" in told and "is not watched" not in told
    assert "the run waits in place" in text(baking("web1"), stages=BAKING, wait=True)


def test_what_has_baked_already_is_over():
    told = text(baking("web1", ON_IT, 3600.0), baking("web2", ON_IT, 7200.0), stages=BAKING)
    assert "runs it for 4 h, of which 1 h are over" in told
    [bake] = document(baking("web1", ON_IT, 9e9), stages=BAKING)["bakes"]["stages"]
    assert bake["left"] == 0
    # One that begins it now has all of it ahead.
    both = document(baking("web1", ON_IT, 9e9), baking("web2"), stages=BAKING)
    assert both["bakes"]["stages"][0]["left"] == 14400.0
    assert document(baking("web1", DONE), stages=BAKING)["bakes"]["stages"] == []


def test_a_stage_that_nobody_watches_before_the_next_is_named():
    told = text(host("web1"))
    assert "21.2.0 is not watched before 23.0.0; the stage takes `bake: 4h`" in told
    assert "is not watched" not in text(host("web1", DONE))
    assert "is not watched" not in text(host("web1", to="21.2.0"), to="21.2.0")


def test_a_bake_that_holds_nothing_is_told():
    last = [{"gunicorn": "21.2.0"}, {"gunicorn": "23.0.0", "python": "3.11", "bake": "1h"}]
    told = text(host("web1", stages=last), stages=last)
    assert "Its bake of 1 h holds nothing: no stage follows" in told


def test_what_is_no_duration_is_refused_by_its_name():
    wrong = [{"gunicorn": "21.2.0", "bake": "a while"}, {"gunicorn": "23.0.0"}]
    [problem] = plan_host(wrong, "", False, OLD)["problems"]
    assert problem.startswith("rollout_stages[0].bake: 'a while' is no duration")


def test_where_nothing_takes_a_host_out_the_outage_is_told():
    told = text(host("web1"), outage=True)
    assert "no load balancer is in front of web1" in told and "refused 2 times" in told
    assert f"at most {LIMITS['stop'] + LIMITS['start']:g} s" in told
    assert "Outage" not in text(host("web1"))
