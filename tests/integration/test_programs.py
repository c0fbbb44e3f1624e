# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several programs from one virtualenv under a real supervisord: all of them are switched."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.programs_support import LOOP
from tests.integration.service_support import (
    NEW,
    OLD,
    ROOT,
    Fleet,
    free_port,
    new_python,
    old_python,
    wait_for,
)

BOTH = ["worker", "beat"]
SECTION = """
[program:{name}]
command={home}/venv/bin/python -m loop {name}
directory={home}
stderr_logfile={dir}/{name}.err.log
startsecs=1
stopwaitsecs=20
{more}
"""


class Programs(Fleet):
    """A fleet whose supervisord also runs ``worker`` and ``beat`` from the virtualenv."""

    def begin(self, more="", extra="", worker=""):
        (self.home / "loop.py").write_text(LOOP)
        text = SECTION.format(name="worker", home=self.home, dir=self.dir, more=worker)
        text += SECTION.format(name="beat", home=self.home, dir=self.dir, more="")
        self.start(settings=f"{more}\n{text}\n{extra}", other=False)
        self.up()
        for name in BOTH:
            wait_for(lambda name=name: "RUNNING" in self.ctl("status", name))
        return self

    def said(self):
        path = self.home / "loop.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def of(self, name):
        return [each for each in self.said() if each["name"] == name]

    def runs(self, name):
        """Which gunicorn's release the running program is of, by its own word."""
        pid = self.pid(name)
        (last,) = [each for each in self.of(name) if (each["pid"], each["what"]) == (pid, "begin")]
        return last["gunicorn"]

    def activate(self, release, check=False, **more):
        options = {"programs": BOTH, "programs_stable_for": 2}
        return super().activate(release, check, **{**options, **more})

    def info(self, **more):
        return super().info(**{"programs": BOTH, **more})


@pytest.fixture
def fleet():
    fleet = Programs()
    fleet.old = fleet.release(OLD, old_python())
    fleet.new = fleet.release(NEW, new_python())
    fleet.link(fleet.old)
    yield fleet
    fleet.close()


def links_to(fleet):
    return os.readlink(fleet.home / "venv")


def test_all_of_them_are_stopped_before_the_link_turns_and_run_from_the_release_after(fleet):
    fleet.begin()
    pids = {name: fleet.pid(name) for name in BOTH}
    plan = fleet.activate(fleet.new, check=True)
    assert plan["changed"] and pids == {name: fleet.pid(name) for name in BOTH}, plan
    done = fleet.activate(fleet.new, gunicorn=NEW)
    assert done["changed"], done
    assert [fleet.runs(name) for name in BOTH] == [NEW, NEW]
    assert fleet.get()["gunicorn"] == NEW
    ends = [each for each in fleet.said() if each["what"] == "end"]
    # In reverse, and while the link still was the old one.
    assert [each["name"] for each in ends] == ["beat", "worker"], ends
    assert {each["link"] for each in ends} == {fleet.old}
    begun = [each for each in fleet.said() if each["gunicorn"] == NEW]
    assert {each["link"] for each in begun} == {fleet.new}
    told = {each["program"]: each["pid"] for each in done["generation"]["programs"]}
    assert told == {f"{name}:{name}": fleet.pid(name) for name in BOTH}
    # A second time nothing is done.
    again = fleet.activate(fleet.new)
    assert again["changed"] is False
    assert told == {each["program"]: each["pid"] for each in again["generation"]["programs"]}
    info = fleet.info()
    assert [each["release"] for each in info["programs"]] == [fleet.new, fleet.new]
    assert info["beside"] == [] and info["loose"] == []
    assert [each["problems"] for each in info["programs"]] == [[], []]
    back = fleet.activate(fleet.old, reason="rollback")
    assert back["changed"], back
    assert [fleet.runs(name) for name in BOTH] == [OLD, OLD]


@pytest.mark.parametrize("after", ["0", "1.5", "3"])
def test_a_worker_that_dies_right_after_its_start_is_a_failed_switch(fleet, after):
    fleet.begin()
    (fleet.home / f"trouble-worker-{NEW}").write_text(after)
    done = fleet.activate(fleet.new, programs_stable_for=5)
    assert done["failed"] and "worker" in done["msg"], done
    assert "did not stay up" in done["msg"], done["msg"]
    assert "RuntimeError: the queue of api_key=*** is not there" in done["msg"], done["msg"]
    back = fleet.activate(fleet.old, gunicorn=OLD, reason="rollback")
    assert back["changed"], back
    assert [fleet.runs(name) for name in BOTH] == [OLD, OLD]
    assert fleet.get()["gunicorn"] == OLD


