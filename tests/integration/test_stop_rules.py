"""Every fault stops a run, in one kind of run each; ``make stop-rules`` tries all combinations."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.stop_rules.cells import SOME, collection, run, wrongs


@pytest.fixture(scope="module")
def collections(tmp_path_factory):
    return collection(tmp_path_factory.mktemp("collections"))


@pytest.mark.parametrize("cell", SOME, ids=[cell.name for cell in SOME])
def test_after_a_fault_no_other_host_is_drained(cell, collections, tmp_path):
    ended = run(cell, tmp_path / "run", collections, Path(sys.executable).parent)
    assert wrongs(cell, ended) == []
