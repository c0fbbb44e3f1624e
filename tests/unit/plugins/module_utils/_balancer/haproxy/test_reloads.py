# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which processes of before a reload are waited for, from a /proc on paper."""

import os

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer import connections
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.connections import Process
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy import (
    reloads as elders,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.haproxy.reloads import (
    Seen,
)

HERTZ = os.sysconf("SC_CLK_TCK")
NOW = 10000.0
HEAD = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid ... inode\n"
)


class Proc:
    """A /proc with the processes that a test names."""

    def __init__(self, root):
        self.root = root

    def add(self, pid, parent, age, comm="haproxy", arguments=("haproxy", "-W"), inner=None):
        place = self.root / str(pid)
        (place / "fd").mkdir(parents=True)
        (place / "net").mkdir()
        ticks = int((NOW - age) * HERTZ)
        middle = " ".join(["0"] * 17)
        (place / "stat").write_text(f"{pid} ({comm}) S {parent} {middle} {ticks} 0 0\n")
        (place / "cmdline").write_text("\0".join(arguments) + "\0")
        pids = f"{pid} {inner}" if inner else f"{pid}"
        (place / "status").write_text(f"Name:\t{comm}\nNSpid:\t{pids}\n")
        (place / "net" / "tcp").write_text(HEAD)

    def connect(self, pid, remote, inode):
        place = self.root / str(pid)
        (place / "fd" / str(inode)).symlink_to(f"socket:[{inode}]")
        with (place / "net" / "tcp").open("a") as file:
            file.write(f"0: 0100007F:1000 {remote} 01 0:0 00:0 0 0 0 {inode} 1\n")

    def end(self, pid):
        for path in sorted((self.root / str(pid)).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        (self.root / str(pid)).rmdir()


@pytest.fixture
def proc(tmp_path):
    return Proc(tmp_path)


def seen(proc, local=True):
    return Seen(local, str(proc.root), lambda: NOW)


WEB1, WEB2 = "127.0.0.1:8001", "127.0.0.1:8002"
SPELLED = {WEB1: "0100007F:1F41", WEB2: "0100007F:1F42"}


def test_a_sibling_under_the_same_master_that_is_older(proc):
    proc.add(10, 1, 900)
    proc.add(11, 10, 900)
    proc.add(12, 10, 5)
    proc.add(13, 10, 5, comm="exporter")
    proc.add(14, 1, 900)
    look = seen(proc)
    assert look.meet(12, 5)
    assert look.alive() == [11]
    proc.connect(11, SPELLED[WEB1], 77)
    assert look.busy([WEB1]) == [11]
    assert look.busy([WEB2]) == [], "what it has is somebody else's"
    assert look.busy(["/run/app.sock"]) == [11], "a connection that cannot be told is one"
    proc.end(11)
    assert look.alive() == look.busy([WEB1]) == []


def test_without_a_master_the_command_line_tells(proc):
    proc.add(20, 1, 900)
    proc.add(21, 1, 900)
    proc.add(22, 1, 5, arguments=("haproxy", "-D", "-sf", "20", "-x", "a.sock"))
    look = seen(proc)
    assert look.meet(22, 5)
    assert look.alive() == [20]


def test_who_answered_before_is_remembered(proc):
    proc.add(30, 1, 900)
    look = seen(proc)
    assert look.meet(30, 900)
    assert look.alive() == []
    proc.add(31, 1, 0)
    assert look.meet(31, 0)
    assert look.alive() == [30]


def test_in_a_container_the_pid_is_somebody_elses(proc):
    proc.add(8, 2, 9990, comm="kworker", arguments=("",))
    look = seen(proc)
    assert not look.meet(8, 300), "no false reason, and nothing to be concluded"
    assert look.alive() == []
    proc.add(510, 500, 300, inner=8)
    proc.add(509, 500, 900, inner=7)
    assert look.meet(8, 300), "the container's own, seen from its host"
    assert look.alive() == [509]


def test_the_time_that_a_large_configuration_takes_is_no_other_process(proc):
    proc.add(40, 1, 100)
    assert seen(proc).meet(40, 130)
    assert not seen(proc).meet(40, 90), "nobody is older than its process"
    proc.add(41, 1, 100, arguments=("lb",))
    assert not seen(proc).meet(41, 130)
    assert seen(proc).meet(41, 101)


def test_over_tcp_a_name_must_agree_as_well(proc):
    proc.add(50, 1, 100, arguments=("something",))
    assert seen(proc).meet(50, 100)
    assert not seen(proc, local=False).meet(50, 100)


def test_a_pid_that_was_given_away_since_is_not_waited_for(proc):
    proc.add(60, 10, 900)
    proc.add(61, 10, 5)
    look = seen(proc)
    look.meet(61, 5)
    proc.end(60)
    proc.add(60, 1, 1, comm="cron")
    assert look.alive() == []


@pytest.mark.parametrize(
    ("arguments", "pids"),
    [
        (["haproxy", "-sf", "1", "2", "-x", "3"], [1, 2]),
        (["haproxy", "-W", "-st", "7"], [7]),
        (["haproxy", "-f", "12"], []),
    ],
)
def test_handed_over(arguments, pids):
    assert elders.handed_over(arguments) == pids


def test_addresses_as_the_kernel_writes_them():
    assert "0100007F:1F41" in connections.spelled("127.0.0.1:8001")
    assert "0000000000000000FFFF00000100007F:1F41" in connections.spelled("127.0.0.1:8001")
    assert connections.spelled("[::1]:80") == {"00000000000000000000000001000000:0050"}
    for text in ("", "/run/a.sock", "unix@/run/a.sock", "host:80", "1.2.3:4", "1.2.3.4:99999"):
        assert connections.spelled(text) == set()


def test_a_name_may_hold_anything():
    middle = " ".join(["0"] * 17)
    assert connections.parse_process(f"7 (a) S 1) R 3 {middle} 99") == Process(
        7, "a) S 1", "R", 3, 99
    )
    assert connections.parse_process("7 (a") is None
    assert connections.parse_process("7 (a) S 1") is None
