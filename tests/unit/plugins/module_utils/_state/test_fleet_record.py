# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import Unbelievable
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_record import (
    EVENTS,
    MARKS,
    SEEN,
    FleetRecord,
    Halted,
    dump,
    empty,
    marked_bad,
    parse,
    tell,
)

OLD, NEW = "adopted-20.0.1-py3.6", "23.0.0-py3.11-1a2b3c4d"


def event(name, **more):
    return dict({"event": name, "run": "r1", "by": "alice", "at": 1000.0}, **more)


def told(*events):
    record = empty("app")
    for each in events:
        record = tell(record, each)
    return record


def host_event(name, **more):
    return event(name, host=more.pop("host", "web1"), release=more.pop("release", NEW), **more)


def test_a_run_that_goes_well():
    record = told(
        event("began", kind="upgrade", plan="p1", overrides=["rollout_force"]),
        host_event("taken", stage=2),
        host_event("passed", stage=2, at=1010.0),
        event("ended", at=1020.0),
    )
    assert record["run"]["status"] == "done"
    assert record["run"]["overrides"] == ["rollout_force"]
    assert (record["run"]["began"], record["run"]["updated"]) == (1000.0, 1020.0)
    assert record["hosts"]["web1"] == {
        "phase": "passed",
        "release": NEW,
        "stage": 2,
        "plan": "p1",
        "run": "r1",
        "by": "alice",
        "at": 1010.0,
        "why": "",
        "seen": {},
    }
    assert record["marks"][NEW]["mark"] == "good"
    assert [each["event"] for each in record["events"]] == ["began", "taken", "passed", "ended"]


@pytest.mark.parametrize("name", ["failed", "out", "halted"])
def test_after_a_failure_no_host_of_the_run_is_taken(name):
    record = told(event("began"), host_event("taken"), host_event(name, why="500"))
    assert record["run"]["status"] == "halted"
    with pytest.raises(Halted, match=r"halted at .* by web1: 500\. web2 is not drained"):
        tell(record, host_event("taken", host="web2"))


def test_what_failed_first_is_what_is_told():
    record = told(
        event("began"),
        host_event("failed", why="first"),
        host_event("out", why="second"),
        host_event("failed", host="web2", why="third"),
    )
    assert (record["run"]["host"], record["run"]["why"]) == ("web1", "first")
    assert record["hosts"]["web1"]["phase"] == "out"


def test_a_halted_run_does_not_end_well():
    record = told(event("began"), event("halted", why="x"), event("ended"))
    assert record["run"]["status"] == "halted"


def test_another_run_is_not_this_one():
    record = told(event("began"), event("began", run="r2", by="bob"))
    with pytest.raises(Halted, match="the last one is of bob"):
        tell(record, host_event("taken"))
    with pytest.raises(Halted, match="none is"):
        tell(empty("app"), host_event("taken"))


def test_a_new_run_begins_whatever_became_of_the_last():
    record = told(event("began"), host_event("failed"), event("began", run="r2"))
    record = tell(record, host_event("taken", run="r2"))
    assert record["hosts"]["web1"]["phase"] == "taken"


def test_a_host_of_the_same_wave_that_passes_does_not_make_a_bad_release_good():
    record = told(
        event("began"),
        host_event("failed", blame=True, why="logs the error"),
        host_event("passed", host="web2", at=1010.0),
    )
    assert record["marks"][NEW]["mark"] == "bad"
    record = tell(record, event("began", run="r2", at=1020.0, overrides=["rollout_force"]))
    record = tell(record, host_event("passed", run="r2", at=1030.0))
    assert record["marks"][NEW]["mark"] == "good"


def test_the_release_that_failed_is_bad_and_the_one_before_is_good():
    record = told(
        event("began"),
        host_event("failed", blame=True, why="logs the error"),
        host_event("returned", release="", before=OLD, at=1005.0),
    )
    assert marked_bad(record, [OLD, NEW, "another"]) == [
        f"{NEW} is marked bad since 1970-01-01 00:16:40 UTC (web1, by alice): logs the error"
    ]
    assert record["marks"][OLD]["mark"] == "good"
    assert record["hosts"]["web1"]["release"] == OLD
    assert record["hosts"]["web1"]["phase"] == "returned"


def test_what_the_balancers_counted_is_kept_of_those_that_passed_last():
    names = [f"web{number}" for number in range(SEEN + 2)]
    record = told(event("began"))
    for number, name in enumerate(names):
        seen = host_event("passed", host=name, at=2000.0 + number, seen={"at": number})
        record = tell(record, seen)
    assert [name for name in names if record["hosts"][name]["seen"]] == names[2:]
    assert "seen" not in str(record["events"])
    assert parse(dump(record), "app") == record


def test_a_failure_that_is_not_the_releases_does_not_mark_it():
    assert told(event("began"), host_event("failed"))["marks"] == {}
    assert told(event("began"), host_event("out"))["marks"] == {}


def test_a_release_that_passes_after_all_is_good_again():
    record = told(event("began"), host_event("failed", blame=True))
    record = tell(record, event("began", run="r2", at=1010.0))
    record = tell(record, host_event("passed", run="r2", at=1020.0))
    assert marked_bad(record, [NEW]) == []


def test_going_back_by_hand_speaks_against_what_is_left():
    record = told(event("began"), host_event("returned", before=OLD, blame=True, why="slow"))
    assert "slow" in marked_bad(record, [NEW])[0]
    assert record["run"]["status"] == "running"


def test_it_stays_small():
    record = told(event("began"))
    for number in range(MARKS + EVENTS):
        record = tell(record, host_event("failed", release=f"r{number}", blame=True, at=number))
    assert len(record["events"]) == EVENTS
    assert len(record["marks"]) == MARKS
    assert "r0" not in record["marks"] and f"r{MARKS + EVENTS - 1}" in record["marks"]
    assert len(dump(record)) < 1024 * 1024


