# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json
from pathlib import Path

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report import data as report_data
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report import words
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.data import AFTER, clean
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.plugin_utils._report.paper_report import (
    RUN,
    WELL,
    counters,
    event,
    events,
    made,
    state,
    taken,
    version,
)


def states(data, host):
    return [span["state"] for span in data["hosts"][host]["spans"]]


# -- how it ended ----------------------------------------------------------------------------


def test_who_stopped_it_and_why():
    outcome = made()["outcome"]
    assert outcome == {
        "result": "stopped",
        "host": "web2",
        "reason": "web2: stage 1 failed.\nWhy",
        "cause": "soak: fail; log dirty",
        "unreachable": False,
        "code": "F-OTHER",
        "others": [],
        "out": [],
    }
    assert words.headline(made()) == "Stopped: web2 failed"


def test_the_first_host_that_failed_stopped_it():
    told = [*events(), event(1070, "failure", "web1", task="halt | Stop", text="stops before web1")]
    told[-1]["unreachable"] = False
    data = made(told, RUN._replace(failed=("web1", "web2")))
    assert data["outcome"]["host"] == "web2"
    assert [other["host"] for other in data["outcome"]["others"]] == ["web1"]


def test_each_host_that_failed_has_the_code_of_its_stop():
    lost = "stop_if_lost | Stop: Nothing is touched: web2 failed or cannot be reached. Repair it"
    told = [*events(), event(1070, "failure", "web1", task="halt | Stop", text=lost)]
    told[-1]["unreachable"] = False
    data = made(told, RUN._replace(failed=("web1", "web2")))
    assert [other["code"] for other in data["outcome"]["others"]] == ["F-LOST"]
    assert made(run=WELL)["outcome"]["code"] == ""
    told[-1] |= {"unreachable": True, "text": "x | Do: no route"}
    assert made(told, RUN._replace(failed=(), lost=("web1",)))["outcome"]["code"] == "F-LOST"


def test_a_failure_that_was_mended_stopped_nothing():
    assert made(run=WELL)["outcome"]["result"] == "done"


def test_a_host_that_failed_without_a_word_is_named():
    data = made([], RUN)
    assert (data["outcome"]["host"], data["outcome"]["result"]) == ("web2", "stopped")


def test_a_plan_is_told_as_a_plan():
    data = made(run=WELL._replace(check_mode=True))
    assert data["outcome"]["result"] == "planned"
    assert words.headline(data) == "Planned: nothing was changed"
    assert ("Run", "upgrade --check -l web") in words.facts(data)


def test_what_went_well_is_told_with_its_version():
    told = [each for each in events() if each.get("host") != "web2"]
    assert words.headline(made(told, WELL)) == ("Done: web1 runs gunicorn 23.0.0 on Python 3.11.2")


def test_when_there_was_nothing_to_do():
    told = [each for each in events() if each["kind"] in ("play", "plan", "versions")][:4]
    assert words.headline(made(told, WELL)) == "Done: nothing had to be changed"


def test_who_and_why_and_overrides():
    assert made()["people"] == {
        "user": "ada",
        "controller": "deploy1",
        "limit": "web",
        "kind": "upgrade to gunicorn 23.0.0",
        "reason": "support ends",
        "overrides": ["rollout_force"],
        "plan": "",
    }


# -- hosts -----------------------------------------------------------------------------------


def test_where_a_host_was():
    data = made()
    way = ["draining", "drained", "switching", "checking", "restoring", "serving"]
    assert states(data, "web1") == ["serving", *way, "soaking", "serving"]
    assert states(data, "web2") == [
        "serving", *way, "soaking", "serving", *way, "rolled back",
    ]  # fmt: skip
    spans = data["hosts"]["web2"]["spans"]
    assert spans[0]["began"] == data["began"] and spans[-1]["ended"] == data["ended"]
    for before, after in zip(spans, spans[1:], strict=False):
        assert before["ended"] == after["began"]


def test_where_every_host_is():
    data = made()
    assert {name: words.now(host) for name, host in data["hosts"].items()} == {
        "web1": "upgraded, in rotation",
        "web2": "rolled back, in rotation",
    }
    assert data["hosts"]["web1"]["outages"] == [{"began": 1020.0, "ended": 1025.0}]
    assert words.outages(data["hosts"]["web2"]) == "2 times, at most 5.0 s"


@pytest.mark.parametrize("last", range(5))
def test_a_host_that_was_not_put_back_is_out(last):
    told = [counters(1003, 1, 1, host="web1"), *taken(1010, "web1")[: last + 1]]
    data = made(told, RUN._replace(failed=("web1",)))
    assert data["hosts"]["web1"]["now"] == "out"
    assert data["outcome"]["out"] == ["web1"]
    assert words.now(data["hosts"]["web1"]) == "OUT OF ROTATION"


def test_a_host_that_nothing_was_done_to_is_untouched():
    data = made([counters(1003, 1, 1, host="web1"), version(1004, "web1", "20.0.1", "3.6")])
    assert words.now(data["hosts"]["web1"]) == "untouched, in rotation"


def test_a_host_that_was_out_before_is_said_to_be():
    look = counters(1003, 1, 1, host="web1")
    look["servers"]["web1"]["status"] = "MAINT"
    assert states(made([look, version(1004, "web1", "1", "3")]), "web1") == ["out"]


def test_a_host_with_stages_to_come_is_not_upgraded():
    told = events()
    for each in told:
        if each["kind"] == "plan":
            steps = [*each["plan"]["steps"], {**each["plan"]["steps"][0], "stage": 2}]
            each["plan"] = {**each["plan"], "steps": steps}
    assert words.now(made(told)["hosts"]["web1"]) == "passed 1 of 2 stages, in rotation"


