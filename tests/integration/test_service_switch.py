# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""active_release against real supervisords and gunicorns: the way there, back, and half-way."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.integration.service_support import (
    NEW,
    OLD,
    ROOT,
    Fleet,
    build_venv,
    module_command,
    new_python,
    old_python,
    run_module,
    wait_for,
)


@pytest.fixture
def fleet():
    fleet = Fleet()
    yield fleet
    fleet.close()


@pytest.fixture
def pair(fleet):
    """A fleet that runs the old release, and beside it the new one."""
    fleet.old = fleet.release(OLD, old_python())
    fleet.new = fleet.release(NEW, new_python())
    fleet.link(fleet.old)
    return fleet


def state(fleet):
    """All that must stay as it is when nothing may change."""
    tree = {}
    for path in sorted(fleet.home.rglob("*")):
        if "__pycache__" not in path.parts:
            info = path.lstat()
            tree[str(path)] = (info.st_ino, info.st_mtime_ns, info.st_size)
    return tree, fleet.pid("app"), fleet.pid("other")


class Request(threading.Thread):
    """A slow request in flight."""

    def __init__(self, fleet, seconds):
        super().__init__(daemon=True)
        self._fleet, self._seconds, self.answer = fleet, seconds, None
        self.start()
        time.sleep(0.5)

    def run(self):
        self.answer = self._fleet.get(f"/slow/{self._seconds}", timeout=90)


def links_to(fleet):
    return os.readlink(fleet.home / "venv")


# --- the way there and back -----------------------------------------------------------------------


def test_adopts_switches_and_goes_back(fleet):
    fleet.directory_venv(OLD, old_python())
    new = fleet.release(NEW, new_python())
    script = fleet.home / "venv/bin/gunicorn"
    fleet.start()
    before = fleet.up()
    other = fleet.pid("other")

    plan = fleet.activate(new, check=True)
    done = fleet.activate(new, gunicorn=NEW, python=new_python())
    assert done["changed"], done
    assert plan["diff"]["before"] == done["diff"]["before"]
    adopted = done["adopted"]
    assert adopted.startswith(f"adopted-{OLD}-py{old_python()}-")
    assert (done["release"], done["previous"]) == (new, adopted)
    assert links_to(fleet) == f"releases/{new}"
    answer = fleet.get()
    assert (answer["gunicorn"], answer["arbiter"]) == (NEW, done["generation"]["pid"])
    assert answer["arbiter"] != before["arbiter"]
    assert 0 < done["timings"]["down_s"] < done["timings"]["total_s"]

    record = json.loads((fleet.releases / adopted / "release.json").read_text())
    assert record["adopted"] and record["id"] == adopted
    assert record["stage"] == {"gunicorn": OLD, "python": old_python()}
    assert f"gunicorn=={OLD}" in record["freeze"]
    # Scripts that bake the old path in go on working, with the active release.
    said = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert NEW in said.stdout

    assert fleet.info()["venv"]["previous"] == adopted
    back = fleet.activate(adopted, gunicorn=OLD, python=old_python(), reason="rollback")
    assert fleet.info()["venv"]["previous"] is None
    assert (back["changed"], back["previous"], back["adopted"]) == (True, new, None), back
    assert fleet.get()["gunicorn"] == OLD
    said = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert OLD in said.stdout
    again = fleet.activate(adopted, gunicorn=OLD)
    assert (again["changed"], again["previous"]) == (False, None)
    assert fleet.pid("other") == other


def test_a_second_run_changes_nothing(pair):
    pair.start()
    pair.up()
    assert pair.activate(pair.new)["changed"]
    before = state(pair)
    second = pair.activate(pair.new)
    assert (second["changed"], second["diff"]["before"]) == (False, second["diff"]["after"])
    assert second["generation"]["pid"] == before[1]
    assert state(pair) == before


def test_check_mode_changes_nothing(fleet):
    fleet.directory_venv(OLD, old_python())
    new = fleet.release(NEW, new_python())
    fleet.start()
    fleet.up()
    before = state(fleet)
    plan = fleet.activate(new, check=True)
    assert plan["changed"]
    assert plan["diff"]["before"]["gunicorn"] == OLD
    assert plan["diff"]["after"] == {
        "release": new,
        "gunicorn": NEW,
        "python": plan["diff"]["after"]["python"],
        "running": True,
    }
    assert state(fleet) == before


