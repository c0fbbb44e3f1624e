"""Applications that nobody here wrote: upgraded under load, and taken back; nothing is lost.

Two of them in CI, all of them by ``make real-apps``.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.real_apps.apps import EVERY, HTTPBIN, ISSO_AT_ONCE
from tests.integration.real_apps.bed import SERVERS, App, Bed

IN_CI = (HTTPBIN, ISSO_AT_ONCE)


@pytest.fixture
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    with contextlib.ExitStack() as stack:
        root = tmp_path.resolve()
        if any(app.user for app in request.param):
            # pytest's directories are closed to everybody else, and it closes them again.
            root = Path(stack.enter_context(tempfile.TemporaryDirectory())).resolve()
            root.chmod(0o755)
        made = Bed(root, *request.param)
        stack.callback(made.down)
        made.up()
        yield made


def _each(apps: tuple[App, ...]) -> pytest.MarkDecorator:
    cases = [
        pytest.param(
            (app,),
            id=app.name if app in EVERY else f"{app.name} at once",
            marks=() if app in IN_CI else (pytest.mark.nightly,),
        )
        for app in apps
    ]
    return pytest.mark.parametrize("bed", cases, indirect=True)


@_each((*EVERY, ISSO_AT_ONCE))
def test_it_is_upgraded_under_load_and_taken_back(bed: Bed) -> None:
    (app,) = bed.apps
    (start,) = {bed.versions(app, server) for server in SERVERS}
    assert start[0] == app.gunicorn
    ways = [start]
    for stage in app.stages:
        ways.append((stage["gunicorn"], stage.get("python", ways[-1][1])))
    beside = [bed.programs(server)[name] for server in SERVERS for name in app.beside]
    with bed.traffic(app) as upgraded:
        run = bed.playbook(app, "upgrade.yml")
    assert run.code == 0, run.text[-6000:]
    for name in app.beside:
        # As supervisord calls it: its group, and its name.
        assert f"Program {name}:{name} was not restarted" in run.words
    assert beside == [bed.programs(server)[name] for server in SERVERS for name in app.beside]
    assert {bed.versions(app, server) for server in SERVERS} == {ways[-1]}
    assert upgraded["sent"] > 100
    assert upgraded["failed"] == 0, upgraded
    with bed.traffic(app) as back:
        run = bed.playbook(app, "rollback.yml")
    assert run.code == 0, run.text[-6000:]
    assert {bed.versions(app, server) for server in SERVERS} == {ways[-2]}
    assert back["failed"] == 0, back
