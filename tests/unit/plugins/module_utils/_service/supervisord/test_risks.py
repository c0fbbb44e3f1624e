# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord import risks
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord.target import (
    SETTINGS,
)

GOOD = {"command": "c", "stopsignal": "TERM", "stopasgroup": False, "killasgroup": True,
        "stopwaitsecs": 35, "startsecs": 7}  # fmt: skip


@pytest.mark.parametrize(
    "setting, value, wanted",
    [
        ("stopsignal", "HUP", "TERM"),
        ("stopsignal", "QUIT", "TERM"),
        ("stopasgroup", True, "false"),
        ("killasgroup", False, "true"),
        ("stopwaitsecs", 30, "35"),
        ("startsecs", 6, "7"),
    ],
)
def test_each_deviation_is_found_alone(setting, value, wanted):
    assert risks.deviations(GOOD, {}) == []
    found = risks.deviations(dict(GOOD, **{setting: value}), {})
    assert [(each["setting"], each["wanted"]) for each in found] == [(setting, wanted)]
    assert found[0]["value"] == str(value).lower() if isinstance(value, bool) else str(value)
    assert found[0]["why"]


def test_the_wait_depends_on_gunicorns_own():
    assert risks.deviations(dict(GOOD, stopwaitsecs=10), {"graceful_timeout": "9"}) == []
    found = risks.deviations(GOOD, {"graceful_timeout": "60"})
    assert [each["wanted"] for each in found] == ["65"]
    hasty = {"graceful_timeout": "0"}
    assert risks.deviations(dict(GOOD, stopwaitsecs=1), hasty) == []


def test_wrappers_and_shared_virtualenvs_are_deviations():
    found = risks.deviations(dict(GOOD, command="x TOKEN=abc"), {}, True, ["b:b"])
    assert [each["setting"] for each in found] == ["command", "virtualenv"]
    assert "abc" not in str(found)


def test_what_is_unknown_is_said_to_be_unknown():
    program = dict.fromkeys(SETTINGS)
    known = {**program, "command": "c"}
    told = risks.deviations(known, {}, why_unknown="/etc/s.conf may not be read")
    assert told == [
        {
            "setting": "stopsignal, stopwaitsecs, stopasgroup, killasgroup, startsecs",
            "value": "unknown",
            "wanted": "to be read",
            "why": "/etc/s.conf may not be read; it is not taken for the default, so look yourself",
        }
    ]
