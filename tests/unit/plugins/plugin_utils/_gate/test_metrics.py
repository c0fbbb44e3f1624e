# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the operator's metrics say of a server."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.metrics import (
    alone_problems,
    judge_metrics,
    metric_problems,
    metrics_line,
    neighbour_questions,
    questions,
    refusals,
    seen,
    window_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.verdict import judge

from tests.unit.plugins.plugin_utils._gate.paper_fleet import MOST, SOAK, PaperFleet

SWITCHED = 1000.0
PROMETHEUS = {"url": "https://prometheus.example.net", "query": 'errors{instance="web1"}'}
UNDER = {"name": "errors", "prometheus": PROMETHEUS, "rule": "under", "limit": 5}
BEFORE = {"name": "errors", "prometheus": PROMETHEUS, "rule": "no_worse_than_before"}
BESIDE = {**BEFORE, "rule": "no_worse_than_beside"}


def told(value: Any, who: str = "", at: float = 1030, **more: Any) -> dict[str, Any]:
    answer = {"name": "errors", "who": who, "state": "value", "value": str(value), "at": at}
    return {**answer, "error": "", **more}


def verdict(metric: dict[str, Any], *answers: dict[str, Any]) -> tuple[str, str]:
    """The one finding, or a pass."""
    found = judge_metrics([metric], {"answers": list(answers)}, SWITCHED)
    assert len(found) <= 1
    return (found[0].verdict, found[0].reason) if found else ("pass", "")


@pytest.mark.parametrize(
    ("metric", "answers", "wanted", "words"),
    [
        (UNDER, [told(4.9)], "pass", ""),
        (UNDER, [told(5)], "fail", "errors is 5, not under 5"),
        (UNDER, [told("nan")], "inconclusive", "is nan"),
        (UNDER, [told("inf")], "inconclusive", "is inf"),
        (UNDER, [told("", state="empty", error="no series")], "inconclusive", "no series"),
        (UNDER, [told("", state="several", error="2 series")], "inconclusive", "2 series"),
        (UNDER, [told("", state="error", error="HTTP 503")], "error", "HTTP 503"),
        (UNDER, [told(9, at=999)], "inconclusive", "1 s before the switch"),
        (UNDER, [], "error", "was not asked"),
        (BEFORE, [told(11), told(10, "before", at=900)], "pass", ""),
        (BEFORE, [told(12), told(10, "before", at=900)], "fail", "is 12, before 10"),
        (BEFORE, [told(12), told(10, "web2")], "inconclusive", "nothing to be compared"),
        (BEFORE, [told(1), told("nan", "before")], "inconclusive", "of before is nan"),
        (BESIDE, [told(12), told(10, "web2"), told(11, "web3")], "pass", ""),
        (BESIDE, [told(13), told(10, "web2"), told(11, "web3")], "fail", "web2, web3 beside it 11"),
        (BESIDE, [told(1), told("", "web2", state="error", error="refused")], "error", "refused"),
        (BESIDE, [told(9), told(0, "web2")], "fail", "beside it 0"),
        ({**BESIDE, "ignore_under": 9}, [told(9), told(0, "web2")], "pass", ""),
        ({**BESIDE, "tolerance": 0}, [told(10.1), told(10, "web2")], "fail", "is 10.1"),
        (BESIDE, [told(9)], "inconclusive", "nothing to be compared"),
    ],
)
def test_a_metric_leads_to_one_verdict(metric, answers, wanted, words):
    found, reason = verdict(metric, *answers)
    assert found == wanted, reason
    assert words in reason


def test_what_reads_of_the_time_before_the_switch_tells_nothing():
    rated = {**UNDER, "prometheus": {**PROMETHEUS, "query": "rate(x[1m30s]) / rate(y[30s:5s])"}}
    assert window_of(rated) == 90
    assert verdict(rated, told(99, at=1089))[0] == "inconclusive"
    assert verdict(rated, told(99, at=1090))[0] == "fail"
    assert verdict({**rated, "window": 10}, told(99, at=1011))[0] == "fail"


def test_a_module_that_failed_is_an_error():
    [found] = judge_metrics([UNDER], {"failed": True, "msg": "no such module"}, SWITCHED)
    assert (found.verdict, "no such module" in found.reason) == ("error", True)


def test_each_server_is_asked_for_what_is_compared():
    assert [each["who"] for each in questions([UNDER, BEFORE], at=900)] == ["", "", "before"]
    assert [each["at"] for each in questions([BEFORE], at=900)] == [0, 900]
    assert questions([UNDER, BEFORE], "web2") == []
    assert [each["who"] for each in questions([BESIDE], "web2")] == ["web2"]


def test_servers_beside_are_asked_for_their_own_metrics():
    own = {**BESIDE, "prometheus": {**PROMETHEUS, "query": "web3's"}}
    asked = neighbour_questions(
        [
            {"inventory_hostname": "web1", "gate_metrics": [BESIDE]},
            {"inventory_hostname": "web2", "gate_metrics": [BESIDE, UNDER]},
            {"inventory_hostname": "web3", "gate_metrics": [own], "load_balancer_server": "s3"},
        ],
        ["web2", "s3"],
    )
    assert [(each["who"], each["query"]) for each in asked] == [
        ("web2", PROMETHEUS["query"]),
        ("web3", "web3's"),
    ]


