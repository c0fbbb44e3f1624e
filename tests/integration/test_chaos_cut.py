# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cases of chaos that are fast and tell much; `make chaos` plays all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from demo.errors import DemoError
from tests.chaos import harness
from tests.chaos.bed import Bed

FAST = [case for case in harness.registry(points=2) if case.fast]


@pytest.fixture(scope="module")
def chaos_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    bed = Bed(tmp_path_factory.mktemp("chaos").resolve())
    try:
        bed.make()
    except DemoError as exc:
        leave_out(f"the demo's packages cannot be had: {exc}")
    yield bed
    bed.stop()


def leave_out(reason: str) -> None:
    """In CI leaving something out is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def test_the_cut_is_there():
    assert len(FAST) >= 4


@pytest.mark.parametrize("case", FAST, ids=str)
def test_case(chaos_bed, case):
    row = harness.play(chaos_bed, case)
    if row.result.startswith("left out"):
        leave_out(row.result)
    assert row.wrong == [], row
    assert row.sent > 0
    assert row.failed == 0
