# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from pathlib import Path

import pytest
import yaml
from ansible_collections.fleetops.gunicorn.plugins.filter.misspelt import misspelt

ROOT = Path(__file__).resolve().parents[4]
SPECS = yaml.safe_load((ROOT / "roles/settings/meta/argument_specs.yml").read_text())
OURS = list(SPECS["argument_specs"]["validate"]["options"])


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
    assert misspelt([*OURS, name], SPECS) == (
        f"{name} is set, and nothing reads it: is it {meant}?"
    )


@pytest.mark.parametrize("name", ["app_port", "app_name", "release_date", "rollout_owner", "web"])
def test_a_variable_of_ones_own_is_none(name):
    assert misspelt([*OURS, name], SPECS) == ""


def test_none_of_ours_is_taken_for_another():
    for name in OURS:
        assert misspelt([name], SPECS) == ""
