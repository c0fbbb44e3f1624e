# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One server is through both stages, and the other is as it was."""

EXPECTED = {"web1": ("23.0.0", "3.11."), "web2": ("20.0.1", "3.6.")}

testinfra_hosts = ["ansible://web"]


def test_only_the_canary_runs_the_last_stage(server):
    gunicorn, python = EXPECTED[server.name]
    assert server.version["gunicorn"] == gunicorn
    assert server.version["python"].startswith(python)


def test_only_the_canary_was_drained(balancer):
    assert balancer.drains() == ["web1", "web1"]


def test_only_the_canary_has_releases(server):
    assert server.host.file("/srv/app/releases").exists is (server.name == "web1")
