# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A unit's journal as a log: what is read of it, once each, and what is told to be lost."""

import functools
import io
import json
import os
import re
import time

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs import (
    check,
    coverage,
    journalctl,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.catalogue import (
    custom_patterns,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.facts import Window
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.journal import (
    Writers,
    entries,
    same_place,
    selection,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.journal_names import (
    Unit,
    complaint,
    path_of,
    spoken,
    unit_of,
)

from .paper_journal import SECOND, PaperJournal, export

PATH = "journal:app.service"
FIXTURES = os.path.join(os.path.dirname(__file__), *[os.pardir] * 4, "fixtures", "logs")


@pytest.fixture(name="paper")
def _paper(monkeypatch):
    paper = PaperJournal()
    made = functools.partial(
        journalctl.Journal, start=paper.start, now=lambda: paper.now + paper.later
    )
    monkeypatch.setattr(check, "Journal", made)
    monkeypatch.setattr(journalctl, "Journal", made)
    return paper


def stamp(paper, pid, level="INFO"):
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(paper.now))
    return f"[{when} +0000] [{pid}] [{level}] "


def begin(paper, arbiter=10, invocation="f" * 32, version="23.0.0"):
    paper.write(stamp(paper, arbiter) + f"Starting gunicorn {version}", arbiter, invocation)
    paper.write(stamp(paper, arbiter) + "Listening at: http://127.0.0.1:8000", arbiter, invocation)


def boot(paper, worker, invocation="f" * 32):
    text = stamp(paper, worker) + f"Booting worker with pid: {worker}"
    paper.write(text, worker, invocation)


def death(paper, worker, arbiter=10):
    text = stamp(paper, arbiter, "ERROR") + f"Worker (pid:{worker}) was sent SIGKILL!"
    paper.write(text + " Perhaps out of memory?", arbiter)


def look(paper, cursor="", since=None, until=None, arbiter=None, **more):
    request = check.Request(
        paths=check.check_paths(more.pop("paths", [PATH])),
        window=Window(since, until, arbiter),
        cursor=str(cursor),
        tolerance={},
        customs=tuple(custom_patterns(more.pop("patterns", []))),
        max_excerpts=5,
        gunicorn="",
        advance=True,
        **more,
    )
    return check.look(request, paper.now + 5)


def dead(result):
    return [each["worker_pid"] for each in result["incidents"]]


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("journal:app.service", Unit("app.service", False)),
        ("journal:app@1", Unit("app@1.service", False)),
        ("journal-user:app.service", Unit("app.service", True)),
        ("/var/log/journal:app.service", None),
    ],
)
def test_a_journal_is_named_where_paths_are(path, unit):
    assert unit_of(path) == unit
    if unit:
        assert unit_of(path_of(*unit)) == unit and spoken(path) == f"the journal of {unit.name}"


@pytest.mark.parametrize("path", ["journal:", "journal:a b", "journal:../x", "journal:a\n"])
def test_a_name_that_is_none_is_refused(path):
    with pytest.raises(FleetError, match="names no service"):
        check.check_paths([path])


def test_whose_an_entry_is_only_journald_says():
    for unit in (Unit("app.service", False), Unit("app.service", True)):
        own = selection(unit, 1000, "f" * 32)
        for word in own[: own.index("+")]:
            assert word.startswith("_"), word
        assert "_TRANSPORT=driver" in own[own.index("+") :]


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (0, "", ""),
        (1, "No journal files were opened due to insufficient permissions.", "systemd-journal"),
        (0, "Hint: You are currently not seeing messages from other users and", "systemd-journal"),
        (0, "No journal files were found.", "Storage=persistent"),
        (1, "Failed to seek to cursor: Invalid argument", "remove the cursor"),
        (1, "journalctl: unrecognized option '--output-fields'", "ended with 1 and said"),
        (-9, "", "ended with -9"),
        (None, "no such file", "cannot be run"),
    ],
)
def test_what_keeps_it_from_being_read(status, error, words):
    said = complaint("app.service", status, error)
    assert words in said and bool(said) == bool(words)


# --- entries --------------------------------------------------------------------------------------


def parse(data):
    return list(entries(io.BytesIO(data)))


def test_values_of_all_kinds(paper):
    for text in ("plain = text", b"bin\x01ary", b"a\nb\n\n_PID=1", b"\xff\x00x", "ünï"):
        paper.write(text)
    found = parse(b"".join(map(export, paper.kept[1:])))
    assert [each.message for each in found][:4] == [
        b"plain = text",
        b"bin\x01ary",
        b"a\nb\n\n_PID=1",
        b"\xff\x00x",
    ]
    assert {each.pid for each in found} == {10}


