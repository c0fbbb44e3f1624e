"""Two fleets on the same servers, behind one balancer: each is upgraded as if it were alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.real_apps.apps import FASTAPI, PYPISERVER
from tests.integration.real_apps.bed import SERVERS, App, Bed

# One stage: what is shown here does not depend on how many there are.
STAGES = ({"gunicorn": "21.2.0"},)
API = FASTAPI._replace(stages=STAGES)
INDEX = PYPISERVER._replace(stages=STAGES)

pytestmark = pytest.mark.nightly


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    made = Bed(tmp_path.resolve(), API, INDEX)
    try:
        made.up()
        yield made
    finally:
        made.down()


def _upgrade(bed: Bed, app: App, other: App) -> None:
    """Upgrade one under load on both; the other is what it was, and was never out."""
    before = {server: bed.footprint(other, server) for server in SERVERS}
    with bed.rotation(other) as looks, bed.traffic(app) as its, bed.traffic(other) as others:
        run = bed.playbook(app, "upgrade.yml")
    assert run.code == 0, run.text[-6000:]
    assert {bed.versions(app, server)[0] for server in SERVERS} == {"21.2.0"}
    assert {server: bed.footprint(other, server) for server in SERVERS} == before
    assert looks.count > 50
    assert not looks.out, f"{other.name} was taken out while {app.name} was upgraded"
    for seen in (its, others):
        assert seen["sent"] > 100
        assert seen["failed"] == 0, seen


def test_each_fleet_is_upgraded_and_the_other_untouched(bed: Bed) -> None:
    _upgrade(bed, API, INDEX)
    _upgrade(bed, INDEX, API)
    before = {server: bed.footprint(API, server) for server in SERVERS}
    run = bed.playbook(INDEX, "rollback.yml")
    assert run.code == 0, run.text[-6000:]
    assert {bed.versions(INDEX, server)[0] for server in SERVERS} == {INDEX.gunicorn}
    assert {server: bed.footprint(API, server) for server in SERVERS} == before


def test_two_fleets_are_upgraded_at_the_same_time(bed: Bed) -> None:
    """The lock is a fleet's: neither waits for the other, neither is refused."""
    with bed.traffic(API) as api, bed.traffic(INDEX) as index:
        both = [bed.start(app, "upgrade.yml") for app in bed.apps]
        ended = [bed.ended(each) for each in both]
    for run in ended:
        assert run.code == 0, run.text[-6000:]
    assert {bed.versions(app, server)[0] for app in bed.apps for server in SERVERS} == {"21.2.0"}
    assert (api["failed"], index["failed"]) == (0, 0), (api, index)
