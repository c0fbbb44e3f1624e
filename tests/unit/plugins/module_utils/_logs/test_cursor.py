# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cursor in each case by name; test_schedules.py mixes them at random."""

import bz2
import errno
import gzip
import json
import lzma
import os
import shutil

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs import check as logs_check
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs import cursor as logs_cursor

from tests.unit.plugins.module_utils._logs.paper_log import NOON, Paper, block, check, line, start


def read(path):
    with open(path, "rb") as handle:
        return handle.read()


class Log(Paper):
    """Writes numbered deaths and tells which of them each look finds."""

    number = 1000

    def dies(self, count=1):
        for _turn in range(count):
            self.number += 1
            self.append(line(f"Worker (pid:{self.number}) was sent SIGKILL!"))
        return list(range(self.number - count + 1, self.number + 1))

    def found(self, result):
        return sorted(i["worker_pid"] for i in result["incidents"])

    def rotate(self, pack=None, keep=10):
        """logrotate or supervisord: app.log becomes app.log.1 and so on."""
        folder = self.path.parent
        for n in range(keep, 0, -1):
            for suffix in ("", ".gz", ".xz", ".bz2"):
                old = folder / f"app.log.{n}{suffix}"
                if old.exists():
                    old.rename(folder / f"app.log.{n + 1}{suffix}")
        first = folder / "app.log.1"
        self.path.rename(first)
        if pack:
            suffix, packer = pack
            (folder / ("app.log.1" + suffix)).write_bytes(packer(first.read_bytes()))
            first.unlink()
        self.path.write_bytes(b"")


@pytest.fixture(name="log")
def _log(tmp_path):
    log = Log(tmp_path)
    log.write(start())
    assert log.next()["verdict"] == "clean"
    return log


def test_nothing_new_is_no_data(log):
    for _turn in range(2):
        result = log.next()
        assert (result["verdict"], result["scanned"]["bytes"]) == ("no_data", 0)


def test_each_line_once(log):
    for count in (1, 3, 2):
        wanted = log.dies(count)
        assert log.found(log.next()) == wanted
        assert log.next()["counts"] == {}


def test_an_unfinished_line_is_judged_once(log):
    text = line("Worker (pid:7) was sent SIGKILL! Perhaps out of memory?")
    for cut in (10, 45, 60, len(text) - 1):
        mine = text.replace("pid:7", f"pid:{cut:04d}")
        log.append(mine[:cut])
        first = log.next()
        log.append(mine[cut:])
        second = log.next()
        counts = [r["counts"].get("worker_killed", 0) for r in (first, second)]
        assert sum(counts) == 1, (cut, counts)


def test_an_event_in_an_unfinished_line_is_told_at_once(log):
    """A process that died in the middle of a line must not look clean until the next one."""
    log.append(line("Unhandled exception in main loop")[:-1])
    assert log.next()["counts"] == {"main_loop_exception": 1}
    assert log.next()["counts"] == {}
    log.append("\n")
    assert log.next()["counts"] == {}


def test_a_block_between_two_looks(log):
    text = block()
    arguments = text.index("Arguments")
    for cut in (*range(5, len(text), 31), arguments - 4, arguments, arguments + 4, len(text) - 3):
        log.write("")
        os.unlink(log.cursor)
        log.append(start())
        log.next()
        log.append(text[:cut])
        results = [log.next()]
        log.append(text[cut:])
        results.append(log.next())
        total = {}
        for result in results:
            for event, count in result["counts"].items():
                total[event] = total.get(event, 0) + count
        # What was called a logging error while the phrase was not there yet turns out worse.
        assert total.get("reentrant") == 1, (cut, total)
        assert total["worker_killed"] == 1
        assert log.next()["counts"] == {}


PACKERS = {
    "plain": None,
    "gz": (".gz", gzip.compress),
    "xz": (".xz", lzma.compress),
    "bz2": (".bz2", bz2.compress),
    "gz in two members": (".gz", lambda d: gzip.compress(d[:9]) + gzip.compress(d[9:])),
}


@pytest.mark.parametrize("packer", sorted(PACKERS))
@pytest.mark.parametrize("rotations", [1, 2, 3, 9])
def test_several_rotations_between_two_looks(log, packer, rotations):
    wanted = log.dies()
    for _turn in range(rotations):
        log.rotate(PACKERS[packer])
        wanted += log.dies()
    result = log.next()
    assert (result["verdict"], log.found(result)) == ("dirty", wanted)
    assert not any("lost" in reason for reason in result["reasons"])
    assert log.next()["verdict"] == "no_data"


