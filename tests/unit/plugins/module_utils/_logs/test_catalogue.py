# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue: every wording of every version, the operator's patterns, and the table itself."""

import re

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs import catalogue

from tests.unit.plugins.module_utils._logs.paper_log import (
    REAL,
    Paper,
    check,
    fixture,
    line,
    start,
)

# What a wording looks like in a log: (event, text, level, worker, signal).
SAMPLES = [
    (
        "reentrant",
        "RuntimeError: reentrant call inside <_io.BufferedWriter name='<stderr>'>",
        None,
        None,
    ),
    ("reentrant", "reentrant call inside <_io.BufferedWriter name='<stdout>'>", None, None),
    ("reentrant", "reentrant call inside <_io.BufferedWriter name=4>", None, None),
    ("reentrant", "reentrant call inside <_io.BufferedWriter name='/var/log/a'>", None, None),
    ("reentrant", "reentrant call inside <_io.BufferedWriter", None, None),
    # The shape in which the arbiter dies.
    (
        "reentrant",
        "object repr     : RuntimeError(\"reentrant call inside <_io.BufferedWriter name='<stderr>'"
        '>")',
        None,
        None,
    ),
    (
        "reentrant",
        "Error: reentrant call inside <_io.BufferedWriter name='<stderr>'>",
        None,
        None,
    ),
    # 20.1.0
    ("worker_killed", "Worker with pid 57 was terminated due to signal 9", 57, "SIGKILL"),
    ("worker_killed", "Worker with pid 57 was terminated due to signal 11", 57, "SIGSEGV"),
    ("worker_terminated", "Worker with pid 57 was terminated due to signal 15", 57, "SIGTERM"),
    # 21 and later
    (
        "worker_killed",
        "Worker (pid:57) was sent SIGKILL! Perhaps out of memory?",
        57,
        "SIGKILL",
    ),
    ("worker_killed", "Worker (pid:57) was sent SIGSEGV!", 57, "SIGSEGV"),
    ("worker_killed", "Worker (pid:57) was sent code 134!", 57, "code 134"),
    ("worker_killed", "Worker (pid:57) was sent signal 64!", 57, "SIGRTMAX"),
    ("worker_killed", "Worker (pid:57) was sent signal 99!", 57, "signal 99"),
    ("worker_terminated", "Worker (pid:57) was sent SIGTERM!", 57, "SIGTERM"),
    ("worker_exited", "Worker (pid:57) exited with code 3", 57, None),
    ("worker_exited", "Worker (pid:57) exited with code 255.", 57, None),
    ("worker_exited", "Worker (pid:57) exited with code -6", 57, None),
    ("worker_timeout", "WORKER TIMEOUT (pid:57)", 57, None),
    ("worker_exception", "Exception in worker process", 100, None),
    ("lifespan_failure", "ASGI lifespan startup failed: no database", 100, None),
    ("lifespan_failure", "Application startup failed. Exiting.", 100, None),
    ("dirty_arbiter_ended", "Dirty arbiter (pid:57) killed by signal 9", 57, "SIGKILL"),
    ("dirty_arbiter_ended", "Dirty arbiter (pid:57) exited with code 1", 57, None),
    ("dirty_worker_ended", "Dirty worker (pid:57) killed by signal 9", 57, "SIGKILL"),
    ("dirty_worker_ended", "Dirty worker failed to boot (pid:57)", 57, None),
    ("dirty_worker_timeout", "DIRTY WORKER TIMEOUT (pid:57)", 57, None),
    ("worker_terminated", "Dirty worker (pid:57) killed by signal 15", 57, "SIGTERM"),
    ("boot_failure", "Reason: Worker failed to boot.", None, None),
    (
        "boot_failure",
        "gunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>",
        None,
        None,
    ),
    (
        "app_load_failure",
        "gunicorn.errors.HaltServer: <HaltServer 'App failed to load.' 4>",
        None,
        None,
    ),
    ("memory_error", "numpy.core._exceptions._ArrayMemoryError: Unable", None, None),
    ("app_load_failure", "Reason: App failed to load.", None, None),
    ("main_loop_exception", "Unhandled exception in main loop", None, None),
    ("connection_in_use", "Connection in use: ('127.0.0.1', 8000)", None, None),
    ("unhandled_signal", "Unhandled signal: cld", None, "cld"),
    ("logging_error", "--- Logging error ---", None, None),
    ("memory_error", "MemoryError", None, None),
    ("memory_error", "MemoryError: cannot allocate 1 GiB", None, None),
]
INNOCENT = [
    "Booting worker with pid: 57",
    "Worker exiting (pid: 57)",
    "Worker (pid:57) exited with code 0",
    "Dirty arbiter (pid:57) exited",
    "Dirty worker exited (pid:57)",
    "Spawned dirty arbiter (pid: 57) at /run/gunicorn/dirty.sock",
    "ASGI lifespan shutdown error: no",
    "Handling signal: term",
    "Shutting down: Master",
    "Autorestarting worker after current request.",
    "Control socket listening at /srv/app/.gunicorn/gunicorn.ctl",
    "Message: 'Worker with pid %s was terminated due to signal %s'",
    "    sys.stderr.write('--- Logging error ---\\n')",
    "    raise MemoryErrorish()",
    "GET /docs/OutOfMemoryError",
]


