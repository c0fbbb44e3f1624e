# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet of any size: what is written can be read again, and what is only history may be lost."""

import json
import os
from pathlib import Path

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state import (
    fleet_history as history,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state import (
    fleet_record as records,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_record import (
    FleetRecord,
    empty,
    tell,
)

SERVERS = 5000
BALANCERS = ("lb1", "lb2", "lb3")
COUNTERS = dict.fromkeys(
    ["stot", "econ", "eresp", "ttime", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx"],
    123456789,
)


def event(name, **more):
    return dict({"event": name, "run": "r1", "by": "alice", "at": 1000.0}, **more)


def look(servers, at=1.0, balancers=BALANCERS):
    """What the balancers counted, with a row for each of the servers."""
    rows = [
        {"backend": "app", "server": f"web{number}", "counters": COUNTERS}
        for number in range(servers)
    ]
    node = {"name": "", "pid": 1}
    return {
        "at": at,
        "balancers": [
            {"item": item, "node": node, "backends": [{"servers": rows}]} for item in balancers
        ],
    }


LARGE = look(SERVERS)


@pytest.fixture
def place(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def kept(place):
    return FleetRecord(StateDirectory(str(place), private=False), "app", False)


def fleet(servers, why=""):
    """The record of a run that has been everywhere."""
    record = tell(empty("app"), event("began", plan="0123456789abcdef" * 4))
    for number in range(servers):
        record["hosts"][f"web{number}.region.example.net"] = {
            "phase": "passed",
            "release": "23.0.0-py3.11-1a2b3c4d",
            "stage": 2,
            "plan": "0123456789abcdef" * 4,
            "run": "r1",
            "by": "alice",
            "at": 1000.0 + number,
            "why": why,
            "seen": {},
        }
    return record


def put(place, record):
    """As the versions before wrote it: everything in one file, at any size."""
    place.mkdir(mode=0o755, exist_ok=True)
    (place / "app.record.json").write_text(json.dumps(record, sort_keys=True) + "\n")


def test_what_a_large_fleet_writes_it_can_read(kept, place):
    kept.tell(event("began"))
    for number in range(10):
        kept.tell(event("taken", host=f"web{number}", release="r"))
        kept.tell(event("passed", host=f"web{number}", release="r", at=2000.0 + number, seen=LARGE))
        assert kept.read()["hosts"][f"web{number}"]["phase"] == "passed"
    sizes = {path.name: path.stat().st_size for path in place.iterdir()}
    assert sizes["app.record.json"] < 64 * 1024, sizes
    assert sum(sizes.values()) < 4 * 1024 * 1024, sizes


def test_every_host_of_a_large_fleet_is_remembered(kept, place):
    put(place, fleet(SERVERS))
    for number in range(3):
        kept.tell(event("taken", host=f"new{number}", release="r", at=9000.0))
    found = kept.read()
    assert len(found["hosts"]) == SERVERS + 3
    assert os.path.getsize(kept.path) < records.RECORD_LIMIT


def test_what_would_be_too_large_loses_the_oldest_of_other_runs_first(kept, place):
    """Reasons are the first to go, then hosts that no run has been to for longest."""
    record = fleet(records.HOSTS, why="\u00fc" * 300)
    for number, host in enumerate(record["hosts"].values()):
        host["run"] = "r1" if number < 10 else "another"
    put(place, record)
    kept.tell(event("taken", host="web0.region.example.net", release="r", at=99999.0))
    assert os.path.getsize(kept.path) <= records.RECORD_LIMIT
    found = kept.read()["hosts"]
    assert {f"web{number}.region.example.net" for number in range(10)} <= set(found)
    assert found["web0.region.example.net"]["phase"] == "taken"


def test_what_cannot_be_made_small_enough_is_refused_before_it_is_written(kept, monkeypatch):
    kept.tell(event("began"))
    before = Path(kept.path).read_bytes()
    monkeypatch.setattr(records, "RECORD_LIMIT", 600)
    with pytest.raises(FleetError, match=r"not written.*bytes"):
        kept.tell(event("taken", host="web1", release="r" * 300))
    assert Path(kept.path).read_bytes() == before


def test_a_record_that_was_written_too_large_is_taken_over(kept, place):
    record = fleet(50)
    for number in range(8):
        record["hosts"][f"web{number}.region.example.net"]["seen"] = look(2000)
    record["marks"]["bad-one"] = {
        "mark": "bad", "host": "web1", "by": "alice", "at": 1.0, "why": 'said "seen": {"a": "}"}',
    }  # fmt: skip
    # A host may have any name.
    record["hosts"]["seen"] = dict(record["hosts"]["web9.region.example.net"])
    put(place, record)
    assert os.path.getsize(kept.path) > 4 * 1024 * 1024
    found = kept.read()
    assert len(found["hosts"]) == 51
    assert found["hosts"]["seen"]["phase"] == "passed"
    assert found["marks"] == record["marks"]
    kept.tell(event("taken", host="web1", release="r"))
    assert os.path.getsize(kept.path) < 1024 * 1024
    assert kept.read()["marks"] == record["marks"]


def test_a_record_of_before_keeps_its_looks_and_events(kept, place):
    record = tell(tell(empty("app"), event("began")), event("taken", host="web1", release="r"))
    record = tell(record, event("passed", host="web1", release="r", seen={"at": 7}))
    put(place, record)
    assert kept.read() == record
    _before, after = kept.tell(event("ended", at=1010.0))
    found = kept.read()
    assert found == after
    assert found["hosts"]["web1"]["seen"] == {"at": 7}
    assert [each["event"] for each in found["events"]] == ["began", "taken", "passed", "ended"]
    # What older versions read is whole, too.
    raw = json.loads(Path(kept.path).read_text())
    assert raw["schema"] == 1 and raw["events"] == []


@pytest.mark.parametrize("name", ["app.events", "app.looks.json"])
@pytest.mark.parametrize("spoilt", [b"", b"\x00\xff{", b"{}", b"[1, 2]\n", b'{"schema": 99}\n'])
def test_history_may_be_lost(kept, place, name, spoilt):
    kept.tell(event("began"))
    kept.tell(event("passed", host="web1", release="r", seen={"at": 7}))
    (place / name).write_bytes(spoilt)
    assert kept.read()["hosts"]["web1"]["phase"] == "passed"
    kept.tell(event("passed", host="web2", release="r", at=1001.0, seen={"at": 8}))
    assert kept.read()["hosts"]["web2"]["seen"] == {"at": 8}
    assert kept.read()["events"][-1]["host"] == "web2"


@pytest.mark.parametrize("name", ["app.events", "app.looks.json"])
def test_history_that_cannot_be_written_stops_no_run(kept, place, name):
    kept.tell(event("began"))
    for path in place.glob(name):
        path.unlink()
    (place / name).mkdir()
    kept.tell(event("passed", host="web1", release="r", seen={"at": 7}))
    assert any(name in note for note in kept.notes)
    assert kept.read()["hosts"]["web1"]["phase"] == "passed"


def test_a_look_that_is_too_large_is_left_out_and_told(kept):
    kept.tell(event("began"))
    kept.tell(event("passed", host="web1", release="r", seen=LARGE))
    assert kept.read()["hosts"]["web1"]["seen"] == {}
    assert "web1" in kept.notes[0]


def test_looks_are_of_those_that_passed_last():
    looks = {}
    for number in range(history.LOOKS + 2):
        looks = history.add_look(looks, f"web{number}", float(number), {"at": number})
    assert sorted(looks) == sorted(f"web{number}" for number in range(2, history.LOOKS + 2))


def test_an_answer_is_as_large_as_what_was_asked():
    record = fleet(SERVERS)
    record["events"] = [event("taken")] * 500
    short = records.about(record, ["web1.region.example.net", "unknown"])
    assert list(short["hosts"]) == ["web1.region.example.net"]
    assert short["run"] == record["run"] and short["events"] == [] and short["marks"] == {}
    assert records.about(record, []) == record


@pytest.mark.parametrize(
    "host, stage, first",
    [("web1", 1, False), ("web1", 3, True), ("web0.region.example.net", 2, True)],
)
def test_who_is_the_first_of_a_stage(host, stage, first):
    assert records.is_first(fleet(1), host, "0123456789abcdef" * 4, stage) is first


def test_a_passed_host_of_another_plan_is_not_the_first():
    record = fleet(1)
    assert records.is_first(record, "web9", "another", 1)
