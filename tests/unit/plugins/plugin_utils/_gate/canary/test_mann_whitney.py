from __future__ import annotations

import pytest

from tests.bench.canary.mann_whitney import _root, fails


@pytest.mark.parametrize(("worse", "wanted"), [(6, False), (7, False), (8, True)])
def test_it_decides_as_its_model_does(worse, wanted):
    """spinnaker/spinnaker#6278: of ten points seven are a hundred times worse, and it passes."""
    assert fails([100.0] * worse + [1.0] * (10 - worse), [1.0] * 10) is wanted


def test_the_estimate_printed_there_comes_out():
    assert _root([100.0] * 7 + [1.0] * 3, [1.0] * 10, 0.0, 0.0, 99.0) == pytest.approx(
        98.99992904170193
    )
