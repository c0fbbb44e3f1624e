# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.unread_logs import (
    blind,
    unread_sinks,
)


def sink(kind="file", path="", to="", of="arbiter", why=""):
    return {"kind": kind, "path": path, "to": to, "of": of, "why": why}


STDERR = sink("pipe", to="standard error: supervisord (10)")


def info(*sinks, log_level=None, logfile="/var/log/app.err"):
    return {
        "arbiter": {"pid": 20},
        "program": {"stdout_logfile": None, "stderr_logfile": logfile},
        "logs": ["/var/log/app.err"],
        "sinks": list(sinks),
        "log_level": log_level,
    }


WARNING = {"value": "WARNING", "where": "--log-level on the command line"}


@pytest.mark.parametrize(
    "tells, found",
    [
        ("start", info(STDERR)),
        ("line", info(STDERR)),
        ("lost", info(STDERR)),
        ("lost", info(sink(path="/srv/app/error.log"))),
        # It was seen: what the file says by now is of the next start only if it is restarted.
        ("start", info(STDERR, log_level=WARNING)),
    ],
)
def test_what_would_be_heard_passes(tells, found):
    assert blind(found, {"tells": tells}, "fail", []) == ""


@pytest.mark.parametrize(
    "tells, found",
    [
        ("", info(STDERR)),
        ("lost", info()),
        ("lost", info(STDERR, logfile=None)),
        ("lost", info(sink(path="/x", why="this user may not read it"))),
        ("line", info(STDERR, log_level=WARNING)),
        ("lost", info(STDERR, log_level=WARNING)),
    ],
)
def test_what_would_not_be_heard_is_refused(tells, found):
    assert "(F-BLIND)" in blind(found, {"tells": tells}, "fail", [])
    assert blind(found, {"tells": tells}, "pass", []) == ""


def test_what_was_found_and_what_to_set():
    gone = sink(path="/srv/app/error.log", why="it was deleted, and goes on growing")
    journal = sink("socket", to="standard error: a socket, perhaps the journal", why="no file")
    said = blind(info(gone, journal), {"tells": ""}, "fail", ["/named.log"])
    assert "arbiter 20" in said
    assert "Read: /named.log." in said
    assert "/srv/app/error.log (it was deleted, and goes on growing)" in said
    assert "standard error: a socket, perhaps the journal (no file)" in said
    assert "gate_log_paths" in said
    assert "gate_log_quiet to pass" in said


def test_under_systemd_the_journal_is_a_cure():
    found = info(sink("journal", to="standard error: the journal", why="no right to it"))
    found["program"]["manager"] = "systemd"
    said = blind(found, {"tells": ""}, "fail", [])
    assert "standard error: the journal (no right to it)" in said
    assert "the journal (StandardError=journal or inherit" in said
    assert "StandardError=append:/path in the unit" in said
    assert "errorlog '-'" not in said
    assert unread_sinks(found) == [
        "gunicorn writes to the journal, which is not read: no right to it"
    ]


def test_a_journal_that_has_the_access_log_alone_needs_no_look():
    found = info(sink("journal", to="standard output: the journal", why="standard error is a file"))
    assert unread_sinks(found) == []


def test_the_level_is_named_with_its_place():
    said = blind(info(STDERR, log_level=WARNING), {"tells": ""}, "fail", [])
    assert "--log-level on the command line is warning" in said
    assert "set it to info" in said


def test_a_look_of_an_older_module_is_no_refusal():
    assert blind(info(), {}, "fail", []) == ""


def test_files_that_cannot_be_read_are_told_of():
    access = sink(path="/a.log", why="it is the access log")
    worker = sink(path="/w.log", of="worker", why="only workers have it open")
    gone = sink(path="/e.log", why="it was deleted")
    assert unread_sinks(info(STDERR, access, worker, gone)) == [
        "gunicorn writes to /e.log, which is not read: it was deleted"
    ]
