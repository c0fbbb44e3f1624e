# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a process has open, asked of a real kernel: the process is the test itself."""

import contextlib
import os
import socket
import subprocess
import sys

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn import log_sinks
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Process,
    Reader,
    read_process,
)

ME = os.getpid()
LOG = os.O_WRONLY | os.O_APPEND | os.O_CREAT


@pytest.fixture
def opened():
    """Opens as told, and closes again."""
    kept = []

    def opener(path, flags=LOG, mode=0o640):
        kept.append(os.open(str(path), flags, mode))
        os.fchmod(kept[-1], mode)
        return kept[-1]

    yield opener
    for number in kept:
        with contextlib.suppress(OSError):
            os.close(number)


def sinks(directory, workers=(), tree=(), uids=(), **more):
    me = Process(ME, 1, "S", 1, ("gunicorn",))
    found = log_sinks.find_sinks(
        Reader(), me, list(workers), list(tree), 1, frozenset(uids), **more
    )
    return {
        os.path.basename(each.path): each
        for each in found
        if each.kind == "file" and each.path.startswith(str(directory))
    }


def logs(found):
    return sorted(name for name, each in found.items() if not each.why)


def test_what_is_appended_to_or_only_written_is_a_log(tmp_path, opened):
    opened(tmp_path / "error.log")
    opened(tmp_path / "reading-too.log", os.O_RDWR | os.O_APPEND | os.O_CREAT)
    opened(tmp_path / "anew.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    opened(tmp_path / "data.sqlite", os.O_RDWR | os.O_CREAT)
    opened(tmp_path / "settings.py", os.O_RDONLY | os.O_CREAT)
    opened(tmp_path / "wgunicorn-ab12", os.O_RDWR | os.O_APPEND | os.O_CREAT)
    found = sinks(tmp_path)
    assert logs(found) == sorted(found) == ["anew.log", "error.log", "reading-too.log"]
    assert found["error.log"].of == "arbiter"


def test_a_deleted_file_is_named_and_not_read(tmp_path, opened):
    opened(tmp_path / "error.log")
    (tmp_path / "error.log").unlink()
    assert "deleted" in sinks(tmp_path)["error.log"].why


def test_a_file_that_was_renamed_is_read_where_it_is_now(tmp_path, opened):
    opened(tmp_path / "error.log")
    (tmp_path / "error.log").rename(tmp_path / "error.log.1")
    assert logs(sinks(tmp_path)) == ["error.log.1"]
    # Read with its log: the name of a rotated file is another one's tomorrow.
    (tmp_path / "error.log").write_text("another")
    assert logs(sinks(tmp_path)) == ["error.log"]


def test_the_access_log_is_none(tmp_path, opened):
    opened(tmp_path / "access.log")
    found = sinks(tmp_path, access=str(tmp_path / "access.log"))
    assert found["access.log"].why == "it is the access log"


def test_what_strangers_can_write_is_not_believed(tmp_path, opened):
    opened(tmp_path / "all.log", mode=0o666)
    (tmp_path / "open").mkdir()
    opened(tmp_path / "open/error.log")
    (tmp_path / "open").chmod(0o777)
    found = sinks(tmp_path)
    assert "writable for everybody" in found["all.log"].why
    assert "open is writable for everybody" in found["error.log"].why
    (tmp_path / "open").chmod(0o1777)
    assert logs(sinks(tmp_path)) == ["error.log"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_whose_it_may_be(tmp_path, opened):
    os.fchown(opened(tmp_path / "error.log"), 12345, -1)
    assert "belongs to 12345" in sinks(tmp_path)["error.log"].why
    assert logs(sinks(tmp_path, uids=[12345])) == ["error.log"]


def test_number_and_size_are_bounded(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(log_sinks, "MAX_SIZE", 100)
    os.ftruncate(opened(tmp_path / "a-huge.log"), 101)
    for number in range(3 * log_sinks.MAX_FILES):
        opened(tmp_path / f"{number:02}.log")
    found = sinks(tmp_path)
    # How many of them depends on what else this process has open.
    assert 1 < len(logs(found)) <= log_sinks.MAX_FILES
    assert len(found) <= 2 * log_sinks.MAX_FILES
    assert "more than 0 GiB" in found["a-huge.log"].why
    assert any("more than 16 of them" in each.why for each in found.values())


CHILD = """
import os, sys
for path in sys.argv[1:]:
    os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def child(tmp_path):
    """A worker with two files of its own."""
    paths = [str(tmp_path / name) for name in ("gunicorn.log", "events.jsonl")]
    done = subprocess.Popen(
        [sys.executable, "-c", CHILD, *paths], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    done.stdout.readline()
    yield done
    done.stdin.close()
    done.stdout.close()
    done.wait()


def test_what_only_workers_have_open_must_hold_gunicorns_lines(tmp_path, child):
    worker = read_process(Reader(), child.pid)
    found = sinks(tmp_path, [worker], tells=lambda path, who: path.endswith("gunicorn.log"))
    assert logs(found) == ["gunicorn.log"]
    assert "only workers" in found["events.jsonl"].why
    (tmp_path / "events.jsonl").rename(tmp_path / "events.jsonl.1")
    (tmp_path / "events.jsonl").write_text("")
    assert "only workers" in sinks(tmp_path, [worker])["events.jsonl"].why


def test_a_pipe_is_told_with_who_reads_it(tmp_path, monkeypatch):
    for number, name in ((1, "standard output"), (2, "standard error")):
        assert log_sinks.OUTPUTS[number] == name
    read, write = os.pipe()
    reader = subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
        stdin=read,
        stdout=subprocess.PIPE,
    )
    reader.stdout.readline()
    monkeypatch.setattr(log_sinks, "OUTPUTS", {write: "standard error"})
    try:
        me = Process(ME, 1, "S", 1, ("gunicorn",))
        other = read_process(Reader(), reader.pid)._replace(ppid=1)
        find = log_sinks.find_sinks

        def told(tree, supervisor):
            found = find(Reader(), me, [], tree, supervisor, frozenset())
            return [each for each in found if each.kind == "pipe"]

        os.close(read)
        (found,) = told([other], 1)
        assert found.to.startswith(f"standard error: process {reader.pid} ({sys.executable}")
        assert found.why
        (found,) = told([], reader.pid)
        assert (found.to, found.why) == (f"standard error: supervisord ({reader.pid})", "")
    finally:
        os.close(write)
        reader.wait()
        reader.stdout.close()


def test_datagrams_that_leave_are_told(tmp_path):
    with contextlib.ExitStack() as stack:
        stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.connect(("127.0.0.1", 514))
        me = Process(ME, 1, "S", 1, ("gunicorn",))
        found = log_sinks.find_sinks(Reader(), me, [], [], 1, frozenset())
    told = [each.to for each in found if each.kind == "socket"]
    assert "a Unix datagram socket, perhaps syslog or the journal" in told
    assert "UDP port 514 (syslog)" in told
