"""Stages that an application cannot take: the plan says so, ends with 2, and touches nothing.

mlflow 2.9 caps gunicorn. pgAdmin caps neither gunicorn nor the Python; what stands in its way is
a file of its operator's inside the virtualenv, which a new release would not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.real_apps.apps import MLFLOW, PGADMIN
from tests.integration.real_apps.bed import SERVERS, App, Bed

pytestmark = pytest.mark.nightly


@pytest.fixture
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    made = Bed(tmp_path.resolve(), request.param)
    try:
        made.up()
        yield made
    finally:
        made.down()


def _plan(bed: Bed, app: App, **inputs: Any) -> tuple[int, str]:
    """Exit code and words of ``upgrade.yml --check``, which touches nothing."""
    before = _all_that_stays(bed, app)
    with bed.rotation(app) as looks:
        run = bed.playbook(app, "upgrade.yml", "--check", **inputs)
    assert _all_that_stays(bed, app) == before
    assert looks.count > 5
    assert not looks.out
    return run.code, run.words


def _all_that_stays(bed: Bed, app: App) -> tuple[object, ...]:
    balancer = sorted(str(path) for path in (bed.root / "lb1").rglob("*"))
    return (balancer, *(bed.footprint(app, server) for server in SERVERS))


@pytest.mark.parametrize("bed", [MLFLOW], ids=["mlflow"], indirect=True)
def test_who_caps_gunicorn_is_named_with_the_version_that_does_not(bed: Bed) -> None:
    stages = [{"gunicorn": "21.2.0"}, {"gunicorn": "23.0.0"}]
    code, words = _plan(bed, MLFLOW, rollout_stages=stages)
    assert code == 2, words[-4000:]
    assert "stage 2: " in words
    assert "gunicorn 23.0.0 is not allowed by what the application runs on" in words
    assert "mlflow 2.9.2 wants gunicorn<22" in words
    # Published, so it stays true.
    assert "mlflow 2.16.0 does, as the first" in words

    # What the application itself is does not move with the Python either.
    stages[1]["python"] = "3.11"
    code, words = _plan(bed, MLFLOW, rollout_stages=stages)
    assert code == 2, words[-4000:]
    assert "mlflow 2.9.2 wants gunicorn<22" in words
    code, words = _plan(bed, MLFLOW, rollout_stages=stages, rollout_to="21.2.0")
    assert code == 0, words[-4000:]


@pytest.mark.parametrize("bed", [PGADMIN], ids=["pgadmin4"], indirect=True)
def test_a_file_of_the_operators_in_the_virtualenv_is_named(bed: Bed) -> None:
    code, words = _plan(bed, PGADMIN, release_carry_files=[])
    assert code == 2, words[-4000:]
    assert "holds what no package owns" in words
    assert "release_carry_files: [pgadmin4/config_local.py] takes it over" in words
    code, words = _plan(bed, PGADMIN)
    assert code == 0, words[-4000:]
