from __future__ import annotations

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan import steps as plan_steps
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.steps import Running

DEFAULT = ({"gunicorn": "21.2.0"}, {"gunicorn": "23.0.0", "python": "3.11"})
INCIDENT = Running("20.0.1", "3.6.15", "")


def plan(stages=DEFAULT, to="", allow_downgrade=False, running=INCIDENT):
    return plan_steps.plan_host(stages, to, allow_downgrade, running)


def actions(result):
    return [step["action"] for step in result["steps"]]


def test_the_incident_takes_both_stages():
    result = plan()
    assert result["problems"] == []
    assert [(s["from_gunicorn"], s["gunicorn"], s["python"]) for s in result["steps"]] == [
        ("20.0.1", "21.2.0", "3.6"),
        ("21.2.0", "23.0.0", "3.11"),
    ]


@pytest.mark.parametrize(
    ("running", "expected"),
    [
        (Running("20.0.1", "3.6.15", ""), ["upgrade", "upgrade"]),
        (Running("21.2.0", "3.6.15", "x"), ["skip", "upgrade"]),
        (Running("22.0.0", "3.8.1", "x"), ["skip", "upgrade"]),
        (Running("23.0.0", "3.9.18", "x"), ["skip", "upgrade"]),
        (Running("23.0.0", "3.11.7", "x"), ["skip", "skip"]),
        (Running("23.0.0", "3.12.1", "x"), ["skip", "skip"]),
        (Running("25.1.0", "3.12.1", "x"), ["skip", "skip"]),
    ],
)
def test_a_host_at_or_past_a_stage_skips_it(running, expected):
    assert actions(plan(running=running)) == expected


def test_a_skip_says_why():
    assert (
        "runs gunicorn 25.1.0" in plan(running=Running("25.1.0", "3.12", "x"))["steps"][0]["reason"]
    )


def test_going_down_is_refused_unless_allowed():
    down = [{"gunicorn": "23.0.0", "python": "3.11"}, {"gunicorn": "21.2.0"}]
    (problem,) = plan(down)["problems"]
    assert "rollout_stages[1]" in problem
    assert "rollout_allow_downgrade" in problem
    assert actions(plan(down, allow_downgrade=True)) == ["upgrade", "upgrade"]


def test_python_going_down_is_refused():
    down = [{"gunicorn": "21.2.0", "python": "3.11"}, {"gunicorn": "23.0.0", "python": "3.9"}]
    (problem,) = plan(down)["problems"]
    assert "from Python 3.11 to 3.9" in problem


def test_a_python_that_gunicorn_does_not_support_is_refused():
    (problem,) = plan([{"gunicorn": "23.0.0"}])["problems"]
    assert "needs Python 3.7 or newer" in problem
    assert "3.6" in problem


def test_an_impossible_stage_that_the_host_is_past_is_no_problem():
    assert plan([{"gunicorn": "23.0.0"}], running=Running("23.0.0", "3.9.1", "x"))["problems"] == []


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ({"gunicorn": "23.0.0", "pyhton": "3.11"}, ["'pyhton'", "gunicorn, python, requirements"]),
        ({"gunicorn": ">=23"}, ["'>=23'", "exact version"]),
        ({"gunicorn": 23.0}, ["23.0", "exact version"]),
        ({}, ["None", "exact version"]),
        ({"gunicorn": "23.0.0", "python": 3.1}, ["3.1", "in quotes"]),
        ({"gunicorn": "23.0.0", "python": "python3"}, ["'python3'", "absolute path"]),
        ({"gunicorn": "23.0.0", "requirements": ["a"]}, ["requirements", "path"]),
        ("23.0.0", ["'23.0.0'", "dictionary"]),
    ],
)
def test_a_bad_stage_is_named_with_what_is_allowed(stage, words):
    result = plan([stage])
    assert result["steps"] == []
    assert result["problems"]
    assert "rollout_stages[0]" in result["problems"][0]
    for word in words:
        assert word in result["problems"][0]