@pytest.mark.parametrize(
    "command",
    [
        "{venv}/bin/python -m gunicorn {args}",
        "env X=1 {venv}/bin/gunicorn {args}",
        "{home}/run.sh",
        "{home}/child.sh",
    ],
)
def test_switches_wrapped_commands(fleet, command):
    # `python -m gunicorn` came with 20.1
    old = fleet.release("20.1.0" if "-m" in command else OLD, old_python())
    new = fleet.release(NEW, new_python())
    fleet.link(old)
    args = f"-w 2 -b 127.0.0.1:{fleet.port} wsgi:app"
    fleet.script(f"#!/bin/sh\nexec {fleet.home}/venv/bin/gunicorn {args}\n")
    fleet.script(f"#!/bin/sh\n{fleet.home}/venv/bin/gunicorn {args}\nexit $?\n", "child.sh")
    fleet.start(command)
    fleet.up()
    for wanted, version in ((new, NEW), (old, None), (new, NEW)):
        done = fleet.activate(wanted, gunicorn=version)
        assert done.get("changed"), done
        assert fleet.get()["arbiter"] == done["generation"]["pid"]
        assert fleet.activate(wanted)["changed"] is False


def test_switches_under_newrelic_admin(fleet):
    # Later ones have no wheel for Python 3.6.
    old = fleet.release(OLD, old_python(), "newrelic<8" if old_python() == "3.6" else "newrelic")
    new = fleet.release(NEW, new_python(), "newrelic")
    fleet.link(old)
    fleet.start(
        "{venv}/bin/newrelic-admin run-program gunicorn {args}",
        environment=f',NEW_RELIC_MONITOR_MODE="false",PATH="{fleet.home}/venv/bin:/usr/bin:/bin"',
    )
    fleet.up()
    done = fleet.activate(new, gunicorn=NEW, python=new_python())
    assert done.get("changed"), done
    assert fleet.get()["gunicorn"] == NEW
    assert fleet.activate(old, gunicorn=OLD)["changed"]


def test_switches_several_addresses_and_a_unix_socket(pair):
    (pair.home / "gunicorn.conf.py").write_text(
        f"bind = ['127.0.0.1:{pair.port}', 'unix:{pair.dir}/app.sock']\nworkers = 2\n"
    )
    pair.start("{venv}/bin/gunicorn -c gunicorn.conf.py wsgi:app")
    pair.up()
    done = pair.activate(pair.new, url=f"unix:{pair.dir}/app.sock:/healthz")
    assert done.get("changed"), done
    assert pair.info()["listeners"] == [f"127.0.0.1:{pair.port}", f"unix:{pair.dir}/app.sock"]
    assert pair.get()["gunicorn"] == NEW


def test_only_a_unix_socket_and_no_url(pair):
    pair.start("{venv}/bin/gunicorn -w 2 -b unix:{dir}/app.sock wsgi:app")
    wait_for((pair.dir / "app.sock").exists)
    done = pair.activate(pair.new, url="")
    assert done.get("changed"), done
    assert pair.info()["listeners"] == [f"unix:{pair.dir}/app.sock"]


def test_restarts_without_a_switch_when_asked(pair):
    pair.start()
    first = pair.up()["arbiter"]
    before = links_to(pair)
    done = pair.activate(None, restart=True)
    assert (done["changed"], done["release"]) == (True, pair.old), done
    assert pair.get()["arbiter"] == done["generation"]["pid"] != first
    assert links_to(pair) == before


def test_a_directory_that_stays_is_not_adopted(fleet):
    """The way back after a failure before the adoption: there is nothing to flip."""
    fleet.directory_venv(OLD, old_python())
    fleet.start()
    fleet.up()
    name = fleet.info()["venv"]["adopt_as"]
    done = fleet.activate(name, gunicorn=OLD)
    assert (done["changed"], done["adopted"]) == (False, None)
    fleet.ctl("stop", "app")
    assert fleet.activate(name, gunicorn=OLD)["changed"]
    assert fleet.get()["gunicorn"] == OLD
    assert not (fleet.home / "venv").is_symlink()


def test_finishes_a_request_in_flight(pair):
    pair.start()
    pair.up()
    request = Request(pair, 3)
    done = pair.activate(pair.new)
    request.join()
    assert request.answer["gunicorn"] == OLD
    assert done["timings"]["stop_s"] > 1
    assert pair.get()["gunicorn"] == NEW


# --- refused before anything is stopped -----------------------------------------------------------


def refused(fleet, release, *texts, **options):
    before = state(fleet)
    done = fleet.activate(release, **options)
    assert done.get("failed"), done
    for text in texts:
        assert text in done["msg"], done["msg"]
    assert state(fleet) == before
    return done


