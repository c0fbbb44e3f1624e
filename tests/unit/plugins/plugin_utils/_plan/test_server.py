# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.stage_order import untaken
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.server import (
    deaf_or_ill,
    foreseen_releases,
    missing_pythons,
    server_plan,
    to_build,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.steps import (
    Running,
    plan_host,
)
from hypothesis import given
from hypothesis import strategies as st

STAGES = [{"gunicorn": "21.2.0"}, {"gunicorn": "23.0.0", "python": "3.11"}]
ASKED: dict[str, Any] = {
    "stages": STAGES,
    "to": "",
    "allow_downgrade": False,
    "program": "app",
    "boot_test": "boot",
    "record": {"hosts": {}},
}
ARBITER = {"pid": 7, "gunicorn": "20.0.1", "python": "3.6.15"}
SERVICE = {"arbiter": ARBITER, "program": {"state": "RUNNING"}, "venv": {}, "logs": ["/x.log"]}
FOUND = {
    "stages": [{"stage": 1, "id": "a", "python": "3.6.15", "packages": {}, "problems": []}],
    "packages": {},
}
LOOK: dict[str, Any] = {
    "service": SERVICE,
    "preview": FOUND,
    "prune": {"removed": []},
    "pythons": [
        {"stage": 1, "found": True, "message": ""},
        {"stage": 2, "found": False, "message": "no Python 3.11"},
    ],
    "health": {"answers": 1},
    "log": {"verdict": "clean", "tells": "start"},
}


def seen(**more: Any) -> dict[str, Any]:
    return server_plan({**LOOK, **more}, "web1", ASKED)


def test_a_good_server() -> None:
    told = seen()
    assert told["problems"] == []
    assert [step["action"] for step in told["plan"]["steps"]] == ["upgrade", "upgrade"]
    assert (told["found"], told["service"]) == (FOUND, SERVICE)
    assert deaf_or_ill(told, "fail", [], "") == ""


def test_a_server_that_cannot_be_reached_is_told_with_the_others() -> None:
    told = server_plan({"unreachable": True, "msg": "no route"}, "web1", ASKED)
    assert told["problems"] == ["cannot be reached: no route"]
    assert (told["plan"]["steps"], told["found"], told["prune"]) == ([], {}, {})


def test_of_a_server_that_cannot_take_part_nothing_else_is_told() -> None:
    told = seen(service={**SERVICE, "arbiter": None})
    assert len(told["problems"]) == 1
    assert (told["found"], told["prune"]) == ({}, {})


def test_what_was_not_proved_is_finished() -> None:
    record = {"hosts": {"web1": {"release": "x", "phase": "taken"}}}
    arbiter = {**ARBITER, "gunicorn": "21.2.0"}
    look = {**LOOK, "service": {**SERVICE, "arbiter": arbiter, "venv": {"release": "x"}}}
    told = server_plan(look, "web1", {**ASKED, "record": record})
    assert [step["action"] for step in told["plan"]["steps"]] == ["finish", "upgrade"]


def test_a_start_that_names_the_old_python_speaks_against_it() -> None:
    stage = {**FOUND["stages"][0], "vital": ["/srv/venv/lib/python3.6/x"]}  # type: ignore[index]
    assert "python3.6" in " ".join(seen(preview={**FOUND, "stages": [stage]})["problems"])


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"health": {"failed": True, "msg": "503"}}, "503"),
        ({"service": {**SERVICE, "logs": []}}, "F-BLIND"),
        ({"log": {"failed": True, "msg": "may not be read"}}, "may not be read"),
        ({"log": {"tells": "nothing"}}, "none tells of it"),
    ],
)
def test_a_server_that_is_ill_or_would_not_be_heard(more: dict[str, Any], word: str) -> None:
    assert word in deaf_or_ill(seen(**more), "fail", [], "Set errorlog,")


def test_a_python_may_be_provided() -> None:
    assert missing_pythons(seen(), "none") == "Stage 2: no Python 3.11"
    assert missing_pythons(seen(), "uv") == ""
    broken = [{"stage": 1, "failed": True, "msg": "nobody is user x"}]
    assert missing_pythons(seen(pythons=broken), "uv") == "Stage 1: nobody is user x"


def test_in_check_mode_only_an_absent_python_is_asked_for() -> None:
    assert [step["stage"] for step in to_build(seen(), False)] == [1, 2]
    assert [step["stage"] for step in to_build(seen(), True)] == [2]
    assert foreseen_releases(seen()) == {"1": {"id": "a", "python": "3.6.15", "packages": {}}}


PYTHONS = st.sampled_from(["", "3.6", "3.9", "3.11", "/opt/python3.11/bin/python3.11"])
GUNICORNS = st.sampled_from(["19.9.0", "20.0.1", "21.2.0", "23.0.0", "23.0"])


@given(
    st.lists(
        st.fixed_dictionaries({"gunicorn": GUNICORNS, "python": PYTHONS}), min_size=1, max_size=4
    ),
    GUNICORNS,
    st.sampled_from(["3.6.15", "3.9.18", "3.11.7"]),
)
def test_a_server_looks_at_just_what_the_controller_plans(
    stages: list[dict[str, str]], gunicorn: str, python: str
) -> None:
    numbered = [{**stage, "stage": number} for number, stage in enumerate(stages, 1)]
    plan = plan_host(stages, "", True, Running(gunicorn, python, ""))
    if not plan["steps"]:
        return
    planned = [
        {key: step[key] for key in ("stage", "gunicorn", "python")}
        for step in plan["steps"]
        if step["action"] == "upgrade"
    ]
    assert untaken(numbered, gunicorn, python, True) == planned
