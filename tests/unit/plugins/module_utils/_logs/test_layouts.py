# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same events, whatever the layout of the lines; and never clean what is not understood."""

import json
import os
import time

import pytest

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

KILLED = "Worker (pid:7) was sent SIGKILL! Perhaps out of memory?"
STAMP = "2026-11-23T03:02:%02d"


@pytest.fixture(name="paper")
def _paper(tmp_path):
    return Paper(tmp_path)


@pytest.fixture(name="_utc")
def _utc_zone(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


# Each wraps a whole line, which gunicorn formatted as always: (time format, what follows).
PREFIXES = {
    "docker compose": ("%Y-%m-%dT%H:%M:%S.123456789Z app-1  | "),
    "syslog": ("%b %d %H:%M:%S web1 gunicorn[4711]: "),
    "RFC 5424": ("<30>1 %Y-%m-%dT%H:%M:%S.123Z web1 app 4711 - - "),
    "journalctl -o short-iso": ("%Y-%m-%dT%H:%M:%S+0000 web1 gunicorn[4711]: "),
    "journalctl -o short-precise": ("%b %d %H:%M:%S.123456 web1 gunicorn[4711]: "),
    "kubectl logs --prefix": ("[pod/app-5d9/app] "),
    "systemd-cat with a level": ("<3>"),
    "tabs and colours": ("\t\x1b[31m"),
    "a very long one": ("p" * 700 + " "),
    # A shipper whose clock is wrong.
    "another time": ("2026-01-23T09:00:00Z app-1 | "),
}


@pytest.mark.parametrize("prefix", sorted(PREFIXES))
@pytest.mark.usefixtures("_utc")
def test_a_foreign_prefix_hides_nothing(paper, prefix):
    for name in REAL:
        same_behind(paper, prefix, name)


def same_behind(paper, prefix, name):
    text, when = "", time.gmtime(NOON)
    with open(fixture(name), encoding="utf-8") as handle:
        for inner in handle.read().splitlines():
            if inner.startswith("[2026"):
                when = time.strptime(inner[1:20], "%Y-%m-%d %H:%M:%S")
            text += time.strftime(PREFIXES[prefix], when) + inner + "\n"
    for use_ctypes in (True, False):
        found = paper.judge(text, use_ctypes=use_ctypes)
        if prefix == "another time":
            # Then one episode may be taken for two. Nothing is taken for nothing.
            assert set(found["counts"]) == set(REAL[name])
            assert all(found["counts"][event] >= count for event, count in REAL[name].items())
            continue
        assert found["counts"] == REAL[name]
        wanted = check(fixture(name))["incidents"]
        # Also the same pid and signal, where gunicorn's own prefix tells them.
        keys = ("event", "worker_pid", "signal", "arbiter_pid")
        rows = [
            sorted(repr([i[key] for key in keys]) for i in each)
            for each in (found["incidents"], wanted)
        ]
        assert rows[0] == rows[1]


@pytest.mark.parametrize("ending", ["\r\n", "\n\n", "\r\n\r\n"])
def test_other_line_ends(paper, ending):
    for name, wanted in REAL.items():
        with open(fixture(name), encoding="utf-8", newline="") as handle:
            text = handle.read().replace("\n", ending)
        assert paper.judge(text)["counts"] == wanted, name


# Formats of the operator's own: (text of a line, does it tell its time?, does it tell its pid?).
FORMATS = {
    "asctime": ("{iso},123 gunicorn.error ERROR {text}", True, False),
    "loguru": ("{iso}.123 | ERROR    | gunicorn.glogging:error:277 - {text}", True, False),
    "ISO with zone": ("{t}+00:00 ERROR {text}", True, False),
    "syslog without gunicorn's prefix": ("Nov 23 03:02:{s} web1 gunicorn[9]: {text}", True, False),
    "journald of a bare format": ("{t}+0000 web1 gunicorn[9]: {text}", True, False),
    "gunicorn without zone": ("[{iso}] [100] [ERROR] {text}", True, True),
    "gunicorn with milliseconds": ("[{iso}.123 +0000] [100] [ERROR] {text}", True, True),
    "level only": ("ERROR:gunicorn.error:{text}", False, False),
    "nothing": ("{text}", False, False),
    "structlog": ("{t}Z [error    ] {text}       [gunicorn.error]", True, False),
    "loguru behind logging": (
        "{iso}.123 | ERROR    | logging:callHandlers:1706 - {text}",
        True,
        False,
    ),
    "Flask": ("[{iso},123] ERROR in glogging: {text}", True, False),
    "Django verbose": ("ERROR {iso},123 glogging 71 140234 {text}", True, False),
    "a host": ("{iso},123 web1 gunicorn.error ERROR {text}", True, False),
    "Pyramid, level cut to five": (
        "{iso},123 CRITI [gunicorn.error:281][MainThread] {text}",
        True,
        False,
    ),
    "level cut to five": ("{iso},123 [MainThread  ] [WARNI]  {text}", True, False),
    "Datadog": (
        "{iso},123 ERROR [gunicorn.error] [glogging.py:281] [dd.service=web dd.env=prod dd.version="
        " dd.trace_id=0 dd.span_id=0] - {text}",
        True,
        False,
    ),
    "OpenTelemetry": (
        "{iso},123 ERROR [gunicorn.error] [glogging.py:281] [trace_id=4bf92f35 span_id=0"
        " resource.service.name=web trace_sampled=False] - {text}",
        True,
        False,
    ),
    "Airflow": ("[{t}.123+0000] {{{{glogging.py:281}}}} ERROR - {text}", True, False),
    "path": ("{iso},123 ERROR /srv/v/gunicorn/glogging.py:281 {text}", True, False),
    "module and function": ("{iso},123 [ERROR] glogging.error:281: {text}", True, False),
    "structlog with more keys": (
        "{t}Z [error    ] {text}  [gunicorn.error] lineno=281 process=71",
        True,
        False,
    ),
    "logfmt, event first": (
        'event="{text}" level=error logger=gunicorn.error timestamp={t}Z',
        True,
        False,
    ),
    "pid first": ("[100] {iso},123 ERROR gunicorn.error {text}", True, False),
    "thread and file": (
        "{iso},123 ERROR MainThread gunicorn.error:glogging.py:277 {text}",
        True,
        False,
    ),
    "logfmt": ('time="{t}Z" level=error logger=gunicorn.error msg="{text}"', True, False),
    "structlog, JSON": (
        '{{"event": "{text}", "logger": "gunicorn.error", "timestamp": "{t}Z"}}',
        True,
        False,
    ),
    "ECS": (
        '{{"@timestamp": "{t}Z", "log.level": "error", "message": "{text}",'
        ' "process": {{"pid": 100}}, "log": {{"logger": "gunicorn.error"}}}}',
        True,
        True,
    ),
    "JSON": (
        '{{"time": "{t}Z", "process": 100, "level": "ERROR", "message": "{text}"}}',
        True,
        True,
    ),
    "JSON, epoch": ('{{"ts": {epoch}, "pid": "100", "msg": "{text}"}}', True, True),
    "JSON, milliseconds": ('{{"msg": "{text}", "timestamp": {epoch}000}}', True, False),
    "JSON behind a prefix": (
        'app-1 | {{"asctime": "{iso},123", "process": 100, "message": "{text}"}}',
        True,
        True,
    ),
    "JSON without a time": ('{{"message": "{text}"}}', False, False),
}


def written(layout, text, second):
    return (
        FORMATS[layout][0].format(
            text=text,
            s=f"{13 + second:02d}",
            t=STAMP % (13 + second),
            iso=(STAMP % (13 + second)).replace("T", " "),
            epoch=int(NOON) + second,
        )
        + "\n"
    )


@pytest.mark.parametrize("layout", sorted(FORMATS))
@pytest.mark.usefixtures("_utc")
def test_a_format_of_their_own(paper, layout):
    tells_time, tells_pid = FORMATS[layout][1:]
    text = written(layout, "Starting gunicorn 21.2.0", 0) + written(layout, KILLED, 5)
    result = paper.judge(text)
    assert (result["verdict"], result["counts"]) == ("dirty", {"worker_killed": 1})
    (incident,) = result["incidents"]
    assert incident["first"] == ("2026-11-23T03:02:18Z" if tells_time else None)
    assert incident["arbiter_pid"] == (100 if tells_pid else None)
    # Within a window: what tells no time is never left out.
    for since, inside in ((NOON + 5, True), (NOON + 6, not tells_time)):
        found = paper.look(since=since)
        assert found["counts"] == ({"worker_killed": 1} if inside else {}), since
        # Without a time nobody knows whether it was this generation, so it is no reason to go back.
        told = "dirty" if tells_time else "inconclusive"
        assert found["verdict"] == (told if inside else "no_data")


@pytest.mark.parametrize("layout", sorted(FORMATS))
@pytest.mark.usefixtures("_utc")
def test_a_quiet_log_of_any_format_is_clean_only_if_it_can_be_told(paper, layout):
    tells_time = FORMATS[layout][1]
    paper.write(written(layout, "Starting gunicorn 21.2.0", 0) + written(layout, "all is well", 9))
    assert paper.look(since=NOON)["verdict"] == "clean"
    assert paper.look()["verdict"] == "clean"
    # A window that is over: without times nobody knows what was written in it.
    past = paper.look(since=NOON - 90, until=NOON - 60)
    assert past["verdict"] == "no_data"
    if not tells_time:
        assert "no line tells its time in a way that is understood" in past["reasons"][0]


def test_a_format_that_is_not_understood_is_not_clean(paper):
    """Words that may be a logger's or a client's: it is said that the layout cannot be told."""
    text = "2026-11-23 03:02:13,123 myapp ERROR " + KILLED + "\n"
    result = paper.judge(text)
    assert (result["verdict"], result["counts"], result["doubtful"]) == ("inconclusive", {}, 1)
    assert "1 texts look like events" in result["reasons"][0]
    # A log that is understood beside it: then these are somebody else's words.
    assert paper.judge(start() + text)["verdict"] == "clean"


def test_a_log_that_nobody_has_written_to_since_is_no_data(paper):
    paper.write("something in a format that tells no time\n")
    os.utime(str(paper.path), (NOON, NOON))
    result = paper.look(since=NOON + 100)
    assert result["verdict"] == "no_data"
    assert "no line tells its time" in result["reasons"][0]
    assert paper.look(since=NOON - 100)["verdict"] == "clean"


def test_a_traceback_inside_json(paper):
    """A formatter that puts exc_info into the record writes the newlines as two characters."""
    record = {
        "time": STAMP % 13 + "Z",
        "pid": 57,
        "message": "Exception in worker process",
        "exc_info": "Traceback (most recent call last):\n  File 'x'\nMemoryError",
    }
    result = paper.judge(json.dumps(record) + "\n")
    assert result["counts"] == {"worker_exception": 1, "memory_error": 1}
    result = paper.judge(json.dumps(dict(record, message="x", pad="y" * 300000)) + "\n")
    assert result["counts"] == {"memory_error": 1}


def test_what_redirect_stderr_merges(paper):
    """Requests, prints and gunicorn's lines in one file, also in the middle of one another.

    What was spliced into another line cannot be told from a client's words, so it is not counted;
    the death that a block tells of is.
    """
    access = '10.0.0.1 - - [23/Nov/2026:03:02:14 +0000] "GET / HTTP/1.1" 200 5 "-" "-"\n'
    text = (
        access
        + start()
        + "print without an end: "
        + line(KILLED)
        + access[:40]
        + line("WORKER TIMEOUT (pid:8)", second=2, level="CRITICAL")
        + access[40:]
        + block(arguments="(9, 9)").replace("Call stack", access + "Call stack")
    )
    found = paper.judge(text)
    assert found["counts"] == {"worker_killed": 1, "reentrant": 1}
    assert found["doubtful"] == 2
    assert {i["first"] for i in found["incidents"]} <= {
        "2026-11-23T03:02:13Z",
        "2026-11-23T03:02:14Z",
        "2026-11-23T03:02:15Z",
    }


def test_syslog_leaves_out_the_year(paper):
    text = "Dec 31 23:59:50 web1 gunicorn[9]: " + KILLED + "\n"
    january = 1798761600.0  # 2027-01-01 00:00 UTC
    result = paper.judge(text, now=january + 60, since=january - 90000)
    assert result["incidents"][0]["first"].startswith(("2026-12-31", "2027-01-01"))


@pytest.mark.parametrize("size", [262144 - 3000, 262144 - 10, 262144, 3 * 262144 + 77])
@pytest.mark.parametrize("use_ctypes", [True, False])
def test_a_block_on_the_edge_of_what_is_read_at_once(paper, size, use_ctypes):
    filler = "x" * 99 + "\n"
    for shift in (0, 30, 61):
        pad = filler * (size // 100) + "y" * shift
        result = paper.judge(start() + pad + "\n" + line("x") + block(), use_ctypes=use_ctypes)
        assert result["counts"] == {"reentrant": 1, "worker_killed": 1}
