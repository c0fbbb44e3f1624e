# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kinds of logs that were judged wrong once: shippers' wrappers, dates, last words, storms."""

import json
import os
import time

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.machine import boottime
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import Reader
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.check import Begin
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.live_processes import living
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.reader import standing

from tests.unit.plugins.module_utils._logs.paper_log import NOON, Paper, block, line, start

KILLED = "Worker (pid:31) was sent SIGKILL! Perhaps out of memory?"


@pytest.fixture(name="paper")
def _paper(tmp_path):
    return Paper(tmp_path)


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def counts(paper, text, **options):
    result = paper.judge(text, **options)
    assert paper.judge(text, use_ctypes=False, **options) == result
    return result["counts"]


# -- what shippers put around each line


def full_disk(number):
    return (
        "--- Logging error ---\nTraceback (most recent call last):\n"
        '  File "/usr/lib/python3.11/logging/__init__.py", line 1114, in emit\n    self.flush()\n'
        "OSError: [Errno 28] No space left on device\nCall stack:\n"
        '  File "/srv/app/venv/bin/gunicorn", line 8, in <module>\n'
        f"Message: 'order %s stored'\nArguments: ({number},)\n"
    )


STAMP = "2026-11-23T03:02:14.123456789Z"
WRAPPERS = {
    "docker": lambda t: json.dumps({"log": t + "\n", "stream": "stderr", "time": STAMP}),
    "docker, other order": lambda t: json.dumps({"stream": "stderr", "time": STAMP, "log": t}),
    "journalctl -o json": lambda t: json.dumps(
        {"__REALTIME_TIMESTAMP": "1795402934123456", "PRIORITY": "6", "_PID": "1", "MESSAGE": t}
    ),
    "fluentd": lambda t: json.dumps({"message": t, "tag": "app", "timestamp": STAMP}),
    "cloud": lambda t: json.dumps({"textPayload": t, "severity": "ERROR", "timestamp": STAMP}),
    "Kubernetes": lambda t: f"{STAMP} stderr F {t}",
    "kubectl": lambda t: f"[pod/app-5d9f/app] {t}",
    "syslog": lambda t: f"Nov 23 03:02:14 web1 gunicorn[4711]: {t}",
    "RFC 5424": lambda t: f"<30>1 {STAMP} web1 app 4711 - - {t}",
    "compose": lambda t: f"app-1  | {t}",
    "docker logs -t": lambda t: f"{STAMP} {t}",
    "rsyslog's own format": lambda t: f"2026-11-23T03:02:14.123456+00:00 web1 gunicorn: {t}",
    "pm2": lambda t: f"0|app  | {t}",
    "a listener of supervisord": lambda t: f"app_00 stderr | {t}",
    "loki": lambda t: json.dumps({"line": t, "timestamp": STAMP}),
    "multilog": lambda t: f"@400000006561a2b30a1b2c3d {t}",
}


@pytest.mark.parametrize("wrapper", sorted(WRAPPERS))
def test_what_a_shipper_adds_hides_no_block(paper, wrapper):
    def wrapped(text):
        return "".join(WRAPPERS[wrapper](each) + "\n" for each in text.splitlines())

    full = start() + "".join(full_disk(n) for n in range(12))
    assert counts(paper, wrapped(full)) == counts(paper, full) == {"logging_error": 12}
    text = start() + line("Booting worker with pid: 7", 7, level="INFO") + block()
    # Three times the same: printed again by forked workers.
    text += (line("Booting worker with pid: 8", 8, 1, "INFO") + block()) * 2
    text += line("Worker (pid:8) exited with code 3", 100, 2) + line(KILLED, 100, 3)
    wanted = {"reentrant": 1, "worker_killed": 2, "worker_exited": 1}
    assert counts(paper, wrapped(text)) == counts(paper, text) == wanted
    trace = full_disk(0).split("OSError", maxsplit=1)[0].replace("--- Logging error ---\n", "")
    assert counts(paper, wrapped(start() + trace + "MemoryError\n")) == {"memory_error": 1}


