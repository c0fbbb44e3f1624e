# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the options of such a balancer may be."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe import options
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

GIVEN = {name: each.get("default", "") for name, each in options.ARGUMENTS.items()}
GIVEN.update(url="http://a:8000/lb", file="/srv/ill", ports=["8000"], lease_directory="/run/x")


def test_a_file_and_ports_are_enough():
    found = options.settings_of(GIVEN)
    assert found.file == "/srv/ill" and [each.text for each in found.ports] == ["port 8000"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"file": ""}, "how a server is made to look ill"),
        ({"ill_command": ["a"], "well_command": ["b"]}, "how a server is made to look ill"),
        ({"file": "", "ill_command": ["a"]}, "ill_command is given without the other one"),
        ({"file": "", "well_command": ["a"]}, "well_command is given without the other one"),
        ({"file": "ill"}, "Give the whole path"),
        ({"file": "/srv/"}, "Give the whole path"),
        ({"state_command": ["a"]}, "state_command goes with commands"),
        ({"ports": []}, "where it is seen that nobody comes"),
        ({"page_out": "x"}, "are texts of page"),
        ({"page": "http://b/"}, "without what it says"),
        ({"ports": [], "page": "http://b/", "page_in": "x"}, "where it is seen that nobody comes"),
        ({"settle": -1}, "settle is in seconds"),
        ({"timeout": 0}, "timeout is in seconds"),
        ({"url": "a:8000"}, "give http://"),
        ({"others": {"b": "ftp://b"}}, "give http://"),
        ({"page": "b", "page_out": "x"}, "give http://"),
        ({"page": "http://b/", "page_out": "("}, "page_out is '('"),
        ({"headers": {"Host": "a\r\nb"}}, "headers.Host cannot be sent"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(wrong, words):
    with pytest.raises(FleetError) as caught:
        options.settings_of(dict(GIVEN, **wrong))
    assert words in str(caught.value)


def test_connections_are_seen_at_ports_alone():
    page = {"ports": [], "page": "http://b/", "page_out": "x", "back_by": "connections"}
    with pytest.raises(FleetError, match="back_by is connections"):
        options.settings_of(dict(GIVEN, **page))


def test_names_are_those_of_whoever_asks():
    [told] = options.way_problems(dict(GIVEN, ports=[]), "load_balancer_probe_")
    assert "load_balancer_probe_ports" in told and "load_balancer_probe_page_out" in told