def test_refuses_what_cannot_work(pair):
    pair.start()
    pair.up()
    (pair.releases / "empty").mkdir()
    refused(pair, "24.1.1-py3.12-deadbeef", "is not on this host", pair.old, pair.new)
    refused(pair, "empty", "it has no bin/python")
    refused(pair, pair.new, f"holds gunicorn {NEW}, but 21.2.0 is wanted", gunicorn="21.2.0")
    refused(pair, pair.new, f"holds Python {new_python()}", "but 3.1 is wanted", python="3.1")
    refused(pair, pair.new, "has no program 'nope'", program="nope")
    refused(pair, pair.new, "no usable URL", url="gopher://x/")


def test_refuses_a_command_that_does_not_go_through_the_link(pair):
    pair.start(f"{pair.releases}/{pair.old}/bin/gunicorn {{args}}")
    pair.up()
    refused(pair, pair.new, "does not start through", "bin/gunicorn -w 2")


def test_refuses_while_a_left_over_of_usr2_holds_the_address(pair):
    pair.start()
    first = pair.up()["arbiter"]
    os.kill(first, signal.SIGUSR2)
    left = wait_for(lambda: [u for u in pair.info()["unmanaged"] if u["listeners"]])[0]["pid"]
    refused(pair, pair.new, f"gunicorn {left}, which supervisord does not know")


def test_refuses_to_adopt_over_an_existing_release(fleet):
    fleet.directory_venv(OLD, old_python())
    new = fleet.release(NEW, new_python())
    fleet.start()
    fleet.up()
    refused(fleet, new, "exists already", adopt_as=new)


# --- a stop that does not end ---------------------------------------------------------------------


def test_a_stop_that_overruns_changes_nothing_and_starts_again(pair):
    pair.start(settings="stopwaitsecs=5")
    worker = pair.up()["worker"]
    Request(pair, 60)
    done = pair.activate(pair.new, stop_timeout=2)
    assert "after 2 s these processes still run" in done["msg"], done["msg"]
    assert f"127.0.0.1:{pair.port}" in done["msg"]
    assert str(worker) in done["msg"] or str(pair.old) in done["msg"]
    assert "The old program was started again." in done["msg"]
    assert links_to(pair) == f"releases/{pair.old}"
    assert pair.up()["gunicorn"] == OLD
    assert not (pair.home / ".venv-next").exists()


def orphaned(fleet, seconds):
    """A worker that is busy and has lost its arbiter."""
    worker = fleet.up()["worker"]
    request = Request(fleet, seconds)
    arbiter = fleet.info()["arbiter"]["pid"]
    os.kill(arbiter, signal.SIGKILL)
    wait_for(lambda: fleet.pid() != arbiter)
    return worker, request


ONE_BUSY = "{venv}/bin/gunicorn -w 1 -t 600 -b 127.0.0.1:{port} wsgi:app"


def test_an_orphan_that_holds_the_port_is_named(pair):
    pair.start(ONE_BUSY, settings="killasgroup=false")
    worker, _request = orphaned(pair, 120)
    other = pair.pid("other")
    done = pair.activate(pair.new, stop_timeout=3)
    assert f"{worker} (127.0.0.1:{pair.port})" in done["msg"], done["msg"]
    assert links_to(pair) == f"releases/{pair.old}"
    # supervisord's arbiter flaps meanwhile: nothing of it may confuse the next attempt
    done = pair.activate(pair.new, stop_timeout=20, kill_after=3)
    assert done.get("changed"), done
    assert pair.get()["gunicorn"] == NEW
    assert pair.info()["orphans"] == []
    assert pair.pid("other") == other


def test_an_orphan_that_finishes_is_waited_for(pair):
    pair.start(ONE_BUSY, settings="killasgroup=false\nautorestart=false")
    _worker, request = orphaned(pair, 4)
    done = pair.activate(pair.new)
    assert done.get("changed"), done
    request.join()
    assert request.answer["gunicorn"] == OLD


def test_a_trial_of_another_run_is_left_alone(pair):
    pair.start()
    pair.up()
    slow = pair.home / "slow.py"
    slow.write_text("import time\ntime.sleep(600)\n")
    command = [pair.home / "releases" / pair.old / "bin/gunicorn", "-c", slow, "app:app"]
    trial = subprocess.Popen(command, env={"FLEETOPS_BOOT_TEST": "1a2b"})
    try:
        wait_for(lambda: b"slow.py" in Path(f"/proc/{trial.pid}/cmdline").read_bytes())
        assert pair.info()["orphans"] == []
        assert pair.activate(pair.new).get("changed")
        assert trial.poll() is None
    finally:
        trial.kill()
        trial.wait()


