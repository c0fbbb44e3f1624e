# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A literal is found wherever the search for it begins, and runs of one kind are told whole."""

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.scan import (
    SHORTEST,
    Scanner,
    lead,
)
from hypothesis import given
from hypothesis import strategies as st

LITERALS = [b"--- Logging error ---", b"WORKER TIMEOUT (pid:", b"MemoryError", b"pid: "]


def reads(scanner, text):
    pieces = [text]

    def readinto(view):
        piece = pieces.pop() if pieces else b""
        view[: len(piece)] = piece
        return len(piece)

    scanner.read(readinto)
    scanner.search_rest()


def test_what_is_left_out_at_first_leaves_enough_to_look_for():
    for literal in LITERALS:
        assert lead(literal) == 0 or len(literal) - lead(literal) >= SHORTEST
    assert lead(b"--- Logging error ---") == 4, "every access line has a dash"


PARTS = st.sampled_from(
    [*LITERALS, *(each[lead(each) :] for each in LITERALS), b"-", b"--- ", b"Memor", b"\n", b"x"]
)


@pytest.mark.parametrize("use_ctypes", [True, False])
@given(st.lists(PARTS, max_size=30))
def test_all_of_them_are_found_in_order(use_ctypes, parts):
    text = b"".join(parts)
    expected = []
    for kind, literal in enumerate(LITERALS):
        at = text.find(literal)
        while at >= 0:
            expected.append((kind, at))
            at = text.find(literal, at + len(literal))
    hits = []
    scanner = Scanner(
        LITERALS, lambda kind, at: hits.append((kind, scanner.base + at)), None, use_ctypes
    )
    reads(scanner, text)
    assert sorted(hits) == sorted(expected)


def test_a_run_ends_where_another_kind_begins():
    scanner = Scanner(LITERALS, lambda kind, at: heard.append((kind, scanner.run(kind))))
    heard = []
    reads(scanner, b"pid: 1\npid: 2\npid: 3\nMemoryError\npid: 4\npid: 5\n")
    assert heard == [(3, [b"2\n", b"3\n"]), (2, []), (3, [b"5\n"])]
