# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which sockets a service has its listeners from. The text is what systemd 252 answered."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd import sockets

SHOWN = """\
Accept=no
Listen=127.0.0.1:8000 (Stream)
Listen=/run/app.sock (Stream)
Listen=@app (Stream)
Listen=[::]:8001 (Stream)
Listen=127.0.0.1:8002 (Datagram)
FlushPending=no
Result=success
Triggers=app.service
Id=app.socket
LoadState=loaded
ActiveState=active
UnitFileState=static
NeedDaemonReload=no

Accept=yes
FlushPending=yes
Result=service-start-limit-hit
Triggers=
Id=other.socket
LoadState=loaded
ActiveState=failed
UnitFileState=disabled
NeedDaemonReload=yes
"""
GOOD = sockets.read_sockets(SHOWN)[0]
REQUIRED = {"Requires": "sysinit.target app.socket"}


def test_each_is_read():
    first, other = sockets.read_sockets(SHOWN)
    assert first.addresses == ("127.0.0.1:8000", "unix:/run/app.sock", "unix:@app", "[::]:8001")
    assert (first.name, first.state, first.enabled) == ("app.socket", "active", True)
    assert (first.accept, first.flushes, first.stale) == (False, False, False)
    assert (other.accept, other.flushes, other.stale) == (True, True, True)
    assert (other.addresses, other.triggers, other.enabled) == ((), (), False)
    assert sockets.read_sockets("") == []


@pytest.mark.parametrize(
    ("state", "enabled", "running", "activated", "used"),
    [
        ("active", False, True, True, True),
        ("active", False, False, False, True),
        # What runs has its listeners from it, whatever became of it since.
        ("inactive", False, True, True, True),
        # What runs binds its address itself.
        ("inactive", True, True, False, False),
        ("failed", True, True, False, False),
        # Nobody asks for it.
        ("inactive", False, False, False, False),
        ("inactive", True, False, False, True),
        ("failed", False, False, False, True),
    ],
)
def test_which_are_in_use(state, enabled, running, activated, used):
    each = GOOD._replace(state=state, enabled=enabled)
    assert sockets.in_use([each], {}, running, activated) == ([each] if used else [])


@pytest.mark.parametrize("result", ["service-start-limit-hit", "trigger-limit-hit"])
def test_one_that_gave_up_is_in_use_though_the_service_runs_without(result):
    each = GOOD._replace(state="failed", result=result)
    assert sockets.in_use([each], {}, True, False) == [each]


def test_one_that_the_service_requires_is_in_use():
    each = GOOD._replace(state="inactive", enabled=False)
    assert sockets.in_use([each], REQUIRED, False, False) == [each]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"accept": True}, "app.socket has Accept=yes"),
        ({"triggers": ("app.service", "x.service")}, "app.socket starts x.service as well"),
        ({"loaded": False, "state": "inactive"}, "app.socket, which is not there any more"),
    ],
)
def test_each_refusal(more, text):
    (refused,) = sockets.refusals("app.service", [GOOD._replace(**more)], True)
    assert text in refused


def test_nothing_is_refused_to_root_alone():
    assert sockets.refusals("app.service", [GOOD], True) == []
    assert sockets.refusals("app.service", [], False) == []
    (refused,) = sockets.refusals("app.service", [GOOD], False)
    assert "Become root" in refused


@pytest.mark.parametrize(
    ("more", "service", "told"),
    [
        ({}, REQUIRED, []),
        ({}, {}, ["Requires="]),
        ({"state": "failed", "result": "resources"}, REQUIRED, ["app.socket=failed (resources)"]),
        ({"state": "inactive"}, REQUIRED, ["app.socket=inactive"]),
        ({"stale": True}, REQUIRED, ["NeedDaemonReload of app.socket=yes"]),
        ({"flushes": True}, REQUIRED, ["FlushPending of app.socket=yes"]),
        (
            {},
            dict(REQUIRED, ConsistsOf="app.socket"),
            ["PartOf or BindsTo of app.socket=app.service"],
        ),
    ],
)
def test_each_finding(more, service, told):
    found = sockets.deviations("app.service", service, [GOOD._replace(**more)])
    assert [f"{each['setting']}={each['value']}" for each in found] == told


@pytest.mark.parametrize("meant", ["", "20"])
def test_gunicorn_takes_what_is_meant_for_it(meant):
    assert sockets.not_taken("app.service", [GOOD], meant, 20) == []


def test_listeners_that_gunicorn_does_not_take_are_told():
    assert sockets.not_taken("app.service", [], "19", 20) == []
    (refused,) = sockets.not_taken("app.service", [GOOD], "19", 20)
    assert "the listeners of app.socket, but for process 19" in refused
