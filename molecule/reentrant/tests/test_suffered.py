# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Under the same pressure: killed workers always, reentrant errors with the old gunicorns only."""

testinfra_hosts = ["ansible://web"]


def generations(server):
    """(version, text) of each life of an arbiter, in the order of the log."""
    log = server.sh("cat $(ls -tr /var/log/app/app.log*)")
    return [(life.split(None, 1)[0], life) for life in log.split("Starting gunicorn ")[1:]]


def lives_of(server, wanted):
    return [life for version, life in generations(server) if version == wanted]


def test_it_runs_what_it_ran_before(server):
    assert server.version["gunicorn"] == "20.1.0"


def test_the_old_gunicorn_had_it(server):
    assert any("reentrant call inside" in life for life in lives_of(server, "20.1.0"))


def test_only_the_first_host_met_it_on_the_way(server):
    met = lives_of(server, "21.2.0")
    assert len(met) == (1 if server.name == "web1" else 0)
    assert all("reentrant call inside" in life for life in met)


def test_the_gunicorn_that_has_it_no_more_had_killed_workers_only(server):
    met = lives_of(server, "24.1.1")
    assert len(met) == (1 if server.name == "web1" else 0)
    assert all("Perhaps out of memory?" in life for life in met)
    assert not any("reentrant call inside" in life for life in met)
