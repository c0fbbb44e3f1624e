# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an operator should look at."""

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.findings import (
    findings,
    fleet_findings,
)

QUIET = {"deviations": [], "orphans": [], "unmanaged": [], "unread": []}


def test_a_server_in_order_has_none():
    assert findings(QUIET) == []


def test_a_setting_is_told_with_its_reason():
    setting = {"setting": "stopwaitsecs", "value": "10", "wanted": "35", "why": "requests are lost"}
    assert findings({**QUIET, "deviations": [setting]}) == [
        "stopwaitsecs is 10, better 35: requests are lost"
    ]


def test_a_left_over_is_told_with_the_way_to_end_it():
    strays = {
        "unmanaged": [{"pid": 7, "listeners": ["127.0.0.1:8000"]}],
        "orphans": [{"pid": 9, "ppid": 1, "listeners": []}],
    }
    orphan, unmanaged = findings({**QUIET, **strays})
    assert "kill -TERM 9" in orphan and "outlived its arbiter" in orphan
    assert "127.0.0.1:8000" in unmanaged and "USR2" in unmanaged


def test_what_could_not_be_looked_at_is_told():
    assert "/proc/4/fd" in findings({**QUIET, "unread": ["/proc/4/fd"]})[0]


def test_what_is_switched_with_it_and_what_is_in_no_program_are_told():
    setting = {"setting": "stopwaitsecs", "value": "10", "wanted": "longer", "why": "it is killed"}
    worker = {"program": "worker:worker", "stop_timeout": 600, "deviations": [setting]}
    loose = {"pid": 123, "user": "app", "command": "celery worker", "started": 1.0}
    info = {**QUIET, "programs": [worker], "loose": [loose]}
    short, long, alone = findings(info, "60")
    assert short == "worker:worker: stopwaitsecs is 10, better longer: it is killed"
    assert long.startswith(
        "worker:worker: its manager lets it take 600 s to stop, but a switch waits"
    )
    assert "process 123 (user app: celery worker) runs from the virtualenv and is in no" in alone
    assert "name it in app_programs" in alone
    assert findings(info) == [short, alone]
    assert findings(info, 601) == [short, alone]


def test_a_fleet_is_told_once_what_many_servers_have():
    setting = {"setting": "umask", "value": "0", "wanted": "022", "why": "anybody writes"}

    def host(name, **more):
        return {
            "inventory_hostname": name,
            "_preflight_seen": {"service": {**QUIET, **more}},
            "_settings_checked": {"judged_by": {"stop_timeout": 60}},
        }

    ill = [host(f"web{number}", deviations=[setting]) for number in (1, 2)]
    told = fleet_findings([*ill, host("web3")])
    assert told[1:] == ["web1, web2: umask is 0, better 022: anybody writes"]
    assert fleet_findings([host("web3")]) == []
    gone = {**host("web4"), "_preflight_seen": {"service": {"unreachable": True}}}
    assert fleet_findings([gone]) == []