def test_all_bad_stages_are_reported_at_once():
    assert len(plan([{"gunicorn": "x"}, {"gunicorn": "y"}])["problems"]) == 2


@pytest.mark.parametrize("raw", [None, [], "23.0.0", {}, [{"gunicorn": "23.0.0"}] * 9])
def test_the_list_itself_is_checked(raw):
    (problem,) = plan(raw)["problems"]
    assert problem.startswith("rollout_stages")


def test_rollout_to_ends_the_run_early():
    assert [s["gunicorn"] for s in plan(to="21.2.0")["stages"]] == ["21.2.0"]


def test_an_unknown_rollout_to_names_the_stages():
    (problem,) = plan(to="22.0.0")["problems"]
    assert "21.2.0, 23.0.0" in problem


def test_a_path_says_its_python():
    stages = [{"gunicorn": "23.0.0", "python": "/opt/py/bin/python3.11"}]
    assert plan(stages, running=Running("23.0.0", "3.11.4", "x"))["steps"][0]["action"] == "skip"
    assert plan(stages)["steps"][0]["python"] == "/opt/py/bin/python3.11"


def test_a_host_that_could_not_be_asked_has_no_steps():
    assert plan(running=None)["steps"] == []


@pytest.mark.parametrize(
    ("running", "expected"),
    [
        (Running("21.2.0", "3.6.15", "x", True), ["finish", "upgrade"]),
        (Running("23.0.0", "3.11.7", "x", True), ["skip", "finish"]),
        # What it runs is no stage: nothing of it can be finished here.
        (Running("22.0.0", "3.11.7", "x", True), ["skip", "upgrade"]),
    ],
)
def test_what_was_switched_and_never_proved_is_finished(running, expected):
    result = plan(running=running)
    assert actions(result) == expected


@pytest.mark.parametrize(
    ("phase", "release", "expected"),
    [
        ("taken", "x", True),
        ("failed", "x", True),
        ("out", "x", True),
        ("passed", "x", False),
        ("returned", "x", False),
        ("taken", "another", False),
    ],
)
def test_the_record_knows_what_was_never_proved(phase, release, expected):
    record = {"hosts": {"web1": {"phase": phase, "release": release}}}
    assert plan_steps.unfinished(record, "web1", "x") is expected
    assert not plan_steps.unfinished(record, "web2", "x")


@pytest.mark.parametrize("record", [None, {}, {"hosts": {"web1": {"release": None}}}])
def test_nothing_known_is_nothing_to_finish(record):
    assert not plan_steps.unfinished(record, "web1", "")
    assert not plan_steps.unfinished(record, "web1", "x")


@pytest.mark.parametrize(
    ("has", "wanted", "action"),
    [
        ("23.0.0rc1", "23.0.0", "upgrade"),
        ("23.0.0", "23.0.0", "skip"),
        ("20.0.4+local.7", "20.0.1", "skip"),
        ("20.0.4+local.7", "20.0.4", "skip"),
        ("20.0.4.dev3", "20.0.4", "upgrade"),
        ("20.0.4-0ubuntu1", "20.0.1", "skip"),
    ],
)
def test_versions_of_a_host_are_ordered_as_pep_440_says(has, wanted, action):
    stages, _problems = plan_steps.read_stages([{"gunicorn": wanted}])
    running = plan_steps.Running(has, "3.8.18", "")
    steps, _problems = plan_steps.host_steps(stages, running, False)
    assert steps[0].action == action


def test_who_may_have_been_left_stopped():
    record = {"run": {"status": "halted"}, "hosts": {"web1": {"phase": "taken"}, "web2": {}}}
    assert plan_steps.left_stopped(record, ["web1", "web2"])
    assert not plan_steps.left_stopped(record, ["web2", "web3"])
    assert plan_steps.left_stopped({"run": {"status": "running"}, "hosts": {}}, ["web3"])
    assert not plan_steps.left_stopped({"run": None, "hosts": {}}, ["web1"])
    assert not plan_steps.left_stopped(None, ["web1"])
