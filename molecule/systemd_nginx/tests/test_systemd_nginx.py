# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One release taken back, then both stages on both servers; only the releases have changed."""

import json
from pathlib import Path

AS_DELIVERED = Path(__file__).parents[2] / "image" / "files"

testinfra_hosts = ["ansible://web"]


def test_systemd_is_process_1_and_runs_the_unit(server):
    assert server.sh("readlink /proc/1/exe") == "/usr/lib/systemd/systemd"
    shown = server.sh(
        "systemctl show --property=ActiveState,NRestarts,NeedDaemonReload app.service"
    )
    assert set(shown.split()) == {"ActiveState=active", "NRestarts=0", "NeedDaemonReload=no"}


def test_the_last_stage_is_what_runs(server):
    assert server.version["gunicorn"] == "23.0.0"
    assert server.version["python"].startswith("3.11.")
    for pid in server.processes:
        assert server.sh(f"readlink /proc/{pid}/exe") == "/usr/bin/python3.11"


def test_the_release_that_failed_was_tried_on_one_server_and_no_second_run_drained(balancer):
    assert balancer.drains() == ["web1"] + ["web1", "web2"] * 2


def test_nobody_but_the_failed_release_has_logged_the_error(server):
    log = server.sh("cat /var/log/app/app.log")
    generations = log.split("Starting gunicorn ")[1:]
    failed = {each.split()[0] for each in generations if "reentrant call inside" in each}
    assert failed == ({"24.1.1"} if server.name == "web1" else set())


def test_the_record_says_which_is_bad(balancer):
    path = "/var/lib/fleetops-gunicorn/app.record.json"
    record = json.loads(balancer.host.check_output("cat %s", path))
    bad = [name for name, mark in record["marks"].items() if mark["mark"] == "bad"]
    assert [name[:6] for name in bad] == ["24.1.1"]


def test_the_unit_is_as_it_was(server):
    assert server.host.file("/etc/systemd/system/app.service").content_string == delivered(
        "app.service"
    )
    assert server.sh("systemctl show --value --property=DropInPaths app.service") == ""


def test_nginx_files_are_as_they_were(balancer):
    conf = balancer.host.file("/etc/nginx/conf.d/app.conf")
    assert conf.content_string == delivered("nginx.conf")


def delivered(name):
    return (AS_DELIVERED / name).read_text()
