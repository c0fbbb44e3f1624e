# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both servers run what they ran before, and only the first was ever taken out."""

testinfra_hosts = ["ansible://web"]


def test_it_runs_what_it_ran_before(server):
    assert server.version["gunicorn"] == "20.0.1"
    assert server.version["python"].startswith("3.6.")


def test_only_the_host_that_failed_was_ever_drained(balancer):
    # Once for the release that answers 500, still out when it is rolled back; and twice for the one
    # that fails in service.
    assert balancer.drains() == ["web1", "web1", "web1"]


def test_the_way_back_is_the_old_directory(server):
    if server.name == "web1":
        assert server.live_release.name.startswith("adopted-20.0.1-py3.6")
    else:
        assert not server.host.file("/srv/app/venv").is_symlink
