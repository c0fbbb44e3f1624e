# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both stages, on both servers; the second run of the command has not touched them again."""

testinfra_hosts = ["ansible://web"]


def test_the_last_stage_is_what_answers(server):
    assert server.version["gunicorn"] == "23.0.0"
    assert server.version["python"].startswith("3.11.")


def test_the_last_stage_is_what_runs(server):
    for pid in server.processes:
        assert server.sh(f"readlink /proc/{pid}/exe") == "/usr/bin/python3.11"


def test_the_releases_are_beside_each_other(server):
    assert server.host.file("/srv/app/venv").is_symlink
    adopted, first, last = sorted(server.releases, key=lambda name: (name[:1] != "a", name))
    assert adopted.startswith("adopted-20.0.1-py3.6")
    assert first.startswith("21.2.0-py3.6-")
    assert last.startswith("23.0.0-py3.11-")
    assert server.live_release.name == last


def test_every_release_is_whole(server):
    code = "import app, gunicorn, sys; print(gunicorn.__version__, *sys.version_info[:2])"
    for release in server.releases:
        python = f"/srv/app/releases/{release}/bin/python"
        shown = server.sh("cd /srv/app && %s -Bc %s", python, code).split()
        assert release.startswith(
            (f"{shown[0]}-py3.{shown[2]}", f"adopted-{shown[0]}-py3.{shown[2]}")
        )


def test_each_server_was_drained_once_for_each_stage_and_never_by_the_second_run(balancer):
    # Stage by stage across the fleet, one host at a time.
    assert balancer.drains() == ["web1", "web2", "web1", "web2"]


def test_no_generation_has_logged_the_error(server):
    log = server.sh("cat /var/log/app/app.log")
    assert [version in log for version in ("20.0.1", "21.2.0", "23.0.0")] == [True] * 3
    assert "reentrant call inside" not in log