# --- new generations that fail --------------------------------------------------------------------


def test_a_release_that_cannot_boot(pair):
    pair.start()
    pair.up()
    pair.trouble(NEW, "import")
    done = pair.activate(pair.new, gunicorn=NEW)
    assert done["failed"]
    assert "did not stay up" in done["msg"]
    assert pair.old in done["msg"]
    log = "\n".join(done["evidence"]["log"])
    assert "cannot start on this Python" in log
    assert "hunter2" not in str(done)
    assert f"Starting gunicorn {OLD}" not in log
    assert (done["release"], done["previous"]) == (pair.new, pair.old)
    assert links_to(pair) == f"releases/{pair.new}"
    # As the rescue does it, while supervisord still tries.
    back = pair.activate(done["previous"], gunicorn=OLD)
    assert back.get("changed"), back
    assert pair.get()["gunicorn"] == OLD


def test_a_release_that_dies_after_two_seconds(pair):
    pair.start(settings="killasgroup=false")
    pair.up()
    pair.trouble(NEW, "die:2")
    done = pair.activate(pair.new, stable_for=6)
    assert done["failed"]
    assert "did not stay up" in done["msg"], done["msg"]
    back = pair.activate(pair.old, kill_after=60)
    assert back.get("changed"), back
    found = pair.info()
    assert (found["arbiter"]["gunicorn"], found["orphans"]) == (OLD, [])
    assert pair.get()["gunicorn"] == OLD


def test_another_version_than_wanted_answers(pair):
    """A wrapper that names the link but starts something else."""
    build_venv(pair.dir / "elsewhere", new_python(), "gunicorn==21.2.0")
    args = f"-w 1 -b 127.0.0.1:{pair.port} wsgi:app"
    text = f"#!/bin/sh\n# {pair.home}/venv/bin/gunicorn\nexec %s/bin/gunicorn {args}\n"
    pair.script(text % f"{pair.home}/venv")
    pair.start("{home}/run.sh")
    pair.up()
    pair.script(text % f"{pair.dir}/elsewhere")
    done = pair.activate(pair.new, gunicorn=NEW)
    assert "is not what was wanted" in done["msg"]
    assert f"runs from {pair.dir}/elsewhere" in done["msg"]
    assert "is gunicorn 21.2.0, not 23.0.0" in done["msg"]
    # From "RUNNING, but the wrong one" back to the one before.
    pair.script(text % f"{pair.home}/venv")
    assert pair.activate(pair.old, gunicorn=OLD)["changed"]
    assert pair.get()["gunicorn"] == OLD


def test_a_release_whose_command_cannot_be_executed(pair):
    pair.start()
    pair.up()
    (pair.releases / pair.new / "bin/gunicorn").chmod(0o644)
    done = pair.activate(pair.new)
    assert done["failed"] and "not executable" in done["msg"], done["msg"]
    assert pair.activate(pair.old)["changed"]
    assert pair.get()["gunicorn"] == OLD


def test_a_page_that_answers_500(pair):
    pair.start()
    pair.up()
    app = pair.home / "wsgi.py"
    chosen = f'"500 No" if gunicorn.__version__ == "{NEW}" else "200 OK"'
    app.write_text(app.read_text().replace('environ.get("HTTP_STATUS", "200 OK")', chosen))
    done = pair.activate(pair.new, start_timeout=4)
    assert "was not proved within 4 s" in done["msg"]
    assert "answered with status 500" in done["msg"]
    assert pair.activate(pair.old)["changed"]


# --- half-way states ------------------------------------------------------------------------------


@pytest.mark.parametrize("ended", ["stop", "backoff"])
def test_resumes_a_program_that_is_down(pair, ended):
    # Long enough for a failing import to count as a failed start.
    pair.start(settings="startretries=50\nstartsecs=10")
    pair.up()
    if ended == "stop":
        pair.ctl("stop", "app")
    else:
        pair.trouble(OLD, "import")
        os.kill(pair.pid(), signal.SIGKILL)
        wait_for(lambda: pair.ctl("status", "app").split()[1] == "BACKOFF")
    done = pair.activate(pair.new)
    assert done.get("changed"), done
    assert done["timings"]["down_s"] is None
    assert pair.get()["gunicorn"] == NEW


