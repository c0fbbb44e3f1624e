# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole fleet went back one stage, and one server to where it came from; nothing is rebuilt."""

import json

EXPECTED = {"web1": ("20.0.1", "adopted-20.0.1-py3.6"), "web2": ("21.2.0", "21.2.0-py3.6-")}

testinfra_hosts = ["ansible://web"]


def test_each_server_serves_what_it_was_sent_back_to(server):
    gunicorn, release = EXPECTED[server.name]
    assert server.version["gunicorn"] == gunicorn
    assert server.version["python"].startswith("3.6.")
    assert server.live_release.name.startswith(release)


def test_what_was_left_is_kept(server):
    assert len(server.releases) == 3


def test_one_server_after_the_other_was_drained_and_by_the_refused_run_none(balancer):
    assert balancer.drains() == ["web1", "web2"] * 3 + ["web1"]


def test_the_record_says_what_is_bad_since_when_and_why(balancer):
    record = json.loads(
        balancer.host.check_output("cat /var/lib/fleetops-gunicorn/app.record.json")
    )
    bad = {name: mark for name, mark in record["marks"].items() if mark["mark"] == "bad"}
    assert any(name.startswith("23.0.0-py3.11-") for name in bad)
    mark = next(mark for name, mark in bad.items() if name.startswith("23.0.0"))
    assert mark["why"] == "slow-since-noon"
