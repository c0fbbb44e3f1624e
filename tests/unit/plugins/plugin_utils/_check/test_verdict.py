from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
from ansible_collections.fleetops.gunicorn.plugins.callback.exit_code import CallbackModule
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.text import (
    check_text,
    summary,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.verdict import (
    check,
    check_fleet,
    exit_code,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.verdict import judge

START, NOW = 1_790_000_000.0, 1_790_003_600.0
SERVER = {
    "backend": "app",
    "server": "web1",
    "status": "UP",
    "sessions": 3,
    "counters": {"stot": 100, "hrsp_5xx": 2, "econ": 1, "eresp": 4},
}
ARBITER = {
    "pid": 100,
    "start_ticks": 5,
    "started": START,
    "gunicorn": "23.0.0",
    "python": "3.11.2",
    "release": None,
    "workers_wanted": 2,
}
LOOK = {
    "host": "web1",
    "at": NOW,
    "since": None,
    "history_since": None,
    "history": None,
    "stages": [{"gunicorn": "24.1.1", "python": "3.12"}],
    "generation": ARBITER,
    "health": {"answers": 1},
    "process": {
        "program": {"state": "RUNNING"},
        "arbiter": ARBITER,
        "workers": [{"pid": 101}, {"pid": 102}],
        "listeners": ["127.0.0.1:8000"],
        "orphans": [],
        "unmanaged": [],
        "deviations": [],
        "unread": [],
        "logs": ["/var/log/app.log"],
        "venv": {"kind": "directory", "gunicorn": "23.0.0", "python": "3.11.2", "release": None},
    },
    "log": {"verdict": "clean", "reasons": [], "incidents": [], "counts": {}},
    "balancers": [{"item": "lb1", "servers": [SERVER], "node": {"uptime": 7200}}],
}


def incident(event="reentrant", when="2026-09-21T14:23:20Z", offset=10, severity="critical"):
    return {
        "event": event,
        "severity": severity,
        "first": when,
        "last": when,
        "path": "/var/log/app.log",
        "offset": offset,
        "excerpt": f"line of {event}",
    }


def dirty(*incidents):
    counts = {}
    for each in incidents:
        counts[each["event"]] = counts.get(each["event"], 0) + 1
    return {
        "verdict": "dirty",
        "reasons": ["1 reentrant (tolerated: 0)"],
        "incidents": list(incidents),
        "counts": counts,
    }


SILENT = {"verdict": "no_data", "reasons": ["nothing"], "incidents": [], "counts": {}}
CLEAN = LOOK["log"]


def look(**changes):
    return {**copy.deepcopy(LOOK), **changes}


def process(**changes):
    return {**copy.deepcopy(LOOK["process"]), **changes}


def test_a_clean_host_with_all_its_figures():
    told = check(look())
    assert (told["verdict"], told["reasons"]) == ("clean", [])
    assert (told["since"], told["stable_for"]) == (START, 3600)
    assert told["runs"]["gunicorn"] == "23.0.0"
    assert told["runs"]["up_for"] == 3600
    assert told["balancers"] == [
        {
            "balancer": "lb1",
            "backend": "app",
            "status": "UP",
            "sessions": 3,
            "requests": 100,
            "http_5xx": 2,
            "connection_errors": 5,
            "counted_for": 7200,
            "error": "",
        }
    ]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "clean"),
        ({"log": dirty(incident())}, "dirty"),
        ({"log": {**CLEAN, "verdict": "gap"}}, "inconclusive"),
        ({"log": SILENT}, "inconclusive"),
        ({"log": SILENT, "log_quiet": "pass"}, "clean"),
        ({"log": {"msg": "permission denied", "failed": True}}, "inconclusive"),
        ({"health": {"msg": "status 500"}}, "dirty"),
        ({"process": {"msg": "no supervisord"}}, "inconclusive"),
        ({"process": {"msg": "no supervisord"}, "health": {"msg": "refused"}}, "dirty"),
        ({"process": process(workers=[{"pid": 101}])}, "dirty"),
        ({"process": process(orphans=[{"pid": 9, "listeners": []}])}, "dirty"),
        ({"balancers": [{"item": "lb1", "msg": "no such socket"}]}, "inconclusive"),
        ({"balancers": [{"item": "lb1", "servers": [{**SERVER, "status": "DRAIN"}]}]}, "dirty"),
    ],
)
def test_the_verdict_is_the_gates_own(changes, verdict):
    words = {"pass": "clean", "fail": "dirty", "inconclusive": "inconclusive"}
    words["error"] = "inconclusive"
    told, gate = check(look(**changes)), judge(look(**changes))
    assert told["verdict"] == words[gate["verdict"]] == verdict
    assert told["reasons"] == gate["reasons"]


def test_an_incident_is_told_with_its_time_and_its_diagnosis():
    told = check(look(log=dirty(incident())))
    assert told["counts"] == {"reentrant": 1}
    assert told["stable_for"] == 3000
    assert told["diagnosis"]["known"][0]["state"] == "confirmed"
    assert told["diagnosis"]["known"][0]["cured_by"] == "stage 1 (gunicorn 24.1.1)"
    assert told["incidents"][0]["of_what_runs"]


