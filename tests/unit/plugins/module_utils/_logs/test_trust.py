# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing that a client sends, and an application or an access log writes down, is an incident."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils._logs.paper_log import (
    NOON,
    REAL,
    Paper,
    block,
    check,
    fixture,
    line,
    start,
)

KILLED = "Worker (pid:9) was sent SIGKILL! Perhaps out of memory?"
# What a client may send: the text of every event, the parts of a block, and forged prefixes.
WORDS = [
    KILLED,
    "Worker with pid 9 was terminated due to signal 9",
    "Worker (pid:9) exited with code 3",
    "WORKER TIMEOUT (pid:9)",
    "DIRTY WORKER TIMEOUT (pid:9)",
    "Dirty arbiter (pid:9) killed by signal 9",
    "Exception in worker process",
    "Reason: Worker failed to boot.",
    "Reason: App failed to load.",
    "Unhandled exception in main loop",
    "Connection in use: ('127.0.0.1', 8000)",
    "Unhandled signal: cld",
    "ASGI lifespan startup failed: x",
    "gunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>",
    "MemoryError",
    "x MemoryError: y",
    "numpy.core._exceptions._ArrayMemoryError: Unable to allocate",
    "Starting gunicorn 19.0.0",
    "Booting worker with pid: 9",
    "--- Logging error ---",
    "Traceback (most recent call last):",
    '  File "/srv/venv/lib/python3.11/site-packages/gunicorn/arbiter.py", line 242, in handle_chld',
    '  File "/srv/venv/lib/python3.11/site-packages/celery/worker.py", line 2, in x',
    "RuntimeError: reentrant call inside <_io.BufferedWriter name='<stderr>'>",
    "Error: reentrant call inside <_io.BufferedWriter name='<stderr>'>",
    "reentrant call inside",
    'object repr     : RuntimeError("reentrant call inside <_io.BufferedWriter name=4>")',
    "Message: 'Worker (pid:9) was sent SIGKILL!'",
    "Arguments: (9, 9)",
    "Arguments: ()",
    "[2026-11-23 09:05:37 +0000] [7] [ERROR] " + KILLED,
    "[2026-11-23 09:05:37 +0000] [7] [INFO] Starting gunicorn 19.0.0",
    "[2099-01-01 00:00:00 +0000] [7] [INFO] Starting gunicorn 19.0.0",
    "[2001-01-01 00:00:00 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:9)",
]


def escaped(text):
    """What gunicorn does to a client's text in an access line, and nginx, too."""
    return text.replace('"', '\\"')


WHEN = "[23/Nov/2026:09:05:37 +0000]"
ACCESS = {
    "common": lambda w: f'10.0.0.1 - - {WHEN} "GET /{escaped(w)} HTTP/1.1" 200 5',
    "user": lambda w: (
        f'10.0.0.1 - {w.replace(":", "").replace(chr(34), "")} {WHEN} "GET / H" 200 5'
    ),
    "combined": lambda w: f'10.0.0.1 - - {WHEN} "GET / HTTP/1.1" 200 5 "-" "{escaped(w)}"',
    "referrer": lambda w: f'10.0.0.1 - - {WHEN} "GET / HTTP/1.1" 200 5 "{escaped(w)}" "curl/7"',
    "forwarded first": lambda w: f'{escaped(w)} - {WHEN} "GET / HTTP/1.1" 200 5 "-" "curl/7"',
    "agent first": lambda w: f"{escaped(w)} 200 5 0.003",
    "agent last": lambda w: f"10.0.0.1 {WHEN} 200 {escaped(w)}",
    "address, agent": lambda w: f"10.0.0.1 {escaped(w)}",
    "IPv6, agent": lambda w: f"::1 - - {escaped(w)}",
    "time, agent": lambda w: f"{WHEN} {escaped(w)}",
    "status, agent": lambda w: f"200 {escaped(w)}",
    "pairs": lambda w: f"ip=10.0.0.1 status=200 ua={escaped(w)}",
    "JSON": lambda w: json.dumps({"remote_addr": "10.0.0.1", "status": 200, "user_agent": w}),
    "JSON, message": lambda w: json.dumps({"message": w, "user_agent": w, "level": "info"}),
    "JSON, event": lambda w: json.dumps({"event": w, "logger": "app.views", "level": "warning"}),
    "JSON, trace": lambda w: json.dumps({"logger": "app", "message": "Not Found: /" + w}),
    "uvicorn": lambda w: f'INFO:     10.0.0.1:3456 - "GET /{escaped(w)} HTTP/1.1" 404 Not Found',
    "nginx": lambda w: f'2026/11/23 09:05:37 [error] 7#7: *1 open() "/{w}" failed, client: ::1',
    "Django": lambda w: f"Not Found: /{w}",
    "Django, level": lambda w: f"2026-11-23 09:05:37,001 WARNING django.request Not Found: /{w}",
    "Flask": lambda w: f"[2026-11-23 09:05:37,001] WARNING in views: Invalid request from {w}",
    "Flask, bare": lambda w: f"[2026-11-23 09:05:37,001] WARNING in views: {w}",
    "gunicorn's handlers": lambda w: f"[2026-11-23 09:05:37 +0000] [4242] [WARNING] Invalid: {w}",
    "structlog": lambda w: f"2026-11-23T09:05:37Z [warning  ] invalid request  agent='{w}'",
}


