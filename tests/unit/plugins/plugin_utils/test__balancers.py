# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which inputs reach which provider of balancers, and whose value counts."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._balancers import (
    PROVIDERS,
    asked_of,
    gives_shares,
    inputs_of,
    module_of,
    options_for,
    reach_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._declared import declared

ROOT = Path(__file__).resolve().parents[4]
OWN = {"load_balancer_socket": "/own"}


def documented(module):
    text = (ROOT / "plugins" / "modules" / f"{module.rpartition('.')[2]}.py").read_text()
    options = yaml.safe_load(text.split('DOCUMENTATION = r"""')[1].split('"""')[0])
    names = set(options["options"])
    for fragment in options.get("extends_documentation_fragment") or []:
        path = ROOT / "plugins" / "doc_fragments" / f"{fragment.rpartition('.')[2]}.py"
        names |= set(yaml.safe_load(path.read_text().split('r"""')[1].split('"""')[0])["options"])
    return names


@pytest.mark.parametrize("orders", [False, True])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_has_a_module_with_its_options_and_inputs_that_are_declared(provider, orders):
    inputs = inputs_of(provider, orders)
    assert set(inputs) <= documented(module_of(provider, orders))
    assert set(inputs.values()) <= set(declared())


def test_the_input_names_the_providers_that_there_are():
    assert declared()["load_balancer_provider"]["choices"] == [*PROVIDERS, "none"]


@pytest.mark.parametrize(
    ("balancer", "reach", "wanted"),
    [
        ({"load_balancer_socket": "/lb"}, {"load_balancer_socket": "/asked"}, "/lb"),
        ({}, {"load_balancer_socket": "/asked"}, "/asked"),
        ({}, {}, "/own"),
    ],
)
def test_the_value_of_the_balancers_host_comes_first(balancer, reach, wanted):
    given = options_for("haproxy", True, balancer, reach, OWN.__getitem__)
    assert given == {"socket": wanted}


def test_what_is_kept_with_a_question_has_no_header():
    given = dict.fromkeys(declared(), "x") | {"load_balancer_provider": "nginx"}
    kept = reach_of(given)
    assert "load_balancer_nginx_conf" in kept
    assert not [name for name in kept if name.endswith("_headers")]


@pytest.mark.parametrize(
    ("provider", "whom"),
    [("haproxy", ["lb1"]), ("nginx", ["lb1"]), ("probe", ["web1"]), ("none", [])],
)
def test_whom_a_question_goes_to(provider, whom):
    assert asked_of(provider, ["lb1"], "web1") == whom
    assert gives_shares(provider) == (whom == ["lb1"])
