from __future__ import annotations

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan_newer import newer


def versions(*names, python=">=3.10"):
    return [
        {"version": name, "requires_python": python if int(name.split(".")[0]) >= 24 else ""}
        for name in names
    ]


INDEX = versions("27.0.1", "25.3.0", "24.1.1", "24.1.0", "24.0.0", "23.0.0", "22.0.0", "21.2.0")


def test_the_shortest_step_that_cures_and_brings_nothing():
    (told,) = newer("23.0.0", "3.11", INDEX)
    assert told["version"] == "24.1.1"
    assert told["cures"] == ["reentrant", "arbiter-death"]
    assert (told["python"], told["brings"]) == ("", [])


def test_one_that_brings_something_worse_is_not_it():
    """24.0.0 cures reentrant, and never replaces a dead worker."""
    (told,) = newer("23.0.0", "3.11", versions("24.0.0", "25.3.0"))
    assert told["version"] == "25.3.0"
    assert told["brings"] == ["control-socket"]
    (told,) = newer("23.0.0", "3.11", versions("24.0.0", "24.1.0", "25.3.0"))
    assert told["version"] == "24.1.0"


def test_from_the_old_ones_it_does_not_lead_to_the_fault_itself():
    """20.1.0 logs what 20.0.4 does not, and brings reentrant."""
    told = newer("20.0.4", "3.6", versions("20.1.0", "21.2.0", "24.1.1"))
    assert [each["version"] for each in told] == ["24.1.1"]
    (told,) = newer("20.0.4", "3.6", versions("20.1.0"))
    assert (told["version"], told["brings"]) == ("20.1.0", ["reentrant"])


def test_it_says_which_python_it_needs():
    (told,) = newer("21.2.0", "3.6", INDEX)
    assert told["cures"] == ["reentrant"]
    assert told["python"] == "3.10"


def test_the_indexs_word_on_the_python_counts():
    (told,) = newer("23.0.0", "3.11", versions("24.1.1", python=">=3.12"))
    assert told["python"] == "3.12"


def test_nothing_newer_cures_nothing():
    assert newer("23.0.0", "3.11", versions("23.0.0", "22.0.0")) == []
    assert newer("23.0.0", "3.11", []) == []
    assert newer("27.0.1", "3.13", INDEX) == []
