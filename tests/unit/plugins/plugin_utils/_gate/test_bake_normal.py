# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is counted of a server while it bakes, against its own past and nobody else's."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.bake import bake_look
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.bake_normal import judge_bake

FINE = {"verdict": "pass", "reasons": []}
EVENTS = ("worker_killed", "worker_exception")


def look(pid=1, **servers):
    rows = [
        {
            "backend": "app",
            "server": name,
            "counters": {"stot": sent, "hrsp_5xx": bad, "hrsp_2xx": sent - bad},
        }
        for name, (sent, bad) in servers.items()
    ]
    return bake_look([{"item": "lb1", "node": {"pid": pid}, "backends": [{"servers": rows}]}], 1.0)


def judge(gate=None, server="web1", then=None, now=None, **more):
    given = {"server": server, "then": then or {}, "now": now or {}, "log": {}, "events": EVENTS}
    given |= {"age": 4 * 3600.0, "history": {}, "previous": "21.0.0-py3.6-x", "servers": 2}
    return judge_bake(FINE if gate is None else gate, given | more)


@pytest.mark.parametrize(
    ("then", "now", "verdict"),
    [
        # As before: 1 % and 1 %.
        ((50_000, 500), (60_000, 600), "pass"),
        # 1 % before and 10 % since.
        ((50_000, 500), (60_000, 1500), "fail"),
        ((50_000, 0), (60_000, 1), "pass"),
        ((50_000, 0), (60_000, 800), "fail"),
        # One failure in a few requests is no verdict.
        ((50_000, 0), (50_020, 1), "pass"),
        # It has not been asked since; it was never asked before.
        ((50_000, 500), (50_000, 500), "pass"),
        ((0, 0), (60_000, 600), "pass"),
    ],
)
def test_a_server_is_judged_against_its_own_past(then, now, verdict):
    other = {"web2": (70_000, 7000)}
    found = judge(then=look(web1=then, **other), now=look(web1=now, **other))
    assert found["verdict"] == verdict
    assert bool(found["reasons"]) == (verdict == "fail")


def test_what_others_did_is_no_matter():
    then = look(web1=(50_000, 0), web2=(50_000, 0))
    now = look(web1=(60_000, 0), web2=(60_000, 1500))
    assert judge(then=then, now=now) == FINE
    found = judge(server="web2", then=then, now=now)
    assert found["reasons"] == [
        "1500 of 10000 answers 5xx (15.0 %), before its drain 0 of 50000 (0.0 %): more than normal"
    ]


def test_a_balancer_that_began_to_count_anew_has_counted_since():
    then, now = look(web1=(50_000, 500)), look(pid=2, web1=(20_000, 200))
    assert judge(then=then, now=now) == FINE
    assert judge(then=then, now=look(pid=2, web1=(20_000, 4000)))["verdict"] == "fail"


def test_what_nobody_kept_speaks_against_nobody():
    now = look(web1=(60_000, 6000))
    assert judge(now=now) == FINE
    assert judge(then=look(web2=(1, 1)), now=now) == FINE
    assert judge(then=now, now={"balancers": []}) == FINE


def log(count, unsure=0):
    return {"counts": {"worker_killed": count}, "unsure": {"worker_killed": unsure}}


def before(count, hours=24.0):
    return {"since": 0.0, "until": hours * 3600, "counts": {"worker_killed": count}}


@pytest.mark.parametrize(
    ("deaths", "history", "verdict"),
    [
        # 6 a day before, and as many now.
        (1, before(6), "pass"),
        (3, before(6), "pass"),
        (150, before(6), "fail"),
        (1, before(0), "pass"),
        (200, before(0), "fail"),
        (60, before(500), "pass"),
    ],
)
def test_deaths_of_workers_are_judged_against_those_of_before(deaths, history, verdict):
    assert judge(log=log(deaths), history=history)["verdict"] == verdict


def test_a_log_that_could_not_have_told_is_no_normal():
    found = judge(log=log(2), history=before(0), previous="adopted-20.0.1-py3.6")
    assert found == FINE
    found = judge(log=log(900), history=before(0), previous="adopted-20.0.1-py3.6")
    assert "no log could have told before" in found["reasons"][0]


def test_what_may_be_of_another_generation_is_not_counted():
    assert judge(log=log(200, unsure=200), history=before(0)) == FINE


def test_what_the_gate_says_stays_said():
    ill = {"verdict": "fail", "reasons": ["log dirty: 1 reentrant"]}
    assert judge(ill) == ill
    assert judge({"verdict": "error", "reasons": ["x"]})["verdict"] == "error"
    assert judge({})["verdict"] == "error"
    then, now = look(web1=(50_000, 0)), look(web1=(60_000, 1500))
    assert len(judge(ill, then=then, now=now)["reasons"]) == 2
