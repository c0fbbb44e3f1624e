# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever a log may turn out to be: an error or a verdict; no traceback, no hang, never clean."""

import gzip
import lzma
import os
import random
import socket
import stat
import threading

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs import check as logs_check
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs import reader

from tests.unit.plugins.module_utils._logs.paper_log import (
    NOON,
    Paper,
    block,
    check,
    fixture,
    line,
    start,
)

KILLED = "Worker (pid:7) was sent SIGKILL!"
ONE = {"worker_killed": 1}


@pytest.fixture(name="paper")
def _paper(tmp_path):
    return Paper(tmp_path)


def garbage(size, seed=1):
    dice = random.Random(seed)
    return bytes(bytearray(dice.getrandbits(8) for _turn in range(size)))


# -- bytes


@pytest.mark.parametrize(
    "content",
    [
        garbage(5000),
        b"\0" * 5000,
        b"\x7fELF" + garbage(3000, 2),
        "utf-16 all of it".encode("utf-16") * 50,
        gzip.compress(garbage(3000)),
    ],
)
@pytest.mark.parametrize("since", [None, NOON])
def test_what_is_no_text_is_never_clean(paper, content, since):
    result = paper.judge(content, since=since)
    assert result["verdict"] == "no_data"
    assert "are no text" in result["reasons"][0]


@pytest.mark.parametrize("since", [None, NOON - 60])
def test_an_empty_log_is_no_data(paper, since):
    result = paper.judge(b"", since=since)
    assert result["verdict"] == "no_data"
    assert "nothing was written to" in result["reasons"][0]


@pytest.mark.parametrize("junk", [b"\0", b"\xff", b"\xc3\x28", b"\r", b"\x1b[0m", b"\xe2\x80\xa8"])
@pytest.mark.parametrize("use_ctypes", [True, False])
def test_junk_around_and_between_events_hides_nothing(paper, junk, use_ctypes):
    text = junk * 700 + line(KILLED).encode() + junk * 3 + b"\n" + block().encode() + junk * 90
    result = paper.judge(text, use_ctypes=use_ctypes)
    # The block tells of the death that the line has told of already.
    assert result["counts"] == dict(ONE, reentrant=1)
    for incident in result["incidents"]:
        assert incident["excerpt"].isprintable() or "\n" in incident["excerpt"]
        assert "\0" not in incident["excerpt"] and "\x1b" not in incident["excerpt"]


def test_a_hole_from_truncating_under_a_writer_without_o_append(paper):
    """The file begins with NULs; what comes after them is text."""
    result = paper.judge(b"\0" * 100000 + (start() + line(KILLED)).encode())
    assert result["counts"] == ONE


@pytest.mark.parametrize("use_ctypes", [True, False])
def test_a_line_of_100_megabytes(paper, use_ctypes):
    """As a hole, which costs no disk: NULs, an event in the middle, NULs, a line end."""
    with paper.path.open("wb") as handle:
        handle.write(start().encode())
        handle.seek(50 << 20)
        handle.write(b" " + line(KILLED).encode().rstrip(b"\n") + b" ")
        handle.seek(100 << 20)
        handle.write(b"\n" + line("WORKER TIMEOUT (pid:8)").encode())
    result = paper.look(use_ctypes=use_ctypes)
    assert result["counts"] == {"worker_killed": 1, "worker_timeout": 1}
    assert len(repr(result)) < 5000


def test_a_line_without_end(paper):
    """No newline in the whole of the file, which is longer than what is read at once."""
    text = start() + ("y" * 9000).join(
        [line(KILLED).rstrip("\n")] + [f"WORKER TIMEOUT (pid:{n})" for n in range(100, 200)]
    )
    assert len(text) > 600000
    result = paper.judge(text)
    # Only what begins a line can be told to be gunicorn's.
    assert result["counts"] == ONE
    assert result["doubtful"] == 100
    again = paper.next()
    assert again["counts"] == result["counts"]
    assert paper.next()["counts"] == {}


def test_a_hit_on_every_line_is_bounded(paper):
    text = "".join(f"WORKER TIMEOUT (pid:{n})\n" for n in range(20000))
    result = paper.judge(text)
    assert result["counts"] == {"worker_timeout": 20000}
    assert len(result["incidents"]) == 20
    assert len(repr(result)) < 30000