def test_colour_inside_the_prefix(paper):
    text = start().replace("INFO", "\x1b[32mINFO\x1b[0m") + line("WORKER TIMEOUT (pid:9)").replace(
        "ERROR", "\x1b[1;31mCRITICAL\x1b[0m"
    )
    (incident,) = paper.judge(text)["incidents"]
    assert (incident["event"], incident["arbiter_pid"]) == ("worker_timeout", 100)


# -- deaths of last week

DATES = {
    "Django": "[%d/%b/%Y %H:%M:%S] {level} [gunicorn.error:271] {text}",
    "RFC 822": "%a, %d %b %Y %H:%M:%S +0000 {level} {text}",
    "ctime": "%a %b %d %H:%M:%S %Y {level} gunicorn.error: {text}",
    "American": "%b %d, %Y %H:%M:%S {level} {text}",
    "slashes": "%Y/%m/%d %H:%M:%S [{level}] {text}",
    "German": "%d.%m.%Y %H:%M:%S {level} {text}",
    "ISO": "%Y-%m-%dT%H:%M:%S {level} gunicorn.error {text}",
    "epoch": "%s.123 {level} {text}",
    "JSON, split": '{{"date": "%Y-%m-%d", "time": "%H:%M:%S", "lvl": "{level}", "msg": "{text}"}}',
    "JSON, Django": '{{"asctime": "%d/%b/%Y %H:%M:%S", "lvl": "{level}", "message": "{text}"}}',
}
UNDATED = {
    "time only": "%H:%M:%S {level} {text}",
    "day or month first": "%d/%m/%Y %H:%M:%S {level} {text}",
    "level": "{level}:gunicorn.error:{text}",
    "nothing": "{text}",
    "JSON, time only": '{{"time": "%H:%M:%S", "level": "{level}", "message": "{text}"}}',
    "JSON, nothing": '{{"level": "{level}", "message": "{text}"}}',
}


def written(layout, text, second, level="INFO"):
    layout = (DATES.get(layout) or UNDATED[layout]).replace("%s.123", f"{int(NOON + second)}.123")
    stamped = time.strftime(
        layout.replace("{{", "{").replace("}}", "}"), time.gmtime(NOON + second)
    )
    return stamped.replace("{level}", level).replace("{text}", text) + "\n"


def last_week(layout):
    return written(layout, "Starting gunicorn 21.2.0", -604800) + written(
        layout, KILLED, -604000, "ERROR"
    )


def today(layout):
    return written(layout, "Starting gunicorn 23.0.0", 0) + written(
        layout, "Booting worker with pid: 71", 1
    )


@pytest.mark.parametrize("layout", sorted({**DATES, **UNDATED}))
def test_deaths_of_last_week_never_fail_a_new_release(paper, layout):
    dead = written(layout, KILLED.replace("31", "71"), 60, "ERROR")
    options = {"since": NOON, "arbiter_pid": 70}
    result = paper.judge(last_week(layout) + today(layout), **options)
    assert (result["verdict"], result["counts"]) == ("clean", {})
    # Our start was not logged: whose the death is can be told by its time alone.
    result = paper.judge(last_week(layout), **options)
    assert result["verdict"] == ("no_data" if layout in DATES else "inconclusive")
    # What happens now is told, and for certain where the time is.
    result = paper.judge(last_week(layout) + today(layout) + dead, **options)
    assert result["counts"] == {"worker_killed": 1}
    assert result["verdict"] == ("dirty" if layout in DATES else "inconclusive")


