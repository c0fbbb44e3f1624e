# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import time

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Listener,
    Process,
    Reader,
    alive,
    descendants,
    gunicorn_arguments,
    parse_cmdline,
    parse_environ,
    parse_net_tcp,
    parse_net_unix,
    parse_stat,
    read_inodes,
    read_process,
    shown,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact

STAT = "7 (a) b (c) {} 3 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0 1 1"


def test_stat_survives_brackets_in_the_name():
    assert parse_stat(STAT.format("S")) == (3, "S", 4711)
    assert parse_stat("") is None
    assert parse_stat("7 (cut") is None


def test_cmdline():
    assert parse_cmdline(b"python\0-m\0gunicorn\0\0\0") == ("python", "-m", "gunicorn")
    assert parse_cmdline(b"gunicorn: master [wsgi:app]      ") == ("gunicorn: master [wsgi:app]",)
    assert parse_cmdline(b"a\0\0b\0") == ("a", "", "b")
    assert parse_cmdline(b"") == ()
    assert parse_cmdline(b"\xff\0") == ("�",)


def test_environ():
    assert parse_environ(b"A=1\0B=x=y\0rubbish\0=z\0") == {"A": "1", "B": "x=y"}


HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout"
TCP = (
    HEAD
    + """ inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 111 1 x
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000  0  0 112 1 x
   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 113 1 x
"""
)
ZERO = "0" * 24
TCP6 = (
    HEAD
    + f""" inode
   0: {ZERO}01000000:1F90 {ZERO}00000000:0000 0A 0:0 00:0 0  0  0 114 1 x
   1: {ZERO}00000000:0050 {ZERO}00000000:0000 0A 0:0 00:0 0  0  0 115 1 x
   2: B80D0120000000000000000001000000:0051 {ZERO}00000000:0000 0A 0:0 00:0 0  0  0 116 1 x
"""
)


def test_listening_sockets_on_either_byte_order():
    assert parse_net_tcp(TCP, "little") == [
        Listener("127.0.0.1:8080", 111),
        Listener("0.0.0.0:80", 113),
    ]
    assert parse_net_tcp(TCP.replace("0100007F", "7F000001"), "big")[0].address == "127.0.0.1:8080"
    assert parse_net_tcp(TCP6, "little") == [
        Listener("[::1]:8080", 114),
        Listener("[::]:80", 115),
        Listener("[2001:db8::1]:81", 116),
    ]
    assert parse_net_tcp("") == []


def test_listening_unix_sockets_only_with_a_name():
    text = """Num       RefCount Protocol Flags    Type St Inode Path
0: 00000002 00000000 00010000 0001 01 201 /run/with space.sock
0: 00000003 00000000 00000000 0001 03 202 /run/with space.sock
0: 00000002 00000000 00010000 0001 01 203
0: 00000002 00000000 00010000 0001 01 204 @abstract
"""
    assert parse_net_unix(text) == [
        Listener("unix:/run/with space.sock", 201),
        Listener("unix:@abstract", 204),
    ]


@pytest.mark.parametrize(
    "cmdline, arguments",
    [
        ("/v/bin/python /v/bin/gunicorn -w 2 app", ("-w", "2", "app")),
        ("/v/bin/python3.6 -u -E /v/bin/gunicorn app", ("app",)),
        ("python -X dev -W ignore -m gunicorn app", ("app",)),
        ("python -um gunicorn app", ("app",)),
        ("python -mgunicorn.app.wsgiapp app", ("app",)),
        ("pypy3 /v/bin/gunicorn", ()),
        ("/usr/bin/python3 /usr/bin/gunicorn3 app", ("app",)),
        ("/usr/bin/python3 /usr/bin/gunicorn-3.6 app", ("app",)),
        # what will start it is not it
        ("/v/bin/python /v/bin/newrelic-admin run-program gunicorn app", None),
        ("env X=1 /v/bin/gunicorn app", None),
        ("/bin/sh /srv/gunicorn", None),
        ("/v/bin/python -c import_gunicorn gunicorn", None),
        ("/v/bin/python -m celery gunicorn", None),
        ("/v/bin/python /srv/app/gunicorn_conf.py", None),
        ("tail -f /var/log/gunicorn", None),
        ("/v/bin/python", None),
        ("/v/bin/python -m", None),
        ("", None),
    ],
)
def test_what_is_gunicorn(cmdline, arguments):
    assert gunicorn_arguments(cmdline.split()) == arguments


def test_a_rewritten_title_is_gunicorn():
    assert gunicorn_arguments(["gunicorn: worker [wsgi:app]"]) == ()


