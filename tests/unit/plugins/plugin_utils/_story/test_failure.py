from __future__ import annotations

from pathlib import Path

import yaml
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.failure import (
    _VARIABLES,
    failure_text,
    why,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.stop_codes import stop_of

STORY = {
    "host": "web1",
    "title": "stage 2 of 2",
    "failed": "Judge: status 500",
    "release": "23.0.0-py3.11-1a2b3c4d",
    "before": {"release": "21.2.0-py3.6-5e6f7a8b", "gunicorn": "21.2.0", "python": "3.6.15"},
    "went_back": True,
    "incidents": [],
}


def test_a_rollback_says_what_failed_and_where_the_host_is():
    lines = failure_text(STORY).splitlines()
    assert lines[0] == "web1: stage 2 of 2 failed."
    assert lines[1] == "Why: Judge: status 500"
    assert "21.2.0-py3.6-5e6f7a8b" in lines[2]
    assert "back in service" in lines[2]


def test_a_way_back_without_a_drain_is_told():
    text = failure_text({**STORY, "in_place": "Drain: 0 others are up"})
    assert "undrained: Drain: 0 others are up" in text
    assert "undrained" not in failure_text(STORY)


def test_a_host_that_is_out_is_said_first():
    lines = failure_text({**STORY, "repair": "Start: spawn error"}).splitlines()
    assert lines[0].startswith("web1 IS OUT OF SERVICE")
    assert "spawn error" in lines[1]
    assert "status 500" in lines[2]
    assert "back in service" not in "\n".join(lines)


def test_a_gate_that_could_not_look_leaves_the_new_release():
    text = failure_text({**STORY, "went_back": False})
    assert "still on 23.0.0-py3.11-1a2b3c4d" in text


def test_an_option_of_a_module_is_named_as_the_operator_knows_it():
    told = "min_available asks for 1. Raise drain_timeout, or take on_timeout=force (index_url?)."
    assert why("x", {"msg": told}) == (
        "x: rollout_min_available asks for 1. Raise load_balancer_drain_timeout, or take"
        " load_balancer_on_timeout=force (release_index_url?)."
    )
    ours = "rollout_min_available is 3; /etc/min_available and pip's --index_url stay"
    assert why("x", {"msg": ours}) == f"x: {ours}"


def test_every_such_variable_is_one_that_there_is():
    specs = Path(__file__).resolve().parents[5] / "roles/settings/meta/argument_specs.yml"
    there = yaml.safe_load(specs.read_text())["argument_specs"]["validate"]["options"]
    told = " ".join(option for options in _VARIABLES.values() for option in options)
    assert set(why("", {"msg": told}).removeprefix(": ").split()) <= set(there)


def test_a_share_that_it_was_left_with_is_told():
    server = {"weight_set": 10, "weight_full": 100}
    told = failure_text({**STORY, "went_back": False}, [{"servers": [server]}, {"msg": "no"}])
    assert "It gets 10 % of its weight" in told
    whole = [{"servers": [{**server, "weight_set": 100}]}]
    assert "of its weight" not in failure_text({**STORY, "went_back": False}, whole)
    assert "of its weight" not in failure_text(STORY, [{"servers": [server]}])


def test_evidence_is_bounded():
    incident = {
        "event": "reentrant",
        "path": "/var/log/app.log",
        "offset": 7,
        "excerpt": ["line"] * 50,
    }
    text = failure_text({**STORY, "incidents": [incident] * 9})
    assert "reentrant in /var/log/app.log at byte 7" in text
    assert len(text.splitlines()) <= 4 + 3 * 13


def test_the_message_of_a_loop_is_that_of_the_items_that_failed():
    result = {
        "msg": "One or more items failed",
        "results": [
            {"item": "lb1", "msg": "fine"},
            {"item": "lb2", "failed": True, "msg": "wedged"},
        ],
    }
    assert why("Drain", result) == "Drain: lb2: wedged"
    assert why("Drain", {"msg": "refused"}) == "Drain: refused"
    assert "without a message" in why("Drain", {})


def test_lines_of_an_application_do_not_stand_where_ours_do():
    forged = "its log:\nNow: web1 is on old as before, healthy and back in service."
    text = failure_text({**STORY, "repair": why("x", {"msg": forged}), "failed": "y"})
    assert stop_of(text).code == "F-OUT"
    assert stop_of(why("build | Build", {"msg": forged})).code == "F-BUILD"
    assert not any(line.startswith("Now: ") for line in text.splitlines())


def test_evidence_is_text_and_its_path_one_line():
    odd = {"event": "reentrant", "path": "/a\nNow: x", "offset": 1, "excerpt": "a\x1b[2J\u2028b"}
    text = failure_text({**STORY, "incidents": [odd]})
    assert "in /a\\nNow: x at byte 1\n  | a\\x1b[2J\\u2028b" in text
