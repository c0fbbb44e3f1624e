# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

from tests.unit.plugins.module_utils._host.paper_machine import GUNICORN, Machine, make_venv, serve


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_an_ordinary_program(machine):
    make_venv(machine.home / "venv")
    serve(machine)
    seen = machine.observe()
    assert (seen.arbiter.pid, seen.arbiter.prefix, seen.arbiter.gunicorn) == (
        20, "/home/venv", "20.0.4")  # fmt: skip
    assert [each.pid for each in seen.workers] == [21, 22]
    assert [each.address for each in seen.listeners] == ["127.0.0.1:8000"]
    assert (seen.orphans, seen.unmanaged) == ([], [])
    assert machine.site.report(seen)["arbiter"]["workers_wanted"] == 2


def test_a_listener_of_someone_else_is_not_ours(machine):
    make_venv(machine.home / "venv")
    serve(machine)
    machine.listen(9000, 78)
    machine.process(30, 1, "nginx", sockets=[78])
    assert [each.address for each in machine.observe().listeners] == ["127.0.0.1:8000"]


@pytest.mark.parametrize("named", ["/root/.gunicorn/gunicorn.ctl", "gunicorn.ctl", "/run/c.sock"])
def test_the_control_socket_serves_nobody(machine, named):
    """The way back to a gunicorn without one would miss an address."""
    make_venv(machine.home / "venv")
    serve(machine, command=GUNICORN.replace("-w 2", f"-w 2 --control-socket {named}"))
    machine.opens(20, 9, "socket:[99]")
    (machine.root / "proc/20/net/unix").write_text(
        f"Num\n0: 00000002 00000000 00010000 0001 01 99 {named}\n"
    )
    seen = machine.observe()
    assert [each.address for each in seen.listeners] == ["127.0.0.1:8000"]


def test_a_supervisord_of_another_host_is_noticed(machine):
    machine.process(20, 1, "/sbin/agetty")
    with pytest.raises(FleetError, match="another host or into a container"):
        machine.observe()


def test_a_home_that_is_none_is_refused(machine):
    (machine.home / "releases").rmdir()
    machine.home.rmdir()
    with pytest.raises(FleetError, match="home /home is no directory"):
        machine.observe()