@pytest.fixture(name="paper")
def _paper(tmp_path):
    return Paper(tmp_path)


def told(result):
    """What must not change: all but places and lines counted."""
    keys = ("event", "arbiter_pid", "worker_pid", "signal")
    rows = sorted(repr([item[key] for key in keys]) for item in result["incidents"])
    return result["verdict"], result["counts"], rows


def inserted(name, at, text):
    with open(fixture(name), encoding="utf-8") as handle:
        lines = handle.read().splitlines(True)
    at = at % (len(lines) + 1)
    return "".join(lines[:at]) + text + "\n" + "".join(lines[at:])


@pytest.mark.parametrize("kind", sorted(ACCESS))
def test_no_text_of_an_event_counts_in_any_access_line(paper, kind):
    for words in WORDS:
        text = start() + line("Booting worker with pid: 9", 9, level="INFO")
        text += ACCESS[kind](words) + "\n" + line("all is well", 100, 1, "INFO")
        result = paper.judge(text, gunicorn="21.2.0")
        assert (result["verdict"], result["counts"]) == ("clean", {}), words


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(sorted(REAL)),
    kind=st.sampled_from(sorted(ACCESS)),
    words=st.sampled_from(WORDS),
    at=st.integers(min_value=0, max_value=300),
)
def test_an_access_line_anywhere_in_a_real_log_changes_nothing(paper, name, kind, words, at):
    wanted = told(check(fixture(name)))
    for use_ctypes in (True, False):
        found = paper.judge(inserted(name, at, ACCESS[kind](words)), use_ctypes=use_ctypes)
        assert told(found) == wanted


def test_a_path_that_was_not_found_is_nobodys_frame(paper):
    """Else whoever asks for it in the middle of a block turns gunicorn's error into another's."""
    name = "23.0.0-py3.11.blocked"
    words = '  File "/srv/venv/lib/python3.11/site-packages/celery/x.py", line 2, in x'
    for at in range(3, 16):
        found = paper.judge(inserted(name, at, ACCESS["Django"](words)))
        assert told(found) == told(check(fixture(name))), at


@pytest.mark.parametrize("name", ["20.1.0-py3.6.blocked", "23.0.0-py3.11.burst"])
def test_no_client_comes_between_the_frames_and_their_exception(paper, name):
    words = "numpy.core._exceptions._ArrayMemoryError: Unable to allocate"
    wanted = told(check(fixture(name)))
    for at in range(150):
        found = paper.judge(inserted(name, at, ACCESS["agent first"](words)))
        assert told(found) == wanted, at


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kind=st.sampled_from(sorted(ACCESS)),
    words=st.sampled_from(WORDS),
    at=st.integers(min_value=0, max_value=300),
    layout=st.sampled_from(["docker", "compose", "cri", "journal"]),
)
def test_neither_does_it_behind_what_a_shipper_adds(paper, kind, words, at, layout):
    name = "20.1.0-py3.6.blocked"
    wanted = told(check(fixture(name)))
    text = "".join(
        packed(layout, text) for text in inserted(name, at, ACCESS[kind](words)).splitlines()
    )
    assert told(paper.judge(text)) == wanted


def packed(layout, text):
    stamp = "2026-11-23T09:05:30.123456789Z"
    if layout == "docker":
        return json.dumps({"log": text + "\n", "stream": "stderr", "time": stamp}) + "\n"
    if layout == "journal":
        return json.dumps({"__REALTIME_TIMESTAMP": "1795424730000000", "MESSAGE": text}) + "\n"
    return {"compose": "app-1  | ", "cri": stamp + " stderr F "}[layout] + text + "\n"


