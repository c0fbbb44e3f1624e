# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.application import (
    CONDITIONS,
    application_of,
)


def facts(arguments=(), names=None, whole=True, environment=()):
    told = application_of(
        {
            "arguments": list(arguments),
            "environment_arguments": list(environment),
            "names": names or {},
            "whole": whole,
        }
    )
    return told.facts


@pytest.mark.parametrize(
    ("arguments", "names", "workers"),
    [
        ([], {}, None),
        (["-k", "gthread"], {}, "gthread"),
        (["-kgthread"], {}, "gthread"),
        (["--worker-class=egg:gunicorn#gthread"], {}, "gthread"),
        (["--worker-class", "gunicorn.workers.gthread.ThreadWorker"], {}, "gthread"),
        (["-k", "sync", "--threads", "2"], {}, "gthread"),
        ([], {"threads": 4}, "gthread"),
        (["--threads", "1"], {"threads": 4}, None),
        (["-k", "gevent", "--threads", "4"], {}, None),
        ([], {"worker_class": "eventlet"}, "eventlet"),
        (["-k", "asgi"], {}, "asgi"),
        (["-k", "gthread", "-k", "sync"], {}, None),
    ],
)
def test_the_worker_class_is_what_gunicorn_makes_of_it(arguments, names, workers):
    told = facts(arguments, names)
    found = [name for name in ("gthread", "eventlet", "asgi") if told[name]]
    assert found == ([workers] if workers else [])
    assert all(told[name] is not None for name in ("gthread", "eventlet", "asgi"))


def test_what_gunicorn_is_told_in_its_environment_counts_before_its_file():
    told = facts(environment=["-k", "gthread"], names={"worker_class": "sync"})
    assert told["gthread"] is True


@pytest.mark.parametrize(
    ("name", "parser"),
    [
        ("sync", True),
        ("gevent", True),
        ("uvicorn.workers.UvicornWorker", False),
        ("uvicorn_worker.UvicornWorker", False),
        ("tornado", False),
        ("own.Worker", None),
    ],
)
def test_who_reads_the_requests(name, parser):
    assert facts(["-k", name])["parser"] is parser


@pytest.mark.parametrize(
    ("arguments", "names", "true"),
    [
        (["--reuse-port"], {}, {"reuse_port", "control"}),
        ([], {"reuse_port": True, "control_socket_disable": True}, {"reuse_port"}),
        ([], {"reuse_port": False}, {"control"}),
        (["--no-control-socket"], {}, set()),
        (["--preload"], {}, {"children", "control"}),
        ([], {"when_ready": None}, {"children", "control"}),
        ([], {"dirty_apps": None}, {"dirty", "control"}),
        (["--dirty-app", "x:App"], {}, {"dirty", "control"}),
        ([], {"http_protocols": "h2,h1"}, {"http2", "control"}),
    ],
)
def test_settings(arguments, names, true):
    told = facts(arguments, names)
    names = ("reuse_port", "control", "children", "dirty", "http2")
    assert {name for name in names if told[name]} == true
    assert None not in [told[name] for name in names]


@pytest.mark.parametrize(
    ("arguments", "names", "so"),
    [
        (["--max-requests", "80", "--threads", "2"], {}, True),
        (["--max-requests=80", "-k", "gthread"], {}, True),
        (["--threads", "2"], {"max_requests": 80}, True),
        (["--threads", "2"], {"max_requests": None}, None),
        (["--threads", "2", "--max-requests-jitter", "9"], {}, False),
        (["--max-requests", "0", "--threads", "2"], {}, False),
        ([], {"max_requests": 80}, False),
        ([], {"max_requests": 80, "threads": None}, None),
    ],
)
def test_workers_with_threads_that_retire(arguments, names, so):
    assert facts(arguments, names)["recycled_threads"] is so


def test_what_cannot_be_seen_may_be_so():
    told = application_of({"arguments": [], "names": {}, "whole": False})
    assert set(told.facts.values()) == {None}
    assert all(told.may_be(each) and not told.is_so(each) for each in CONDITIONS)
    # A value that only running the file would tell.
    assert facts(names={"worker_class": None})["gthread"] is None
    assert facts(names={"reuse_port": None})["reuse_port"] is None
    assert facts(names={"threads": None})["gthread"] is None


@pytest.mark.parametrize("settings", [None, {}, {"error": "not seen"}])
def test_of_nothing_seen_nothing_is_said(settings):
    assert application_of(settings) is None