def test_converges_after_a_crash_between_adoption_and_link(fleet):
    fleet.directory_venv(OLD, old_python())
    new = fleet.release(NEW, new_python())
    fleet.start()
    fleet.up()
    fleet.ctl("stop", "app")
    (fleet.home / "venv").rename(fleet.releases / "adopted-x")
    (fleet.home / ".venv-next").symlink_to("releases/nonsense")
    assert fleet.info()["venv"]["kind"] == "absent"
    done = fleet.activate(new)
    assert done.get("changed"), done
    assert fleet.get()["gunicorn"] == NEW
    assert fleet.activate("adopted-x")["changed"]
    assert fleet.get()["gunicorn"] == OLD


def test_converges_after_being_killed_at_any_moment(pair):
    """kill -9 of the module between its steps, then the same command again."""
    pair.start()
    pair.up()
    for turn, delay in enumerate((0.45, 0.6, 0.75, 0.9, 1.1, 1.4)):
        wanted, version = ((pair.new, NEW), (pair.old, OLD))[turn % 2]
        options = pair.switch_options(wanted)
        process = subprocess.Popen(
            module_command("active_release", options), stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT / ".collections")},
        )  # fmt: skip
        time.sleep(delay)
        process.kill()
        process.wait()
        done = pair.activate(wanted, gunicorn=version)
        assert not done.get("failed"), done
        assert pair.get()["gunicorn"] == version
        assert not (pair.home / ".venv-next").is_symlink()


# --- two at once ----------------------------------------------------------------------------------


def background(pair, release, **more):
    return subprocess.Popen(
        module_command("active_release", pair.switch_options(release, **more)),
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / ".collections")},
    )


def at_work(pair):
    held = list((pair.dir / "state").glob("*.lock"))
    return held and "pid" in held[0].read_text() and pair.ctl("status", "app").split()[1]


def test_a_run_that_has_lost_the_lock_does_not_finish_its_switch(pair):
    """Its controller was killed; it waits for a request, and the next run has the lock by then."""
    pair.start()
    pair.up()
    request = Request(pair, 4)
    older = background(pair, pair.new, turn=1, turn_by="alice")
    wait_for(lambda: at_work(pair) == "STOPPING")
    newer = pair.switch_options(pair.old, turn=2, turn_by="bob")
    options = {key: newer[key] for key in ("home", "turn", "turn_by", "state_directory")}
    waited = run_module("host_turn", {**options, "wait": 60})
    assert not waited.get("failed") and waited["waited"] > 0, waited
    told = json.loads(older.communicate(timeout=60)[0].splitlines()[-1])
    request.join()
    assert told["failed"] and "A newer run works on" in told["msg"] and "bob" in told["msg"], told
    assert "The old program was started again." in told["msg"], told
    assert links_to(pair) == f"releases/{pair.old}"
    assert pair.up()["gunicorn"] == OLD
    again = pair.activate(pair.new, turn=1, turn_by="alice")
    assert again["failed"] and "A newer run works on" in again["msg"], again
    done = pair.activate(pair.new, turn=2, turn_by="bob")
    assert not done.get("failed") and pair.get()["gunicorn"] == NEW, done


def test_of_two_by_hand_nobody_says_what_is_not_so(pair):
    """Both said that theirs was switched on, and the link led to one of them."""
    pair.start()
    pair.up()
    request = Request(pair, 4)
    first = background(pair, pair.new)
    wait_for(lambda: at_work(pair) == "STOPPING")
    second = pair.activate(pair.old)
    one = json.loads(first.communicate(timeout=60)[0].splitlines()[-1])
    request.join()
    assert (one["release"], one["changed"]) == (pair.new, True), one
    # It came after the first had been proved, and saw what that had left.
    assert (second["release"], second["previous"]) == (pair.old, pair.new), second
    assert links_to(pair) == f"releases/{pair.old}" and pair.up()["gunicorn"] == OLD


def test_waits_for_a_generation_that_someone_else_started(pair):
    """A run that was killed right after its start: prove it, do not restart it."""
    pair.start(settings="startsecs=10")
    pair.up()
    assert pair.activate(pair.new)["changed"]
    pair.ctl("stop", "app")
    app = pair.home / "wsgi.py"
    app.write_text("import time; time.sleep(3)\n" + app.read_text())
    threading.Thread(target=pair.ctl, args=("start", "app"), daemon=True).start()
    wait_for(lambda: pair.info()["arbiter"])
    pid = pair.pid()
    done = pair.activate(pair.new)
    assert (done["changed"], done["generation"]["pid"]) == (False, pid), done
