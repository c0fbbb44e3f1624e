from __future__ import annotations

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.application import (
    application_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.newer import newer

CHILDREN = "helpers-taken-for-workers"


def versions(*names, python=">=3.10"):
    return [
        {"version": name, "requires_python": python if int(name.split(".")[0]) >= 24 else ""}
        for name in names
    ]


INDEX = versions(
    *("27.0.1", "26.1.0", "25.3.0", "25.2.0", "25.1.0", "24.1.1", "24.1.0", "24.0.0"),
    *("23.0.0", "22.0.0", "21.2.0"),
)


def application(*arguments):
    return application_of({"arguments": list(arguments), "names": {}, "whole": True})


SYNC, GTHREAD = application(), application("--threads", "4")


def test_the_shortest_step_that_cures_and_brings_nothing():
    (told,) = newer("23.0.0", "3.11", INDEX, SYNC)
    assert told["version"] == "24.1.1"
    assert told["cures"] == ["reentrant", "arbiter-death"]
    assert (told["python"], told["brings"]) == ("", [])


@pytest.mark.parametrize("uses", [GTHREAD, None])
def test_it_brings_no_fault_to_this_application_nor_to_one_that_is_not_known(uses):
    """24.0 to 25.1 exhaust the threads, 25.2 to 26.0 leak."""
    told = newer("23.0.0", "3.11", INDEX, uses)[0]
    assert told["version"] == "26.1.0"
    perhaps = [] if uses else [CHILDREN, "recycled-worker-cuts-connections"]
    assert told["cures"] == ["reentrant", "arbiter-death", *perhaps]
    assert "gthread-pool-exhausted" not in told["brings"]
    assert "duplicate-headers" in told["brings"]


def test_without_a_control_socket_nothing_leaks():
    uses = application("--threads", "4", "--no-control-socket")
    assert newer("23.0.0", "3.11", INDEX, uses)[0]["version"] == "25.2.0"


def test_one_that_brings_something_worse_is_not_it():
    """24.0.0 cures reentrant, and never replaces a dead worker."""
    (told,) = newer("23.0.0", "3.11", versions("24.0.0", "26.2.0"), SYNC)
    assert told["version"] == "26.2.0"
    assert told["brings"] == ["control-socket", "strict-targets", "duplicate-headers"]
    (told,) = newer("23.0.0", "3.11", versions("24.0.0", "24.1.0", "25.3.0"), SYNC)
    assert told["version"] == "24.1.0"


def test_from_the_old_ones_it_does_not_lead_to_the_fault_itself():
    """20.1.0 logs what 20.0.4 does not, and brings reentrant."""
    told = newer("20.0.4", "3.6", versions("20.1.0", "21.2.0", "24.1.1"), SYNC)
    assert [each["version"] for each in told] == ["24.1.1"]
    (told,) = newer("20.0.4", "3.6", versions("20.1.0"), SYNC)
    assert (told["version"], told["brings"]) == ("20.1.0", ["reentrant"])


def test_what_most_upgrade_for_is_told():
    told = newer("21.2.0", "3.11", versions("22.0.0", "23.0.0"), SYNC)
    assert [(each["version"], each["cures"]) for each in told] == [
        ("22.0.0", ["cve-2024-1135", "cve-2024-6827"])
    ]
    uvicorn = application("-k", "uvicorn.workers.UvicornWorker")
    assert newer("21.2.0", "3.11", versions("22.0.0", "23.0.0"), uvicorn) == []


def test_it_says_which_python_it_needs():
    told = {each["version"]: each for each in newer("21.2.0", "3.6", INDEX, SYNC)}
    assert told["24.1.1"]["cures"][0] == "reentrant"
    assert told["24.1.1"]["python"] == "3.10"


def test_the_indexs_word_on_the_python_counts():
    (told,) = newer("23.0.0", "3.11", versions("24.1.1", python=">=3.12"), SYNC)
    assert told["python"] == "3.12"


def test_nothing_newer_cures_nothing():
    assert newer("23.0.0", "3.11", versions("23.0.0", "22.0.0")) == []
    assert newer("23.0.0", "3.11", []) == []
    assert newer("27.0.1", "3.13", INDEX) == []