def test_a_rotation_without_anything_new_is_no_gap(log):
    log.rotate()
    assert log.next()["verdict"] == "no_data"
    log.rotate()
    log.rotate()
    assert log.next()["verdict"] == "no_data"
    wanted = log.dies()
    assert log.found(log.next()) == wanted


def test_a_file_that_rotated_out_is_a_gap(log):
    lost = log.dies()
    for _turn in range(3):
        log.rotate()
    (log.path.parent / "app.log.3").unlink()
    log.append(line("x", level="INFO"))
    result = log.next()
    assert (result["verdict"], log.found(result)) == ("gap", [])
    assert lost and "part of the log is lost" in result["reasons"][0]
    # It is told once; from here on everything is known again.
    log.append(line("x", level="INFO"))
    assert log.next()["verdict"] == "clean"


def test_what_can_be_read_beside_a_gap_is_judged(log):
    log.rotate()
    wanted = log.dies()
    log.rotate()
    (log.path.parent / "app.log.2").unlink()
    result = log.next()
    assert (result["verdict"], log.found(result)) == ("dirty", wanted)
    assert any("lost" in reason for reason in result["reasons"])


def test_a_hole_in_the_numbers_is_a_gap(log):
    log.append(line("x", level="INFO"))
    log.rotate()
    log.dies()
    log.rotate()
    log.append(line("x", level="INFO"))
    (log.path.parent / "app.log.1").unlink()
    assert log.next()["verdict"] == "gap"


def test_copytruncate(log):
    wanted = log.dies()
    shutil.copy(str(log.path), str(log.path) + ".1")
    os.truncate(str(log.path), 0)
    wanted += log.dies()
    result = log.next()
    assert log.found(result) == wanted
    assert not any("lost" in reason for reason in result["reasons"])


def test_copytruncate_that_has_grown_past_the_offset(log):
    wanted = log.dies()
    shutil.copy(str(log.path), str(log.path) + ".1")
    os.truncate(str(log.path), 0)
    wanted += log.dies(9)
    assert log.found(log.next()) == wanted


def test_truncated_and_grown_past_the_offset_is_a_gap(log):
    """supervisorctl clear, or `: > app.log`: what was written in between is gone."""
    log.dies()
    os.truncate(str(log.path), 0)
    wanted = log.dies(9)
    result = log.next()
    assert log.found(result) == wanted
    assert any("gone or was truncated" in reason for reason in result["reasons"])
    os.truncate(str(log.path), 0)
    log.append(line("x", level="INFO"))
    assert log.next()["verdict"] == "gap"


def test_truncated_to_the_same_size_with_other_bytes_is_a_gap(log):
    size = log.path.stat().st_size
    log.write("y" * (size - 1) + "\n")
    assert log.next()["verdict"] == "gap"


def test_a_file_whose_only_line_was_unfinished_is_known_by_it(log):
    log.rotate()
    log.append("the first line, without an end")
    log.next()
    os.truncate(str(log.path), 0)
    log.append("something else that is longer than what was there before\n")
    assert log.next()["verdict"] == "gap"


def test_deleted_and_made_anew_is_a_gap(log):
    log.path.unlink()
    wanted = log.dies()
    result = log.next()
    assert log.found(result) == wanted
    assert any("lost" in reason for reason in result["reasons"])


def test_an_inode_that_is_used_again(log):
    """The new file has the inode of the old one, and is longer: only its content tells."""
    old = str(log.path.stat().st_ino)
    log.path.unlink()
    log.append(start(pid=500))
    # File systems do it when they like; here the cursor is made to remember the new number.
    cursor = read(log.cursor).decode().replace(old, str(log.path.stat().st_ino))
    with open(log.cursor, "w") as handle:
        handle.write(cursor)
    wanted = log.dies(3)
    result = log.next()
    assert log.found(result) == wanted
    assert any("lost" in reason for reason in result["reasons"])


def test_a_log_that_is_gone(log):
    log.path.unlink()
    with pytest.raises(FleetError, match="There is no such file"):
        log.next()
    # In the middle of a rotation there is no live file either; that is no error.
    log.write(start())
    os.unlink(log.cursor)
    log.next()
    wanted = log.dies()
    log.path.rename(str(log.path) + ".1")
    assert log.found(log.next()) == wanted


