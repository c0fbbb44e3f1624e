# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import calendar
import os

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs import coverage
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.coverage import Who, told
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.records import Clock

SINCE = float(calendar.timegm((2026, 11, 27, 10, 0, 0)))
WHO = Who(4711, SINCE + 0.4)
NOW = SINCE + 60
AT = "[2026-11-27 10:00:00 +0000]"
ACCESS = '10.0.0.9 - - [27/Nov/2026:10:00:20 +0000] "GET /4711 HTTP/1.1" 200 4711 "-" "%s"\n'

HEARD = {
    "its start": (f"{AT} [4711] [INFO] Starting gunicorn 23.0.0", "start"),
    "its line": (f"{AT} [4711] [ERROR] Worker (pid:9) was sent SIGKILL!", "line"),
    "without a zone": ("[2026-11-27 10:00:00] [4711] [INFO] Starting gunicorn 23.0.0", "start"),
    "syslog": (
        f"Nov 27 10:00:00 web1 app[1]: {AT} [4711] [INFO] Starting gunicorn 23.0.0",
        "start",
    ),
    "compose": (f"web_1  | {AT} [4711] [INFO] Starting gunicorn 23.0.0", "start"),
    "kubernetes": (f"2026-11-27T10:00:00.1Z stderr F {AT} [4711] [INFO] Listening", "line"),
    "docker": (
        f'{{"log":"{AT} [4711] [INFO] Starting gunicorn 23.0.0\\n","stream":"stderr"}}',
        "start",
    ),
    "json": (
        '{"time": "2026-11-27T10:00:00Z", "process": 4711, "message": "Starting gunicorn 23.0.0"}',
        "start",
    ),
    "json of another line": ('{"pid": "4711", "msg": "Handling signal: ttin"}', "line"),
    "json without pid": (
        '{"time": "2026-11-27T10:00:00Z", "message": "Starting gunicorn 23.0.0"}',
        "start",
    ),
    "own format": ("2026-11-27 10:00:00,123 INFO gunicorn.error: Starting gunicorn 23", "start"),
    "own format without time": ("INFO: Starting gunicorn 23.0.0", "start"),
    "preloaded for minutes": ("2026-11-27T10:05:00Z INFO Starting gunicorn 23.0.0", "start"),
}


