# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each balancer is asked once for a fleet; of its answer each host gets what is about itself."""

from __future__ import annotations

import json

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._fleet_questions import (
    answers_about,
    fleet_questions,
)


def host(server, **more):
    alike = {
        "balancers": ["lb1", "lb2"],
        "provider": "haproxy",
        "reach": {"load_balancer_socket": "/s"},
        "backends": ["app"],
        "min_available": "1",
        "lease_directory": "/l",
    }
    return {"server": server, **alike, **more}


def answer(question, **about):
    node = {"name": question["balancer"], "pid": 1}
    totals = [{"backend": "app", "counters": {}}]
    return {"item": question, "node": node, "level": "admin", "totals": totals, "about": about}


def test_a_fleet_of_one_kind_is_one_question_for_each_balancer():
    questions = fleet_questions(host(f"web{number}") for number in range(1000))
    assert [each["balancer"] for each in questions] == ["lb1", "lb2"]
    assert all(len(each["servers"]) == 1000 for each in questions)


def test_hosts_of_other_backends_or_balancers_are_another_question():
    kinds = [host("web1"), host("web2", backends=["api"]), host("web3", balancers=["lb3"])]
    asked = [(each["balancer"], each["servers"]) for each in fleet_questions(kinds)]
    assert asked == [
        ("lb1", ["web1"]),
        ("lb2", ["web1"]),
        ("lb1", ["web2"]),
        ("lb2", ["web2"]),
        ("lb3", ["web3"]),
    ]


def test_two_hosts_that_are_one_server_are_asked_about_once():
    [question] = fleet_questions([host("web1", balancers=["lb1"])] * 2)
    assert question["servers"] == ["web1"]


def test_a_host_gets_what_is_about_itself_and_nothing_of_the_others():
    questions = fleet_questions([host("web1"), host("web2")])
    results = [
        answer(each, web1={"servers": ["one"], "lease": None}, web2={"servers": ["two"]})
        for each in questions
    ]
    told = answers_about(results, host("web2"))
    assert [(each["item"], each["servers"]) for each in told] == [
        ("lb1", ["two"]),
        ("lb2", ["two"]),
    ]
    assert told[0]["node"]["name"] == "lb1" and told[0]["level"] == "admin"
    assert "one" not in json.dumps(told)


def test_answers_to_another_question_are_not_about_the_host():
    questions = fleet_questions([host("web1"), host("web1", backends=["api"])])
    results = [answer(each, web1={"servers": each["backends"]}) for each in questions]
    told = answers_about(results, host("web1", backends=["api"]))
    assert [each["servers"] for each in told] == [["api"], ["api"]]


def test_a_balancer_that_gave_no_answer_says_why_to_every_host():
    [question] = fleet_questions([host("web1", balancers=["lb1"])])
    lost = {"item": question, "unreachable": True, "msg": "no route"}
    broken = {"item": question, "failed": False, "msg": "no such socket"}
    [told] = answers_about([lost], host("web1", balancers=["lb1"]))
    assert told == {"item": "lb1", "failed": True, "unreachable": True, "msg": "no route"}
    [told] = answers_about([broken], host("web1", balancers=["lb1"]))
    assert told == {"item": "lb1", "failed": True, "msg": "no such socket"}


def test_a_server_that_the_balancer_does_not_have_is_no_answer():
    [question] = fleet_questions([host("web1", balancers=["lb1"])])
    result = answer(question, web1={"msg": "Server 'web1' is not in backend 'app'"})
    [told] = answers_about([result], host("web1", balancers=["lb1"]))
    assert told["msg"].startswith("Server 'web1' is not in") and "servers" not in told
