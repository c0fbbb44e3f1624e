# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One server is through both stages behind a listener that stayed open; the other is as it was."""

EXPECTED = {"web1": ("23.0.0", "3.11."), "web2": ("20.0.1", "3.6.")}

testinfra_hosts = ["ansible://web"]


def test_only_the_one_that_was_named_runs_the_last_stage(server):
    gunicorn, python = EXPECTED[server.name]
    assert server.version["gunicorn"] == gunicorn
    assert server.version["python"].startswith(python)


def test_nobody_was_drained(balancer):
    assert balancer.drains() == []


def test_the_listener_is_older_than_every_release(server):
    opened = server.sh(
        "systemctl show --timestamp=unix --value --property=ActiveEnterTimestamp app.socket"
    )
    assert server.sh("systemctl is-active app.socket") == "active"
    if server.name == "web1":
        built = server.sh("stat --format=%Y /srv/app/releases/2*/release.json").split()
        assert len(built) == 2
        assert all(int(opened.lstrip("@")) < int(each) for each in built)


def test_no_gate_is_left(server):
    listed = "systemctl list-units --all --plain --no-legend 'fleetops-gate*'"
    assert server.sh(listed) == ""


def test_the_unit_is_as_it_was(server):
    shown = server.sh(
        "systemctl show --property=DropInPaths,NRestarts,NeedDaemonReload app.service"
    )
    assert set(shown.splitlines()) == {
        "DropInPaths=/etc/systemd/system/app.service.d/by_socket.conf",
        "NRestarts=0",
        "NeedDaemonReload=no",
    }
