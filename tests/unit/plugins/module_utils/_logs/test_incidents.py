# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Incidents, not lines; and only those of the window and of the generation asked about."""

import os
import time

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.check import parse_moment
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.records import to_epoch

from tests.unit.plugins.module_utils._logs.paper_log import (
    NOON,
    Paper,
    block,
    check,
    fixture,
    line,
    start,
)

PHRASE = "RuntimeError: reentrant call inside <_io.BufferedWriter name='<stderr>'>\n"
KILLED = "Worker (pid:%d) was sent SIGKILL! Perhaps out of memory?"
ONE = {"reentrant": 1, "worker_killed": 1}


@pytest.fixture(name="paper")
def _paper(tmp_path):
    return Paper(tmp_path)


def counts(paper, text, **options):
    """The same with and without ctypes, or it is no answer."""
    result = paper.judge(text, **options)
    slow = paper.judge(text, use_ctypes=False, **options)
    assert slow == result
    return result["counts"]


# -- one event, many lines


def test_a_block_is_one_incident_however_often_it_has_the_phrase(paper):
    for n in (1, 2, 4, 6):
        assert counts(paper, start() + block(n=n)) == ONE


def test_forked_workers_print_one_block_again(paper):
    """Python 3.6 to 3.8: each worker inherits the text that was not flushed."""
    text = start()
    for pid in range(200, 210):
        text += line(f"Booting worker with pid: {pid}", pid, level="INFO") + block()
    result = paper.judge(text)
    assert result["counts"] == ONE
    (incident,) = [i for i in result["incidents"] if i["event"] == "reentrant"]
    assert incident["count_lines"] >= 20


def test_a_reprint_may_come_long_after(paper):
    text = start() + block() + line("Booting worker with pid: 9", 9, 300, "INFO") + block()
    assert counts(paper, text) == ONE


def test_two_deaths_are_two_incidents(paper):
    text = start() + block(arguments="(7, 9)") + line("x") + block(arguments="(8, 9)")
    assert counts(paper, text) == {"reentrant": 2, "worker_killed": 2}


def test_a_message_without_a_worker_may_come_again_later(paper):
    again = block("'Handling signal: %s'", "('hup',)")

    def between(text, second):
        return start() + again + line(text, 9, second, "INFO") + again

    # A new worker prints what it has inherited; nobody else prints anything again.
    assert counts(paper, between("Booting worker with pid: 9", 30)) == {"reentrant": 1}
    assert counts(paper, between("Booting worker with pid: 9", 90)) == {"reentrant": 2}
    assert counts(paper, between("x", 1)) == {"reentrant": 2}


def test_python_3_9_prints_nothing_again(paper):
    """There the Message is that of the line that was interrupted: three errors may look alike."""
    quoted = "    sys.stderr.write('--- Logging error ---\\n')\n" + PHRASE + "Call stack"
    alike = block("'Handling signal: %s'", "('ttin',)", n=1).replace("Call stack", quoted)
    text = "".join(line("Handling signal: ttin", second=n, level="INFO") + alike for n in range(3))
    assert counts(paper, start() + text) == {"reentrant": 3}
    # The same, one line at a time, so that no block is there as a whole.
    torn = text.replace("Call stack", "Call stack\n" + "  x\n" * 20000)
    assert counts(paper, start() + torn) == {"reentrant": 3}


def test_the_lost_line_tells_of_the_death_in_each_wording(paper):
    for message, arguments, signal in (
        ("'Worker with pid %s was terminated due to signal %s'", "(7, 9)", "SIGKILL"),
        ("'Worker (pid:7) was sent SIGKILL! Perhaps out of memory?'", "()", "SIGKILL"),
        ("'Worker (pid:7) was sent SIGSEGV!'", "()", "SIGSEGV"),
    ):
        result = paper.judge(start() + block(message, arguments))
        assert result["counts"] == ONE
        for incident in result["incidents"]:
            assert (incident["worker_pid"], incident["signal"]) == (7, signal)
            assert incident["arbiter_pid"] == 100
    stopped = block("'Worker (pid:7) was sent SIGTERM!'", "()")
    assert counts(paper, start() + stopped) == {"reentrant": 1, "worker_terminated": 1}


