from __future__ import annotations

import copy

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.verdict import (
    carried,
    judge,
    last_seen,
)

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


# --- what was not looked at -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "look",
    [
        {},
        {"health": None, "log": None},
        {"balancers": []},
        {"health": {"skipped": True}},
        {"health": {}},
        {"process": {}},
        {"log": {}},
        {"log": {"verdict": "bogus", "reasons": []}},
        {"balancers": [{"item": "lb1", "skipped": True}]},
    ],
)
def test_what_was_not_looked_at_is_an_error(look):
    result = judge(look)
    assert result["verdict"] == "error" and result["reasons"]


def test_balancers_that_are_not_there_are_not_missed():
    assert judge({**LOOK, "balancers": []})["verdict"] == "error"
    told = judge({**LOOK, "balancers": [], "balanced": False})
    assert told["verdict"] == "pass" and "requests" not in told["summary"]


def test_one_part_that_was_skipped_is_not_made_up_by_the_others():
    assert change(["health"], {"changed": False, "skipped": True})["verdict"] == "error"
    assert change(["balancers"], [])["verdict"] == "error"
    other = [{"item": "lb2", "servers": [SERVER]}]
    assert "nothing is known of app/web1 on lb1" in change(["baseline"], other)["reasons"][0]


def test_a_log_that_cannot_tell_is_inconclusive():
    assert change(["log"], {"verdict": "inconclusive", "reasons": ["x"]})["verdict"] == (
        "inconclusive"
    )


# --- another process of the balancer --------------------------------------------------------------


def of_four(pid, served, counts, item="lb1", mine="web3"):
    """One balancer with four servers, each ``(requests, 5xx)``."""
    rows = [
        {
            "backend": "app",
            "server": f"web{number}",
            "status": "UP",
            "counters": {"stot": sent, "hrsp_2xx": sent - bad, "hrsp_5xx": bad, "econ": 0},
        }
        for number, (sent, bad) in enumerate(counts, 1)
    ]
    return {
        "item": item,
        "node": {"pid": pid, "uptime": served, "requests": served},
        "servers": [row for row in rows if row["server"] == mine],
        "backends": [{"name": "app", "servers": rows}],
    }


def test_without_a_limit_no_single_count_is_a_verdict():
    look = copy.deepcopy(LOOK)
    look["balancers"][0]["servers"][0]["counters"]["hrsp_5xx"] = 400
    for limits in ({}, {"http_5xx": "auto", "connection_errors": "auto"}):
        assert judge({**look, "balancer_tolerance": limits})["verdict"] == "pass"


def over(then, now, **more):
    limits = {"connection_errors": 0, "http_5xx": 0}
    return judge({"baseline": then, "balancers": now, "balancer_tolerance": limits, **more})


def test_a_restart_that_counted_as_many_again_is_no_pass():
    """5 before, 5 since: compared across the restart they looked like none."""

    def result(pid, errors):
        row = {**SERVER, "counters": {"stot": 1000, "hrsp_5xx": errors}}
        return [{"item": "lb1", "node": {"pid": pid}, "servers": [row]}]

    found = over(result(1, 5), result(2, 5))
    assert found["verdict"] == "error" and "0 or 5 http 5xx" in found["reasons"][0]
    assert over(result(1, 5), result(2, 4))["verdict"] == "fail"
    sure = over(result(1, 50), result(2, 60))
    assert sure["verdict"] == "fail" and sure["reasons"][0].startswith("10 http 5xx")
    tolerant = {"balancer_tolerance": {"http_5xx": 5}}
    assert over(result(1, 5), result(2, 5), **tolerant)["verdict"] == "pass"


FIRST = [(900, 9), (800, 0), (50, 5), (700, 0)]
SECOND = [(650, 0), (640, 6), (40, 2), (660, 0)]


