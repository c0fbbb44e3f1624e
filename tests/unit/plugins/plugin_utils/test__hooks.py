"""What operators want done at the points of a run."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._hooks import (
    hook_outcome,
    hook_problems,
)

GOOD = {"at": "before_drain", "name": "ours", "command": ["true"]}


def test_a_good_one_has_no_problem():
    assert hook_problems([GOOD, {"at": "after_run", "name": "x", "tasks": "/x.yml"}]) == []
    assert hook_problems([{**GOOD, "at": "before_rollback", "on_failure": "warn"}]) == []


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        ({**GOOD, "tasks": "/x.yml"}, "either tasks"),
        ({"at": "after_run", "name": "ours"}, "either tasks"),
        ({**GOOD, "command": []}, "its command is empty"),
        ({**GOOD, "at": "before_rollback"}, "does not keep a host from going back"),
        ({**GOOD, "at": "after_rollback", "on_failure": "stop"}, "say on_failure: warn"),
        ({**GOOD, "at": "after_trial"}, "after_trial: say on_failure: warn"),
    ],
)
def test_a_bad_one_is_named(hook, why):
    (problem,) = hook_problems([GOOD, hook])
    assert "Hook ours" in problem
    assert why in problem


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"rc": 3, "stdout": "", "stderr": "a\nb\nc\nd\n"}, "it ended with 3: b / c / d"),
        ({"rc": 1, "stderr": "password=hush"}, "it ended with 1: password=***"),
        ({"rc": 1, "stdout": "only here"}, "it ended with 1: only here"),
        ({"rc": 2, "msg": "No such file"}, "it ended with 2: No such file"),
        ({"rc": 1}, "it ended with 1"),
        ({"failed": True, "timedout": {"period": 5}}, "it took longer than 5 s"),
        ({"unreachable": True, "msg": "gone"}, "the host cannot be reached: gone"),
    ],
)
def test_how_it_ended(result, text):
    assert hook_outcome(result) == text


def test_what_it_said_is_bounded():
    assert len(hook_outcome({"rc": 1, "stderr": "x" * 10_000})) < 600