@pytest.mark.parametrize(
    "text",
    [
        "[2026-13-45 99:99:99 +0000] [1] [ERROR] " + KILLED,
        "[2026-11-23 03:02:13 +9999] [1] [ERROR] " + KILLED,
        "[9999-12-31 23:59:59 -2359] [1] [ERROR] " + KILLED,
        "[0000-00-00 00:00:00] [1] [ERROR] " + KILLED,
        "[2026-11-23 03:02:13 +0000] [99999999999999999999] [ERROR] " + KILLED,
        "Xxx 99 99:99:99 web1 x: " + KILLED,
        "Feb 30 12:00:00 web1 x: " + KILLED,
        '{"time": 1e400, "pid": -1, "message": "' + KILLED + '"}',
        '{"time": {}, "pid": [], "message": "' + KILLED + '"}',
        '{"time": true, "pid": true, "message": "' + KILLED + '"}',
        '{"time": "' + "9" * 400 + '", "message": "' + KILLED + '"}',
        '{"time": ' + "9" * 400 + ', "message": "' + KILLED + '"}',
        '{"time": NaN, "message": "' + KILLED + '"}',
        KILLED.replace("7", "9" * 400),
    ],
)
@pytest.mark.parametrize("since", [None, NOON])
def test_a_prefix_that_makes_no_sense(paper, text, since):
    result = paper.judge(text + "\n", since=since)
    assert result["counts"].get("worker_killed", 0) == 1 or result["verdict"] == "no_data"
    if since is None:
        assert result["counts"] == ONE


@pytest.mark.parametrize(
    "text", ["99/Xxx/0000:00:00:00 " + KILLED, "[" * 3000 + KILLED, '{"a":' * 3000 + KILLED]
)
@pytest.mark.parametrize("since", [None, NOON])
def test_what_can_be_no_head_of_a_message_brings_nothing_down(paper, text, since):
    """It may be anybody's words: not counted, and said to be there."""
    result = paper.judge(start() + text + "\n", since=since)
    assert (result["verdict"], result["counts"], result["doubtful"]) == ("clean", {}, 1)


def test_no_bytes_at_all_bring_it_down(paper):
    """Random damage to a real log: something is always said, and said the same by both engines."""
    with open(fixture("21.2.0-py3.6.burst"), "rb") as handle:
        good = handle.read()
    dice = random.Random(7)
    for _turn in range(60):
        data = bytearray(good)
        damages = dice.choice([1, 10, 300])
        for _turn in range(damages):
            at = dice.randrange(len(data))
            data[at : at + dice.choice([1, 1, 50])] = garbage(dice.choice([0, 1, 60]), at)
        results = [paper.judge(bytes(data), since=NOON, use_ctypes=use) for use in (True, False)]
        assert results[0] == results[1]
        # With 300 damages there may be no line left that can be told to be gunicorn's.
        assert results[0]["verdict"] == "dirty" or damages == 300


# -- files that are none


def test_a_directory(tmp_path):
    with pytest.raises(FleetError, match="is a directory. Give the path of a file"):
        check(tmp_path)


def test_a_fifo_is_refused_at_once(tmp_path):
    os.mkfifo(str(tmp_path / "fifo"))
    with pytest.raises(FleetError, match="is a FIFO"):
        check(tmp_path / "fifo")