def test_a_death_that_is_told_in_a_block_and_in_a_line_is_one(paper):
    for text in (block(arguments="(7, 9)") + line(KILLED % 7), line(KILLED % 7) + block()):
        assert counts(paper, start() + text) == ONE


def test_an_exit_code_is_logged_twice(paper):
    twice = line("Worker (pid:7) exited with code 1") + line("Worker (pid:7) exited with code 1.")
    result = paper.judge(start() + twice)
    assert result["counts"] == {"worker_exited": 1}
    assert result["incidents"][0]["count_lines"] == 2


def test_a_timeout_and_the_kill_that_follows_are_one_death(paper):
    text = line("WORKER TIMEOUT (pid:7)", level="CRITICAL") + line(KILLED % 7, second=1)
    assert counts(paper, start() + text) == {"worker_timeout": 1}


def test_a_pid_may_be_somebody_else_later(paper):
    assert counts(paper, start() + line(KILLED % 7) + line(KILLED % 7, second=601)) == {
        "worker_killed": 2
    }


def test_containers_give_the_same_pids_in_each_life(paper):
    """A container that restarts: arbiter 1 and worker 7 again, seconds later."""
    text = "".join(start(1, 20 * n) + line(KILLED % 7, 1, 20 * n + 9) for n in range(3))
    assert counts(paper, text) == {"worker_killed": 3}


def test_a_signal_in_an_unfinished_block_is_still_an_incident(paper):
    """Python 3.9 and later may leave out Message and Arguments."""
    torn = "--- Logging error ---\nTraceback (most recent call last):\n" + PHRASE
    assert counts(paper, start() + torn) == {"reentrant": 1}
    later = line("x", second=10, level="INFO")
    assert counts(paper, start() + torn + later + torn) == {"reentrant": 2}


def test_the_death_of_the_arbiter(paper):
    """No RuntimeError line, no Message, two headers, and the phrase twice in two shapes."""
    text = (
        start()
        + line("Handling signal: ttin", level="INFO")
        + "object repr     : RuntimeError(\"reentrant call inside <_io.BufferedWriter name='<std"
        + "err>'>\")\nlost sys.stderr\n--- Logging error ---\n--- Logging error ---\n\n"
        + "Error: reentrant call inside <_io.BufferedWriter name='<stderr>'>\n"
        + "Traceback (most recent call last):\n"
    )
    assert counts(paper, text) == {"reentrant": 1}
    assert counts(paper, text.replace("--- Logging error ---\n", "")) == {"reentrant": 1}


def test_lines_of_others_are_spliced_in_anywhere(paper):
    """Between the lines of a block, and in the middle of one."""
    whole = block()
    other = line("Booting worker with pid: 33", 33, level="INFO")
    for at in range(0, len(whole), 7):
        inside = start() + whole[:at] + other + whole[at:]
        phrase = whole.find("reentrant call inside")
        if at in range(phrase, phrase + 25):
            continue
        found = counts(paper, inside)
        assert found.get("reentrant", 0) == 1, (at, found)


def test_a_pipe_full_of_others_lines_may_stand_inside_of_a_block(paper):
    """Linux pipes hold 64 KiB, and what waits in one is written when the arbiter is, too."""
    whole = block()
    for cut in (whole.index("Traceback"), whole.index("Call stack"), whole.index("Message")):
        text = start() + whole[:cut] + "noise\n" * 11000 + whole[cut:]
        assert counts(paper, text) == ONE, cut


def test_an_event_spliced_into_a_block_is_not_lost(paper):
    for whole in (block(arguments="(7, 9)"), block("'Worker (pid:7) was sent SIGKILL!'", "()")):
        for cut in [at + 1 for at, char in enumerate(whole) if char == "\n"]:
            text = start() + whole[:cut] + line(KILLED % 44) + line("Reason: App failed to load.")
            assert counts(paper, text + whole[cut:]) == {
                "reentrant": 1,
                "worker_killed": 2,
                "app_load_failure": 1,
            }, cut