@pytest.mark.parametrize("layout", sorted({**DATES, **UNDATED}))
def test_the_place_at_the_switch_tells_what_no_line_tells(paper, layout):
    paper.write(last_week(layout))
    (place,) = standing([str(paper.path), "/nonexistent/app.log", str(paper.path.parent)])
    assert place["path"] == str(paper.path)
    begin = (Begin(place["dev"], place["inode"], place["size"]),)
    options = {"since": NOON, "arbiter_pid": 70, "begin": begin}
    paper.append(today(layout))
    assert (paper.look(**options)["verdict"], paper.look(**options)["counts"]) == ("clean", {})
    paper.append(written(layout, KILLED.replace("31", "71"), 60, "ERROR"))
    assert paper.look(**options)["counts"] == {"worker_killed": 1}
    assert paper.look(**options)["verdict"] == "dirty"
    # Renamed by a rotation, and another one after it.
    paper.path.rename(str(paper.path) + ".1")
    paper.append(written(layout, KILLED.replace("31", "72"), 70, "ERROR"))
    assert paper.look(**options)["counts"] == {"worker_killed": 2}


def test_a_log_that_was_cut_since_the_switch_is_read_from_its_head(paper):
    paper.write("x\n" * 1000)
    status = os.stat(str(paper.path))
    begin = (Begin(status.st_dev, status.st_ino, status.st_size),)
    paper.path.write_text(start() + line(KILLED))
    assert paper.look(begin=begin, since=NOON, arbiter_pid=100)["counts"] == {"worker_killed": 1}


# -- last words, qualified names, whose trace

HALT = """Traceback (most recent call last):
  File "/srv/venv/lib/python3.11/site-packages/gunicorn/arbiter.py", line 357, in sleep
    ready = select.select([self.PIPE[0]], [], [], 1.0)
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  File "/srv/venv/lib/python3.11/site-packages/gunicorn/arbiter.py", line 528, in reap_workers
    raise HaltServer(reason, self.APP_LOAD_ERROR)
gunicorn.errors.HaltServer: <HaltServer '%s' 4>
"""


def test_a_halt_within_a_halt(paper):
    """No Reason line: the arbiter was in halt() when the second worker ended."""
    for words, event in (
        ("App failed to load.", "app_load_failure"),
        ("Worker failed to boot.", "boot_failure"),
    ):
        text = start() + (HALT + "\nDuring handling of the above exception, another\n\n" + HALT) % (
            words,
            words,
        )
        assert counts(paper, text) == {event: 1}
        assert counts(paper, text + line("Reason: " + words)) == {event: 1}


@pytest.mark.parametrize(
    "name",
    [
        "MemoryError",
        "numpy.core._exceptions._ArrayMemoryError: Unable",
        "torch.OutOfMemoryError: x",
        "app.make.<locals>.MemoryError: x",
    ],
)
def test_an_exception_of_any_module(paper, name):
    trace = (
        line("Error handling request /predict", 9)
        + 'Traceback (most recent call last):\n  File "/srv/app/x.py", line 1, in f\n    y()\n'
        + name
        + "\n"
    )
    assert counts(paper, start() + trace) == {"memory_error": 1}
    assert counts(paper, start() + line(f"Invalid value {name}", 9) + name + "\n") == {}
    chained = trace + "\nDuring handling of the above exception, another exception occurred:\n\n"
    assert counts(paper, start() + chained + trace[len(trace.split("\n")[0]) + 1 :]) == {
        "memory_error": 1
    }


GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/srv/app/x.py", line 4, in f
  |     raise ExceptionGroup("u", [e])
  | ExceptionGroup: u (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/app/x.py", line 2, in g
    |     y()
    | MemoryError: x
    +------------------------------------
"""


def test_a_member_of_an_exception_group(paper):
    assert counts(paper, start() + line("Error handling request /", 9) + GROUP) == {
        "memory_error": 1
    }
    assert counts(paper, start() + "    | MemoryError: x\n") == {}


def test_a_header_that_is_not_understood_is_not_clean(paper):
    result = paper.judge("".join(f"my own | {each}\n" for each in full_disk(0).splitlines()))
    assert (result["verdict"], result["counts"]) == ("inconclusive", {})


CELERY = """Traceback (most recent call last):
  File "/srv/app/venv/lib/python3.12/site-packages/celery/apps/worker.py", line 298, in _handle
    safe_say(f'worker: {how} shutdown (MainProcess)', sys.__stdout__)
RuntimeError: reentrant call inside <_io.BufferedWriter name='<stdout>'>
"""


def test_a_reentrant_call_without_gunicorn_in_its_trace(paper):
    result = paper.judge(start() + CELERY)
    assert (result["verdict"], result["counts"]) == ("clean", {"reentrant_elsewhere": 1})
    header = "--- Logging error ---\n" + CELERY + "Call stack:\n"
    header += '  File "/srv/app/venv/lib/python3.12/site-packages/loguru/_x.py", line 2, in emit\n'
    header += "Message: 'x'\nArguments: ()\n"
    assert counts(paper, start() + header) == {"reentrant_elsewhere": 1}
    own = header.replace("loguru/_x.py", "gunicorn/arbiter.py")
    assert counts(paper, start() + own) == {"reentrant": 1}
    # A storm of them is told.
    storm = "".join(line("x", 7, 60 * n) + CELERY for n in range(20))
    assert paper.judge(start() + storm)["verdict"] == "dirty"


# -- children of the arbiter that are no workers


def test_a_child_that_never_booted_as_a_worker(paper):
    exited = line("Worker (pid:55) exited with code 1")
    booted = line("Booting worker with pid: 57", 57, level="INFO")
    assert counts(paper, start() + booted + exited) == {"child_exited": 1}
    assert counts(paper, start() + booted.replace("57", "55") + exited) == {"worker_exited": 1}
    # Its first line is out of sight: then it counts as a worker.
    assert counts(paper, booted + exited) == {"worker_exited": 1}
    assert counts(paper, start() + exited) == {"worker_exited": 1}


def test_a_dirty_arbiter_is_no_worker(paper):
    text = start(version="26.0.0") + line("Spawned dirty arbiter (pid: 55) at /x", level="INFO")
    text += line("Booting worker with pid: 57", 57, level="INFO")
    killed = line("Worker (pid:55) was sent SIGKILL! Perhaps out of memory?")
    assert counts(paper, text + killed) == {"dirty_arbiter_ended": 1}
    ended = line("Dirty worker (pid:60) killed by signal 9", 55, level="WARNING")
    assert counts(paper, text + ended) == {"dirty_worker_ended": 1}
    assert counts(paper, text + line("Dirty worker (pid:60) killed by signal 15", 55)) == {
        "worker_terminated": 1
    }


# -- storms


@pytest.mark.parametrize("gap", [1, 2, 30, 59, 61])
def test_a_storm_of_what_is_alike_is_counted(paper, gap):
    alike = full_disk(7)
    text = start() + "".join(line("GET /", 78, 60 + n * gap, "INFO") + alike for n in range(60))
    result = paper.judge(text)
    assert result["counts"] == {"logging_error": 60}
    assert result["verdict"] == ("dirty" if gap < 300 else "clean")
    again = alike.replace(
        "OSError: [Errno 28] No space left on device",
        "RuntimeError: reentrant call inside <_io.BufferedWriter name='<stderr>'>",
    )
    text = start() + "".join(line("GET /", 78, 60 + n * gap, "INFO") + again for n in range(60))
    result = paper.judge(text, tolerance={"reentrant": "5/h"})
    assert (result["verdict"], result["counts"]) == ("dirty", {"reentrant": 60})
    memory = 'Traceback (most recent call last):\n  File "/x.py", line 1, in f\nMemoryError\n'
    text = start() + "".join(line("Error", 78, 60 + n * gap) + memory for n in range(60))
    assert counts(paper, text, tolerance={"memory_error": "5/h"}) == {"memory_error": 60}


# -- a soak looks again and again


def test_looks_of_a_soak_read_each_line_once_and_judge_all_of_it(paper):
    """The same as one look at the whole, whatever was written between them."""
    parts = [
        start() + line("Booting worker with pid: 9", 9, level="INFO"),
        line("WORKER TIMEOUT (pid:9)", second=3),
        "",
        block(arguments="(8, 9)") + line("x", second=5),
        block(arguments="(8, 9)")[:90],
        block(arguments="(8, 9)")[90:] + line("Worker (pid:7) was sent SI")[:-1],
        "GKILL!\n" + line("WORKER TIMEOUT (pid:11)", second=9),
        line("WORKER TIMEOUT (pid:12)", second=9) + line("WORKER TIMEOUT (pid:13)", second=9),
        line("Worker (pid:9) exited with code 1", second=9) + line("Reason: App failed to load."),
    ]
    options = {"since": NOON, "arbiter_pid": 100, "patterns": [{"name": "xx", "regex": "[x]$"}]}
    progress, read = {}, 0
    paper.write("")
    for part in parts:
        paper.append(part)
        found = paper.look(progress=progress, keep=True, **options)
        whole = paper.look(**options)
        # The state goes to the controller and back.
        progress = json.loads(json.dumps(found.pop("progress")))
        read += found.pop("scanned")["bytes"]
        assert found["counts"] == whole["counts"]
        assert (found["verdict"], found["doubtful"]) == (whole["verdict"], whole["doubtful"])
        places = [
            sorted((i["event"], i["path"], i["offset"], i["worker_pid"]) for i in one["incidents"])
            for one in (found, whole)
        ]
        if "Logging" not in part:
            assert places[0] == places[1] or part == parts[5], part
    assert whole["counts"]["worker_timeout"] == 4
    # Each byte was read about once, not once for each look.
    assert read < 2 * os.path.getsize(str(paper.path))
    # Rotated, and another window: neither is gone on with wrongly.
    paper.path.rename(str(paper.path) + ".1")
    paper.write(line("WORKER TIMEOUT (pid:14)", second=20))
    found = paper.look(progress=progress, keep=True, **options)
    assert found["counts"] == paper.look(**options)["counts"]
    assert found["counts"]["worker_timeout"] == 5
    other = dict(options, since=NOON + 19, arbiter_pid=None)
    assert paper.look(progress=progress, **other)["counts"] == paper.look(**other)["counts"]
    for wrong in ({"of": progress["of"]}, {"of": progress["of"], "logs": {str(paper.path): []}}):
        assert paper.look(progress=wrong, **options)["counts"]["worker_timeout"] == 5
    # It may be seen: nothing in it is secret.
    secret = block("'password=hunter2 is wrong'", "()")
    paper.write(start() + secret + line("Worker (pid:7) was sent SIGKILL! password=hunter2"))
    for text in ("", secret[: secret.index("Arguments")]):
        paper.append(text)
        assert "hunter2" not in json.dumps(paper.look(keep=True, **options)["progress"])
    # The file was cut: what was told before is told no more than the log tells it.
    os.unlink(str(paper.path) + ".1")
    paper.write(start())
    assert paper.look(progress=found["progress"], **options)["counts"] == {}


# -- who lives


def test_the_living_are_the_children_of_the_arbiter():
    began = time.time() - boottime()
    own = Reader()
    with open("/proc/self/stat", encoding="ascii") as handle:
        ticks = int(handle.read().rsplit(")", 1)[1].split()[19])
    started = began + ticks / os.sysconf("SC_CLK_TCK")
    found = living(own, began, os.getpid(), started)
    assert found is not None and abs(found[os.getpid()] - started) < 1
    # Another life of the same pid, and nobody at all.
    assert living(own, began, os.getpid(), started - 60) is None
    assert living(own, began, 1 << 22, started) is None