@pytest.mark.parametrize(
    "text, clean",
    [
        ("https://bob:pw@host/x", "https://***@host/x"),
        ("postgres://:pw@host/x", "postgres://***@host/x"),
        ("https://token@host/x", "https://***@host/x"),
        ("DB_PASSWORD=hunter2 next", "DB_PASSWORD=*** next"),
        ('{"api_key": "hunter2"}', '{"api_key": ***}'),
        ("amqp://app:p@ss@mq/", "amqp://***@mq/"),
        ("DB_PASS=hunter2,x", "DB_PASS=***"),
        ("ssh_passphrase: 'hunter 2' x", "ssh_passphrase: *** x"),
        ("--access-key=hunter2", "--access-key=***"),
        ("compass=north surpass: 2", "compass=north surpass: 2"),
        ("NEW_RELIC_LICENSE_KEY=0123", "NEW_RELIC_LICENSE_KEY=***"),
        ("Authorization: Bearer abc", "Authorization: ***"),
        ("a=1 http://host/x@y", "a=1 http://host/x@y"),
    ],
)
def test_secrets_are_taken_out(text, clean):
    assert redact(text) == clean


def test_a_long_word_that_nearly_is_a_secret_takes_no_time():
    # CPU, which a busy machine does not change.
    began = time.process_time()
    for word in ("token" * 20000, "x" * 100000, "a.b-" * 25000, "//" * 50000):
        redact(word)
    assert time.process_time() - began < 5


def test_a_shown_command_line_is_bounded_and_clean():
    words = shown(["g", "--secret-file", "/x", "-e", "TOKEN=abc", "y" * 999] + ["z"] * 99)
    assert words[:5] == ["g", "--secret-file", "***", "-e", "TOKEN=***"]
    assert shown(["g", "--pass", "hunter2", "-k", "sync"]) == ["g", "--pass", "***", "-k", "sync"]
    assert len(words[5]) == 301
    assert (len(words), words[-1]) == (61, "…")


def test_descendants_come_after_their_parents_and_loops_end():
    def process(pid, ppid):
        return Process(pid, ppid, "S", 1, ())

    table = {p.pid: p for p in (process(2, 1), process(9, 2), process(5, 9), process(3, 2))}
    assert descendants(table, 2) == [2, 3, 9, 5]
    assert descendants(table, 7) == []
    loop = {1: process(1, 2), 2: process(2, 1)}
    assert descendants(loop, 1) == [1, 2]


def test_a_zombie_is_gone_and_what_may_not_be_read_is_remembered(tmp_path):
    for pid, state in ((7, "S"), (8, "Z")):
        (tmp_path / "proc" / str(pid) / "fd").mkdir(parents=True)
        (tmp_path / "proc" / str(pid) / "stat").write_text(STAT.format(state))
    os.symlink("socket:[99]", str(tmp_path / "proc/7/fd/3"))
    os.symlink("/dev/null", str(tmp_path / "proc/7/fd/0"))
    reader = Reader(str(tmp_path))
    assert read_process(reader, 7) == Process(7, 3, "S", 4711, ())
    assert read_process(reader, 8) is None
    assert read_process(reader, 9) is None
    assert read_inodes(reader, 7) == {99}
    assert reader.denied == set()


def test_a_later_process_with_the_same_number_is_another(tmp_path):
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/7/stat").write_text(STAT.format("S"))
    reader = Reader(str(tmp_path))
    process = read_process(reader, 7)
    assert alive(reader, process)
    assert not alive(reader, process._replace(start_ticks=1))
    (tmp_path / "proc/7/stat").write_text(STAT.format("Z"))
    assert not alive(reader, process)


def test_what_may_not_be_read_is_remembered(monkeypatch):
    def refuse(path, *_more):
        raise PermissionError(13, "no", path)

    for name in ("listdir", "readlink", "lstat", "open"):
        monkeypatch.setattr(os, name, refuse)
    reader = Reader()
    assert (reader.names("/a"), reader.link("/b"), reader.kind("/c")) == ([], None, "absent")
    assert reader.read("/d") is None
    assert reader.denied == {"/a", "/b", "/c", "/d"}


def test_kinds(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("x")
    os.symlink("nowhere", str(tmp_path / "l"))
    reader = Reader(str(tmp_path))
    kinds = [reader.kind("/" + name) for name in ("d", "f", "l", "no")]
    assert kinds == ["directory", "file", "symlink", "absent"]


def test_only_what_no_other_user_can_write_is_executed(tmp_path):
    file = tmp_path / "python"
    file.write_text("")
    reader = Reader(str(tmp_path))
    file.chmod(0o755)
    assert reader.trusted("/python")
    if os.geteuid() == 0:
        # Who is in root's own group is an administrator.
        file.chmod(0o775)
        os.chown(str(file), 0, 0)
        assert reader.trusted("/python")
        os.chown(str(file), 0, 65534)
    for mode in (0o775, 0o757):
        file.chmod(mode)
        assert not reader.trusted("/python")
    assert not reader.trusted("/nothing")
    if os.geteuid() == 0:
        file.chmod(0o755)
        os.chown(str(file), 65534, 65534)
        assert not reader.trusted("/python")