def test_telling_changes_nothing_that_was_told():
    record = told(event("began"), host_event("taken"))
    before = json.dumps(record, sort_keys=True)
    tell(record, host_event("failed", blame=True))
    assert json.dumps(record, sort_keys=True) == before


def test_what_is_written_is_what_is_read():
    record = told(event("began"), host_event("failed", blame=True, why="ü"))
    assert parse(dump(record), "app") == record
    assert parse(None, "app") == empty("app")


@pytest.mark.parametrize(
    "content, why",
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{", "damaged"),
        (b"[]", "damaged"),
        (b"\xff", "damaged"),
        (b'{"schema": 0}', "damaged"),
        (b'{"schema": true}', "damaged"),
        (b'{"schema": 2}', "newer version"),
        (b'{"schema": 1, "run": {}, "hosts": {}, "marks": {}, "events": []}', "damaged"),
        (b'{"schema": 1, "run": null, "hosts": [], "marks": {}, "events": []}', "damaged"),
        (b'{"schema": 1, "run": null, "hosts": {"a": 1}, "marks": {}, "events": []}', "damaged"),
        (b'{"schema": 1, "run": null, "hosts": {}, "marks": {}, "events": [1]}', "damaged"),
    ],
)
def test_what_is_no_record_is_not_believed(content, why):
    with pytest.raises(Unbelievable, match=why):
        parse(content, "app")


# -- the file -----------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path):
    return FleetRecord(StateDirectory(str(tmp_path / "state"), private=False), "app", False)


def test_the_file_is_made_when_a_run_begins(kept, tmp_path):
    assert kept.read() == empty("app")
    with pytest.raises(Halted):
        kept.tell(host_event("taken"))
    assert not os.path.exists(kept.path)
    before, after = kept.tell(event("began"))
    assert before["run"] is None
    assert kept.read() == after
    assert os.stat(kept.path).st_mode & 0o777 == 0o644


def test_a_check_writes_nothing(kept, tmp_path):
    trial = FleetRecord(StateDirectory(str(tmp_path / "state"), private=False), "app", True)
    assert trial.tell(event("began"))[1]["run"]["status"] == "running"
    assert not os.path.exists(str(tmp_path / "state"))


def test_a_record_that_cannot_be_believed_says_where_it_is(kept):
    kept.tell(event("began"))
    with open(kept.path, "wb"):
        pass
    for act in (kept.read, lambda: kept.tell(event("began"))):
        with pytest.raises(FleetError, match=r"cannot be believed .*it is empty.* mv .*\.bad"):
            act()


def test_a_name_that_leads_elsewhere_is_refused(tmp_path):
    with pytest.raises(FleetError, match="fleet is"):
        FleetRecord(StateDirectory(str(tmp_path), private=False), "../x", False)


def baked(host="web1", **more):
    return event("baked", host=host, gunicorn="21.2.0", python="3.6", ran=14400.0, **more)


def test_whoever_has_looked_may_note_that_a_host_has_baked():
    record = told(event("began"), event("ended", at=1001.0), baked(run="other", by="ben", at=2e3))
    assert record["bakes"] == {
        "web1": {"gunicorn": "21.2.0", "python": "3.6", "ran": 14400.0, "by": "ben", "at": 2e3}
    }
    assert record["run"]["id"] == "r1" and record["run"]["status"] == "done"
    assert told(baked())["run"] is None
    assert parse(dump(record), "app")["bakes"] == record["bakes"]


@pytest.mark.parametrize("name", ["taken", "passed", "failed", "returned", "out"])
def test_whatever_happens_to_a_host_takes_its_note_away(name):
    record = told(baked(), baked("web2"), event("began"), host_event(name))
    assert set(record["bakes"]) == {"web2"}


def test_a_record_of_before_has_no_notes():
    old = {key: value for key, value in empty("app").items() if key != "bakes"}
    assert parse(dump(old), "app")["bakes"] == {}


def failing(*hosts, **more):
    """web1 passed stage 1 of plan p1, and then so many fail it."""
    events = [
        event("began", plan="p1"),
        host_event("taken", stage=1),
        host_event("passed", stage=1),
    ]
    for name in hosts:
        told_of = {"host": name, "stage": 1, "blame": True, **more}
        events += [host_event("taken", host=name, stage=1), host_event("failed", **told_of)]
        events += [host_event("returned", host=name, before=OLD)]
    return events


def test_as_many_as_are_tolerated_may_fail_in_the_whole_run():
    record = told(*failing("web2", "web3", tolerate=2))
    assert record["run"]["status"] == "running"
    assert record["marks"][NEW]["mark"] == "bad"
    record = tell(record, host_event("taken", host="web4", stage=1))
    halted = tell(record, host_event("failed", host="web4", stage=1, tolerate=2, why="500"))
    assert (halted["run"]["status"], halted["run"]["host"]) == ("halted", "web4")


def test_who_fails_again_is_no_other_one():
    record = told(*failing("web2", "web2", tolerate=1))
    assert record["run"]["status"] == "running"


@pytest.mark.parametrize("why", ["nobody has passed", "no plan", "another stage", "out", "halted"])
def test_what_is_not_tolerated(why):
    events = failing("web2", tolerate=1)
    if why == "nobody has passed":
        del events[1:3]
    elif why == "no plan":
        events[0]["plan"] = ""
    elif why == "another stage":
        events[-2]["stage"] = 2
    else:
        events[-1] = event(why, host="web2", release=NEW, tolerate=1)
    assert told(*events)["run"]["status"] == "halted"
