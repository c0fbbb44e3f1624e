# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A report goes to another host and comes back, and is believed only as far as it can be shown."""

from __future__ import annotations

import json

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_reports import (
    check_name,
    pack,
    unpack,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.data import Run, report
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.kept import (
    about,
    name_of,
    packed,
    unpacked,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.page import page
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.reporter import (
    Reporter,
    hearing,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.story import Story

from tests.unit.plugins.plugin_utils._report.paper_report import events, made

DATA = made(events())


def test_it_comes_back_as_it_went():
    assert unpacked(packed(DATA)) == json.loads(json.dumps(DATA))


def test_it_has_a_name_and_is_told_in_a_few_words():
    assert check_name(name_of(DATA, "1a2b3c4d5e6f")) == "19700101T001640Z-upgrade-1a2b3c4d"
    told = about(DATA)
    assert (told["result"], told["host"], told["playbook"]) == ("stopped", "web2", "upgrade")
    assert told["code"] == DATA["outcome"]["code"] != ""


def test_where_it_is_too_large_the_events_go_first_and_are_counted():
    whole = packed(DATA)
    smaller = unpacked(packed(DATA, len(whole) - 1))
    assert smaller["events"] == [] and smaller["balancers"]
    assert smaller["left_out"]["events"] == len(DATA["events"])
    assert smaller["outcome"] == DATA["outcome"]
    assert "events were left out" in page(smaller)
    with pytest.raises(FleetError, match="larger than 10 bytes"):
        packed(DATA, 10)


def test_secrets_of_a_log_do_not_leave_the_controller():
    told = {"at": 1001.0, "kind": "failure", "host": "web1", "task": "x", "unreachable": False}
    told["text"] = "cannot log in with password=hunter2 at https://u:hunter3@x/"
    kept = unpack(packed(report([*events(), told], Run("upgrade", 1.0, 2.0))))
    assert "cannot log in" in kept and "hunter" not in kept


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "nothing",
        "1" * 5000,
        "[" * 100_000,
        json.dumps({**DATA, "schema": 2}),
        json.dumps({**DATA, "began": "now"}),
        json.dumps({**DATA, "hosts": ["web1"]}),
        json.dumps({**DATA, "ended": 1}).replace('"ended": 1,', '"ended": NaN,', 1),
    ],
)
def test_what_cannot_be_shown_is_no_report(text):
    with pytest.raises(FleetError, match="no report"):
        unpacked(pack(text))


def test_what_another_host_wrote_moves_no_cursor():
    spoilt = json.loads(json.dumps(DATA))
    spoilt["outcome"]["reason"] = "\x1b[2J<script>alert(1)</script>"
    shown = unpacked(pack(json.dumps(spoilt)))
    assert shown["outcome"]["reason"].startswith("\\x1b[2J")
    assert "<script>alert" not in page(shown)


def test_who_hears_the_run_knows_what_stops_it_before_it_has():
    reporter = Reporter(Story())
    reporter.playbook_began("/x/upgrade.yml", {"report_directory": ""}.get)
    assert hearing() is reporter
    reporter.story.keep(1.0, "play", name="Stage 1")
    done = reporter.so_far([], "web1", "")
    assert done["outcome"]["result"] == "done" and done["playbook"] == "upgrade"
    told = reporter.so_far(["web1"], "web1", "guard | Go on: somebody else holds the lock")
    assert (told["outcome"]["result"], told["outcome"]["host"]) == ("stopped", "web1")
    assert told["outcome"]["reason"] == "guard | Go on: somebody else holds the lock"
