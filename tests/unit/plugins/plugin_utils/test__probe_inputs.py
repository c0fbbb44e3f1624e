# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules over the inputs for a balancer that only asks a health page."""

from pathlib import Path

import pytest
import yaml
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._probe_inputs import probe_problems
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._settings import (
    no_balancer,
    of_host,
)

ROLE = Path(__file__).resolve().parents[4] / "roles/settings"
GIVEN = {
    **yaml.safe_load((ROLE / "defaults/main.yml").read_text()),
    "load_balancer_provider": "probe",
    "load_balancer_server": "web1",
    "load_balancer_probe_url": "http://10.0.0.11:8000/lb",
    "load_balancer_probe_file": "/srv/app/maintenance",
    "load_balancer_probe_ports": ["8000"],
    "load_balancer_probe_headers": {},
    "load_balancer_probe_others": {"web1": "http://10.0.0.11:8000/lb", "web2": ""},
    "app_health_url": "http://127.0.0.1:8000/healthz",
}
BY_COMMANDS = {
    "load_balancer_probe_file": "",
    "load_balancer_probe_ill_command": ["systemctl", "stop", "nginx"],
    "load_balancer_probe_well_command": ["systemctl", "start", "nginx"],
}


def test_what_is_said_is_enough():
    assert probe_problems(GIVEN, "web1") == []
    assert probe_problems({**GIVEN, **BY_COMMANDS}, "web1") == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"load_balancer_probe_url": ""}, "load_balancer_probe_url of web1 is empty"),
        ({"load_balancer_server": "10.0.0.11"}, "calls servers by their names in the inventory"),
        ({"load_balancer_probe_file": ""}, "either load_balancer_probe_file, or"),
        ({"load_balancer_probe_ports": []}, "load_balancer_probe_ports (443, 8000)"),
        ({"load_balancer_probe_ports": ["http"]}, "load_balancer_probe_*: ports has 'http'"),
        ({"load_balancer_probe_settle": -1}, "settle is in seconds"),
        ({"app_health_url": "http://127.0.0.1:8000/lb"}, "are one page, /lb"),
        ({"app_health_url": "unix:/run/app.sock:/lb"}, "are one page, /lb"),
        (
            {**BY_COMMANDS, "app_health_url": "https://localhost:8000/lb"},
            "are one page, /lb",
        ),
    ],
)
def test_what_is_wrong_is_named(wrong, words):
    told = probe_problems({**GIVEN, **wrong}, "web1")
    assert words in " ".join(told)


def test_the_application_behind_what_is_stopped_is_another_page():
    behind = {**GIVEN, **BY_COMMANDS, "app_health_url": "unix:/run/app.sock:/lb"}
    assert probe_problems(behind, "web1") == []


def test_a_ramp_is_refused_and_no_group_of_balancers_is_needed():
    assert no_balancer(GIVEN, {}, "web1") == []
    [told] = no_balancer({**GIVEN, "rollout_ramp": [10]}, {}, "web1")
    assert "load_balancer_provider is probe: nobody gives a server a share" in told


def test_the_server_itself_is_asked_and_not_with_the_names_of_all_others():
    asked = of_host(GIVEN, {"lb": ["lb1"]}, "web1")
    assert asked["balancers"] == ["web1"]
    assert asked["reach"]["load_balancer_probe_url"] == "http://10.0.0.11:8000/lb"
    assert "load_balancer_probe_others" not in asked["reach"]
    assert not [name for name in asked["reach"] if name.endswith("_headers")]