def test_a_second_header_before_the_end_of_a_block(paper):
    """Two processes fail at once and tear each other's blocks: one episode, at least one."""
    first, second = block(arguments="(7, 9)"), block(arguments="(8, 9)")
    cut = first.index("Call stack")
    found = counts(paper, start() + first[:cut] + second + first[cut:])
    assert found["reentrant"] >= 1 and found["worker_killed"] == 2


def test_a_logging_error_of_another_kind(paper):
    full = block(n=0).replace(
        "Call stack", "OSError: [Errno 28] No space left on device\nCall stack"
    )
    result = paper.judge(start() + full.replace("(7, 9)", "(7,)"))
    assert result["counts"] == {"logging_error": 1}
    assert result["verdict"] == "clean"
    assert result["reasons"] == ["1 logging error (tolerated: 10/h)"]


def test_a_stuck_restart_loop(paper):
    """supervisord starts one arbiter after the other, and each finds the address taken."""
    text = ""
    for life in range(4):
        pid, second = 100 + life, life * 8
        text += start(pid, second)
        for retry in range(5):
            text += line("Connection in use: ('127.0.0.1', 8000)", pid, second + retry)
    found = counts(paper, text)
    assert found == {"connection_in_use": 4, "restart_loop": 1}
    once = start() + line("Connection in use: ('127.0.0.1', 8000)")
    assert counts(paper, once) == {"connection_in_use": 1}


def test_no_incident_is_told_without_a_place(paper):
    text = start() + line("x", level="INFO") * 50 + block() + line(KILLED % 9)
    result = paper.judge(text)
    data = text.encode()
    assert len(result["incidents"]) == 3
    for incident in result["incidents"]:
        assert incident["path"] == str(paper.path)
        beginning = data[incident["offset"] : incident["offset"] + 20]
        assert beginning.startswith((b"--- Logging error", b"Worker (pid:9)")), beginning


def test_what_is_returned_is_bounded(paper):
    text = start() + "".join(line(KILLED % pid + " x" * 5000) for pid in range(1000, 1500))
    result = paper.judge(text, max_excerpts=3)
    assert result["counts"] == {"worker_killed": 500}
    assert len(result["incidents"]) == 20
    assert sum(1 for i in result["incidents"] if i["excerpt"]) == 3
    assert len(repr(result)) < 20000


@pytest.mark.parametrize(
    "secret",
    [
        "password=hunter2",
        "DB_PASSWORD: 'hunter2'",
        'api_key="hunter2"',
        "Authorization: Bearer hunter2hunter2",
        "postgres://app:hunter2@db/app",
        "{'token': 'hunter2'}",
        "Cookie: sessionid=hunter2",
        "--secret-token=hunter2",
    ],
)
def test_obvious_secrets_are_redacted(paper, secret):
    result = paper.judge(start() + line("Exception in worker process " + secret))
    assert "Exception in worker" in result["incidents"][0]["excerpt"]
    assert "hunter2" not in repr(result)


# -- generations


def test_what_the_old_master_wrote_does_not_fail_the_new_one(paper):
    old = start(90, -60) + line(KILLED % 91, 90, -30) + block(arguments="(92, 9)")
    new = start(100, 0)
    assert counts(paper, old + new, arbiter_pid=100, since=NOON + 0.7) == {}
    # All of it within the same second.
    old = start(90) + line(KILLED % 91, 90) + block(arguments="(92, 9)")
    assert counts(paper, old + new, arbiter_pid=100, since=NOON + 0.7) == {}
    # And what is written after it, late, with the pid of the old one.
    late = line(KILLED % 93, 90, 1)
    assert counts(paper, old + new + late, arbiter_pid=100, since=NOON) == {}
    assert counts(paper, old + new + line(KILLED % 93, 100, 1), arbiter_pid=100, since=NOON) == {
        "worker_killed": 1
    }


