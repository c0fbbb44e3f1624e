# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules over the content of the operator's inputs, and names that are nearly theirs."""

from pathlib import Path

import pytest
import yaml
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._declared import declared
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._settings import (
    misspelt,
    no_balancer,
    of_host,
    settings_problems,
)

ROLE = Path(__file__).resolve().parents[4] / "roles/settings"
SPECS = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())
OURS = list(SPECS["argument_specs"]["validate"]["options"])
GIVEN = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
GROUPS = {"all": ["web1"], "web": ["web1"]}


def test_a_run_may_wait_for_a_stage():
    assert settings_problems({**GIVEN, "rollout_wait": True}, GROUPS) == []
    assert settings_problems({**GIVEN, "rollout_bake": "1h", "rollout_wait": "False"}, GROUPS) == []


def test_the_defaults_are_right():
    assert settings_problems(GIVEN, GROUPS) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"gate_balancer_tolerance": {"http_4xx": 5}}, "give auto or whole numbers for"),
        ({"gate_health_headers": {"Host": "a\r\nX: y"}}, "gate_health_headers.Host cannot be sent"),
        ({"gate_health_headers": {"Ho st": "a"}}, "no name of a header"),
        ({"gate_balancer_tolerance": {"http_5xx": "5"}}, "gate_balancer_tolerance is"),
        ({"gate_balancer_tolerance": {"http_5xx": True}}, "gate_balancer_tolerance is"),
        ({"gate_tolerance": {"reentrant": "auto"}}, "reentrant is auto, and has no normal"),
        ({"gate_tolerance": {"worker_kiled": 1}}, "there is no event worker_kiled"),
        ({"gate_tolerance": {"worker_killed": "few"}}, "'few' for worker_killed"),
        ({"gate_history": "yesterday"}, "gate_history: 'yesterday' is no duration"),
        ({"rollout_waves": ["web9"]}, "no such host or group"),
        ({"release_boot_test": "imports"}, "release_boot_test is 'imports'"),
        ({"release_boot_test": None}, "give boot, import or none"),
        ({"release_boot_environment": {"A=B": "x"}}, "release_boot_environment: 'A=B'"),
        ({"release_boot_environment": {"A": ["x"]}}, "no variable with one value"),
        ({"rollout_ramp": [50, 10]}, "larger than the one before"),
        ({"rollout_keep_releases": 1}, "rollout_keep_releases is 1"),
        ({"rollout_keep_releases": "-2"}, "rollout_keep_releases is -2"),
        ({"rollout_max_failures": -1}, "rollout_max_failures is -1"),
        ({"rollout_window": {"open": ["9-16"]}}, "rollout_window: open has '9-16'"),
        ({"rollout_bake": "soon"}, "rollout_bake: 'soon' is no duration"),
        ({"rollout_bake": "1h", "rollout_wait": True}, "rollout_wait is true and rollout_bake is"),
        ({"rollout_promote": True}, "rollout_reason is empty"),
        ({"rollout_promote": "True"}, "rollout_reason is empty"),
        ({"rollout_notify": [{"name": "chat", "url": "ftp://h"}]}, "chat of rollout_notify"),
        (
            {"rollout_hooks": [{"name": "x", "at": "before_rollback", "command": ["true"]}]},
            "Hook x of rollout_hooks",
        ),
    ],
)
def test_what_is_wrong_is_told_by_name(wrong, words):
    [problem] = settings_problems({**GIVEN, **wrong}, GROUPS)
    assert words in problem


def test_all_that_is_wrong_is_told_at_once():
    wrong = {"rollout_keep_releases": 1, "rollout_bake": "soon", "rollout_waves": []}
    assert len(settings_problems({**GIVEN, **wrong}, GROUPS)) == 3


def test_auto_and_numbers_of_ones_own_are_right():
    given = {
        "gate_tolerance": {"worker_killed": "auto", "worker_timeout": "10/h", "ours": "auto"},
        "gate_balancer_tolerance": {"http_5xx": 5, "connection_errors": "auto"},
        "gate_log_patterns": [{"name": "ours", "regex": "gone"}],
    }
    assert settings_problems({**GIVEN, **given}, GROUPS) == []


