from __future__ import annotations

import copy

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate import judge

SERVER = {
    "backend": "app",
    "server": "web1",
    "status": "UP",
    "counters": {"stot": 10, "econ": 1, "eresp": 0, "hrsp_5xx": 2},
}
LOOK = {
    "generation": {"pid": 100, "start_ticks": 5},
    "health": {"answers": 3, "seconds": 0.1},
    "process": {
        "program": {"state": "RUNNING"},
        "arbiter": {"pid": 100, "start_ticks": 5, "workers_wanted": 2},
        "workers": [{"pid": 101}, {"pid": 102}],
        "orphans": [],
        "unmanaged": [],
    },
    "log": {"verdict": "clean", "reasons": [], "incidents": []},
    "baseline": [{"item": "lb1", "servers": [SERVER]}],
    "balancers": [{"item": "lb1", "servers": [copy.deepcopy(SERVER)]}],
    "balancer_tolerance": {"connection_errors": 0, "http_5xx": 0},
}


def change(path, value):
    look = copy.deepcopy(LOOK)
    place = look
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return judge(look)


@pytest.mark.parametrize(
    ("log", "quiet", "verdict"),
    [
        ({"verdict": "clean", "tells": ""}, "fail", "inconclusive"),
        ({"verdict": "clean", "tells": ""}, "pass", "pass"),
        ({"verdict": "clean", "tells": "start"}, "fail", "pass"),
        ({"verdict": "clean", "tells": "line"}, "fail", "pass"),
        ({"verdict": "clean", "tells": "lost"}, "fail", "pass"),
        ({"verdict": "dirty", "tells": ""}, "fail", "fail"),
    ],
)
def test_requests_alone_make_no_log_heard(log, quiet, verdict):
    look = {**copy.deepcopy(LOOK), "log": {"reasons": [], **log}, "log_quiet": quiet}
    assert judge(look)["verdict"] == verdict


def test_all_well_is_a_pass_that_says_what_was_seen():
    result = judge(LOOK)
    assert (result["verdict"], result["reasons"]) == ("pass", [])
    assert result["summary"] == "0 requests, log clean, 0 incidents, arbiter 100, 2 workers"


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        (["health"], {"msg": "status 500", "answers": 1}, "500"),
        (["process", "program", "state"], "BACKOFF", "BACKOFF"),
        (["process", "arbiter"], None, "no gunicorn arbiter"),
        (["process", "arbiter", "pid"], 200, "restarted"),
        (["process", "arbiter", "start_ticks"], 6, "restarted"),
        (["process", "workers"], [{"pid": 101}], "1 of 2 workers"),
        (["process", "orphans"], [{"pid": 99}], "99"),
        (["process", "unmanaged"], [{"pid": 98}], "98"),
        (["log"], {"verdict": "dirty", "reasons": ["1 reentrant"]}, "1 reentrant"),
        (["balancers", 0, "servers", 0, "status"], "DOWN", "DOWN"),
        (["balancers", 0, "servers", 0, "status"], "UP 1/3", "UP 1/3"),
        (["balancers", 0, "servers", 0, "counters", "econ"], 2, "1 connection errors"),
        (["balancers", 0, "servers", 0, "counters", "hrsp_5xx"], 5, "3 http 5xx"),
    ],
)
def test_each_kind_of_trouble_fails_and_is_named(path, value, word):
    result = change(path, value)
    assert result["verdict"] == "fail"
    assert word in " ".join(result["reasons"])


def test_a_host_that_cannot_be_reached_is_not_an_application_that_fails():
    result = change(["health"], {"unreachable": True, "msg": "Connection timed out"})
    assert result["verdict"] == "error"
    assert "timed out" in " ".join(result["reasons"])


def test_a_log_that_was_lost_neither_passes_nor_sends_a_host_back():
    result = change(["log"], {"verdict": "gap", "reasons": ["rotated away"]})
    assert result["verdict"] == "inconclusive"
    assert "rotated away" in " ".join(result["reasons"])


@pytest.mark.parametrize(
    "path", [["process"], ["log"], ["balancers", 0]], ids=["process", "log", "balancer"]
)
def test_what_could_not_be_looked_at_is_an_error_neither_pass_nor_fail(path):
    result = change(path, {"msg": "permission denied"})
    assert result["verdict"] == "error"
    assert "permission denied" in result["reasons"][0]


def test_a_log_that_cannot_be_placed_is_no_reason_to_go_back():
    reasons = ["1 worker killed; neither its time nor its place nor a pid tells"]
    result = change(["log"], {"verdict": "inconclusive", "reasons": reasons})
    assert result["verdict"] == "inconclusive"
    assert "the log cannot be judged: 1 worker killed" in "; ".join(result["reasons"])


def test_a_silent_log_is_inconclusive_unless_the_operator_says_otherwise():
    silent = {"verdict": "no_data", "reasons": ["nothing written"]}
    assert change(["log"], silent)["verdict"] == "inconclusive"
    assert judge({"log": silent, "log_quiet": "pass"})["verdict"] == "pass"


def test_the_worst_verdict_wins():
    look = copy.deepcopy(LOOK)
    look["log"] = {"msg": "gone"}
    look["health"] = {"msg": "status 500"}
    assert judge(look)["verdict"] == "fail"


def test_a_reload_of_the_balancer_starts_the_counters_anew():
    counters = {"stot": 1, "econ": 0, "eresp": 0, "hrsp_5xx": 0}
    assert change(["balancers", 0, "servers", 0, "counters"], counters)["verdict"] == "pass"


def test_tolerated_errors_pass():
    look = copy.deepcopy(LOOK)
    look["balancers"][0]["servers"][0]["counters"]["hrsp_5xx"] = 4
    look["balancer_tolerance"]["http_5xx"] = 2
    assert judge(look)["verdict"] == "pass"


def test_without_an_earlier_look_no_counter_is_judged():
    assert change(["baseline"], [])["verdict"] == "pass"


def test_users_who_suffer_stop_the_run_and_take_nobody_back():
    def seen(errors):
        counters = {"req_tot": 1000, "hrsp_5xx": errors}
        totals = [{"backend": "app", "counters": counters}]
        return [{"item": "lb1", "node": {"pid": 1}, "totals": totals, "servers": []}]

    budget = {"baseline": seen(0), "errors": 5, "percent": -1}
    well = judge({"balancers": seen(5), "budget": budget})
    assert (well["verdict"], well["stop"]) == ("pass", False)
    ill = judge({"balancers": seen(6), "budget": budget})
    assert (ill["verdict"], ill["stop"]) == ("inconclusive", True)
    assert "6 errors" in ill["reasons"][0]