def test_our_start_ends_what_others_wrote_in_its_second(paper):
    """The start of the old arbiter was rotated away, so only the order of the lines tells."""
    old = line("Handling signal: term", 90, 0, "INFO") + block()
    assert counts(paper, old + start(100), arbiter_pid=100, since=NOON + 0.7) == {}


def test_blocks_belong_to_the_generation_that_wrote_last(paper):
    new = start(100, 0) + line("Handling signal: ttin", 100, 3, "INFO") + block()
    assert counts(paper, start(90, -9) + new, arbiter_pid=100, since=NOON) == ONE
    assert counts(paper, new + start(110, 9), arbiter_pid=110, since=NOON + 9) == {}


def test_the_next_generation_is_not_ours_either(paper):
    text = start(100) + start(110, 60) + line(KILLED % 111, 110, 70) + block()
    assert counts(paper, text, arbiter_pid=100, since=NOON) == {}


def test_the_same_pid_in_an_earlier_life(paper):
    text = start(100, -86400) + line(KILLED % 7, 100, -86000) + start(100, 0)
    assert counts(paper, text, arbiter_pid=100, since=NOON) == {}
    assert counts(paper, text, arbiter_pid=100, since=NOON - 86400)["worker_killed"] == 1


def test_the_two_real_generations_of_a_switch():
    path = fixture("two_generations")
    began = 1795426896.295065
    old = check(path, arbiter_pid=27475, since=began - 4, now=began)
    new = check(path, arbiter_pid=27527, since=began, now=began)
    assert old["counts"] == {"worker_terminated": 1}
    assert (new["verdict"], new["counts"]) == ("clean", {})


def test_the_stop_that_a_rollout_does_itself(paper):
    """stopasgroup sends SIGTERM twice; the lines of that are the old arbiter's."""
    stop = (
        line("Handling signal: term", 90, 1, "INFO")
        + line("Worker with pid 91 was terminated due to signal 15", 90, 1)
        + block(arguments="(92, 15)")
        + line("Shutting down: Master", 90, 2, "INFO")
    )
    text = start(90, -600) + stop + start(100, 2)
    result = paper.judge(text, arbiter_pid=100, since=NOON + 2.4)
    assert (result["verdict"], result["counts"]) == ("clean", {})
    assert paper.look(since=NOON)["counts"]["reentrant"] == 1


def test_a_generation_that_the_log_does_not_tell_of_is_no_data(paper):
    result = paper.judge(start(90) + line(KILLED % 91, 90), arbiter_pid=100)
    assert result["verdict"] == "no_data"
    assert "does not tell of arbiter 100" in result["reasons"][0]


def test_another_version_than_the_expected_one_is_a_reason(paper):
    text = start(version="20.1.0")
    assert paper.judge(text, gunicorn="20.1.0")["verdict"] == "clean"
    result = paper.judge(text, gunicorn="21.2.0")
    assert result["verdict"] == "dirty"
    assert "20.1.0 was started (pid 100), 21.2.0 was expected" in result["reasons"][0]


# -- windows


def test_only_what_is_inside_of_the_window(paper):
    text = start(second=-99) + "".join(line(KILLED % (50 + n), second=n * 10) for n in range(10))
    for since, until, count in (
        (0, None, 10),
        (50, None, 5),
        (25, 65, 4),
        (None, 45, 5),
        (95, 99, 0),
    ):
        options = {
            "since": None if since is None else NOON + since,
            "until": None if until is None else NOON + until,
        }
        found = counts(paper, text, **options)
        assert found.get("worker_killed", 0) == count, (since, until)
    assert paper.look(since=NOON + 95, until=NOON + 99)["verdict"] == "no_data"


def test_the_second_in_which_the_window_begins_is_inside(paper):
    assert counts(paper, line(KILLED % 7), since=NOON + 0.9) == {"worker_killed": 1}
    assert counts(paper, line(KILLED % 7), since=NOON + 1.0) == {}


