# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet whose units log to the journal alone, upgraded behind nginx under load.

The same place as in test_systemd_nginx, without a file that gunicorn could write to.
"""

import pytest
from nginx_support import needs_nginx

from tests.integration.service_support import NEW, OLD
from tests.integration.test_systemd_nginx import FIRST, Place

pytestmark = needs_nginx


class Journaled(Place):
    """Both units write to the journal and to nothing else."""

    more = "StandardError=journal\n"


@pytest.fixture(scope="module")
def place(host):
    place = Journaled(host)
    yield place
    place.close()


def test_a_plan_says_where_the_log_is_read(place):
    code, said = place.playbook("upgrade", "--check")
    assert code == 0, said[-6000:]
    assert "the journal of web1.service" in " ".join(said.split()), said[-6000:]
    assert place.versions() == [OLD, OLD]
    assert not any(
        server.log.exists() and server.log.read_text() for server in place.servers.values()
    )


def test_a_gate_that_reads_the_journal_sends_the_server_back(place):
    ours = {"name": "ours", "regex": "Listening at", "severity": "critical", "tolerance": 0}
    with place.load() as load:
        code, said = place.playbook("upgrade", gate_log_patterns=[ours], rollout_to=FIRST)
    assert code != 0 and "back in service" in " ".join(said.split()), said[-6000:]
    assert "the journal of web1.service" in " ".join(said.split()), said[-6000:]
    assert load["lost"] == [] and load["sent"] > 100
    assert place.versions() == [OLD, OLD]


def test_both_stages_lose_no_request(place):
    with place.load() as load:
        code, said = place.playbook("upgrade", rollout_force=True)
    assert code == 0, said[-6000:]
    assert load["lost"] == [] and load["sent"] > 100
    assert place.versions() == [NEW, NEW]
    for name in ("status", "check"):
        code, said = place.playbook(name)
        assert code == 0, said[-6000:]


def test_who_may_not_read_it_is_refused_before_anything_is_touched(place):
    """And what no journal keeps is not taken for read."""
    server = place.servers["web1"]
    drop_in = "/etc/systemd/system/web1.service.d/quiet.conf"
    place.host.write(drop_in, "[Service]\nLogLevelMax=warning\n")
    place.host.run("systemctl", "daemon-reload")
    place.host.run("systemctl", "restart", "web1")
    arbiter = server.pid()
    code, said = place.playbook("upgrade", "-l", "web1", rollout_force=True)
    words = " ".join(said.split())
    assert code != 0 and "F-BLIND" in words and "LogLevelMax= of the unit" in words, said[-6000:]
    assert server.pid() == arbiter
    place.host.run("rm", drop_in)