@pytest.fixture(name="paper")
def _paper(tmp_path):
    return Paper(tmp_path)


@pytest.mark.parametrize(("event", "text", "worker", "signal"), SAMPLES)
@pytest.mark.parametrize(("level", "use_ctypes"), [("INFO", True), ("CRITICAL", False)])
def test_a_wording_is_found_at_any_level(paper, event, text, worker, signal, level, use_ctypes):
    result = paper.judge(start() + line(text, level=level), use_ctypes=use_ctypes)
    assert result["counts"] == {event: 1}
    (incident,) = result["incidents"]
    assert (incident["event"], incident["worker_pid"]) == (event, worker)
    assert (incident["signal"], incident["arbiter_pid"]) == (signal, 100)
    assert incident["first"] == incident["last"] == "2026-11-23T03:02:13Z"
    assert incident["offset"] == len(start()) + len(line("", level=level)) - 1 + where(event, text)
    limit = catalogue.EVENTS[event].tolerance
    assert result["verdict"] == ("dirty" if limit == "0" else "clean")


def where(event, text):
    """Where in the text its literal is: that is the place that an incident has."""
    offsets = [text.find(w.literal.decode()) for w in catalogue.WORDINGS]
    return min(offset for offset in offsets if offset >= 0)


@pytest.mark.parametrize("text", INNOCENT)
def test_what_only_looks_alike_is_no_event(paper, text):
    result = paper.judge(start() + line(text, level="INFO"))
    assert (result["verdict"], result["counts"]) == ("clean", {})


def test_each_row_of_the_table_has_a_sample():
    for wording in catalogue.WORDINGS:
        hits = [
            event
            for event, text, *_rest in SAMPLES
            if wording.literal in text.encode()
            and (wording.pattern is None or re.search(wording.pattern, text.encode()))
        ]
        assert wording.event in hits, wording


def test_the_table_is_consistent():
    assert {w.event for w in catalogue.WORDINGS} <= set(catalogue.EVENTS)
    told = {w.event for w in catalogue.WORDINGS} | {
        "worker_terminated",
        "restart_loop",
        "child_exited",
        "reentrant_elsewhere",
    }
    assert told == set(catalogue.EVENTS)
    for name, event in catalogue.EVENTS.items():
        assert event.severity in catalogue.SEVERITIES, name
        assert event.meaning.endswith("."), name
    for wording in catalogue.WORDINGS:
        assert len(wording.literal) >= 11 and wording.source and wording.versions


