# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""nginx's processes and to whom they are connected, from a /proc on paper."""

import os

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx import processes
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

HEAD = "  sl  local_address rem_address   st tx rx tr tm->when retrnsmt uid timeout inode\n"
A = "0B00000A:1F40"  # 10.0.0.11:8000


class Paper:
    """A /proc with the processes that a test names, and their connections."""

    def __init__(self, root):
        self.root = root
        self.proc = processes.Proc(str(root))

    def add(self, pid, parent, ticks, title):
        place = self.root / str(pid)
        (place / "fd").mkdir(parents=True)
        (place / "net").mkdir()
        middle = " ".join(["0"] * 17)
        (place / "stat").write_text(f"{pid} (nginx) S {parent} {middle} {ticks} 0\n")
        (place / "cmdline").write_text(title + "\0\0\0")
        self.tables(pid)

    def tables(self, pid, *rows, unix=()):
        place = self.root / f"{pid}/net"
        lines = [f" 0: 0100007F:C000 {a} {st} 0:0 00:0 0 0 0 {inode} 1\n" for a, st, inode in rows]
        (place / "tcp").write_text(HEAD + "".join(lines))
        (place / "tcp6").write_text(HEAD)
        (place / "unix").write_text(
            "Num RefCount Protocol Flags Type St Inode Path\n" + "".join(unix)
        )

    def opens(self, pid, inode):
        os.symlink(f"socket:[{inode}]", self.root / f"{pid}/fd/{inode}")


@pytest.fixture
def paper(tmp_path):
    found = Paper(tmp_path)
    found.add(
        100, 1, 10, "nginx: master process /usr/sbin/nginx -g daemon on; -c /etc/nginx/nginx.conf"
    )
    found.add(101, 100, 50, "nginx: worker process")
    found.add(102, 100, 55, "nginx: worker process")
    found.add(103, 100, 20, "nginx: worker process is shutting down")
    found.add(104, 100, 50, "nginx: cache manager process")
    found.add(200, 1, 10, "nginx: master process /usr/sbin/nginx")
    found.add(201, 200, 60, "nginx: worker process")
    (tmp_path / "pid").write_text("100\n")
    return found


def workers(paper, conf="/etc/nginx/nginx.conf"):
    return processes.workers(paper.proc, str(paper.root / "pid"), conf)


def test_who_serves_and_who_only_finishes(paper):
    found = workers(paper)
    assert [each.pid for each in found.serving] == [101, 102]
    assert [each.pid for each in found.leaving] == [103]
    assert found.generation == (100, 10, 50)


@pytest.mark.parametrize(
    ("pid", "words"),
    [
        ("", "says pid nothing"),
        ("999", "no process"),
        ("101", "no master process"),
        ("x; rm", "says pid x; rm"),
    ],
)
def test_a_pid_file_that_names_no_master_is_an_error(paper, pid, words):
    (paper.root / "pid").write_text(pid)
    with pytest.raises(processes.Away, match=words):
        workers(paper)
    (paper.root / "pid").unlink()
    with pytest.raises(processes.Away, match="cannot be read"):
        workers(paper)


def test_another_nginx_of_this_host_is_not_taken_for_this_one(paper):
    with pytest.raises(FleetError, match="runs with -c /etc/nginx/nginx.conf, and not with"):
        workers(paper, "/etc/other.conf")


def test_a_master_without_workers_cannot_be_drained(paper):
    (paper.root / "pid").write_text("200")
    (paper.root / "201/cmdline").write_text("nginx: worker process is shutting down")
    with pytest.raises(processes.Away, match="no worker that serves"):
        workers(paper)


def test_only_connections_of_this_nginx_to_this_server_count(paper):
    address = processes.address_of("10.0.0.11:8000")
    other = "0B00000A:1F41"
    rows = [(A, "01", 1), (A, "01", 2), (A, "06", 0), (other, "01", 3), (A, "02", 4)]
    paper.tables(100, *rows)
    paper.opens(101, 1)  # this worker's
    paper.opens(201, 2)  # another nginx'
    paper.opens(101, 3)
    paper.opens(103, 4)  # of before the reload, just connecting
    assert processes.busy(paper.proc, workers(paper), [address]) == {"10.0.0.11:8000": 2}


def test_where_nobody_may_look_at_a_worker_every_connection_counts(paper, monkeypatch):
    paper.tables(100, (A, "01", 1), (A, "01", 2), (A, "06", 0))
    monkeypatch.setattr(processes.Proc, "sockets", lambda _self, _pid: None)
    found = processes.busy(paper.proc, workers(paper), [processes.address_of("10.0.0.11:8000")])
    assert found == {"10.0.0.11:8000": 2}


def test_a_unix_socket_is_busy_while_anybody_is_connected_to_it(paper):
    def row(state, path, kind="0001"):
        return f"0000: 00000003 00000000 00000000 {kind} {state} 99 {path}\n"

    there = [
        row("01", "/run/app.sock"),
        row("03", "/run/app.sock"),
        row("02", "/run/app.sock"),
        row("03", "/run/other.sock"),
        row("03", "/run/app.sock", "0002"),
        "0000: 00000003 00000000 00000000 0001 03 99\n",
    ]
    paper.tables(100, unix=there)
    address = processes.address_of("unix:/run/app.sock")
    assert processes.busy(paper.proc, workers(paper), [address])[address.text] == 2


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("10.0.0.1", ("10.0.0.1", 80, "")),
        ("web1:8000", ("web1", 8000, "")),
        ("[2001:db8::1]:81", ("2001:db8::1", 81, "")),
        ("[2001:db8::1]", ("2001:db8::1", 80, "")),
        ("unix:/run/a.sock", ("", 0, "/run/a.sock")),
        ("unix:/run/a.sock:", ("", 0, "/run/a.sock")),
    ],
)
def test_where_a_server_is(text, place):
    assert processes.place_of(text) == place


def test_a_master_that_is_gone_is_not_taken_for_an_idle_one(paper):
    found = workers(paper)
    (paper.root / "100/net/tcp").unlink()
    with pytest.raises(processes.Away, match="gone"):
        processes.busy(paper.proc, found, [processes.address_of("10.0.0.11:8000")])


def test_a_name_that_does_not_resolve_is_known_to_be_unknown():
    assert not processes.address_of("no.such.host.invalid:80").known