def test_lines_without_a_time_belong_to_the_block_they_are_in(paper):
    before = line("x", second=-9) + block()
    after = line("x", second=9) + block(arguments="(8, 9)")
    assert counts(paper, before + after, since=NOON) == ONE
    result = paper.judge(before + after, since=NOON)
    assert {i["worker_pid"] for i in result["incidents"]} == {8}
    assert counts(paper, before, since=NOON) == {}


def test_a_clock_that_jumps_back_hides_nothing(paper):
    """What follows a line of the window in the file is later, whatever it says."""
    text = line("x", second=5) + line(KILLED % 7, second=-3000)
    assert counts(paper, text, since=NOON) == {"worker_killed": 1}


def test_a_log_in_the_future_is_judged(paper):
    text = start(second=86400 * 30) + line(KILLED % 7, second=86400 * 30)
    assert counts(paper, text, since=NOON) == {"worker_killed": 1}


@pytest.fixture(name="berlin")
def _berlin():
    before = os.environ.get("TZ")
    os.environ["TZ"] = "CET-1CEST,M3.5.0,M10.5.0/3"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("berlin")
def test_the_hour_that_comes_twice_hides_nothing(paper):
    """2026-10-25 02:30 is 00:30 and 01:30 UTC; a line without a zone may be of either."""
    summer, winter = 1792888200.0, 1792891800.0
    bare = "2026-10-25 02:35:00,123 ERROR Worker (pid:7) was sent SIGKILL!\n"
    for since in (summer, winter):
        assert counts(paper, bare, since=since, now=winter + 900) == {"worker_killed": 1}
    for until in (summer + 600, winter + 600):
        found = counts(paper, bare, since=summer, until=until, now=winter + 900)
        assert found == {"worker_killed": 1}
    assert counts(paper, bare, since=winter + 600, now=winter + 900) == {}
    # With a zone there is no doubt.
    zoned = "[2026-10-25 02:35:00 +0200] [1] [ERROR] Worker (pid:7) was sent SIGKILL!\n"
    assert counts(paper, zoned, since=winter, now=winter + 900) == {}
    assert counts(paper, zoned, since=summer, now=winter + 900) == {"worker_killed": 1}


@pytest.mark.usefixtures("berlin")
def test_the_hour_that_comes_twice_is_read_as_the_second():
    """Whatever mktime was asked before, which some take for a hint."""
    for month in (7, 1, 7, 12):
        to_epoch((2026, month, 1, 12, 0, 0), b"")
        assert to_epoch((2026, 10, 25, 2, 30, 0), b"") == 1792891800.0
        assert to_epoch((2026, 10, 25, 1, 30, 0), b"") == 1792884600.0
        assert to_epoch((2026, 10, 25, 3, 30, 0), b"") == 1792895400.0


@pytest.mark.usefixtures("berlin")
def test_moments():
    for text in ("2026-11-23T03:02:13Z", "2026-11-23 04:02:13", "2026-11-23T04:02:13+01:00"):
        assert parse_moment("since", text, NOON) == NOON
    assert parse_moment("since", f"{NOON:.6f}", 0) == NOON
    assert parse_moment("since", NOON, 0) == NOON
    assert parse_moment("since", "", 0) is None
    for wrong in ("yesterday", "2026-11-23", "2026-13-45T03:02:13Z x", "-5", "03:02", "nan"):
        with pytest.raises(FleetError, match="since: .* is no time"):
            parse_moment("since", wrong, 0)


def test_an_access_log_between_the_lines_tells_the_time_as_well(paper):
    access = '127.0.0.1 - - [23/Nov/2026:03:02:20 +0000] "GET / HTTP/1.1" 200 2 "-" "curl"\n'
    text = line("x", second=-60) + access + block()
    assert counts(paper, text, since=NOON) == ONE
    assert counts(paper, text, since=NOON + 60) == {}