@pytest.mark.parametrize("name", sorted(REAL))
@pytest.mark.parametrize("use_ctypes", [True, False])
def test_real_logs(name, use_ctypes):
    result = check(fixture(name), use_ctypes=use_ctypes)
    assert result["counts"] == REAL[name]
    assert result["verdict"] == ("dirty" if REAL[name] else "clean")


def test_secrets_do_not_leave_the_log():
    result = check(fixture("23.0.0-py3.11.boot_failure"))
    assert result["incidents"]
    assert "hunter2" not in repr(result)


# -- the operator's patterns


def pattern(regex, **more):
    return dict(name="gone", regex=regex, **more)


def test_a_pattern_is_an_event_like_any_other(paper):
    text = start() + line("db: server closed the connection 7") * 3
    for regex in ("server closed the connection", r"closed.*\d$", r"(?i)SERVER CLOSED", r"n [7]"):
        result = paper.judge(text, patterns=[pattern(regex, severity="warning")])
        assert result["counts"] == {"gone": 3}, regex
        assert result["verdict"] == "dirty"
        assert {i["severity"] for i in result["incidents"]} == {"warning"}
        borne = paper.judge(text, patterns=[pattern(regex, tolerance="3")])
        assert borne["verdict"] == "clean"
        overruled = paper.judge(text, patterns=[pattern(regex)], tolerance={"gone": "unlimited"})
        assert overruled["verdict"] == "clean"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": "reentrant", "regex": "x"}, "is taken"),
        ({"name": "Bad Name", "regex": "x"}, "is no name"),
        ({"name": "a", "regex": "x("}, "is wrong"),
        ({"name": "a", "regex": "x*"}, "empty line"),
        ({"name": "a", "regex": ""}, "empty line"),
        ({"name": "a", "regex": "x", "severity": "awful"}, "is none of"),
    ],
)
def test_a_wrong_pattern_is_named(wrong, words):
    with pytest.raises(FleetError, match=words):
        catalogue.custom_patterns([wrong])


def test_two_patterns_of_one_name_are_one_too_many():
    with pytest.raises(FleetError, match="is taken"):
        catalogue.custom_patterns([pattern("a"), pattern("b")])


@pytest.mark.parametrize(
    ("regex", "literal"),
    [
        ("OperationalError.*server closed the connection", b"server closed the connection"),
        (r"cost\.is \(high\)", b"cost.is (high)"),
        ("abcde?fgh", b"abcd"),
        ("abcd{0,3}wxyz", b"wxyz"),
        ("abcd(efghijk)?lmno", b"abcd"),
        ("[abcdefgh]ijkl", b"ijkl"),
        ("[]abcdefgh]ijkl", b"ijkl"),
        ("one two|three four", b""),
        ("(?i)anything", b""),
        (r"\x41bcdefg", b""),
        ("abc.def", b""),
    ],
)
def test_the_mandatory_literal(regex, literal):
    assert catalogue.mandatory_literal(regex) == literal


def test_what_matches_holds_the_mandatory_literal():
    hypothesis = pytest.importorskip("hypothesis")
    st = hypothesis.strategies
    atoms = ["abcd", "efgh", "x", ".", r"\.", r"\d", "[a-f]", "[^]x]", "(abcd)", "é", " "]
    parts = st.tuples(st.sampled_from(atoms), st.sampled_from(["", "", "?", "*", "+", "{0,2}"]))
    regexes = st.lists(parts, min_size=1, max_size=5).map(
        lambda items: "".join(atom + count for atom, count in items)
    )

    @hypothesis.settings(max_examples=150, deadline=None, database=None)
    @hypothesis.given(regexes, st.data())
    def run(regex, data):
        literal = catalogue.mandatory_literal(regex)
        if literal:
            text = data.draw(st.from_regex(re.compile(regex.encode())))
            assert literal in text

    run()
