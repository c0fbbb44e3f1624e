# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A newer gunicorn on the Python in place, with every module run by that Python."""

testinfra_hosts = ["ansible://web"]


def test_the_stage_without_a_new_python_runs(server):
    assert server.version["gunicorn"] == "21.2.0"
    assert server.version["python"].startswith("3.6.")
    assert server.live_release.name.startswith("21.2.0-py3.6-")


def test_each_server_was_drained_once(balancer):
    assert balancer.drains() == ["web1", "web2"]
