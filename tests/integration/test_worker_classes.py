# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workers of uvicorn, of its own package and of gevent: switched, seen, and their words are calm.

Whole upgrades of them, under load, are in real_apps (`make real-apps`).
"""

import pytest

from tests.integration.service_support import NEW, Fleet, new_python, run_module, wait_for

BEFORE = "21.2.0"
APP = """
import json, os
import gunicorn

def told():
    return json.dumps({"arbiter": os.getppid(), "gunicorn": gunicorn.__version__}).encode()

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [told()]

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": told()})
"""
KINDS = [
    ("uvicorn.workers.UvicornWorker", "asgi", ("uvicorn<0.30",)),
    ("uvicorn_worker.UvicornWorker", "asgi", ("uvicorn-worker", "uvicorn<0.36")),
    ("gevent", "wsgi", ("gevent",)),
]


@pytest.fixture(name="fleet")
def _fleet():
    fleet = Fleet()
    (fleet.home / "wsgi.py").write_text(APP)
    yield fleet
    fleet.close()


@pytest.mark.parametrize(("kind", "name", "packages"), KINDS, ids=[each[0] for each in KINDS])
def test_a_switch_and_its_log(fleet, kind, name, packages):
    old = fleet.release(BEFORE, new_python(), *packages)
    new = fleet.release(NEW, new_python(), *packages)
    fleet.link(old)
    fleet.start(
        command=f"{{venv}}/bin/gunicorn -k {kind} -w 2 -b 127.0.0.1:{{port}} wsgi:{name}",
        other=False,
    )
    assert fleet.up()["gunicorn"] == BEFORE
    done = fleet.activate(new, gunicorn=NEW)
    assert done["changed"] and done["generation"]["pid"] == fleet.get()["arbiter"], done
    assert fleet.get()["gunicorn"] == NEW
    # The shutdown of the one, the boot of the other, and nothing to speak of.
    text = (fleet.dir / "app.err.log").read_text()
    assert f"Using worker: {kind}" in text and "Shutting down: Master" in text
    log = {"paths": [str(fleet.dir / "app.err.log")], "max_excerpts": 3}
    whole = run_module("log_check", log)
    assert whole["verdict"] == "clean", whole
    # Workers of uvicorn end by the signal itself, which gunicorn tells: of the old release, and
    # tolerated.
    assert set(whole["counts"]) <= {"worker_terminated"}, whole
    begin = {"since": str(done["generation"]["started"]), "arbiter_pid": fleet.pid()}
    gate = run_module("log_check", {**log, **begin, "gunicorn": NEW})
    assert (gate["verdict"], gate["counts"]) == ("clean", {}) and gate["tells"], gate


@pytest.mark.parametrize(
    "kind", [each for each in KINDS if each[1] == "asgi"], ids=lambda each: each[0]
)
def test_a_lifespan_that_fails_is_told(fleet, kind):
    (fleet.home / "wsgi.py").write_text(
        APP.replace(
            '            await send({"type": kind + ".complete"})', "            raise OSError(1)"
        )
        + "\nasync def ill(scope, receive, send):\n    await send({'type':"
        " 'lifespan.startup.failed', 'message': 'no database'})\n"
    )
    fleet.link(fleet.release(NEW, new_python(), *kind[2]))
    fleet.start(
        command=f"{{venv}}/bin/gunicorn -k {kind[0]} -w 1 -b 127.0.0.1:{{port}} wsgi:ill",
        other=False,
    )
    log = {"paths": [str(fleet.dir / "app.err.log")], "max_excerpts": 3}
    # The file may not be there at the first look.
    wait_for(lambda: run_module("log_check", log).get("counts", {}).get("lifespan_failure"))
