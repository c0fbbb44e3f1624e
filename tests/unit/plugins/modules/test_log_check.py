# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module itself: what it takes, what it says of mistakes, and that it never hangs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.fleetops.gunicorn.plugins.modules import log_check

from tests.unit.plugins.module_utils._logs.paper_log import NOON, block, fixture, line, start


def run(capsys, **args):
    with patch_module_args(args), pytest.raises(SystemExit):
        log_check.main()
    return json.loads(capsys.readouterr().out)


@pytest.fixture(name="log")
def _log(tmp_path):
    path = tmp_path / "app.log"
    path.write_text(start() + block())
    return path


def test_a_look(capsys, log):
    result = run(capsys, paths=[str(log)])
    assert not result["changed"] and not result.get("failed")
    assert result["verdict"] == "dirty"
    assert result["counts"] == {"reentrant": 1, "worker_killed": 1}
    size, lines = log.stat().st_size, log.read_text().count("\n")
    assert result["scanned"] == {"bytes": size, "lines": lines, "files": [str(log)]}


def test_whether_a_log_tells_of_the_arbiter(capsys, log):
    assert "tells" not in run(capsys, paths=[str(log)])
    assert run(capsys, paths=[str(log)], arbiter_pid=99)["tells"] == ""
    pid = int(start().split("[")[2].split("]")[0])
    assert run(capsys, paths=[str(log)], arbiter_pid=pid)["tells"] == "start"


def test_options_reach_the_look(capsys, log):
    options = {
        "paths": [str(log)],
        "tolerance": {"reentrant": 1, "worker_killed": "1/h"},
        "patterns": [{"name": "frames", "regex": "Call stack", "tolerance": "2"}],
        "gunicorn": "21.2.0",
        "max_excerpts": 1,
    }
    result = run(capsys, **options)
    assert (result["verdict"], result["counts"]["frames"]) == ("clean", 1)
    assert [bool(i["excerpt"]) for i in result["incidents"]] == [True, False, False]
    assert run(capsys, **{**options, "gunicorn": "23.0.0"})["verdict"] == "dirty"
    late = str(NOON + 60)
    assert run(capsys, paths=[str(log)], since=late)["verdict"] == "no_data"
    assert run(capsys, paths=[str(log)], until="2026-11-23T03:02:00Z")["verdict"] == "no_data"
    assert run(capsys, paths=[str(log)], arbiter_pid=99)["verdict"] == "no_data"
    assert run(capsys, paths=[str(log)], arbiter_pid=0)["verdict"] == "dirty"


def test_check_mode_reads_and_leaves_the_cursor(capsys, log):
    cursor = log.parent / "cursor"
    for _turn in range(2):
        looked = run(capsys, paths=[str(log)], cursor=str(cursor), _ansible_check_mode=True)
        assert looked["verdict"] == "dirty"
        assert not cursor.exists()
    assert run(capsys, paths=[str(log)], cursor=str(cursor))["verdict"] == "dirty"
    written = cursor.read_bytes()
    log.write_text(log.read_text() + line("Reason: App failed to load."))
    looked = run(capsys, paths=[str(log)], cursor=str(cursor), _ansible_check_mode=True)
    assert looked["counts"] == {"app_load_failure": 1}
    assert cursor.read_bytes() == written
    assert run(capsys, paths=[str(log)], cursor=str(cursor))["counts"] == {"app_load_failure": 1}
    assert run(capsys, paths=[str(log)], cursor=str(cursor))["verdict"] == "no_data"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "one of the following is required: paths, program"),
        ({"paths": ["/x"], "program": "app"}, "mutually exclusive"),
        ({"paths": []}, "there is no log to look at"),
        ({"paths": ["app.log"]}, "is not absolute"),
        ({"paths": ["/nonexistent/app.log"]}, "There is no such file"),
        ({"paths": ["/"]}, "is a directory"),
        ({"paths": ["/dev/null"]}, "is a device"),
        ({"since": "yesterday"}, "since: 'yesterday' is no time"),
        ({"until": "tomorrow"}, "until: 'tomorrow' is no time"),
        ({"tolerance": {"reentrance": 1}}, "there is no event reentrance"),
        ({"tolerance": {"reentrant": "some"}}, "'some' for reentrant is none"),
        ({"patterns": [{"name": "x", "regex": "("}]}, "the regex of 'x' is wrong"),
        ({"patterns": [{"name": "x", "regex": ".*"}]}, "matches an empty line"),
        ({"patterns": [{"name": "x"}]}, "missing required arguments: regex"),
        ({"arbiter_pid": "me"}, "arbiter_pid"),
        ({"cursor": "/"}, "Asked to use the cursor /"),
        ({"cursor": "/proc/nonexistent/cursor"}, "Asked to write the cursor"),
        ({"program": "app", "paths": None, "supervisor_url": "unix:///nonexistent"}, "supervisor"),
    ],
)
def test_a_mistake_is_a_message(capsys, log, wrong, words):
    args = {"paths": [str(log)], **wrong} if wrong else {}
    result = run(capsys, **{key: value for key, value in args.items() if value is not None})
    assert result["failed"]
    assert words in result["msg"]
    assert "Traceback" not in json.dumps(result)
    assert "verdict" not in result


@pytest.mark.parametrize("regex", [r"(a+)+$", r"(x|a|aa)+b", r"boot(a*)*$"])
def test_an_evil_regex_ends_in_time(capsys, log, regex):
    log.write_text(start() + "boot" + "a" * 5000 + "!\n")
    patterns = [{"name": "evil", "regex": regex}]
    result = run(capsys, paths=[str(log)], patterns=patterns, pattern_timeout=0.2)
    assert "'evil' takes too long" in result["msg"]


def test_many_regexes_share_the_time(capsys, log):
    log.write_text((start() + "y" * 20 + "a" * 18 + "!\n") * 200)
    patterns = [{"name": f"slow{n}", "regex": r"(a+)+$"} for n in range(9)]
    result = run(capsys, paths=[str(log)], patterns=patterns, pattern_timeout=0.3)
    assert "takes too long" in result["msg"]


def test_the_timer_is_off_afterwards(capsys, log):
    import signal

    run(capsys, paths=[str(log)], patterns=[{"name": "x", "regex": "(?i)y"}], pattern_timeout=5)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_secrets_stay_on_the_host(capsys):
    result = run(capsys, paths=[fixture("23.0.0-py3.11.boot_failure")])
    assert result["verdict"] == "dirty"
    assert "hunter2" not in json.dumps(result["incidents"])


def test_few_modules_are_imported():
    """Each costs time on every host, and only a program's logs need supervisord's."""
    code = (
        "import sys; from ansible_collections.fleetops.gunicorn.plugins.modules import log_check;"
        "print([m for m in sys.modules if m.startswith('ansible_collections.') and '_' in m])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[4],
        env={"PYTHONPATH": ".collections", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for heavy in ("_gunicorn", "_service", "_host.processes"):
        assert heavy not in said
    assert "_logs.check" in said
