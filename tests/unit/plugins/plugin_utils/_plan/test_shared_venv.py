# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.shared_venv import (
    left,
    planned,
)

API = {"program": "api:api", "pid": 5, "started": 50.0, "python": "3.6.15", "gunicorn": True}
API |= {"listeners": ["127.0.0.1:8001"], "command": "x"}
CELERY = {**API, "program": "celery.service of systemd", "gunicorn": False, "listeners": []}
BOTH = [{"at": "after_switch", "name": "celery"}, {"at": "after_rollback", "name": "celery back"}]


def info(*beside, started=100.0, python="3.11.7"):
    return {"beside": list(beside), "arbiter": {"started": started, "python": python}}


def test_a_gunicorn_keeps_the_old_code():
    (said,) = planned(info(API), "3.6", [])
    assert said.startswith("Program api:api (gunicorn, listening on 127.0.0.1:8001) runs from")
    assert "keeps running on the old code until somebody restarts it" in said
    assert "cannot import" not in said
    assert "(rollout_hooks) at after_switch and after_rollback" in said


def test_a_worker_can_import_nothing_after_a_change_of_python():
    (said,) = planned(info(CELERY), "3.11", [])
    assert "Program celery.service of systemd runs" in said
    assert "cannot import anything more until then, since Python 3.6 gives way to 3.11" in said


def test_what_is_unknown_or_not_running_is_said():
    assert "if its Python changes" in planned(info({**API, "python": None}), "3.11", [])[0]
    assert "no gate has looked at" in planned(info({**API, "pid": 0}), "3.11", [])[0]


@pytest.mark.parametrize(
    ("hooks", "words"),
    [
        (BOTH, "See that one of your hooks restarts it: celery, celery back."),
        (BOTH[:1], "at after_rollback (at the other there is celery)."),
        ([{"at": "before_run", "name": "x"}], "at after_switch and after_rollback."),
    ],
)
def test_the_hooks_that_could_restart_it_are_named(hooks, words):
    assert planned(info(CELERY), "3.11", hooks)[0].endswith(words)


@pytest.mark.parametrize("nothing", [None, {}, {"beside": None}, {"msg": "unreachable"}, "x"])
def test_nothing_beside_is_no_word(nothing):
    assert planned(nothing, "3.11", []) == []
    assert left([{"inventory_hostname": "web1", "_service_info": nothing}], []) == []


def test_the_last_words_name_what_is_older_than_the_switch():
    hosts = [
        {"inventory_hostname": "web1", "_service_info": info(CELERY)},
        {"inventory_hostname": "web2", "_service_info": info(CELERY)},
        # Restarted by a hook.
        {"inventory_hostname": "web3", "_service_info": info({**CELERY, "started": 101.0})},
        {"inventory_hostname": "web4"},
    ]
    (said,) = left(hosts, BOTH)
    assert said.startswith("On web1, web2: Program celery.service of systemd was not restarted:")
    assert "cannot import anything more" in said


def test_what_app_programs_may_name_is_to_be_named_there():
    worker = {**CELERY, "same_manager": True}
    assert planned(info(worker), "3.11", [])[0].endswith(
        "Name it in app_programs: then it is switched too."
    )
    assert planned(info(worker), "3.11", BOTH)[0].endswith("restarts it: celery, celery back.")
    assert "rollout_hooks" in planned(info({**CELERY, "same_manager": False}), "3.11", [])[0]


def test_the_last_words_name_what_is_in_no_program():
    loose = {"pid": 9, "user": "app", "command": "celery worker", "started": 50.0}
    young = {**loose, "pid": 10, "started": 101.0}
    host = {"inventory_hostname": "web1", "_service_info": {**info(), "loose": [loose, young]}}
    (said,) = left([host], [])
    assert said.startswith(
        "On web1: process 9 (user app: celery worker) is in no program, and goes on"
    )