@pytest.mark.parametrize("what", HEARD)
def test_a_log_is_heard(what, tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    line, found = HEARD[what]
    log = tmp_path / "app.log"
    around = [f'{{"pid": 1, "message": "{number}"}}' for number in range(50)]
    if not line.startswith("{"):
        around = [ACCESS.rstrip() % "x"] * 50
    log.write_text("\n".join([*around, line, *around, ""]))
    assert told([str(log)], WHO, NOW) == found


STRANGERS = {
    "access": ACCESS % "curl",
    "an agent with gunicorn's words": ACCESS % f"{AT} [4711] [INFO] Starting gunicorn 23.0.0",
    "no quotes": f"10.0.0.9 {AT} [4711] [INFO] Starting gunicorn 23.0.0\n",
    "in json": f'{{"status": 200, "agent": "{AT} [4711] [INFO] Starting gunicorn 23.0.0"}}\n',
    "in a message": '{"message": "Not Found: /[4711] Starting gunicorn 23.0.0"}\n',
    "an application": "2026-11-27 10:00:20 INFO django: Not Found: /Starting gunicorn 1?x=1\n",
    "quoted": "2026-11-27 10:00:20 WARNING app: bad name 'Starting gunicorn 23.0.0\n",
    "another arbiter": f"{AT} [4712] [INFO] Starting gunicorn 23.0.0\n",
    "a worker": f"{AT} [4713] [INFO] Booting worker with pid: 4711\n",
    "the same pid last week": AT.replace("27", "20") + " [4711] [INFO] Starting gunicorn 20.0.4\n",
    "an earlier one, own format": "2026-11-20T10:00:00Z INFO Starting gunicorn 23.0.0\n",
    "nothing": "",
}


@pytest.mark.parametrize("what", STRANGERS)
def test_what_others_write_makes_no_log_heard(what, tmp_path):
    log = tmp_path / "app.log"
    # It reaches back beyond the start.
    log.write_text("2026-11-19 10:00:00 INFO app: hello\n" + STRANGERS[what])
    assert told([str(log)], WHO, NOW) == ""


def test_one_log_of_several_is_enough(tmp_path):
    (tmp_path / "access.log").write_text(ACCESS % "x")
    (tmp_path / "error.log").write_text(HEARD["its start"][0] + "\n")
    paths = [str(tmp_path / name) for name in ("access.log", "error.log", "missing.log")]
    assert told(paths, WHO, NOW) == "start"


def test_a_rotated_file_is_read_as_well(tmp_path):
    (tmp_path / "app.log").write_text("")
    (tmp_path / "app.log.1").write_text(HEARD["its start"][0] + "\n")
    assert told([str(tmp_path / "app.log")], WHO, NOW) == "start"


def test_a_begin_that_was_rotated_away_is_no_silence(tmp_path):
    log = tmp_path / "app.log"
    log.write_text("2026-11-27 10:30:00 INFO app: hello\n")
    assert told([str(log)], WHO, NOW) == ""
    assert told([str(log)], WHO, SINCE + 2 * coverage.ROTATION) == "lost"
    (tmp_path / "app.log.1.gz").write_text("")
    assert told([str(log)], WHO, NOW) == "lost"


def test_lines_across_the_edges_of_what_is_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(coverage, "CHUNK", 64)
    log = tmp_path / "app.log"
    for before in range(70):
        log.write_text("x" * before + "\n" + HEARD["its start"][0] + "\n" + "y" * 100)
        assert told([str(log)], WHO, NOW) == "start", before


def test_what_lies_too_far_back_is_not_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(coverage, "MAX_BYTES", 1000)
    log = tmp_path / "app.log"
    log.write_text(HEARD["its start"][0] + "\n" + ACCESS % "x" * 100)
    assert told([str(log)], WHO, NOW) == "lost"


def test_lines_without_a_time_say_nothing_of_how_far_back_it_goes(tmp_path):
    log = tmp_path / "app.log"
    log.write_text("hello\n" * 100)
    assert told([str(log)], WHO, NOW) == ""
    assert told([str(log)], WHO, SINCE + 2 * coverage.ROTATION) == "lost"
    log.write_text("hello\n2026-11-20 10:00:00 INFO app: hello\n")
    assert told([str(log)], WHO, SINCE + 2 * coverage.ROTATION) == ""


def test_a_start_is_found_behind_many_lines_that_only_look_alike(tmp_path, monkeypatch):
    monkeypatch.setattr(coverage, "MAX_CANDIDATES", 10)
    log = tmp_path / "app.log"
    log.write_text(HEARD["its start"][0] + "\n" + '{"pid": 9, "bytes": 4711, "path": "/"}\n' * 100)
    assert told([str(log)], WHO, NOW) == "start"


def test_what_was_there_before_the_switch_is_of_another(tmp_path):
    """A format that tells neither time nor pid: only the place does."""
    log = tmp_path / "app.log"
    log.write_text("INFO: Starting gunicorn 20.0.4\n")
    status = os.stat(str(log))
    who = WHO._replace(begin={(status.st_dev, status.st_ino): status.st_size})
    assert told([str(log)], WHO, NOW) == "start"
    assert told([str(log)], who, NOW) == ""
    with log.open("a") as file:
        file.write("INFO: hello\n")
    assert told([str(log)], who, SINCE + 2 * coverage.ROTATION) == ""
    with log.open("a") as file:
        file.write("INFO: Starting gunicorn 23.0.0\n")
    assert told([str(log)], who, NOW) == "start"


def test_no_fifo_hangs_it(tmp_path):
    os.mkfifo(str(tmp_path / "app.log"))
    assert told([str(tmp_path / "app.log")], WHO, NOW) == ""


def test_a_line_without_end_is_bounded(tmp_path):
    log = tmp_path / "app.log"
    log.write_bytes(b"4711 " * (1 << 20))
    assert told([str(log)], WHO, NOW) == ""
    assert coverage.line_tells(b"{" * (1 << 20), WHO, Clock(NOW)) == ""
