# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which releases go: decided on paper, and by chance."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import Reader
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.prune import (
    Needs,
    Release,
    check_keep,
    decide,
    foresee,
    release_of,
    uses,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils._host.paper_machine import Machine

NOTHING = Needs(None, None, (), {})


def releases(*names):
    """From old to new."""
    return [Release(name, f"2026-01-{day:02}T00:00:00Z") for day, name in enumerate(names, 1)]


@pytest.mark.parametrize("keep", [1, -1, -5])
def test_fewer_than_must_stay_are_refused_by_name(keep):
    with pytest.raises(FleetError, match=f"keep is {keep}: .* 2 or more, or 0"):
        check_keep(keep)


@pytest.mark.parametrize("keep", [0, 2, 5])
def test_what_can_be_meant_is_taken(keep):
    check_keep(keep)


def test_the_newest_stay_whatever_the_order_they_are_found_in():
    found = releases("a", "b", "c", "d")
    assert decide(reversed(found), 2, NOTHING) == (["b", "a"], {"d": "new", "c": "new"})


def test_none_goes_when_all_are_kept():
    assert decide(releases("a", "b", "c"), 0, NOTHING)[0] == []


def test_what_is_needed_stays_however_old_it_is():
    needs = Needs("a", "b", ("c",), {"d": "in use by process 7"})
    go, stay = decide(releases("a", "b", "c", "d", "e", "f", "g"), 2, needs)
    assert go == ["e"]
    assert stay == {
        "g": "new",
        "f": "new",
        "d": "in use by process 7",
        "c": "protected",
        "b": "previous",
        "a": "active",
    }


def test_what_is_coming_counts_as_newer_unless_it_is_there():
    found = releases("a", "b", "c", "d")
    assert decide(found, 3, NOTHING, ("new", "newer"))[0] == ["c", "b", "a"]
    # It is there, and no newer than it is.
    assert decide(found, 3, Needs("a", "d", ("a",), {}), ("a",))[0] == []
    assert decide(found, 2, Needs("a", "d", ("a",), {}), ("a",))[0] == ["b"]


NAMES = st.sampled_from("abcdefgh")
SEVERAL = st.lists(NAMES, unique=True)


@given(
    st.dictionaries(NAMES, st.sampled_from(["2026", "2027", "2028"])),
    st.sampled_from([0, 2, 3, 5]),
    st.none() | NAMES,
    st.none() | NAMES,
    SEVERAL,
    SEVERAL,
    SEVERAL,
)
def test_whatever_is_found_the_rules_hold(built, keep, active, previous, guarded, used, coming):
    found = [Release(name, moment) for name, moment in built.items()]
    needs = Needs(active, previous, guarded + coming, dict.fromkeys(used, "in use"))
    go, stay = decide(found, keep, needs, coming)

    assert sorted(go + list(stay)) == sorted(built)
    assert not {active, previous, *guarded, *coming, *used} & set(go)
    assert keep or not go
    ahead = len(set(coming) - set(built))
    for name in built:
        newer = ahead + sum((built[other], other) > (built[name], name) for other in built)
        assert name in stay if newer < keep else stay.get(name) != "new" or keep == 0
    # Nothing has changed since, so there is nothing more to do.
    left = [each for each in found if each.id in stay]
    assert decide(left, keep, needs, coming) == ([], stay)


@pytest.mark.parametrize(
    "more",
    [
        {"adopted": True},
        {"built_at": None},
        {"built_at": "yesterday"},
        {"built_at": "2026-01-01 00:00"},
        {"built_at": 5},
    ],
)
def test_what_was_not_built_here_or_has_no_moment_is_none_of_ours(more):
    record = {"id": "a", "built_at": "2026-01-01T00:00:00Z", "adopted": False}
    assert release_of(record) == Release("a", "2026-01-01T00:00:00Z")
    assert release_of({**record, **more}) is None


def test_the_way_back_after_the_switches_that_are_coming():
    assert foresee("a", {"a": "z"}, []) == ("a", "z")
    assert foresee("a", {}, ["b"]) == ("b", "a")
    assert foresee("a", {}, ["b", "c"]) == ("c", "b")
    # Going where it came from is no step forward.
    assert foresee("c", {"c": "b", "b": "a"}, ["b"]) == ("b", "a")
    assert foresee(None, {}, ["b"]) == ("b", None)


# --- who uses one ---------------------------------------------------------------------------------


A = "/home/releases/21.2.0-py3.6-0f1e2d3c"


def point(machine, name, target):
    link = machine.root / "proc/20" / name
    if link.is_symlink():
        link.unlink()
    link.symlink_to(target)


HOLDS = {
    "its program": lambda m: m.process(20, 1, f"{A}/bin/python /home/venv/bin/gunicorn"),
    "a relative word": lambda m: m.process(20, 1, f".{A[5:]}/bin/python x.py"),
    "a relative word of where it was": lambda m: (
        m.process(20, 1, f".{A[5:]}/bin/python -m gunicorn --chdir src", environ="PWD=/home"),
        point(m, "cwd", "/home/src"),
    ),
    "its environment": lambda m: m.process(20, 1, "x", environ=f"PATH=/bin:{A}/bin:/usr/bin"),
    "a mapped file": lambda m: m.process(20, 1, "x", maps=[f"{A}/lib/x.so (deleted)"]),
    "its directory": lambda m: (m.process(20, 1, "x"), point(m, "cwd", A)),
    "its image": lambda m: (m.process(20, 1, "x"), point(m, "exe", f"{A}/bin/python3")),
    "an open file": lambda m: (m.process(20, 1, "x"), point(m, "fd/3", f"{A}/share/list")),
}


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize("hold", HOLDS.values(), ids=HOLDS)
def test_whoever_holds_a_release_is_found(machine, hold):
    hold(machine)
    assert uses(Reader(str(machine.root)), "/home") == {
        "21.2.0-py3.6-0f1e2d3c": "in use by process 20"
    }


def test_a_file_system_that_is_mounted_in_a_release_is_found(machine):
    (machine.root / "proc/self").mkdir()
    (machine.root / "proc/self/mounts").write_text(f"/dev/x {A}/data ext4 rw 0 0\n")
    found = uses(Reader(str(machine.root)), "/home")
    assert found == {"21.2.0-py3.6-0f1e2d3c": "a file system is mounted in it"}


def test_nobody_holds_what_nobody_names(machine):
    machine.process(20, 1, "/home/venv/bin/python /home/venv/bin/celery /opt/releases/a/x")
    assert uses(Reader(str(machine.root)), "/home") == {}