def test_what_is_torn_or_too_long_harms_nothing(paper):
    paper.write("x" * (3 << 20))
    paper.write(b"\x01" * (3 << 20))
    paper.write("last")
    data = b"".join(map(export, paper.kept[1:]))
    found = parse(data)
    assert [len(each.message) <= 1 << 20 for each in found] == [True] * 3
    assert found[-1].message == b"last"
    for cut in range(0, len(export(paper.kept[-1])), 7):
        assert len(parse(data[: len(data) - 1 - cut])) == 2


def test_a_place_is_known_by_its_number_or_where_that_is_new_by_its_moment():
    one = "s=a;i=1;b=c;m=d;t=e;x=f"
    assert same_place(one, one)
    assert not same_place(one, "s=a;i=2;b=c;m=d;t=e;x=f")
    # journald moved it from /run to /var.
    assert same_place(one, "s=b;i=9;b=c;m=d;t=e;x=f")
    assert not same_place(one, "s=b;i=1;b=c;m=d;t=e;x=0")
    assert not same_place(one, "nonsense") and not same_place("", "")


# --- who wrote what -------------------------------------------------------------------------------


def through(paper):
    writers = Writers()
    found = b"".join(writers.add(each) for each in parse(b"".join(map(export, paper.kept[1:]))))
    return (found + writers.finish(paper.now + 5)).decode().splitlines()


def test_lines_of_a_message_are_put_together(paper):
    trace = ["[2026-11-28 15:00:00 +0000] [{0}] [ERROR] Exception in worker process"]
    trace += ["Traceback (most recent call last):", '  File "/x{0}.py", line 1', "MemoryError"]
    for line in trace:
        for pid in (21, 22, 23):
            paper.write(line.format(pid), pid)
    assert through(paper) == [line.format(pid) for pid in (21, 22, 23) for line in trace]


def test_the_order_of_messages_stays(paper):
    for number in range(50):
        paper.write(f"line {number}", pid=number % 7, after=0.1)
    assert through(paper) == [f"line {number}" for number in range(50)]


def test_a_line_in_parts_is_one(paper):
    paper.write("Worker (pid:3) was ", 10, brk="pid-change")
    paper.write("other", 11)
    paper.write("sent SIGKILL!", 10)
    paper.write("a" * 10, 12, brk="line-max")
    paper.write("b", 12)
    assert through(paper) == ["other", "Worker (pid:3) was sent SIGKILL!", "a" * 10 + "b"]


def test_a_part_that_waits_for_the_next_look_is_not_lost(paper, tmp_path):
    begin(paper)
    boot(paper, 21)
    whole = stamp(paper, 10, "ERROR") + "Worker (pid:21) was sent SIGKILL!"
    paper.write(whole[:50], 10, brk="pid-change")
    cursor = tmp_path / "cursor"
    paper.later = 0.1
    assert look(paper, cursor)["counts"] == {}
    paper.write(whole[50:], 10)
    assert look(paper, cursor)["counts"] == {"worker_killed": 1}
    assert look(paper, cursor)["counts"] == {}


def test_a_worker_speaks_for_itself_alone(paper):
    begin(paper)
    boot(paper, 21)
    boot(paper, 22)
    forged = stamp(paper, 10, "ERROR") + "Worker (pid:22) was sent SIGKILL! Perhaps out of memory?"
    paper.write(forged, 21)
    result = look(paper)
    assert (result["counts"], result["doubtful"]) == ({}, 1)
    paper.write(forged, 10)
    assert look(paper)["counts"] == {"worker_killed": 1}


def test_what_a_fork_prints_again_is_believed_and_counted_once(paper):
    """Python 3.6 to 3.8: a new worker inherits what its arbiter could not write."""
    begin(paper)
    boot(paper, 21)
    lost = stamp(paper, 10, "ERROR") + "Worker (pid:21) was sent SIGKILL! Perhaps out of memory?"
    paper.write(lost, 30)
    boot(paper, 30)
    assert look(paper)["counts"] == {"worker_killed": 1}