def test_a_promotion_with_a_reason_is_right():
    promoted = {"rollout_promote": True, "rollout_reason": "looked at it"}
    assert settings_problems({**GIVEN, **promoted, "rollout_keep_releases": 0}, GROUPS) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("rollout_wave", "rollout_waves"),
        ("gate_soaks", "gate_soak"),
        ("rollout_min_avaliable", "rollout_min_available"),
        ("load_balancer_drain_timout", "load_balancer_drain_timeout"),
        ("app_helth_url", "app_health_url"),
        ("rollout_stage", "rollout_stages"),
    ],
)
def test_a_slip_is_named_with_what_was_meant(name, meant):
    [told] = misspelt([*OURS, name], OURS)
    assert told.startswith(f"{name} is set, and nothing reads it: is it {meant}?")


@pytest.mark.parametrize("name", ["app_port", "app_name", "release_date", "rollout_owner", "web"])
def test_a_variable_of_ones_own_is_none(name):
    assert misspelt([*OURS, name], OURS) == []


def test_none_of_ours_is_taken_for_another():
    for name in OURS:
        assert misspelt([name], OURS) == []


def test_an_inventory_without_a_balancer_is_refused_by_the_name_of_the_group():
    assert no_balancer(GIVEN, {"lb": ["lb1"]}, "web1") == []
    for groups in ({}, {"lb": []}):
        [told] = no_balancer(GIVEN, groups, "web1")
        assert "no host in group lb" in told and "load_balancer_group" in told


def test_no_balancer_at_all_needs_a_word_for_the_outage():
    none = {**GIVEN, "load_balancer_provider": "none"}
    [told] = no_balancer(none, {}, "web1")
    assert "web1 refuses its users' requests" in told and "rollout_accept_outage: true" in told
    accepted = {**none, "rollout_accept_outage": True}
    assert no_balancer(accepted, {}, "web1") == []
    [told] = no_balancer({**accepted, "rollout_ramp": [10]}, {}, "web1")
    assert "rollout_ramp is [10]" in told


def test_nobody_is_asked_where_there_is_no_balancer():
    asked = of_host({**GIVEN, "load_balancer_provider": "none"}, {"lb": ["lb1"]})
    assert asked["balancers"] == [] and asked["reach"] == {}


def test_how_balancers_are_asked_about_a_host_is_what_it_was_given():
    assert of_host({**GIVEN, "load_balancer_server": "w1"}, {"lb": ["lb1", "lb2"]}) == {
        "server": "w1",
        "balancers": ["lb1", "lb2"],
        "provider": "haproxy",
        "reach": {"load_balancer_socket": "/run/haproxy/admin.sock"},
        "backends": ["app"],
        "min_available": "1",
        "lease_directory": "/run/fleetops-gunicorn",
    }


def test_what_only_its_provider_reads_goes_along_and_no_secret():
    given = {
        **GIVEN,
        "load_balancer_provider": "nginx",
        "load_balancer_nginx_conf": "/etc/nginx/nginx.conf",
        "load_balancer_nginx_probe_headers": {"Authorization": "Basic eDp5"},
    }
    reach = of_host(given, {"lb": ["lb1"]})["reach"]
    assert reach["load_balancer_nginx_conf"] == "/etc/nginx/nginx.conf"
    assert all(name.startswith("load_balancer_nginx_") for name in reach)
    assert "Basic" not in str(reach)


def test_the_declaration_is_read_as_it_stands_and_once():
    assert declared() == SPECS["argument_specs"]["validate"]["options"]
    assert declared() is declared()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"app_programs": ["worker"]}, ""),
        ({"app_programs": ["worker", "app"]}, "app_programs names app, which is app_program"),
        ({"app_programs": ["worker", "worker"]}, "app_programs names 'worker': each is"),
        ({"app_programs": [" "]}, "app_programs names ' '"),
        ({"app_programs": [f"w{n}" for n in range(21)]}, "21 names; 20 are the most"),
        (
            {"app_programs": ["worker"], "service_stop_timeout": 300},
            "load_balancer_lease is 600 s, but with app_programs a server may be out for 725 s",
        ),
        ({"app_programs": ["worker"], "service_stop_timeout": 300, "load_balancer_lease": 0}, ""),
        ({"service_stop_timeout": 300}, ""),
    ],
)
def test_what_other_programs_there_are_is_checked(given, words):
    found = settings_problems({**GIVEN, "app_program": "app", **given}, GROUPS)
    assert len(found) == bool(words) and words in " ".join(found), found