def test_what_came_before_the_start_is_told_and_not_judged():
    told = check(look(history=dirty(incident()), history_since=START - 86400))
    assert told["verdict"] == "clean"
    assert told["stable_for"] == 3600
    assert told["earlier"]["counts"] == {"reentrant": 1}
    assert told["diagnosis"]["known"][0]["state"] == "seen earlier"
    assert not told["incidents"][0]["of_what_runs"]
    assert "1 reentrant since" in "\n".join(check_text(check_fleet({"web1": told}, NOW)))


def test_a_time_that_is_asked_for_is_judged_whoever_wrote_the_log():
    old, new = incident(), incident("worker_killed", offset=20, severity="error")
    told = check(
        look(
            since=START - 3600,
            history_since=START - 3600,
            history=dirty(old, new),
            log={**dirty(new), "verdict": "clean"},
        )
    )
    assert told["verdict"] == "dirty"
    assert told["since"] == START - 3600
    assert (told["counts"], told["earlier"]["counts"]) == ({"worker_killed": 1}, {"reentrant": 1})
    assert [each["of_what_runs"] for each in told["incidents"]] == [True, False]


def test_a_time_after_the_start_forgives_what_was_before_it():
    later = START + 1800
    told = check(look(since=later, history_since=later, history=SILENT, log=dirty(incident())))
    assert (told["verdict"], told["counts"], told["incidents"]) == ("clean", {}, [])
    assert told["stable_for"] == 1800
    told = check(look(since=later, history_since=later, history=dirty(incident()), log=CLEAN))
    assert (told["verdict"], told["counts"]) == ("dirty", {"reentrant": 1})
    assert told["incidents"][0]["of_what_runs"]


def test_silence_since_a_time_proves_nothing_where_the_wrong_log_is_read():
    later = START + 1800
    told = check(look(since=later, history_since=later, history=SILENT, log=SILENT))
    assert told["verdict"] == "inconclusive"


def test_where_no_gunicorn_runs_the_log_of_the_last_hours_is_told():
    nobody = {"pid": 0, "start_ticks": 0, "started": START - 86400}
    told = check(
        look(
            process=process(arbiter=None, workers=[], program={"state": "FATAL"}),
            generation=nobody,
            history_since=START - 86400,
            log=dirty(incident()),
        )
    )
    assert told["verdict"] == "dirty"
    assert told["runs"]["running"] is False
    assert told["runs"]["gunicorn"] == "23.0.0", "what it would start"
    assert (told["counts"], told["earlier"]["counts"]) == ({}, {"reentrant": 1})
    assert told["stable_for"] is None
    text = "\n".join(check_text(check_fleet({"web1": told}, NOW)))
    assert "NO GUNICORN RUNS; the service manager says FATAL" in text
    assert "line of reentrant" in text
    assert "before this start" not in text, "there is none"


def test_numbers_that_became_texts_on_the_way_are_numbers_again():
    """As ansible-core 2.16 hands them over, with an empty text for none."""
    texts = {"at": str(NOW), "since": "0.0", "history_since": "", "history": ""}
    assert check(look(**texts)) == check(look())
    lost = {"health": "", "log": "", "process": {"unreachable": True, "msg": "gone"}}
    assert check(look(**texts, **lost))["verdict"] == "inconclusive"


def test_a_gunicorn_that_came_up_meanwhile_is_no_clean_one():
    told = check(look(generation={"pid": 0, "start_ticks": 0, "started": START}))
    assert told["reasons"] == ["no gunicorn ran at first, now there is pid 100"]


@pytest.mark.parametrize("part", ["process", "health", "log", "history"])
def test_a_host_that_is_lost_at_any_time_is_inconclusive_and_nothing_is_held_against_it(part):
    lost = {"unreachable": True, "msg": "Failed to connect to the host via ssh: refused"}
    told = check(look(**{part: lost}))
    assert told["verdict"] == "inconclusive"
    assert "Failed to connect to the host via ssh" in told["reasons"][0]
    assert told["runs"]["running"] is None
    assert told["balancers"][0]["status"] == "UP", "the balancer's view is told all the same"


def test_a_log_that_cannot_be_read_is_not_said_to_hold_nothing():
    told = check(look(log={"msg": "permission denied", "failed": True}))
    assert told["stable_for"] is None
    text = "\n".join(check_text(check_fleet({"web1": told}, NOW)))
    assert "incidents  not known" in text
    assert "not seen" not in text
    assert "signs could not be looked for" in text


def test_how_long_it_is_stable_is_not_said_where_not_every_incident_is_described():
    many = dirty(*(incident(offset=number) for number in range(20)))
    many["counts"]["reentrant"] = 21
    assert check(look(log=many))["stable_for"] is None
    many["counts"]["reentrant"] = 20
    assert check(look(log=many))["stable_for"] is not None


