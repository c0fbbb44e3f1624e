# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which part of a host's logs a check reads, and the report of a fleet from all answers."""

from __future__ import annotations

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.hosts import (
    Times,
    check_hosts,
    reads,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.text import summaries

from tests.unit.plugins.plugin_utils.paper_questions import OF

NOW = 1000.0
ARBITER = {
    "pid": 7,
    "start_ticks": 7,
    "started": 400.0,
    "workers_wanted": 1,
    "gunicorn": "23.0.0",
    "python": "3.11.2",
}
INFO = {
    "arbiter": ARBITER,
    "program": {"state": "RUNNING"},
    "workers": [{"pid": 8}],
    "venv": {"kind": "symlink"},
    "orphans": [],
    "unmanaged": [],
    "deviations": [],
    "unread": [],
}
CLEAN_LOG = {"verdict": "clean", "reasons": [], "incidents": [], "counts": {}}


@pytest.mark.parametrize(
    ("since", "history", "wanted"),
    [
        (0, 0, (0, 0)),
        (0, 100, (100, 400)),
        # What came before the generation is part of it already.
        (0, 500, (0, 0)),
        (600, 100, (600, 0)),
        (100, 50, (100, 0)),
    ],
)
def test_what_is_read_beside_the_log_of_what_runs(since, history, wanted):
    found = reads(INFO, Times(NOW, since, history))
    assert (found.since, found.until) == wanted
    assert found.generation == ARBITER and not found.lost


@pytest.mark.parametrize(
    ("since", "history", "back"), [(600, 100, 600), (0, 100, 100), (0, 0, NOW)]
)
def test_where_nothing_runs_the_log_of_whoever_wrote_it_is_read(since, history, back):
    for info in ({**INFO, "arbiter": None}, {"msg": "no such program"}):
        found = reads(info, Times(NOW, since, history))
        assert found.generation == {"pid": 0, "start_ticks": 0, "started": back}
        assert (found.since, found.history_since) == (0, back)


def host(server="web1", **more):
    judged = {"stages": [{"gunicorn": "23.0.0"}], "log_quiet": "fail"}
    return {
        "_settings_checked": {"host": {"server": server, **OF}, "judged_by": judged},
        "_check_server": {"service": INFO, "health": {"answers": 1}, "log": CLEAN_LOG},
        "_check_log": {"skipped": True},
        "_check_history_log": {"skipped": True},
        **more,
    }


def report(**hosts):
    about = {
        name: {"servers": [{"backend": "app", "server": name, "status": "UP", "counters": {}}]}
        for name in ("web1", "web2")
    }
    balancers = [{"item": {**OF, "balancer": "lb1"}, "node": {"uptime": 9}, "about": about}]
    return check_hosts(hosts.items(), Times(NOW, 0, 0), balancers, NOW)


def verdicts(told):
    return {each["host"]: each["verdict"] for each in told["hosts"]}


def test_a_host_that_is_well_is_clean_with_what_the_balancer_sees_of_it():
    told = report(web1=host())
    assert verdicts(told) == {"web1": "clean"}
    [seen] = told["hosts"][0]["balancers"]
    assert (seen["balancer"], seen["status"], seen["counted_for"]) == ("lb1", "UP", 9)
    assert summaries(told)["web1"] == {"clean": True, "text": "clean; stable for 10 min"}


def test_a_host_that_the_balancer_does_not_see_up_is_dirty():
    balancers = [
        {
            "item": {**OF, "balancer": "lb1"},
            "about": {
                "web1": {
                    "servers": [
                        {"backend": "app", "server": "web1", "status": "DOWN", "counters": {}}
                    ]
                }
            },
        }
    ]
    told = check_hosts([("web1", host())], Times(NOW, 0, 0), balancers, NOW)
    assert verdicts(told) == {"web1": "dirty"}
    assert not summaries(told)["web1"]["clean"]


def test_a_host_that_cannot_be_reached_is_inconclusive_and_hides_nobody():
    lost = host(_check_server={"unreachable": True, "msg": "no route"})
    told = report(web1=lost, web2=host("web2"))
    assert verdicts(told) == {"web1": "inconclusive", "web2": "clean"}
    assert "no route" in told["hosts"][0]["reasons"][0]
    assert told["hosts"][0]["balancers"][0]["status"] == "UP"


def test_a_host_whose_check_breaks_off_hides_nobody():
    broken = host(_check_server={"service": {**INFO, "program": "what is this"}})
    told = report(web1=broken, web2=host("web2"))
    assert verdicts(told) == {"web1": "inconclusive", "web2": "clean"}
    assert "broke off: " in told["hosts"][0]["reasons"][0]


def test_a_host_whose_inputs_were_refused_is_told_without_an_answer():
    told = report(web1={"_settings_checked": {"failed": True}}, web2=host("web2"))
    assert verdicts(told) == {"web1": "inconclusive", "web2": "clean"}


def test_a_log_that_was_not_read_is_none():
    assert verdicts(report(web1=host(_check_log={"msg": "no such file"}))) == {
        "web1": "inconclusive"
    }


def test_a_host_without_a_balancer_is_not_asked_for_one():
    alone = host()
    asked = {**alone["_settings_checked"]["host"], "balancers": []}
    alone["_settings_checked"] = {**alone["_settings_checked"], "host": asked}
    told = check_hosts([("web1", alone)], Times(NOW, 0, 0), [], NOW)
    assert told["hosts"][0]["verdict"] == "clean", told["hosts"][0]["reasons"]