def test_a_worker_that_does_not_end_in_time_leaves_everything_as_it_was(fleet):
    fleet.begin(worker='environment=WARM="8"')
    web = fleet.pid()
    done = fleet.activate(fleet.new, stop_timeout=2)
    assert "worker:worker was asked to stop, but after 2 s" in done["msg"], done
    assert links_to(fleet) == f"releases/{fleet.old}"
    assert fleet.pid() == web, "the gunicorn was stopped for nothing"
    # The way back, at once: what was started again is not stopped once more, in vain.
    back = fleet.activate(fleet.old, stop_timeout=2, reason="rollback")
    assert not back.get("failed"), back
    assert [fleet.runs(name) for name in BOTH] == [OLD, OLD]
    assert len([each for each in fleet.of("worker") if each["what"] == "end"]) == 1


KILL_AT = """
import sys, os, signal, json
from ansible.module_utils.testing import patch_module_args
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation import companions
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation import files
place, method = {where}
inner = getattr(place, method)
def kill(self, *words):
    if {before}:
        os.kill(os.getpid(), signal.SIGKILL)
    inner(self, *words)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(place, method, kill)
from ansible_collections.fleetops.gunicorn.plugins.modules import active_release as module
with patch_module_args(json.loads(sys.argv[1])):
    module.main()
"""


@pytest.mark.parametrize(
    ("where", "before", "left"),
    [
        ("companions.Companions, 'stop'", False, OLD),
        ("files.Link, 'flip'", True, OLD),
        ("files.Link, 'flip'", False, NEW),
        ("companions.Companions, 'start'", True, NEW),
        ("companions.Companions, 'prove'", True, NEW),
    ],
    ids=["all stopped but gunicorn", "before the link", "after the link", "gunicorn alone", "all"],
)
def test_what_a_killed_run_has_left_stopped_the_next_one_brings_up(fleet, where, before, left):
    fleet.begin()
    options = {
        **fleet.switch_options(fleet.new, programs=BOTH, programs_stable_for=2),
        "_ansible_check_mode": False,
    }
    code = KILL_AT.format(where=where, before=before)
    command = [sys.executable, "-c", code, json.dumps(options)]
    killed = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT / ".collections")}, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    # As the playbook does: bring up what the link says.
    named = fleet.old if left == OLD else fleet.new
    assert links_to(fleet) == f"releases/{named}"
    done = fleet.activate(named)
    assert not done.get("failed"), done
    assert [fleet.runs(name) for name in BOTH] == [left, left]
    assert fleet.get()["gunicorn"] == left
    there = fleet.activate(fleet.new, gunicorn=NEW)
    assert there["changed"] is (left == OLD), there
    assert [fleet.runs(name) for name in BOTH] == [NEW, NEW]


def test_several_gunicorns_each_with_addresses_of_its_own(fleet):
    port = free_port()
    extra = (
        f"[program:api]\ncommand={fleet.home}/venv/bin/gunicorn -w 1 -b 127.0.0.1:{port} wsgi:app\n"
        f"directory={fleet.home}\nstopwaitsecs=35\nkillasgroup=true\n"
    )
    fleet.begin(extra=extra)
    everything = ["api", *BOTH]
    wait_for(lambda: fleet.info(programs=everything)["programs"][0]["listeners"])
    done = fleet.activate(fleet.new, gunicorn=NEW, programs=everything)
    assert done["changed"], done
    api = fleet.info(programs=everything)["programs"][0]
    assert (api["gunicorn"], api["listeners"]) == (NEW, [f"127.0.0.1:{port}"])
    assert api["pid"] == fleet.pid("api")
    # One whose workers cannot boot is found as the first one would be.
    fleet.trouble(OLD, "import")
    done = fleet.activate(fleet.old, programs=["api"])
    assert done["failed"], done


