from __future__ import annotations

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.packages import (
    built,
    difference,
    unknown,
)

NOW = {"flask": "2.0.3", "gunicorn": "20.0.1", "dataclasses": "0.8", "zipp": "3.6", "pip": "21"}


def expected(packages, known="pins", source="requirements", dropped=(), may_move=False):
    told = {"known": known, "source": source, "packages": packages, "dropped": list(dropped)}
    return {**told, "may_move": may_move, "error": ""}


def test_what_is_not_pinned_is_undecided_and_not_removed():
    told = difference(NOW, expected({"flask": "3.1.2", "blinker": "1.9.0"}), "23.0.0")
    assert told["changed"] == {"flask": ["2.0.3", "3.1.2"], "gunicorn": ["20.0.1", "23.0.0"]}
    assert told["added"] == {"blinker": "1.9.0"}
    assert told["removed"] == {}
    assert told["undecided"] == ["dataclasses", "zipp"]


def test_what_is_carried_over_is_kept_but_for_what_the_python_does_not_need():
    pins = {"flask": "2.0.3", "zipp": "3.6"}
    told = difference(NOW, expected(pins, source="carried", dropped=["dataclasses==0.8"]), "23.0.0")
    assert told["removed"] == {"dataclasses": "0.8"}
    assert told["undecided"] == []
    assert told["kept"] == 2


def test_a_release_that_is_there_decides_everything():
    told = built(NOW, {"flask": "2.0.3", "gunicorn": "21.2.0", "packaging": "21.3"}, "21.2.0")
    assert told["known"] == "all"
    assert told["removed"] == {"dataclasses": "0.8", "zipp": "3.6"}
    assert told["added"] == {"packaging": "21.3"}
    assert told["undecided"] == []


def test_tools_are_no_part_of_an_application():
    assert "pip" not in str(built(NOW, {"setuptools": "80"}, "21.2.0"))


def test_of_the_unknown_nothing_is_claimed():
    told = difference(NOW, unknown("no Python"), "21.2.0")
    assert told["error"] == "no Python"
    assert (told["added"], told["removed"], told["changed"], told["kept"]) == ({}, {}, {}, 0)