def test_who_is_compared_with_nobody_is_judged_by_the_other_rules_alone():
    assert seen([BESIDE], {"answers": []}, []) == {}
    assert [each["rule"] for each in seen([BESIDE, UNDER], {}, [])["metrics"]] == ["under"]
    assert len(seen([BESIDE, UNDER], {}, ["web2"])["metrics"]) == 2


def test_credentials_do_not_go_into_the_verdict():
    secret = {**UNDER, "headers": {"Authorization": "Bearer sesame"}}
    assert "sesame" not in str(seen([secret], {"answers": []}, []))
    assert questions([secret])[0]["headers"] == {"Authorization": "Bearer sesame"}


def test_the_verdict_of_a_look_has_the_metrics_in_it():
    look = {
        "health": {"answers": 1},
        "generation": {"started": SWITCHED},
        "metrics": seen([UNDER], {"answers": [told(6)]}, []),
    }
    assert judge(look)["verdict"] == "fail"
    assert judge({**look, "metrics": {}})["verdict"] == "pass"


def test_preflight_refuses_what_could_never_be_judged():
    answers = [
        told("", state="error", error="HTTP 400: parse error"),
        told("", state="several", error="2 series, where one is wanted"),
        told("", state="empty", error="no series"),
        told(3),
    ]
    found = refusals({"answers": answers})
    assert len(found) == 2
    assert "parse error" in found[0]
    assert "2 series" in found[1]
    assert "no such" in refusals({"msg": "no such"})[0]


def test_a_server_that_has_nobody_beside_it_is_refused():
    assert alone_problems([BESIDE], True) == []
    assert alone_problems([UNDER, BEFORE], False) == []
    assert "compared with no other" in alone_problems([BESIDE], False)[0]


def test_the_plan_names_them_in_one_line():
    line = metrics_line([UNDER, {**BESIDE, "name": "p99"}])
    assert line == "Metrics in each soak: errors under 5, p99 no worse than beside"


JSON = {"url": "http://web1/stats", "path": "a.b"}


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ({"name": ""}, "number 1 has no name"),
        ("errors", "number 1 has no name"),
        ({**UNDER, "rules": 1}, "there is no rules"),
        ({**UNDER, "http_json": JSON}, "give one of prometheus and http_json"),
        ({**UNDER, "prometheus": {"url": "http://x"}}, "takes url and query"),
        ({**UNDER, "prometheus": {**PROMETHEUS, "query": " "}}, "has something empty"),
        ({**UNDER, "prometheus": {**PROMETHEUS, "url": "file:///etc/passwd"}}, "no http://"),
        ({**UNDER, "prometheus": {**PROMETHEUS, "url": "http://u:p@x"}}, "give headers"),
        ({**UNDER, "rule": "over"}, "rule is over"),
        ({**UNDER, "limit": None}, "it needs one"),
        ({**BEFORE, "limit": 3}, "limit belongs to"),
        ({**UNDER, "limit": "many"}, "limit is many"),
        ({**BEFORE, "tolerance": -1}, "not below 0"),
        ({**UNDER, "timeout": 600}, "at most 60"),
        ({**UNDER, "headers": {"X": "a\r\nY: b"}}, "one line of text"),
        ({"name": "x", "http_json": JSON, "rule": "no_worse_than_before"}, "only prometheus can"),
        ({**UNDER, "window": 300}, "could never tell"),
    ],
)
def test_an_input_that_cannot_be_is_named(metric, words):
    assert any(words in each for each in metric_problems([metric], 300.0))


def test_inputs_that_are_right():
    beside = {"name": "json", "http_json": JSON, "rule": "no_worse_than_beside", "tolerance": "0.5"}
    assert metric_problems([UNDER, {**BEFORE, "name": "more"}, beside], 300.0) == []
    assert "two are called errors" in metric_problems([UNDER, UNDER], 300.0)[0]


# --- in a soak -----------------------------------------------------------------------------------


def soaked(answer_of, looks=60):
    """The state at the end of a soak in which each look gets ``answer_of(number)``."""
    fleet = PaperFleet()
    fleet.begin()
    for number in range(1, looks + 1):
        for name in fleet.names:
            fleet.serve(name, 50)
        fleet.metrics = seen([UNDER], {"answers": [answer_of(number)]}, [])
        state = fleet.look(number)
        if state["done"] or state["verdict"] == "fail":
            break
    return state


def test_a_metric_that_is_worse_fails_if_it_lasts():
    state = soaked(lambda n: told(9 if n > 3 else 1))
    assert (state["verdict"], state["look"]) == ("fail", 6)
    # Twice is no verdict, and three times with a good look between is none either.
    state = soaked(lambda n: told(9 if n in (3, 4, 6, 7) else 1))
    assert (state["verdict"], state["look"]) == ("pass", SOAK)


def test_a_soak_looks_on_while_a_metric_tells_nothing():
    state = soaked(lambda n: told(1, at=999 if n < SOAK + 3 else 1030))
    assert (state["verdict"], state["look"]) == ("pass", SOAK + 3)
    state = soaked(lambda n: told("", state="empty", error="no series"))
    assert (state["verdict"], state["look"], state["done"]) == ("inconclusive", MOST, True)
    state = soaked(lambda n: told("", state="error", error="HTTP 503"))
    assert (state["verdict"], state["look"]) == ("error", MOST)