# -- the fleet ----------------------------------------------------------------------------------


def verdicts(**words):
    looks = {
        "clean": look(),
        "dirty": look(log=dirty(incident())),
        "inconclusive": look(log=SILENT),
    }
    return {host: check({**looks[word], "host": host}) for host, word in words.items()}


@pytest.mark.parametrize(
    ("hosts", "verdict", "code"),
    [
        ({"a": "clean", "b": "clean"}, "clean", 0),
        ({"a": "clean", "b": "inconclusive"}, "inconclusive", 3),
        ({"a": "dirty", "b": "inconclusive"}, "dirty", 2),
        ({"a": "clean", "b": "dirty"}, "dirty", 2),
    ],
)
def test_the_worst_host_decides_and_comes_first(hosts, verdict, code):
    report = check_fleet(verdicts(**hosts), NOW)
    assert (report["verdict"], report["exit_code"]) == (verdict, code)
    assert report["hosts"][0]["verdict"] == verdict
    assert check_text(report)[0].startswith(f"check: {verdict.upper()} (")


def test_a_host_whose_check_broke_off_is_inconclusive():
    report = check_fleet({**verdicts(a="clean"), "b": None}, NOW)
    assert report["exit_code"] == 3
    assert "broke off" in report["hosts"][0]["reasons"][0]


def test_no_host_at_all_is_not_clean():
    assert check_fleet({}, NOW)["exit_code"] == 3


@pytest.mark.parametrize(
    ("hosts", "failed", "lost", "code"),
    [
        ({"a": "clean", "b": "inconclusive"}, ["b"], [], 3),
        ({"a": "clean", "b": "inconclusive"}, ["b"], ["b"], 3),
        ({"a": "clean", "b": "clean"}, [], [], None),
        ({"a": "dirty", "b": "inconclusive"}, ["a", "b"], [], None),
        ({"a": "dirty", "b": "inconclusive"}, ["b"], [], None),
        # Something else failed in the same run.
        ({"a": "clean", "b": "inconclusive"}, ["a", "b"], [], None),
        ({"a": "clean", "b": "inconclusive"}, ["b"], ["a"], None),
        ({"a": "clean", "b": "inconclusive"}, [], [], None),
    ],
)
def test_only_a_run_that_could_not_judge_gets_another_exit_code(hosts, failed, lost, code):
    assert exit_code(check_fleet(verdicts(**hosts), NOW), failed, lost) == code


class Told:
    """What Ansible hands to a callback."""

    def __init__(self, failures=(), dark=(), **facts):
        self._result = {"ansible_facts": facts}
        self.failures, self.dark = dict.fromkeys(failures, 1), dict.fromkeys(dark, 1)
        self.processed = {"b": 1}


def test_the_callback_leaves_with_3_and_leaves_other_runs_alone():
    callback = CallbackModule()
    callback.v2_playbook_on_stats(Told(failures=["b"]))
    callback.v2_runner_on_ok(Told(_check_report=check_fleet(verdicts(b="dirty"), NOW)))
    callback.v2_playbook_on_stats(Told(failures=["b"]))
    callback.v2_runner_on_ok(Told(_check_report=check_fleet(verdicts(b="inconclusive"), NOW)))
    with pytest.raises(SystemExit) as left:
        callback.v2_playbook_on_stats(Told(failures=["b"]))
    assert left.value.code == 3


def test_a_run_without_a_host_ends_with_2_and_says_where_it_looked(capsys):
    callback = CallbackModule()
    callback.v2_playbook_on_play_start(SimpleNamespace(hosts=["web"]))
    nobody = Told()
    nobody.processed = {}
    with pytest.raises(SystemExit) as left:
        callback.v2_playbook_on_stats(nobody)
    assert left.value.code == 2
    assert "the inventory has no host in web" in " ".join(capsys.readouterr().err.split())


def test_the_text_is_bounded_and_the_worst_is_in_it():
    hosts = verdicts(**{f"web{number}": "clean" for number in range(300)}, zzz="dirty")
    lines = check_text(check_fleet(hosts, NOW))
    assert len(lines) < 300
    assert "zzz  DIRTY" in lines[2]
    assert "... and 189 more hosts; all of them are in check_file" in lines
    long = check(look(health={"msg": "x" * 9000}, log=dirty(incident())))
    assert max(map(len, check_text(check_fleet({"web1": long}, NOW)))) <= 400
    assert len(summary(long)) < 700


def test_of_many_incidents_one_of_each_kind_is_shown():
    many = [incident(offset=number) for number in range(19)]
    killed = incident("worker_killed", offset=77, severity="error")
    told = check(look(log=dirty(*many, killed)))
    lines = check_text(check_fleet({"web1": told}, NOW))
    assert sum("line of reentrant" in line for line in lines) == 1
    assert sum("line of worker_killed" in line for line in lines) == 1


def test_the_last_line_says_why():
    assert summary(check(look())) == "clean; stable for 1 h 0 min"
    assert summary(check(look(health={"msg": "status 500"}))) == "dirty; status 500"
