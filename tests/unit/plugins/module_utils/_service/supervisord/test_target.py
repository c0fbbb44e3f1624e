# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord import (
    risks,
    target,
)

from tests.unit.plugins.module_utils._host.paper_machine import CONFIG, INFO

PROCESSES = [
    {"group": "app", "name": "app", "pid": 5},
    {"group": "web", "name": "web_0", "pid": 6},
    {"group": "web", "name": "web_1", "pid": 7},
    {"group": "pair", "name": "left", "pid": 8},
]


@pytest.mark.parametrize(
    "wanted, pid", [("app", 5), ("app:app", 5), ("web_1", 7), ("web:web_0", 6), ("pair", 8)]
)
def test_a_program_is_found_by_name_or_group(wanted, pid):
    assert target.choose_program(PROCESSES, wanted)["pid"] == pid


@pytest.mark.parametrize(
    "wanted, text",
    [
        ("web", "several processes of supervisord: web:web_0, web:web_1"),
        ("nope", "It has: app, pair:left, web:web_0, web:web_1"),
        ("app:web_0", "no program 'app:web_0'"),
    ],
)
def test_a_program_that_is_not_one_is_refused(wanted, text):
    with pytest.raises(FleetError, match=text):
        target.choose_program(PROCESSES, wanted)
    with pytest.raises(FleetError, match="It has: none"):
        target.choose_program([], wanted)


def describe(config, section):
    return target.describe_program(INFO, config, section, "bob")


def test_what_supervisord_tells_wins_and_its_file_adds_the_rest():
    section = {"stopasgroup": "TRUE", "stopwaitsecs": "99", "command": "old"}
    found = describe(CONFIG, section)
    assert (found["command"], found["directory"], found["stopwaitsecs"]) == ("c", None, 10)
    assert (found["stopasgroup"], found["killasgroup"], found["redirect_stderr"]) == (
        True, False, True)  # fmt: skip
    assert (found["stopsignal"], found["user"]) == ("TERM", "bob")


def test_an_old_supervisord_is_known_by_its_file_with_its_defaults():
    found = describe({}, {"command": "c", "stopasgroup": "true", "stopsignal": "SIGHUP"})
    assert (found["stopsignal"], found["stopwaitsecs"], found["startsecs"]) == ("HUP", 10, 1)
    assert (found["stopasgroup"], found["killasgroup"]) == (True, True)


def test_what_nobody_tells_is_unknown_and_not_the_default():
    found = describe({}, {})
    unknown = ("command", "stopsignal", "stopwaitsecs", "stopasgroup", "killasgroup", "startsecs")
    assert [found[name] for name in unknown] == [None] * len(unknown)
    told = risks.deviations(found, {})
    assert [each["value"] for each in told] == ["unknown"]