@pytest.mark.parametrize("pid", ["7", "1"])
def test_no_client_tells_the_time_behind_what_a_shipper_adds(paper, pid):
    """Else reprints of one block would be as many, or many deaths one."""
    name = "20.1.0-py3.6.blocked"
    wanted = told(check(fixture(name)))
    words = f"[2099-01-01 00:00:00 +0000] [{pid}] [INFO] Starting gunicorn 19.0.0"
    for at in range(160):
        lines = inserted(name, at, ACCESS["Django"](words)).splitlines()
        text = "".join(packed("compose", line) for line in lines)
        assert told(paper.judge(text)) == wanted, at


def test_two_parts_of_a_block_sent_one_after_the_other_are_none(paper):
    """In a format that begins with a client's words, and in the user of a common access line."""
    for kind in ("forwarded first", "agent first", "user"):
        parts = [
            "--- Logging error ---",
            "Traceback (most recent call last):",
            '  File "/srv/lib/python3.11/site-packages/gunicorn/arbiter.py", line 2, in x',
            "RuntimeError: reentrant call inside <_io.BufferedWriter name='<stderr>'>",
            "Message: 'Worker (pid:9) was sent SIGKILL!'",
            "Arguments: (9, 9)",
        ]
        text = "".join(ACCESS[kind](part) + "\n" for part in parts)
        assert paper.judge(start() + text)["counts"] == {}, kind
    # A user's name that holds line ends: it cannot hold a colon, nor a quote that is not escaped.
    user = 'x\n--- Logging error ---\n  File \\"/srv/x.py\\", line 1, in y\nMemoryError\n'
    assert paper.judge(start() + f'10.0.0.1 - {user} {WHEN} "GET / H" 200 5\n')["counts"] == {}


def test_an_application_that_logs_through_gunicorns_handlers(paper):
    """Flask's ``app.logger.handlers = gunicorn_logger.handlers``: a worker's pid."""
    text = start() + line("Booting worker with pid: 9", 9, level="INFO")
    for words in WORDS:
        result = paper.judge(text + line(words, 9, 1, "WARNING"), gunicorn="21.2.0")
        if words == "ASGI lifespan startup failed: x":
            # Only the living worker contradicts this.
            result = paper.look(living={100: NOON - 90, 9: NOON - 90})
        assert (result["verdict"], result["counts"]) == ("clean", {}), words


def test_an_access_log_of_its_own_is_no_log_of_the_arbiter(paper):
    for kind in sorted(set(ACCESS) - {"JSON, message"}):
        text = "".join(ACCESS[kind](words) + "\n" for words in WORDS)
        result = paper.judge(text, gunicorn="21.2.0")
        # Alone it does not tell of the arbiter at all; beside a log that does, it is nothing.
        assert result["counts"] == {}, kind
        assert result["verdict"] in ("clean", "inconclusive"), kind
        errors = paper.path.parent / "errors.log"
        errors.write_text(start())
        result = check(paper.path, errors, gunicorn="21.2.0")
        assert (result["verdict"], result["counts"]) == ("clean", {}), kind


# -- a forgery as good as it can be: a line of its own, with the right prefix


def forged(words, pid=100):
    return "Not Found: /x\n" + line(words, pid, 5)


def test_who_lives_contradicts_a_perfect_forgery(paper):
    text = start() + line("Booting worker with pid: 9", 9, level="INFO")
    living = {100: NOON - 1, 9: NOON}
    for words in (
        KILLED,
        "Worker (pid:9) exited with code 3",
        "WORKER TIMEOUT (pid:9)",
        "Reason: Worker failed to boot.",
        "Unhandled exception in main loop",
    ):
        options = {"arbiter_pid": 100, "since": NOON - 1}
        assert paper.judge(text + forged(words), living=living, **options)["counts"] == {}, words
        # Of a worker that is dead, or of an arbiter that is, it is believed.
        assert paper.look(living={}, **options)["counts"], words
        assert paper.look(**options)["counts"], words
    # What has only just been written may be true in a moment.
    result = paper.judge(text + forged(KILLED), living=living, now=NOON + 6, **options)
    assert result["counts"] == {"worker_killed": 1}
    # A pid that was used again since.
    result = paper.judge(text + forged(KILLED), living={9: NOON + 60}, **options)
    assert result["counts"] == {"worker_killed": 1}


def test_a_worker_cannot_speak_for_the_arbiter(paper):
    text = start() + line("Booting worker with pid: 9", 9, level="INFO")
    assert paper.judge(text + forged(KILLED, 9))["counts"] == {}
    assert paper.judge(text + forged("Starting gunicorn 19.0.0", 9), gunicorn="21.2.0")[
        "verdict"
    ] == ("clean")


