# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd import target

from tests.unit.plugins.module_utils._service.systemd.test_show import shown


@pytest.mark.parametrize(
    ("wanted", "unit"),
    [
        ("app", "app.service"),
        ("app.service", "app.service"),
        ("app@1", "app@1.service"),
        ("my.app", "my.app.service"),
        ("a-b@x\\x2dy.service", "a-b@x\\x2dy.service"),
    ],
)
def test_names(wanted, unit):
    assert target.unit_name(wanted) == unit


@pytest.mark.parametrize(
    "wanted", ["", "app.socket", "app*", "a b", "-x;y", "app@", "app@.service"]
)
def test_what_is_no_service_is_refused(wanted):
    with pytest.raises(FleetError, match=r"app@1\.service"):
        target.unit_name(wanted)


@pytest.mark.parametrize(
    ("active", "sub", "job", "state"),
    [
        ("active", "running", "", "RUNNING"),
        ("reloading", "reload", "", "RUNNING"),
        ("activating", "start", "", "STARTING"),
        ("activating", "auto-restart", "", "BACKOFF"),
        ("deactivating", "stop-sigterm", "", "STOPPING"),
        ("inactive", "dead", "", "STOPPED"),
        ("inactive", "dead", "0", "STOPPED"),
        ("inactive", "dead", "4711", "STARTING"),
        ("failed", "failed", "", "FATAL"),
    ],
)
def test_states(active, sub, job, state):
    told = {"ActiveState": active, "SubState": sub, "Job": job}
    assert target.state_of(told) == state


def test_a_unit_that_cannot_be_executed():
    told = shown("restarting")
    assert target.state_of(told) == "BACKOFF"
    assert target.how_it_ended(told) == "systemd could not execute its command (203/EXEC)."
    assert target.command_of(told) == "/nonexistent/gunicorn app"


def test_a_condition_that_does_not_hold():
    assert "does not hold" in target.how_it_ended(shown("condition"))


def test_a_unit_that_was_never_started_has_not_failed():
    told = dict(shown("condition"), ConditionTimestampMonotonic="0")
    assert target.how_it_ended(told) == ""


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"Result": "start-limit-hit"}, "started too often"),
        ({"Result": "signal", "ExecMainCode": "2", "ExecMainStatus": "9"}, "killed by signal 9"),
        ({"Result": "timeout"}, "the result timeout"),
        ({"Result": "success"}, ""),
    ],
)
def test_how_it_ended(more, text):
    found = target.how_it_ended({"ActiveState": "failed", "SubState": "failed", **more})
    assert text in found and bool(text) == bool(found)


def test_a_running_unit_as_a_program():
    told = shown("risky")
    program = target.describe_unit(told, 148, "root", "/root", (None, "/var/log/app.log"))
    assert program["command"].endswith("/home/venv/bin/gunicorn wsgi:app")
    assert (program["state"], program["said"]) == ("RUNNING", "active (running)")
    assert (program["stopsignal"], program["stopwaitsecs"]) == ("QUIT", 90)
    assert (program["stopasgroup"], program["killasgroup"]) == (True, True)


@pytest.mark.parametrize(
    ("more", "user"),
    [
        ({}, "root"),
        ({"User": "app"}, "app"),
        ({"DynamicUser": "yes", "Id": "web@1.service"}, "web"),
        ({"DynamicUser": "yes", "User": "app"}, "app"),
    ],
)
def test_users(more, user):
    assert target.user_of({"Id": "app.service", **more}, "root") == user


@pytest.mark.parametrize(
    ("told", "directory"), [("", "/"), ("!/srv/app", "/srv/app"), ("/srv", "/srv"), ("~", "/home")]
)
def test_directories(told, directory):
    assert target.directory_of({"WorkingDirectory": told}, "/home") == directory


def test_logs_are_what_a_running_process_has_open_or_what_the_files_say():
    told = {"Id": "app@1.service", "StandardOutput": "journal", "StandardError": "append"}
    opened = {"StandardError": "/var/log/now.log"}
    text = (
        "[Unit]\nStandardError=append:/no.log\n[Service]\nStandardError=append:/old.log\n"
        "# /etc/systemd/system/app@.service.d/x.conf\n[Service]\n"
        "StandardError = append:/var/log/%p-%i.log\n"
    )
    written = target.written_settings(text, ("StandardError",))
    assert target.log_paths(told, opened, written) == (None, "/var/log/now.log")
    assert target.log_paths(told, {}, written) == (None, "/var/log/app-1.log")
    assert target.log_paths(told, {}, {"StandardError": "append:%h/x.log"}) == (None, None)
    merged = {"Id": "a.service", "StandardOutput": "file", "StandardError": "inherit"}
    assert target.log_paths(merged, {"StandardOutput": "/o"}, {}) == ("/o", "/o")


@pytest.mark.parametrize(
    ("output", "error", "paths"),
    [
        ("journal", "inherit", ("J", "J")),
        ("null", "journal", (None, "J")),
        ("syslog", "syslog+console", ("J", "J")),
        ("kmsg", "kmsg+console", (None, None)),
        ("null", "inherit", (None, None)),
        ("tty", "socket", (None, None)),
    ],
)
def test_what_goes_to_the_journal(output, error, paths):
    told = {"Id": "a.service", "StandardOutput": output, "StandardError": error}
    assert target.log_paths(told, {}, {}, "J") == paths
    assert target.log_paths(told, {}, {}, "") == (None, None)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"LogLevelMax": "-1", "SyslogLevel": "6", "LogNamespace": ""}, ""),
        ({"LogLevelMax": "6", "SyslogLevel": "6"}, ""),
        ({"LogLevelMax": "4", "SyslogLevel": "6"}, "LogLevelMax="),
        ({"LogLevelMax": "4", "SyslogLevel": "28"}, ""),
        ({"LogNamespace": "other"}, "LogNamespace=other"),
        ({"StandardError": "append"}, "standard error goes to a file"),
        ({}, ""),
    ],
)
def test_why_a_journal_would_not_have_its_words(more, why):
    said = target.why_no_journal({"StandardOutput": "journal", **more})
    assert why in said and bool(said) == bool(why)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/app.service\n", "app.service"),
        ("3:cpu:/x\n1:name=systemd:/m.slice/c.scope/system.slice/app.service/sub\n", "app.service"),
        ("0::/system.slice/other.service\n", None),
        ("3:cpu:/system.slice/app.service\n", None),
    ],
)
def test_the_unit_of_a_process(text, unit):
    assert target.unit_of_cgroup(text, {"app.service"}) == unit