# --- the same incidents as in a file --------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(os.listdir(FIXTURES)))
def test_real_logs_tell_the_same(paper, tmp_path, name):
    with open(os.path.join(FIXTURES, name), "rb") as handle:
        text = handle.read()
    file = tmp_path / "app.log"
    # journald drops empty lines.
    file.write_bytes(re.sub(rb"\n\n+", b"\n", text))
    for line in text.split(b"\n"):
        if line:
            paper.write(line)
    wanted, got = look(paper, paths=[str(file)]), look(paper)
    for each in ("verdict", "counts", "unsure", "doubtful"):
        assert got[each] == wanted[each], each
    assert [each["excerpt"] for each in got["incidents"]] == [
        each["excerpt"] for each in wanted["incidents"]
    ]


# --- exactly once ---------------------------------------------------------------------------------


def test_each_is_told_once_however_often_one_looks(paper, tmp_path):
    cursor, told = tmp_path / "cursor", []
    begin(paper)
    for worker in range(100, 160):
        boot(paper, worker)
    for worker in range(100, 160):
        death(paper, worker)
        if worker % 7 == 0:
            told += dead(look(paper, cursor))
    told += dead(look(paper, cursor)) + dead(look(paper, cursor))
    assert sorted(told) == list(range(100, 160))
    assert look(paper, cursor)["verdict"] == "no_data"


def test_what_comes_after_a_first_look_at_nothing(paper, tmp_path):
    cursor = tmp_path / "cursor"
    assert look(paper, cursor)["verdict"] == "no_data"
    paper.now += 20
    begin(paper)
    boot(paper, 21)
    death(paper, 21)
    paper.now += 100
    begin(paper, 50, SECOND)
    result = look(paper, cursor)
    assert (dead(result), result["verdict"]) == ([21], "dirty")


def test_with_a_check_the_place_does_not_move(paper, tmp_path):
    cursor = tmp_path / "cursor"
    begin(paper)
    look(paper, cursor)
    before = cursor.read_text()
    assert json.loads(before)["logs"][PATH]["journal"]["cursor"] == paper.kept[-1]["__CURSOR"]


def test_a_cursor_that_is_damaged_is_an_error(paper, tmp_path):
    cursor = tmp_path / "cursor"
    begin(paper)
    look(paper, cursor)
    data = json.loads(cursor.read_text())
    data["logs"][PATH]["journal"]["writers"] = {"parts": 7}
    cursor.write_text(json.dumps(data))
    with pytest.raises(FleetError, match="cannot be trusted"):
        look(paper, cursor)


def test_a_soak_goes_on_and_judges_the_whole(paper):
    begin(paper)
    since = paper.now - 1
    boot(paper, 21)
    first = look(paper, since=since, arbiter=10, keep=True)
    assert first["progress"] and first["verdict"] == "clean"
    death(paper, 21)
    second = look(paper, since=since, arbiter=10, keep=True, progress=first["progress"])
    assert dead(second) == [21] and second["scanned"]["bytes"] < first["scanned"]["bytes"]
    third = look(paper, since=since, arbiter=10, progress=second["progress"])
    assert (dead(third), third["verdict"], third["scanned"]["bytes"]) == ([21], "dirty", 0)


# --- generations ----------------------------------------------------------------------------------


def test_only_the_generation_that_is_asked_for_is_read(paper):
    begin(paper)
    boot(paper, 21)
    death(paper, 21)
    paper.now += 0.5
    since = paper.now
    begin(paper, 50, SECOND)
    # The stop of the old one, told late.
    death(paper, 21)
    result = look(paper, since=since, arbiter=50)
    assert (result["verdict"], result["counts"]) == ("clean", {})
    assert any(f"_SYSTEMD_INVOCATION_ID={SECOND}" in words for words in paper.asked)


def test_without_a_window_the_last_start_is_read(paper):
    begin(paper)
    boot(paper, 21)
    death(paper, 21)
    paper.drop(3)
    paper.now += 10
    begin(paper, 50, SECOND)
    result = look(paper)
    assert (result["verdict"], result["counts"], result["scanned"]["lines"]) == ("clean", {}, 2)


def test_until_ends_it(paper):
    begin(paper)
    boot(paper, 21)
    until = paper.now
    paper.now += 10
    death(paper, 21)
    assert look(paper, since=paper.now - 60, until=until)["counts"] == {}


@pytest.mark.parametrize(
    ("lines", "tells"),
    [
        (["Starting gunicorn 23.0.0", "Listening"], "start"),
        (["Listening at: http://x"], "line"),
        ([], ""),
    ],
)
def test_whether_it_tells_of_the_arbiter(paper, lines, tells):
    for line in lines:
        paper.write(stamp(paper, 10) + line, 10)
    paper.write("GET / 200", 21)
    who = coverage.Who(10, paper.now - 1)
    assert coverage.told([PATH], who, paper.now) == tells