def test_what_may_not_be_named_is_refused_before_anything_is_stopped(fleet):
    fleet.begin(
        extra=f"[program:away]\ncommand={sys.executable} -c 'import time; time.sleep(999)'\n"
    )
    web = fleet.pid()

    def problems(name):
        found = fleet.info(programs=[name])
        return (
            found["msg"] if "programs" not in found else " ".join(found["programs"][0]["problems"])
        )

    assert "app_programs names 'nosuch': supervisord has no program 'nosuch'" in problems("nosuch")
    assert "beside app_program, which it is" in problems("app")
    assert "away:away, but that does not start through" in problems("away")
    done = fleet.activate(fleet.new, programs=["worker", "away"])
    assert done["msg"].startswith("Nothing was stopped: app_programs names away:away"), done
    fleet.ctl("stop", "beat")
    assert "beat:beat, which supervisord calls STOPPED" in problems("beat")
    assert fleet.pid() == web and len(fleet.of("worker")) == 1


def test_what_runs_from_the_virtualenv_and_is_in_no_program_is_told(fleet):
    fleet.begin()
    stray = subprocess.Popen(
        [fleet.home / "venv/bin/python", "-m", "loop", "stray"], cwd=fleet.home
    )
    try:
        (beside,) = fleet.info(programs=["beat"])["beside"]
        assert (beside["program"], beside["same_manager"]) == ("worker:worker", True)
        wait_for(lambda: fleet.info()["loose"], 30, 0.5)
        (loose,) = fleet.info()["loose"]
        assert loose["pid"] == stray.pid and loose["command"].endswith("-m loop stray"), loose
    finally:
        stray.kill()
        stray.wait()


CELERY = """
import os, time
from celery import Celery

home = os.path.dirname(os.path.abspath(__file__))
app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": home + "/queue", "data_folder_out": home + "/queue",
    "processed_folder": home + "/processed",
}
app.conf.task_ignore_result = True


@app.task
def work(number, seconds):
    import gunicorn
    time.sleep(seconds)
    with open(home + "/done.txt", "a") as file:
        file.write("%d %s\\n" % (number, gunicorn.__version__))
"""
SEND = "import sys, tasks\nfor n in range(*map(int, sys.argv[1:3])): tasks.work.delay(n, 0.5)"


@pytest.mark.parametrize("title", [(), ("setproctitle",)])
def test_a_real_celery_ends_its_tasks_on_the_old_release_and_takes_the_rest_on_the_new(title):
    """Warm shutdown: nothing that was sent is lost, and no task runs half on each."""
    fleet = Programs()
    try:
        packages = ("celery==5.4.0", *title)
        fleet.old = fleet.release(OLD, new_python(), *packages)
        fleet.new = fleet.release(NEW, new_python(), *packages)
        fleet.link(fleet.old)
        (fleet.home / "tasks.py").write_text(CELERY)
        for name in ("queue", "processed"):
            (fleet.home / name).mkdir()
        section = (
            f"[program:celery]\ncommand={fleet.home}/venv/bin/celery -A tasks worker -c 2\n"
            f'directory={fleet.home}\nenvironment=C_FORCE_ROOT="1"\nstopwaitsecs=50\n'
            f"killasgroup=true\nstderr_logfile={fleet.dir}/celery.log\n"
        )
        fleet.start(settings=section, other=False)
        fleet.up()

        def send(begin, end):
            command = [fleet.home / "venv/bin/python", "-c", SEND, str(begin), str(end)]
            subprocess.run(command, cwd=fleet.home, check=True)

        def done():
            path = fleet.home / "done.txt"
            lines = path.read_text().split("\n")[:-1] if path.exists() else []
            return {int(number): version for number, version in map(str.split, lines)}

        send(0, 40)
        wait_for(lambda: len(done()) > 3)
        if title:
            cmdline = (Path("/proc") / str(fleet.pid("celery")) / "cmdline").read_bytes()
            assert cmdline.startswith(b"[celeryd:"), cmdline
        switch = fleet.activate(fleet.new, programs=["celery"], programs_stable_for=4)
        assert switch["changed"], switch
        send(40, 44)
        wait_for(lambda: len(done()) == 44, 60, 0.2)
        versions = done()
        assert versions[43] == NEW and OLD in versions.values(), versions
        (told,) = fleet.info(programs=["celery"])["programs"]
        assert (told["release"], told["gunicorn"]) == (fleet.new, None)
    finally:
        fleet.close()
