# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn import (
    options as gunicorn_options,
)


@pytest.mark.parametrize(
    "cmdline, environ, command, workers, graceful",
    [
        ("python /v/bin/gunicorn -w 4 app", "", "", "4", None),
        ("python /v/bin/gunicorn -w4 --graceful-timeout=9 app", "", "", "4", "9"),
        ("python /v/bin/gunicorn --workers=5 app", "-w 2 --graceful-timeout 7", "", "5", "7"),
        ("python /v/bin/gunicorn app", "--workers 2", "", "2", None),
        ("python /v/bin/gunicorn app", "", "", None, None),
        ("gunicorn:_master", "", "env X=1 gunicorn -w 3 app", "3", None),
        ("python /v/bin/gunicorn --worker-class sync app", "", "", None, None),
        ("python /v/bin/gunicorn --workers 3 app -w", "", "", "3", None),
        ("python /v/bin/gunicorn -w 2 --workers 3 app", "", "", "3", None),
    ],
)
def test_options(cmdline, environ, command, workers, graceful):
    words = [word.replace("_", " ") for word in cmdline.split()]
    found = gunicorn_options.gunicorn_options(words, {"GUNICORN_CMD_ARGS": environ}, command)
    assert (found.get("workers"), found.get("graceful_timeout")) == (workers, graceful)


def test_logs():
    program = {"stdout_logfile": "/o", "stderr_logfile": "/e", "redirect_stderr": False}

    def logs(options, cwd="/srv", **more):
        return gunicorn_options.log_paths(dict(program, **more), options, cwd)

    assert logs({}) == ["/o", "/e"]
    assert logs({}, redirect_stderr=True) == ["/o"]
    assert logs({"errorlog": "own.log"}) == ["/o", "/e", "/srv/own.log"]
    assert logs({"errorlog": "own.log"}, cwd=None) == ["/o", "/e"]
    assert logs({"errorlog": "-"}, stdout_logfile="/dev/stdout", stderr_logfile=None) == []


def test_both_names_of_the_error_log_are_one_setting():
    words = ["python", "/v/bin/gunicorn", "--error-logfile", "/a", "--log-file", "/b", "app"]
    assert gunicorn_options.gunicorn_options(words, {}, "")["errorlog"] == "/b"
