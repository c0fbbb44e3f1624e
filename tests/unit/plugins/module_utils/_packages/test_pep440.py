# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Versions in the order of PEP 440, beside the library that ansible-core brings."""

import itertools

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.pep440 import (
    is_final,
    key,
    numbers,
    parse,
    same,
    within,
)

version = pytest.importorskip("packaging.version")
specifiers = pytest.importorskip("packaging.specifiers")

# In order.
VERSIONS = (
    "0.9",
    "20.0.1.dev3",
    "20.0.1a1.dev2",
    "20.0.1a1",
    "20.0.1b2",
    "20.0.1rc1.dev1",
    "20.0.1rc1",
    "20.0.1rc1.post2",
    "20.0.1",
    "20.0.1+fleet.2",
    "20.0.1+fleet.10",
    "20.0.1+3",
    "20.0.1.post1.dev2",
    "20.0.1.post1",
    "20.0.4+local.7",
    "20.0.10",
    "23.0.0.dev1",
    "23.0.0rc1",
    "23.0.0",
    "1!1.0",
)
SPELLINGS = (
    ("23.0", "23.0.0"),
    ("23.0.0-rc.1", "23.0rc1"),
    ("V1.0", "1.0"),
    ("1.0-1", "1.0.post1"),
    ("1.0c3", "1.0rc3"),
    ("1.0-alpha", "1.0a0"),
    ("1.0+Ubuntu-1", "1.0+ubuntu.1"),
    ("1.0.r4", "1.0.post4"),
    ("0!1.0", "1"),
)
RANGES = (
    "<22",
    "<=20.0.4",
    ">=20.0.1",
    ">20.0.1",
    "<20.0.1",
    "==20.0.1",
    "==20.0.*",
    "!=20.0.*",
    "~=20.0.1",
    "~=20.0",
    "<23.0.0",
    ">=23.0.0rc1,<24",
    "==20.0.1+fleet.2",
    "===20.0.1",
    "~=20.0.1rc1",
)


def test_the_order_is_that_of_pep_440():
    assert sorted(VERSIONS, key=key) == list(VERSIONS)
    assert sorted(VERSIONS, key=version.Version) == list(VERSIONS)


@pytest.mark.parametrize("pair", list(itertools.product(VERSIONS, VERSIONS)))
def test_any_two_compare_as_the_library_does(pair):
    one, other = pair
    assert (key(one) < key(other)) == (version.Version(one) < version.Version(other))
    assert same(one, other) == (version.Version(one) == version.Version(other))


@pytest.mark.parametrize("pair", SPELLINGS)
def test_spellings_of_one_version(pair):
    assert same(*pair)
    assert version.Version(pair[0]) == version.Version(pair[1])


@pytest.mark.parametrize("ranges", RANGES)
@pytest.mark.parametrize("text", VERSIONS)
def test_ranges_hold_as_the_library_says(text, ranges):
    told = specifiers.SpecifierSet(ranges).contains(text, prereleases=True)
    assert within(text, ranges) is told


def test_what_is_no_version_is_taken_by_its_numbers():
    assert key("20.0.1-0ubuntu1") > key("20.0.1")
    assert key("20.0.1-0ubuntu1") < key("20.0.2")
    assert key("unknown") < key("0.0.dev0")
    assert parse("20.0.1-0ubuntu1") is None
    assert not same("23.0.0rc1", "23.0.0")


def test_numbers_are_for_the_series():
    assert numbers("23.0.0rc1") == (23,)
    assert numbers("20.0.4+local.7") == (20, 0, 4)
    assert numbers("") == ()


def test_what_cannot_be_read_is_neither_within_nor_outside():
    assert within("1.0", ">=banana") is None
    assert within("1.0", ">=banana,<0.5") is False
    assert within("1.0", "") is True
    assert within("what", ">=1") is None


def test_final_versions():
    assert [is_final(v) for v in ("1.0", "1.0.post1", "1.0rc1", "1.0.dev1", "x")] == [
        True,
        True,
        False,
        False,
        False,
    ]