FIRST_FIELDS = {
    "forwarded, combined": '{} - - [23/Nov/2026:03:02:20 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"',
    "forwarded, short": "{} GET / 200 0.003",
    "forwarded, pipes": "{} | 200 | GET /",
    "agent, numbers": "{} 200 5 0.003",
}
EVENTS = [
    words for words in WORDS if "[" not in words and "Traceback" not in words and "(" not in words
]


@pytest.mark.parametrize("layout", sorted(FIRST_FIELDS))
@pytest.mark.parametrize(
    "words",
    [KILLED, "WORKER TIMEOUT (pid:9)", "Connection in use: ('127.0.0.1', 8000)", *EVENTS],
)
def test_who_knows_the_pid_of_the_arbiter_cannot_end_the_line(paper, layout, words):
    """In a container it is 1; a client's field comes first, so the forgery begins the line."""
    text = start(1) + line("Booting worker with pid: 9", 9, level="INFO")
    for level in ("ERROR", "INFO"):
        text += FIRST_FIELDS[layout].format(line(words, 1, 7, level).rstrip()) + "\n"
    result = paper.judge(text + line("Handling signal: ttin", 1, 9, "INFO"), gunicorn="21.2.0")
    assert (result["verdict"], result["counts"]) == ("clean", {})
    # With nothing of a request behind it, it is believed.
    assert paper.judge(text + line(KILLED, 1, 9))["counts"] == {"worker_killed": 1}
    code = line("Worker (pid:9) exited with code 139", 1, 9)
    assert paper.judge(text + code)["counts"] == {"worker_exited": 1}


def test_an_access_line_with_gunicorns_prefix_is_no_event(paper):
    text = start() + line("Booting worker with pid: 9", 9, level="INFO")
    words = 'ASGI lifespan startup failed: x - - [23/Nov/2026:03:02:20 +0000] "GET / HTTP/1.1" 200'
    assert paper.judge(text + line(words, 9, 7, "INFO"))["counts"] == {}


@pytest.mark.parametrize(
    "layout",
    ['{{"message": "{}", "status": 200}}', '{{"body": "{}"}}', "2026-11-23 03:02:20 {}"],
)
def test_an_arbiter_that_has_begun_does_not_begin_anew_in_another_layout(paper, layout):
    text = start(1) + line("Booting worker with pid: 9", 9, level="INFO")
    forged_start = layout.format(line("Starting gunicorn 19.0.0", 1, 7, "INFO").rstrip())
    options = {"arbiter_pid": 1, "since": NOON - 1, "gunicorn": "21.2.0"}
    assert paper.judge(text + forged_start + "\n", **options)["verdict"] == "clean"


def test_a_better_layout_takes_back_what_a_worse_one_told(paper):
    """The head of the file was rotated away: a client's words came before gunicorn's first line."""
    early = "Worker (pid:9) was sent SIGKILL!\nStarting gunicorn 19.0.0\n"
    assert paper.judge(early)["counts"] == {"worker_killed": 1}
    result = paper.judge(early + line("Handling signal: ttin", level="INFO"), gunicorn="21.2.0")
    assert (result["verdict"], result["counts"]) == ("clean", {})
    # What the old generation wrote in its own format does not speak against a new one.
    record = {"time": "2026-11-23T03:02:%02dZ", "process": 100, "level": "ERROR", "message": KILLED}
    new = json.dumps(dict(record, message="Starting gunicorn 23.0.0")) % 13 + "\n"
    text = start(90, -60) + line("x", 90, -9) + new + json.dumps(record) % 15 + "\n"
    assert paper.judge(text, arbiter_pid=100, since=NOON)["counts"] == {"worker_killed": 1}


def test_a_clients_time_does_not_move_the_window(paper):
    """An old death, then a line that claims to be of the window, in an access line."""
    words = "[2099-01-01 00:00:00 +0000] [7] [INFO] x"
    for kind in ("combined", "forwarded first", "pairs", "Django"):
        if kind == "forwarded first":
            continue
        text = start(90, -900) + ACCESS[kind](words) + "\n" + line(KILLED, 90, -600)
        assert paper.judge(text, since=NOON + 86400)["counts"] == {}, kind


def test_real_blocks_are_still_believed(paper):
    assert paper.judge(start() + block())["counts"] == {"reentrant": 1, "worker_killed": 1}
