# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports on the host of the lock: bounded, for their owner only, and no path of a stranger's."""

import json
import os

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state import fleet_reports
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_reports import (
    FleetReports,
    check_name,
    pack,
    unpack,
)

ABOUT = {
    "playbook": "upgrade",
    "result": "stopped",
    "host": "web2",
    "code": "F-GATE",
    "by": "ada",
    "controller": "deploy1",
    "began": 1.0,
    "ended": 2.0,
}


def name(second):
    return f"20261123T1739{second:02d}Z-upgrade-1a2b3c4d"


@pytest.fixture
def reports(tmp_path):
    return FleetReports(str(tmp_path / "state"), "app")


def keep(reports, second, text="{}", most=10):
    return reports.keep(name(second), ABOUT, pack(text), most)


def names(reports):
    return [each["name"] for each in reports.listed()]


def test_what_is_kept_is_told_and_fetched(reports):
    assert reports.listed() == []
    keep(reports, 1, '{"a": "ä"}')
    (told,) = reports.listed()
    assert told == dict(ABOUT, name=name(1), error="")
    assert unpack(reports.content(name(1))) == '{"a": "ä"}'


def test_it_is_for_its_owner_only(reports, tmp_path):
    before = os.umask(0)
    try:
        keep(reports, 1)
    finally:
        os.umask(before)
    place = tmp_path / "state" / "app.reports"
    modes = [path.stat().st_mode & 0o777 for path in (place.parent, place, *place.iterdir())]
    assert modes == [0o755, 0o700, 0o600]


def test_the_oldest_make_room_and_nothing_else_goes(reports, tmp_path):
    keep(reports, 0)
    place = tmp_path / "state" / "app.reports"
    for other in ("notes.txt", "x.report", ".hidden"):
        (place / other).write_text("mine")
    assert [keep(reports, second, most=2) for second in (1, 2)] == [[], [name(0)]]
    assert names(reports) == [name(2), name(1)]
    assert {"notes.txt", "x.report", ".hidden"} <= set(os.listdir(str(place)))


def test_a_controller_whose_clock_is_wrong_does_not_lose_its_own(reports):
    keep(reports, 5)
    assert keep(reports, 1, most=1) == [name(5)]
    assert names(reports) == [name(1)]


def test_a_run_that_tells_more_replaces_what_it_told(reports):
    keep(reports, 1, "1")
    keep(reports, 1, "2")
    assert names(reports) == [name(1)] and unpack(reports.content(name(1))) == "2"


def test_one_that_is_too_large_is_not_written(reports, monkeypatch):
    monkeypatch.setattr(fleet_reports, "CONTENT_LIMIT", 10)
    with pytest.raises(FleetError, match="was not kept"):
        keep(reports, 1, "x" * 1000)
    assert reports.listed() == []


@pytest.mark.parametrize(
    "wrong",
    [
        "../../etc/cron.d/x",
        "20261123T173901Z-/../x",
        "20261123T173901Z-" + "a" * 65,
        "20261123T173901Z-a\n",
        "20261123T173901Z-a.html",
        "２０261123T173901Z-a",
        "newest",
        "",
    ],
)
def test_what_is_no_name_is_refused_on_both_ways(reports, wrong):
    keep(reports, 1)
    for attempt in (
        lambda: check_name(wrong),
        lambda: reports.content(wrong),
        lambda: reports.keep(wrong, ABOUT, "", 10),
    ):
        with pytest.raises(FleetError, match="no name of a report"):
            attempt()


@pytest.mark.parametrize("content", ["", "{", '{"schema": 1}', '{"schema": 9}', "[]", "\udcff"])
def test_a_damaged_one_hides_no_other(reports, tmp_path, content):
    keep(reports, 1)
    file = tmp_path / "state" / "app.reports" / (name(2) + ".report")
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    damaged, whole = reports.listed()
    assert damaged["name"] == name(2) and damaged["error"]
    assert whole["name"] == name(1) and not whole["error"]
    with pytest.raises(FleetError):
        reports.content(name(2))


def test_a_link_is_not_followed(reports, tmp_path):
    keep(reports, 1)
    secret = tmp_path / "secret"
    secret.write_text(json.dumps(dict(ABOUT, schema=1, content=pack("secret"))))
    (tmp_path / "state" / "app.reports" / (name(2) + ".report")).symlink_to(secret)
    assert "symbolic link" in reports.listed()[0]["error"]


def test_a_directory_that_others_can_read_is_refused(reports, tmp_path):
    keep(reports, 1)
    (tmp_path / "state" / "app.reports").chmod(0o755)
    with pytest.raises(FleetError, match="mode 0755"):
        reports.listed()


@pytest.mark.parametrize("content", ["!", "AAAA", pack("x")[:-8], "ä"])
def test_what_is_not_packed_is_no_text(content):
    with pytest.raises(FleetError, match="cannot be unpacked"):
        unpack(content)


def test_a_small_content_does_not_become_a_large_one(monkeypatch):
    bomb = pack("x" * 100000)
    monkeypatch.setattr(fleet_reports, "UNPACKED_LIMIT", 50000)
    with pytest.raises(FleetError, match="too large"):
        unpack(bomb)
