# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whose a process is, and who has a port."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from demo import processes
from demo.processes import Process

ROOT = "/home/me/.demo"


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("/v/bin/python /v/bin/supervisord -c R/web1/supervisord.conf", "supervisord"),
        ("/v/haproxy -W -db -f R/lb1/haproxy.cfg", "haproxy"),
        ("/usr/sbin/nginx -c R/lb1/nginx.conf -p R/lb1", "nginx"),
        ("nginx: master process /usr/sbin/nginx -c R/lb1/nginx.conf -p R/lb1", "nginx"),
        ("nginx: master process /usr/sbin/nginx -c R2/lb1/nginx.conf", None),
        ("nginx: worker process", None),
        ("/v/bin/python /r/demo/traffic.py http://x --out R/traffic", "traffic"),
        ("R/web1/app/venv/bin/python R/web1/app/venv/bin/gunicorn app:app", "gunicorn"),
        ("R/web1/app/releases/x/bin/python3 R/web1/app/venv/bin/gunicorn app:app", "gunicorn"),
        ("/bin/python3 R/web1/app/releases/.build-1/bin/gunicorn app:app", "gunicorn"),
        # A reader who looks at things
        ("tail -f R/web1/app.log", None),
        ("vim R/lb1/nginx.conf", None),
        ("vim R/web1/supervisord.conf", None),
        ("less R/lb1/haproxy.cfg", None),
        ("grep gunicorn R/web1/app.log", None),
        # Another checkout, and a name that only begins alike
        ("/v/haproxy -f /elsewhere/.demo/lb1/haproxy.cfg", None),
        ("/v/haproxy -f R2/lb1/haproxy.cfg", None),
        ("/srv/venv/bin/python /srv/venv/bin/gunicorn app:app", None),
        ("", None),
    ],
)
def test_role(command: str, role: str | None) -> None:
    assert processes.role(command.replace("R", ROOT).split(), ROOT) == role


@pytest.mark.parametrize(("cwd", "role"), [(f"{ROOT}/lb1", "nginx"), ("/etc/nginx", None)])
def test_worker_of_nginx_is_known_by_where_it_is(cwd: str, role: str | None) -> None:
    assert processes.role(["nginx: worker process"], ROOT, cwd) == role


def test_only_the_process_that_was_found_is_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        deadline = time.monotonic() + 10
        while (found := processes.read(child.pid)) is None or "-c" not in found.argv:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        # The pid now belongs to something else than what was found: hands off.
        stale = Process(child.pid, ("supervisord",))
        assert processes.end([stale], signal.SIGKILL, 0) == []
        assert child.poll() is None
        assert processes.end([found], signal.SIGTERM, 10) == []
        assert child.wait(10) == -signal.SIGTERM
    finally:
        child.kill()
        child.wait()


def test_process_that_does_not_end_is_returned() -> None:
    code = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = processes.read(child.pid)
        assert found is not None
        assert processes.end([found], signal.SIGTERM, 0.2) == [found]
        assert processes.end([found], signal.SIGKILL, 10) == []


def test_own_port_is_named_with_its_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        problem = processes.port_problem("127.0.0.1", port)
        assert problem is not None and f"pid {os.getpid()} " in problem
    assert processes.port_problem("127.0.0.1", port) is None


def test_listener_on_every_address_counts_and_others_do_not() -> None:
    table = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0A00007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 102 1
   2: 0B00007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 103 1
   3: 0A00007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 104 1
   4: 0A00007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 105 1
"""
    if sys.byteorder == "little":
        assert processes.listening_inodes(table, "127.0.0.10", 8080) == {"101", "102"}