def test_the_first_words_of_a_young_arbiter_are_waited_for(paper):
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        if len(waited) == 3:
            begin(paper)

    who = coverage.Who(10, paper.now - 1)
    coverage.settle([PATH], who, paper.now, sleep)
    assert len(waited) == 3
    coverage.settle(["/var/log/app.log"], coverage.Who(77, paper.now), paper.now, sleep)
    coverage.settle([PATH], coverage.Who(77, paper.now - 3600), paper.now, sleep)
    assert len(waited) == 3
    coverage.settle([PATH], coverage.Who(77, paper.now), paper.now, sleep)
    assert 3 < len(waited) < 20


# --- what is lost ---------------------------------------------------------------------------------


def test_a_place_that_is_gone_is_a_gap_once(paper, tmp_path):
    cursor = tmp_path / "cursor"
    begin(paper)
    look(paper, cursor)
    for _turn in range(5):
        paper.write("x")
    paper.vacuum(3)
    result = look(paper, cursor)
    assert result["verdict"] == "gap" and "vacuumed" in result["reasons"][0]
    paper.write("x")
    assert look(paper, cursor)["verdict"] == "clean"


def test_a_journal_that_is_empty_now_is_a_gap(paper, tmp_path):
    cursor = tmp_path / "cursor"
    begin(paper)
    look(paper, cursor)
    paper.vacuum(0)
    assert look(paper, cursor)["verdict"] == "gap"


def test_suppressed_messages_are_a_gap_once(paper, tmp_path):
    cursor = tmp_path / "cursor"
    begin(paper)
    look(paper, cursor)
    paper.drop(41)
    paper.drop(1)
    result = look(paper, cursor)
    assert result["verdict"] == "gap" and "suppressed 42 messages" in result["reasons"][0]
    paper.write("x")
    assert look(paper, cursor)["verdict"] == "clean"


def test_a_journal_that_begins_after_the_window_is_a_gap(paper):
    began = paper.now
    paper.now += 100
    begin(paper)
    boot(paper, 21)
    assert look(paper, since=began, arbiter=10)["verdict"] == "clean"
    paper.vacuum(1)
    paper.now += 100
    death(paper, 99)
    for arbiter in (10, None):
        result = look(paper, since=began, arbiter=arbiter)
        assert any("the journal begins at" in reason for reason in result["reasons"]), result


def test_a_journal_that_reaches_further_back_than_the_unit_is_no_gap(paper):
    since = paper.now
    paper.now += 100
    paper.write("hello")
    assert look(paper, since=since)["verdict"] == "clean"


def test_what_takes_too_long_is_no_verdict(paper, tmp_path):
    begin(paper)
    paper.late = True
    result = look(paper)
    assert result["verdict"] == "gap" and "more than can be read" in result["reasons"][0]


def test_a_damaged_file_is_a_gap(paper, tmp_path):
    paper.now += 100
    begin(paper)
    file = tmp_path / "system.journal"
    file.touch()
    os.utime(file, (paper.now, paper.now))
    paper.error = f"Journal file {file} corrupted, ignoring file."
    assert look(paper, since=paper.now - 9)["verdict"] == "gap"
    os.utime(file, (1, 1))
    assert look(paper, since=paper.now - 9)["verdict"] == "clean"


def test_who_may_not_read_it_hears_what_to_do(paper):
    paper.hint = "Hint: You are currently not seeing messages from other users and the system."
    with pytest.raises(FleetError, match="group systemd-journal"):
        look(paper)


# --- the real command -----------------------------------------------------------------------------


def script(tmp_path, text):
    path = tmp_path / "journalctl"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return (str(path),)


def test_a_journalctl_that_does_not_end_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(journalctl, "COMMAND", script(tmp_path, "exec sleep 60"))
    begun = time.monotonic()
    asked = journalctl.Asked([], 0.3)
    assert list(entries(asked.stream)) == []
    ended = asked.end(True)
    assert ended.late and ended.status == 0 and time.monotonic() - begun < 20


def test_a_journalctl_that_is_not_read_to_its_end_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(journalctl, "COMMAND", script(tmp_path, "exec yes"))
    asked = journalctl.Asked([], 60)
    assert asked.stream.readline() == b"y\n"
    assert asked.end(False).status == 0


def test_no_journalctl(monkeypatch):
    monkeypatch.setattr(journalctl, "COMMAND", ("/nowhere/journalctl",))
    with pytest.raises(FleetError, match="Is systemd what runs this host"):
        journalctl.Asked([], 1)
