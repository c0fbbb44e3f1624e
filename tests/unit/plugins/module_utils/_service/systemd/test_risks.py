# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd import (
    risks,
    target,
)

from tests.unit.plugins.module_utils._service.systemd.test_show import shown

GOOD = {
    "Id": "app.service",
    "KillMode": "mixed",
    "KillSignal": "15",
    "TimeoutStopUSec": "40s",
    "Restart": "on-failure",
    "WatchdogUSec": "0",
    "Type": "notify",
}


def found(told, options=None, **more):
    program = target.describe_unit(told, 1, "root", "/", (None, None))
    wrapped, sharing = more.get("wrapped", False), more.get("sharing", ())
    return [
        f"{each['setting']}={each['value']}"
        for each in risks.deviations(told, program, options or {}, wrapped, sharing)
    ]


def test_a_good_unit():
    assert found(GOOD) == []
    assert risks.refusals(GOOD) == []


def test_a_real_unit_with_all_that_can_be_wrong():
    assert found(shown("risky")) == [
        "NeedDaemonReload=yes",
        "KillSignal=QUIT",
        "KillMode=control-group",
        "Restart=no",
        "WatchdogSec=1h",
        "FailureAction=reboot",
    ]
    (refused,) = risks.refusals(shown("risky"))
    assert "systemd stops w.service whenever app.service is stopped" in refused


@pytest.mark.parametrize(
    ("patience", "graceful", "told"),
    [
        ("5s", "", ["TimeoutStopSec=5"]),
        ("30s", "", ["TimeoutStopSec=30"]),
        ("31s", "", []),
        ("31s", "60", ["TimeoutStopSec=31"]),
        ("infinity", "60", []),
    ],
)
def test_the_patience_of_a_stop(patience, graceful, told):
    options = {"graceful_timeout": graceful} if graceful else {}
    assert found(dict(GOOD, TimeoutStopUSec=patience), options) == told


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"KillMode": "process"}, ["KillMode=process"]),
        ({"KillMode": "none"}, ["KillMode=none"]),
        ({"SendSIGKILL": "no"}, ["SendSIGKILL=no"]),
        ({"Restart": "on-success"}, ["Restart=on-success"]),
        ({"Type": "forking"}, ["Type=forking without PIDFile"]),
        ({"Type": "forking", "PIDFile": "/run/app.pid"}, []),
        ({"WatchdogUSec": "infinity"}, []),
        ({"StartLimitAction": "reboot-force"}, ["StartLimitAction=reboot-force"]),
    ],
)
def test_each_setting(more, told):
    assert found({**GOOD, **more}) == told


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"RootDirectory": "/srv/root"}, "RootDirectory=/srv/root"),
        ({"RefuseManualStop": "yes"}, "RefuseManualStop=yes"),
        ({"Type": "oneshot"}, "Type=oneshot"),
        ({"Transient": "yes"}, "made by systemd-run"),
        ({"BoundBy": "x.service y.target"}, "systemd stops x.service whenever"),
    ],
)
def test_each_refusal(more, text):
    (refused,) = risks.refusals({**GOOD, **more})
    assert text in refused


def test_a_target_that_requires_it_is_no_reason():
    assert risks.refusals({**GOOD, "RequiredBy": "multi-user.target"}) == []


def test_a_wrapper_and_who_shares_the_virtualenv():
    told = found(GOOD, wrapped=True, sharing=["worker.service of systemd"])
    assert told == ["ExecStart=None", "virtualenv=worker.service of systemd"]
