from __future__ import annotations

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.turns import (
    Turn,
    earlier,
    seconds,
    turns_of,
    waves_of,
)

HOSTS = [f"web{number}" for number in range(1, 11)]
LIMITS = {"soak": 60, "drain": 10, "stop": 20, "start": 30, "health": 5, "up": 15, "watch": 240}


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([1], [1] * 10),
        (["1"], [1] * 10),
        ([1, "50%"], [1, 5, 4]),
        ([1, "25%", "100%"], [1, 2, 7]),
        ([3], [3, 3, 3, 1]),
        # Ansible takes at least one.
        (["1%"], [1] * 10),
        ([], [1] * 10),
        ([50], [10]),
    ],
)
def test_waves_are_as_ansible_makes_them(sizes, expected):
    waves = waves_of(HOSTS, sizes)
    assert [len(wave) for wave in waves] == expected
    assert [host for wave in waves for host in wave] == HOSTS


def test_the_whole_fleet_takes_a_stage_before_the_next():
    assert turns_of([1, 2], ["a", "b"], [1]) == [
        Turn(1, 1, "a"),
        Turn(1, 2, "b"),
        Turn(2, 1, "a"),
        Turn(2, 2, "b"),
    ]


def turn(stage, wave, action="upgrade"):
    return {"stage": stage, "wave": wave, "action": action}


def test_a_wave_lasts_as_long_as_one_of_its_hosts():
    told = seconds([turn(1, 1), turn(1, 2), turn(1, 2), turn(1, 3, "skip")], LIMITS, None)
    assert told["waves"] == 2
    assert told["at_least"] == 120
    assert told["at_most"] == 2 * (60 + 80 + 240)
    assert told["expected"] is None


def test_what_is_only_to_be_proved_is_neither_drained_nor_stopped():
    told = seconds([turn(1, 1, "finish")], LIMITS, None)
    assert (told["at_least"], told["at_most"]) == (60, 60 + 5 + 15 + 240)


def test_nothing_to_do_takes_no_time():
    told = seconds([turn(1, 1, "skip")], LIMITS, None)
    assert (told["waves"], told["at_least"], told["at_most"]) == (0, 0, 0)


def event(name, at, host="a", run="r", stage=1, release="x"):
    told = {"event": name, "at": at, "host": host, "run": run, "release": release}
    return {**told, "stage": stage} if stage else told


def test_earlier_turns_are_read_from_the_record():
    events = [
        event("taken", 0),
        event("taken", 5, host="b"),
        event("passed", 70),
        event("failed", 80, host="b"),
        # Another run's end is none of it.
        event("passed", 90, host="b", run="s"),
        # A rollback has no stage.
        event("taken", 100, host="c", stage=0),
        event("passed", 101, host="c", stage=0),
        event("taken", 200, host="c"),
        event("passed", 250, host="c"),
    ]
    assert earlier({"events": events}) == [70, 50]
    told = seconds([turn(1, 1), turn(1, 2)], LIMITS, {"events": events})
    assert told["earlier"] == {"turns": 2, "median": 60}
    assert told["expected"] == 120


@pytest.mark.parametrize("record", [None, {}, {"events": None}, {"events": [{"event": "taken"}]}])
def test_nothing_on_record_is_nothing_known(record):
    assert earlier(record) == []