def test_a_socket(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        with pytest.raises(FleetError, match="is a socket"):
            check(tmp_path / "s")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_device(device):
    with pytest.raises(FleetError, match="is a device"):
        check(device)


def test_a_file_that_turns_into_a_fifo(tmp_path, monkeypatch):
    """Between looking and opening."""
    os.mkfifo(str(tmp_path / "fifo"))
    regular = os.stat(__file__)
    monkeypatch.setattr(reader.os, "stat", lambda _path: regular)
    with pytest.raises(FleetError, match="is a FIFO"):
        reader.open_log(str(tmp_path / "fifo"))


def test_an_absent_file_and_an_absent_directory(tmp_path):
    for path in (tmp_path / "x.log", tmp_path / "x" / "y.log"):
        with pytest.raises(FleetError, match="There is no such file. Look at stdout_logfile"):
            check(path)


def test_a_link_in_a_circle(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(FleetError, match="Asked to read the log"):
        check(tmp_path / "a")


def test_permission_denied(paper, monkeypatch):
    paper.write(start())
    os.chmod(str(paper.path), 0)
    if os.access(str(paper.path), os.R_OK):
        # Root may read it all the same.
        def denied(path, *_):
            raise PermissionError(13, "Permission denied", path)

        monkeypatch.setattr(reader.os, "open", denied)
    with pytest.raises(FleetError, match="Permission denied. Run with become"):
        paper.look()


def test_a_rotated_file_that_cannot_be_read_is_a_gap(paper, monkeypatch):
    paper.write(start())
    paper.next()
    paper.append(line(KILLED))
    paper.path.rename(str(paper.path) + ".1")
    paper.write(start(second=9))
    real = os.open

    def denied(path, *arguments):
        if path.endswith(".1"):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *arguments)

    monkeypatch.setattr(reader.os, "open", denied)
    result = paper.next()
    assert result["verdict"] == "gap"
    assert any("Permission denied" in reason for reason in result["reasons"])


@pytest.mark.parametrize("path", ["app.log", "./app.log", "", "/var/log/\0x"])
def test_a_path_that_is_not_absolute(path):
    with pytest.raises(FleetError, match="paths: .* is not absolute"):
        logs_check.check_paths([path])
    with pytest.raises(FleetError, match="no log to look at"):
        logs_check.check_paths([])
    assert logs_check.check_paths(["/a/../b", "/b", "/c//d"]) == ["/b", "/c/d"]


# -- files that change


def test_a_file_that_shrinks_while_it_is_read(paper, monkeypatch):
    paper.write(start() + line("x" * 500) * 3000)
    real = reader.Reader.readinto
    reads = []

    def shrinking(self, view):
        reads.append(1)
        if len(reads) == 2:
            os.truncate(str(paper.path), 300000)
        return real(self, view)

    monkeypatch.setattr(reader.Reader, "readinto", shrinking)
    result = paper.look()
    assert result["verdict"] == "gap"
    assert "shrank while it was read" in result["reasons"][0]


def test_a_file_that_grows_while_it_is_read_ends_where_it_ended(paper, monkeypatch):
    """A process that writes faster than we read must not hold us for ever."""
    paper.write(start() + line("x" * 500) * 3000)
    size = paper.path.stat().st_size
    real = reader.Reader.readinto

    def growing(self, view):
        paper.append(line("more"))
        return real(self, view)

    monkeypatch.setattr(reader.Reader, "readinto", growing)
    result = paper.next()
    assert result["scanned"]["bytes"] == size
    paper.append(line(KILLED))
    assert paper.next()["counts"] == ONE


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_compressed_file_that_is_damaged_is_a_gap(paper, suffix):
    packer = gzip.compress if suffix == ".gz" else lzma.compress
    data = packer((start() + line(repr(garbage(60000))) + line(KILLED)).encode())
    # Cut off, and broken in the middle.
    for broken in (data[: len(data) // 2], data[:9000] + b"\0" * 400 + data[9400:]):
        packed = paper.path.parent / ("old.log" + suffix)
        packed.write_bytes(broken)
        result = check(packed)
        assert result["verdict"] in ("gap", "dirty")
        assert any("cannot be read to its end" in reason for reason in result["reasons"])
    packed.write_bytes(data)
    assert check(packed)["counts"] == ONE


def test_a_gz_that_is_none(paper):
    packed = paper.path.parent / "old.log.gz"
    packed.write_text(start() + line(KILLED))
    assert check(packed)["verdict"] == "gap"


def test_a_bomb_of_zeroes_is_read_in_constant_memory(paper):
    packed = paper.path.parent / "bomb.log.gz"
    packed.write_bytes(gzip.compress(b"\0" * (30 << 20)))
    assert check(packed)["verdict"] == "no_data"


def test_what_the_window_has_lost_by_rotation_is_a_gap(paper):
    """The oldest line that is left is younger than the window."""
    paper.write(line("x", second=500))
    (paper.path.parent / "app.log.1").write_text(line("x", second=400))
    os.utime(str(paper.path) + ".1", (NOON + 400, NOON + 400))
    result = paper.look(since=NOON)
    assert result["verdict"] == "gap"
    assert "the oldest line found is of 2026-11-23T03:08:53Z" in result["reasons"][0]
    (paper.path.parent / "app.log.2").write_text(line("x", second=-10))
    os.utime(str(paper.path) + ".2", (NOON + 1, NOON + 1))
    assert paper.look(since=NOON)["verdict"] == "clean"


def test_past_windows_reach_into_rotated_files(paper):
    folder = paper.path.parent
    for number in range(1, 6):
        second = -3600 * number
        name = folder / f"app.log.{number}.gz"
        name.write_bytes(
            gzip.compress(
                (
                    line("x", second=second - 1800)
                    + line(f"WORKER TIMEOUT (pid:{number})", second=second)
                ).encode()
            )
        )
        os.utime(str(name), (NOON + second, NOON + second))
    paper.write(line("x", second=-1700) + line("x"))
    result = paper.look(since=NOON - 3600 * 3 - 60, until=NOON - 3600)
    assert sorted(i["worker_pid"] for i in result["incidents"]) == [1, 2, 3]
    assert result["verdict"] == "clean"


def test_the_log_is_never_written_to(paper):
    paper.write(start() + line(KILLED))
    os.chmod(str(paper.path), 0o444)
    before = paper.path.stat()
    paper.next()
    after = paper.path.stat()
    assert (before.st_mtime_ns, before.st_ino, before.st_size) == (
        after.st_mtime_ns,
        after.st_ino,
        after.st_size,
    )
    assert stat.S_IMODE(os.stat(paper.cursor).st_mode) == 0o600


def test_no_file_stays_open(paper):
    paper.write(start())
    (paper.path.parent / "app.log.1").write_text("x\n")
    before = len(os.listdir("/proc/self/fd"))
    for _turn in range(3):
        paper.next()
        with pytest.raises(FleetError):
            check(paper.path.parent)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_fifo_named_like_a_rotated_file_is_left_alone(paper):
    """Nobody may hang us by a name."""
    paper.write(start())
    os.mkfifo(str(paper.path) + ".1")
    done = []
    worker = threading.Thread(target=lambda: done.append(paper.look()), daemon=True)
    worker.start()
    worker.join(20)
    assert done and done[0]["verdict"] == "clean"