def test_versions_before_and_after():
    host = made()["hosts"]["web2"]
    assert [each["gunicorn"] for each in host["versions"]] == ["20.0.1", "23.0.0", "20.0.1"]
    assert words.version(host, 0) == words.version(host, -1)


def test_an_adopted_release_is_no_other_version():
    told = [version(1, "web1", "20.0.1", "3.6"), version(2, "web1", "20.0.1", "3.6", "adopted")]
    assert [each["release"] for each in made(told)["hosts"]["web1"]["versions"]] == ["adopted"]


def test_waves_of_a_stage_are_one_stage_and_empty_plays_none():
    told = [*events(), event(1070, "play", name="Stage 2"), event(1071, "play", name="Conclude")]
    names = [stage["title"] for stage in made(told)["stages"]]
    assert names == ["Ask every host and every balancer", "Stage 1: gunicorn 23.0.0"]


# -- logs ------------------------------------------------------------------------------------


def test_incidents_per_hour_before_and_since():
    before, after = words.before_and_after(made())
    assert (before.incidents, before.seconds, before.per_hour) == (4, 14400, "1")
    assert (after.incidents, after.seconds) == (1, 11)


def test_without_a_look_at_the_old_log_it_is_unknown():
    told = [each for each in events() if each["kind"] != "log" or each["at"] > 1010]
    before, _after = words.before_and_after(made(told))
    assert before.text == "unknown"


def test_a_look_without_a_start_gives_no_rate():
    log = event(1, "log", "web1", verdict="clean", counts={}, pid=None, started=None)
    assert made([log])["logs"]["web1"][0]["per_hour"] is None


def test_looks_at_one_life_of_the_arbiter_are_one():
    log = {"verdict": "clean", "pid": 5}
    told = [
        event(100, "log", "web1", **log, counts={}, started=50.0),
        event(200, "log", "web1", **log, counts={"x": 1}, started=50.4),
    ]
    logs = made(told)["logs"]["web1"]
    assert [(each["incidents"], each["seconds"]) for each in logs] == [(1, 149.6)]


def test_so_short_a_time_shows_nothing():
    log = event(1120, "log", "web1", verdict="clean", counts={}, pid=20, started=1000)
    told = [state(1000, "web1", "switching"), log]
    assert "up to 90.0 per hour" in words.before_and_after(made(told))[1].blind


def test_the_worst_of_this_run_comes_first():
    assert [each["event"] for each in made()["incidents"]] == ["worker_killed", "worker_timeout"]
    assert [each["before"] for each in made()["incidents"]] == [False, True]


def test_looks_with_the_same_word_are_one():
    assert [(look["host"], look["verdict"], look["looks"]) for look in made()["looks"]] == [
        ("web1", "pass", 2),
        ("web2", "fail", 1),
    ]


# -- texts and bounds ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter2",
        "https://u:hunter2@index/simple",
        "x" * 3950 + " https://u:hunter2hunter2@index/simple " + "y" * 100,
        # Cut by somebody else, in the middle.
        "x" * 3950 + " https://user:hunter2",
        "x" * 1980 + " https://user:hunter2",
    ],
)
def test_a_secret_is_not_told(text):
    assert "hunter2" not in clean(text)


def test_a_secret_by_the_name_of_its_field():
    assert "hunter2" not in json.dumps(made([event(1, "said", "web1", api_token="hunter2")]))


@given(st.text(st.characters(codec=None), max_size=300))
def test_every_text_can_be_shown(text):
    shown = clean(text)
    shown.encode("utf-8")
    assert not any(ord(each) < 32 and each not in "\t\n" for each in shown)
    assert not set(shown) & set("\u202e\u2066\u200f\ufeff\uffff\x7f\x9b")


def test_control_characters_are_shown_as_what_they_are():
    assert clean("\x1b[31mred\x00 \u202egpj.exe\r\n") == "\\x1b[31mred\\x00 \\u202egpj.exe\n"


def test_a_long_text_ends():
    assert len(clean("ab " * 10_000)) <= report_data.TEXT


def test_events_are_bounded_and_the_important_ones_stay(monkeypatch):
    monkeypatch.setattr(report_data, "EVENTS_BYTES", 20_000)
    talk = [event(1001, "looked", "web1", text="x" * 500) for _number in range(200)]
    data = made([*events(), *talk])
    kinds = [each["kind"] for each in data["events"]]
    assert len(json.dumps(data["events"])) <= 20_000
    assert kinds.count("failure") == 2 and kinds.count("state") == 23
    assert 0 < kinds.count("looked") < 200
    assert data["left_out"]["events"] == len(events()) + 200 - len(kinds)
    dull = ("looked", "counters")
    assert [each["at"] for each in data["events"] if each["kind"] not in dull] == [
        each["at"] for each in events() if each["kind"] not in dull
    ]


def test_what_json_does_not_know_is_no_trap():
    odd = event(
        1, "said", "web1", nan=float("nan"), big=10**30, obj=object(), deep=[[[[[[[[[1]]]]]]]]]
    )
    json.dumps(made([odd]), allow_nan=False)


def test_a_run_of_which_nothing_is_known_has_a_report():
    data = made([], WELL)
    assert data["hosts"] == {} and data["outcome"]["result"] == "done"


def test_the_documentation_names_every_key():
    text = (Path(__file__).resolve().parents[5] / "docs/report.md").read_text()
    data = made()
    nested = [*data["outcome"], *data["people"], *data["hosts"]["web1"], *data["stages"][0]]
    nested += [*data["logs"]["web1"][0], *data["looks"][0], *data["balancers"]["lb1"]["total"]]
    assert [key for key in [*data, *nested] if f"`{key}`" not in text] == []
    assert [state for state in {*AFTER.values(), "unknown"} if f"`{state}`" not in text] == []
