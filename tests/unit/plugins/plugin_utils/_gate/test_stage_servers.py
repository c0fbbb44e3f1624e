# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who runs a stage already, and whose logs can be read to compare with."""

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.stage_servers import (
    MOST_LOGS,
    logs_of,
    on_stage,
    server_of,
)

RELEASE = "21.2.0-py3.6-1"


def host(name, **facts):
    return {"inventory_hostname": name, **facts}


def steps(action):
    return {"steps": [{"stage": 1, "action": action}, {"stage": 2, "action": "upgrade"}]}


def test_who_passed_in_this_run_runs_it_and_who_has_not_does_not():
    hosts = [
        host("web1", _rollout_plan=steps("upgrade"), _gate_passed=RELEASE),
        host("web2", _rollout_plan=steps("upgrade"), _gate_passed="20.0.1-py3.6-1"),
        host("web3", _rollout_plan=steps("upgrade")),
        host("web4", _rollout_plan=steps("skip")),
    ]
    assert on_stage(hosts, RELEASE, "1", {}) == ["web1", "web4"]
    assert on_stage(hosts, RELEASE, 2, None) == ["web1"]


def test_of_hosts_outside_the_run_the_record_tells():
    record = {
        "hosts": {
            "web1": {"phase": "passed", "release": RELEASE},
            "web2": {"phase": "returned", "release": RELEASE},
            "web3": {"phase": "passed", "release": "20.0.1"},
        }
    }
    hosts = [host(f"web{n}") for n in range(1, 5)]
    assert on_stage(hosts, RELEASE, 1, record) == ["web1"]


def test_a_server_has_the_name_that_the_balancers_know():
    assert server_of(host("web1", _settings_checked={"host": {"server": "s1"}})) == "s1"
    assert server_of(host("web1", load_balancer_server="s2")) == "s2"
    assert server_of(host("web1")) == "web1"


def test_logs_are_read_of_a_few_and_only_where_they_are_known():
    hosts = [
        host(f"web{n}", _service_info={"logs": [f"/srv/{n}.log"]} if n > 1 else {})
        for n in range(1, 10)
    ]
    names = [server_of(each) for each in hosts]
    found = logs_of(hosts, names, [])
    assert [each["host"] for each in found] == ["web2", "web3", "web4", "web5"]
    assert len(found) == MOST_LOGS and found[0]["paths"] == ["/srv/2.log"]
    assert found[0]["gunicorn"] == ""
    assert logs_of(hosts, ["web1"], []) == []
    assert logs_of(hosts, ["web1"], ["/var/log/app.log"])[0]["paths"] == ["/var/log/app.log"]
