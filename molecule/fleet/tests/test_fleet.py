# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must hold after every scenario, whatever became of the upgrade: the fleet serves."""

import json

import testinfra

testinfra_hosts = ["ansible://web"]


def test_testinfra_sees_the_real_fleet(inventory):
    for group, names in {"web": ["web1", "web2"], "lb": ["lb1"]}.items():
        hosts = testinfra.get_hosts([f"ansible://{group}"], ansible_inventory=inventory)
        assert sorted(host.check_output("hostname") for host in hosts) == names


def test_it_is_in_service(server, balancer):
    assert balancer.states() == {"web1": "UP", "web2": "UP"}
    assert server.ask("/healthz") == "ok"
    assert server.version["host"] == server.name


def test_one_generation_runs_and_its_manager_owns_it(server):
    arbiter = server.managed_pid
    assert server.version["arbiter_pid"] == arbiter
    workers = {pid for pid, (parent, _cmdline) in server.processes.items() if parent == arbiter}
    assert len(workers) == 4
    assert set(server.processes) == {arbiter} | workers, "an orphan or a second arbiter is left"


def test_only_this_generation_listens(server):
    listeners = server.sh("ss -Hltnp sport = :8000").splitlines()
    assert len(listeners) == 1
    pids = {int(part.split(",")[0]) for part in listeners[0].split("pid=")[1:]}
    # The file is that of process 1, where a socket starts the application.
    assert pids == set(server.processes) | ({1} if server.by_socket else set())


def test_the_processes_run_from_the_release_that_venv_points_to(server):
    release = str(server.live_release)
    for pid in server.processes:
        # What a process has imported from shared objects: a venv's C extensions by their real path.
        mapped = set(server.sh(f"cut -c74- /proc/{pid}/maps").split())
        extensions = {path for path in mapped if "/site-packages/" in path}
        assert {path for path in extensions if not path.startswith(release + "/")} == set()
        assert extensions or pid == server.managed_pid, "workers have imported markupsafe"


def test_what_runs_logs_no_error(server):
    log = server.sh("cat /var/log/app/app.log")
    _before, begins, of_this_generation = log.rpartition("Starting gunicorn")
    assert begins
    assert "reentrant call inside" not in of_this_generation


def test_nothing_half_built_is_left(server):
    hidden = server.sh("find /srv/app -maxdepth 2 -name '.*' -o -maxdepth 2 -name '*.tmp'").split()
    kept = {f"/srv/app/releases/{name}" for name in (".build.lock", ".history.json")}
    assert set(hidden) <= kept


def test_every_release_has_a_record(server):
    if server.host.file("/srv/app/releases").exists:
        for release in server.releases:
            assert server.record(release)["id"] == release, json.dumps(server.releases)
