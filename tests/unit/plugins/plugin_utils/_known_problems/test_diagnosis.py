from __future__ import annotations

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.application import (
    application_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.diagnosis import (
    diagnose,
    versions,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.table import HAZARDS

RUNS = {"gunicorn": "23.0.0", "python": "3.11.2"}
STAGES = [{"gunicorn": "21.2.0"}, {"gunicorn": "23.0.0", "python": "3.11"}]


def found(gunicorn, python, seen=None, earlier=None, stages=None, looked=True):
    return diagnose(
        {"gunicorn": gunicorn, "python": python},
        seen or {},
        earlier or {},
        stages or STAGES,
        looked,
    )


def problem(told, name):
    return next((each for each in told["known"] if each["name"] == name), None)


@pytest.mark.parametrize(
    ("gunicorn", "python", "seen", "earlier", "state"),
    [
        ("21.2.0", "3.6.15", {"reentrant": 2}, {}, "confirmed"),
        ("20.1.0", "3.6.15", {"reentrant": 1}, {"reentrant": 5}, "confirmed"),
        ("21.2.0", "3.6.15", {}, {"reentrant": 2}, "seen earlier"),
        ("23.0.0", "3.11.2", {}, {}, "possible"),
        ("23.0.0", "3.11.2", {"worker_killed": 9}, {}, "possible"),
        ("20.0.1", "3.6.15", {"reentrant": 2}, {}, None),
        ("24.1.1", "3.12.1", {"reentrant": 2}, {}, None),
    ],
)
def test_evidence_is_joined_with_the_versions_that_run(gunicorn, python, seen, earlier, state):
    told = problem(found(gunicorn, python, seen, earlier), "reentrant")
    assert (told and told["state"]) == state


def test_what_is_confirmed_comes_first_with_mitigation_cure_and_source():
    told = found("23.0.0", "3.11.2", {"reentrant": 3})["known"][0]
    assert (told["name"], told["state"]) == ("reentrant", "confirmed")
    assert told["evidence"] == {"reentrant": 3}
    assert "PYTHONUNBUFFERED=1" in told["today"]
    assert (told["cured_in"], told["cured_in_python"]) == ("26.1.0", "3.10")
    assert "#3441" in told["source"]


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [([], "24.1.0"), (["--threads=8"], "26.1.0"), (["-k", "gevent"], "24.1.0")],
)
def test_the_cure_is_none_that_brings_a_fault_to_this_application(arguments, cure):
    uses = application_of({"arguments": arguments, "names": {}, "whole": True})
    told = diagnose(RUNS, {"reentrant": 3}, {}, STAGES, True, uses)["known"][0]
    assert (told["name"], told["cured_in"]) == ("reentrant", cure)


def test_what_does_not_concern_the_application_is_left_out():
    runs = {"gunicorn": "26.0.0", "python": "3.12.1"}
    for arguments, there in (([], False), (["-k", "gthread"], True)):
        uses = application_of({"arguments": arguments, "names": {}, "whole": True})
        told = diagnose(runs, {}, {}, [], True, uses)["known"]
        assert ("gthread-waits-for-data" in {each["name"] for each in told}) is there


@pytest.mark.parametrize(
    ("seen", "earlier", "state"),
    [
        ({"reentrant": 1}, {}, "possible"),
        ({"main_loop_exception": 1}, {}, "possible"),
        ({"reentrant": 1, "main_loop_exception": 1}, {}, "confirmed"),
        ({"orphans": 2}, {"reentrant": 1}, "seen earlier"),
    ],
)
def test_a_death_is_believed_when_both_the_error_and_its_consequence_were_seen(
    seen, earlier, state
):
    assert problem(found("23.0.0", "3.11", seen, earlier), "arbiter-death")["state"] == state


def test_workers_that_are_missing_speak_for_the_version_that_loses_them():
    told = problem(found("24.0.0", "3.12", {"workers_missing": 3}), "dead-workers-stay-dead")
    assert (told["state"], told["evidence"]) == ("confirmed", {"workers_missing": 3})


def test_what_could_not_be_looked_for_is_not_said_to_be_unseen():
    assert problem(found("23.0.0", "3.11", looked=False), "reentrant")["state"] == "not looked for"


@pytest.mark.parametrize(
    ("stages", "cured_by"),
    [
        (STAGES, ""),
        ([*STAGES, {"gunicorn": "24.1.1", "python": "3.12"}], "stage 3 (gunicorn 24.1.1)"),
        # What is behind does not cure, though it was free of it.
        ([{"gunicorn": "20.0.4"}], ""),
        ([{"gunicorn": "nonsense"}], ""),
        ([], ""),
    ],
)
def test_the_stage_that_cures_is_looked_for_in_the_plan_of_the_operator(stages, cured_by):
    told = problem(found("21.2.0", "3.6.15", stages=stages), "reentrant")
    assert told["cured_by"] == cured_by


def test_evidence_that_no_version_explains_is_said_to_be_so():
    told = found("20.0.1", "3.6.15", {"reentrant": 2})["unexplained"]
    assert [(each["event"], each["count"], each["earlier"]) for each in told] == [
        ("reentrant", 2, 0)
    ]
    assert "reentrant of gunicorn 20.1 up to before 24.0" in told[0]["meaning"]
    assert "does not explain it with gunicorn 20.0.1" in told[0]["meaning"]
    assert "child_exit" in told[0]["meaning"]


def test_what_no_known_problem_explains_is_told_with_its_meaning():
    told = found("27.0.1", "3.13", {"worker_killed": 3}, {"ours": 1})["unexplained"]
    assert [each["event"] for each in told] == ["ours", "worker_killed"]
    assert "pattern of your own" in told[0]["meaning"]
    assert "OOM" in told[1]["meaning"]
    assert "No known problem of gunicorn 27.0.1 explains it" in told[1]["meaning"]


def test_what_is_explained_or_no_trouble_is_not_told_again():
    seen = {"reentrant": 1, "worker_terminated": 4}
    assert found("23.0.0", "3.11", seen)["unexplained"] == []


def test_versions_that_are_not_known_explain_nothing():
    told = found(None, None, {"reentrant": 1})
    assert told["known"] == []
    assert "could not be told" in told["unexplained"][0]["meaning"]


def test_versions_in_words():
    words = {hazard.name: versions(hazard) for hazard in HAZARDS}
    assert words["arbiter-death"] == "20.1 up to before 24.0, on Python 3.9 or newer"
    assert words["no-eventlet"] == "26.0 and newer, with worker_class eventlet"
    assert words["cve-2024-1135"].startswith("before 22.0, if gunicorn's own worker")