def test_of_four_servers_on_two_balancers_one_that_was_reloaded():
    """web3 alone could have gone on counting; its neighbours fell, so its 7 are all new."""
    then = [of_four(1, 2450, FIRST), of_four(5, 2000, SECOND, item="lb2")]
    fell = [of_four(2, 160, [(40, 0), (40, 0), (60, 7), (40, 0)]), then[1]]
    found = over(then, fell)
    assert (found["verdict"], found["reasons"][0][:10]) == ("fail", "7 http 5xx")
    assert "app/web3 on lb1" in found["reasons"][0] and len(found["reasons"]) == 1
    assert found["summary"] == "60 requests"


def test_of_four_servers_on_two_balancers_one_that_took_its_counters_over():
    """stats-file: 2,450 requests are there before the new process has served 100."""
    then = [of_four(1, 2450, FIRST), of_four(5, 2000, SECOND, item="lb2")]
    gone_on = of_four(2, 40, [(910, 9), (810, 0), (60, 5), (710, 0)])
    assert over(then, [gone_on, then[1]])["verdict"] == "pass"
    worse = of_four(2, 40, [(910, 9), (810, 0), (60, 6), (710, 0)])
    assert over(then, [worse, then[1]])["reasons"][0].startswith("1 http 5xx")


def test_what_had_risen_before_a_restart_still_counts_after_it():
    """3 errors, a restart, 3 more: 6, of which 4 are tolerated."""
    tolerant = {"balancer_tolerance": {"http_5xx": 4}}
    other = [(500, 0), (500, 0), (500, 0)]
    begun = [of_four(1, 2000, [(500, 7), *other], mine="web1")]
    worse = [of_four(1, 2100, [(530, 10), *other], mine="web1")]
    again = [of_four(2, 40, [(10, 3), (10, 0), (10, 0), (10, 0)], mine="web1")]
    later = [of_four(2, 80, [(20, 4), (20, 0), (20, 0), (20, 0)], mine="web1")]
    baseline = carried(begun, begun, worse)
    assert baseline == begun and over(baseline, worse, **tolerant)["verdict"] == "pass"
    baseline = carried(baseline, worse, again)
    found = over(baseline, again, **tolerant)
    assert found["verdict"] == "fail" and found["reasons"][0].startswith("6 http 5xx")
    assert found["summary"] == "40 requests"
    baseline = carried(baseline, again, later)
    assert over(baseline, later, **tolerant)["reasons"][0].startswith("7 http 5xx")
    # Whoever does not answer, or was not there, changes nothing.
    silent = [{"item": "lb1", "msg": "no answer"}]
    assert carried(begun, worse, silent) == begun == carried(begun, silent, again)
    assert carried([], worse, again) == [] == carried(None, None, None)
    assert last_seen(worse, silent) == worse and last_seen(worse, again) == again
    assert last_seen(None, None) == []


WORKER = {
    "program": "worker:worker",
    "state": "RUNNING",
    "said": "RUNNING",
    "pid": 7,
    "start_ticks": 70,
    "release": "new",
}


def with_worker(wanted=(), **changes):
    look = copy.deepcopy(LOOK)
    look["process"]["arbiter"]["release"] = "new"
    look["process"]["programs"] = [{**WORKER, **changes}]
    look["generation"]["programs"] = list(wanted)
    return judge(look)


def test_a_program_that_is_switched_with_it_must_stay_up():
    mine = [{"program": "worker:worker", "pid": 7, "start_ticks": 70}]
    assert with_worker()["verdict"] == with_worker(mine)["verdict"] == "pass"
    assert with_worker(mine, release=None)["verdict"] == "pass"
    for changes, words in (
        (
            {"state": "FATAL", "said": "FATAL"},
            "program worker:worker: the service manager says FATAL",
        ),
        ({"pid": 8}, "program worker:worker was restarted: pid 7 is now pid 8"),
        ({"release": "old"}, "program worker:worker runs from release old, not from the one of"),
    ):
        told = with_worker(mine, **changes)
        assert told["verdict"] == "fail" and words in told["reasons"][0], told
    # Whoever asks later knows no generation, and what was restarted since is no news.
    assert with_worker(pid=8)["verdict"] == "pass"