def test_a_link_that_is_turned_to_a_new_file(log, tmp_path):
    link = tmp_path / "current.log"
    link.symlink_to(log.path)
    cursor = str(tmp_path / "other")
    assert check(link, cursor=cursor)["verdict"] == "clean"
    wanted = log.dies()
    second = Log(tmp_path / "second")
    second.path.parent.mkdir()
    second.number = 2000
    wanted += second.dies()
    link.unlink()
    link.symlink_to(second.path)
    assert log.found(check(link, cursor=cursor)) == wanted


def test_dated_rotation_by_logrotate(log):
    wanted = log.dies()
    for date in ("20261122", "20261123"):
        log.path.rename(f"{log.path}-{date}")
        log.write("")
        wanted += log.dies()
    assert log.found(log.next()) == wanted


def test_a_block_that_rotation_cuts(log):
    text = block()
    for cut in range(5, len(text), 40):
        log.append(text[:cut].replace("(7, 9)", f"({cut}, 9)"))
        log.rotate()
        log.append(text[cut:].replace("(7, 9)", f"({cut}, 9)") + line("x", level="INFO"))
        result = log.next()
        assert result["counts"] == {"reentrant": 1, "worker_killed": 1}, cut


def test_lines_that_a_full_disk_cut(log):
    """Half a line, and after it the disk has room again."""
    text = line("Worker (pid:7) was sent SIGKILL!")
    log.append(text[:50] + line("Worker (pid:8) was sent SIGKILL!") + text[:30])
    assert log.found(log.next()) == [8]
    log.append(line("Worker (pid:9) was sent SIGKILL!"))
    assert log.found(log.next()) == [9]


def test_check_mode_does_not_move_on(log):
    wanted = log.dies()
    before = read(log.cursor)
    for _turn in range(2):
        assert log.found(log.next(advance=False)) == wanted
    assert read(log.cursor) == before
    assert log.found(log.next()) == wanted
    assert log.next()["counts"] == {}


def test_check_mode_makes_no_cursor(tmp_path):
    log = Log(tmp_path)
    log.write(start())
    log.next(advance=False)
    assert not os.path.exists(log.cursor)


def test_the_first_look_is_bounded_by_the_window(tmp_path):
    log = Log(tmp_path)
    log.write(line("Worker (pid:7) was sent SIGKILL!", second=-99) + line("x", second=5))
    assert log.next(since=NOON)["counts"] == {}
    log.append(line("Worker (pid:8) was sent SIGKILL!", second=6))
    assert log.found(log.next(since=NOON)) == [8]


def test_the_generation_is_remembered_between_looks(tmp_path):
    log = Log(tmp_path)
    log.write(start(90, -9) + start(100, 0))
    window = {"since": NOON, "arbiter_pid": 100}
    assert log.next(**window)["verdict"] == "clean"
    log.append(block())
    result = log.next(**window)
    assert result["counts"] == {"reentrant": 1, "worker_killed": 1}
    assert {i["arbiter_pid"] for i in result["incidents"]} == {100}
    log.append(start(110, 9))
    log.next(**window)
    log.append(block(arguments="(8, 9)"))
    assert log.next(**window)["counts"] == {}


def test_a_reprint_in_a_later_look_is_no_new_incident(log):
    log.append(block())
    assert log.next()["counts"] == {"reentrant": 1, "worker_killed": 1}
    log.append(line("Booting worker with pid: 8", 8, level="INFO") + block())
    assert log.next()["counts"] == {}


def test_one_cursor_for_several_logs(tmp_path):
    logs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        logs.append(Log(tmp_path / name))
        logs[-1].write(start())
    cursor = str(tmp_path / "cursor")
    both = [log.path for log in logs]
    check(*both, cursor=cursor)
    logs[1].number = 2000
    wanted = logs[0].dies() + logs[1].dies()
    assert logs[0].found(check(*both, cursor=cursor)) == wanted
    # One of them alone leaves the place in the other.
    wanted = logs[0].dies() + logs[1].dies()
    assert logs[0].found(check(both[0], cursor=cursor)) == wanted[:1]
    assert logs[0].found(check(*both, cursor=cursor)) == wanted[1:]


# -- cursors that cannot be trusted


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is no JSON"),
        (b"\x00\xff\xfe", "it is no JSON"),
        (b"{", "it is no JSON"),
        (b"[1, 2]", "cannot be trusted"),
        (b"{}", "cannot be trusted"),
        (b'{"kind": "something"}', "it is something else"),
        (b'{"kind": "fleetops.gunicorn log cursor", "schema": "x"}', "cannot be trusted"),
        (b'{"kind": "fleetops.gunicorn log cursor", "schema": 1}', "cannot be trusted"),
        (
            b'{"kind": "fleetops.gunicorn log cursor", "schema": 99, "logs": {}}',
            "newer version of this collection wrote it .schema 99, this one knows 1",
        ),
        (
            b'{"kind": "fleetops.gunicorn log cursor", "schema": 1, "logs": {"/x": {}}}',
            "cannot be trusted",
        ),
    ],
)
def test_a_damaged_cursor_is_an_error_that_says_what_to_do(log, content, words):
    with open(log.cursor, "wb") as handle:
        handle.write(content)
    with pytest.raises(FleetError, match=words) as error:
        log.next()
    assert log.cursor in str(error.value)
    assert read(log.cursor) == content


def mangle(value, path=()):
    """Each value of the cursor replaced by something of another kind, one at a time."""
    if isinstance(value, dict):
        for key in value:
            for changed in mangle(value[key], path + (key,)):
                yield changed[0], dict(value, **{key: changed[1]})
    elif isinstance(value, list) and value:
        for changed in mangle(value[0], path + (0,)):
            yield changed[0], [changed[1]] + value[1:]
    for wrong in (None, "text", [], {}, -1, [[[1]]]):
        if type(wrong) is not type(value):
            yield path, wrong


def test_a_cursor_of_the_wrong_shape_is_never_a_traceback(log):
    log.append(block() + line("Worker (pid:5) was sent SIGKILL!")[:-5])
    log.next()
    log.rotate()
    log.next()
    log.dies()
    good = json.loads(read(log.cursor).decode())
    for where, bad in mangle(good):
        with open(log.cursor, "w") as handle:
            json.dump(bad, handle)
        try:
            result = log.next(advance=False)
        except FleetError:
            continue
        # It may not matter; but then what is there is still found.
        assert result["verdict"] in ("dirty", "gap"), where


def test_a_cursor_that_is_a_directory_or_cannot_be_written(log, tmp_path, monkeypatch):
    with pytest.raises(FleetError, match="Asked to use the cursor .*[Dd]irectory"):
        check(log.path, cursor=str(tmp_path))
    with pytest.raises(FleetError, match="Asked to write the cursor .*Nothing was judged"):
        check(log.path, cursor=str(tmp_path / "absent" / "cursor"))

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = read(log.cursor)
    log.dies()
    monkeypatch.setattr(logs_cursor.os, "fsync", full)
    with pytest.raises(FleetError, match="No space left on device"):
        log.next()
    assert read(log.cursor) == before
    assert [name for name in os.listdir(str(tmp_path)) if name.endswith(".tmp")] == []
    monkeypatch.undo()
    assert log.next()["counts"] == {"worker_killed": 1}


def test_names_that_change_all_the_time_are_an_error(log, monkeypatch):
    monkeypatch.setattr(logs_check, "settled", lambda *_: False)
    with pytest.raises(FleetError, match="its files change names all the time"):
        log.next()


def test_a_rotation_in_the_middle_of_the_look(log, monkeypatch):
    """Between listing the names and opening the files, twice."""
    wanted = log.dies()
    real, turns = logs_check.open_log, []

    def racing(path, number=0):
        if len(turns) < 2 and number == 0:
            turns.append(path)
            file = real(path, number)
            log.rotate()
            log.dies()
            return file
        return real(path, number)

    monkeypatch.setattr(logs_check, "open_log", racing)
    result = log.next()
    assert log.found(result) == [*wanted, wanted[0] + 1, wanted[0] + 2]
    assert not any("lost" in reason for reason in result["reasons"])


def test_nobody_can_lead_the_cursor_to_another_file(log, tmp_path, monkeypatch):
    """Whoever may write to the directory plants links under every name that could be foreseen."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "state"
    folder.mkdir()
    cursor = folder / "app.cursor"
    for name in (f"app.cursor.{os.getpid()}.tmp", "app.cursor.tmp", "app.cursor.0.tmp"):
        (folder / name).symlink_to(victim)
    result = log.look(cursor=str(cursor))
    assert result["verdict"] == "clean" and victim.read_text() == "precious"
    assert cursor.is_file() and not cursor.is_symlink()
    assert cursor.stat().st_mode & 0o777 == 0o600
    assert len(list(folder.iterdir())) == 4
