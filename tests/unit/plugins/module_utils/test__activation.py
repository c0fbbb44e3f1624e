# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of a switch, and what is done when any of its steps fails."""

import json
import os
import shutil

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils import _activation, _service
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._processes import Reader
from ansible_collections.fleetops.gunicorn.plugins.module_utils._supervisor import (
    RpcFault,
    parse_url,
)

from tests.unit.plugins.module_utils.paper_machine import CONFIG, INFO, Machine, make_venv, serve

OLD, NEW = "20.0.4-py3.6-aaaaaaaa", "23.0.0-py3.11-bbbbbbbb"


class ProcReader(Reader):
    """The home is a real directory; only /proc is of paper."""

    def _at(self, path):
        return self._root + path if path.startswith("/proc") else path

    def real(self, path):
        return os.path.realpath(path)


class World(Machine):
    """Time, supervisord, processes and a home, with everything that was done written down."""

    def __init__(self, root):
        super().__init__(root)
        self.now = 1000.0
        self.later = []
        self.log = []
        self.state = "STOPPED"
        self.program_pid = 0
        self.stop_takes = 0.2
        self.boots = True
        self.status = 200
        self.command = f"{self.home}/venv/bin/gunicorn app"
        make_venv(self.home / "releases" / OLD)
        make_venv(self.home / "releases" / NEW, "23.0.0", "3.11.7")

    # -- time

    def sleep(self, seconds):
        self.now += seconds
        for due in sorted(self.later, key=lambda each: each[0]):
            if due[0] <= self.now:
                self.later.remove(due)
                due[1]()

    def after(self, seconds, what):
        self.later.append((self.now + seconds, what))

    # -- processes

    def run_release(self, name, pid, workers=2):
        python = f"{self.home}/releases/{name}/bin/python"
        command = f"{python} {self.home}/venv/bin/gunicorn -w 2 app"
        serve(self, pid, 10, command)
        if workers < 2:
            self.vanish(pid + 2)
        self.program_pid, self.state = pid, "STARTING"
        self.write_net()

    def vanish(self, *pids):
        for pid in pids:
            shutil.rmtree(str(self.root / "proc" / str(pid)))

    def write_net(self):
        for each in (self.root / "proc").iterdir():
            (each / "net/tcp").write_text("head\n" + "".join(self.listening))

    # -- supervisord

    def link(self):
        path = self.home / "venv"
        return os.readlink(str(path)) if path.is_symlink() else "no link"

    def processes(self):
        return [dict(INFO, pid=self.program_pid, statename=self.state)]

    def process(self, *args, **more):
        if len(args) == 1 and isinstance(args[0], str):
            return self.processes()[0]
        return super().process(*args, **more)

    def configs(self):
        return [dict(CONFIG, group="app", name="app", inuse=True, command=self.command)]

    def log_size(self, _name, _channel):
        return 0

    def log_since(self, _name, channel, _offset, _limit):
        return f"the {channel} log\n"

    def stop(self, _name):
        self.log.append(("stop", self.link()))
        self.state = "STOPPING"
        pid = self.program_pid

        def end():
            self.vanish(pid, pid + 1, pid + 2)
            self.listening.clear()
            self.program_pid, self.state = 0, "STOPPED"
            self.write_net()

        if self.stop_takes is not None:
            self.after(self.stop_takes, end)
        return True

    def start(self, _name):
        self.log.append(("start", self.link()))
        if self.state == "STARTING":
            raise RpcFault(60, "ALREADY_STARTED")
        if self.boots is True:
            self.run_release(os.path.basename(self.link()), 100 + 10 * len(self.log))
        elif self.boots:
            self.boots()

    # -- the switch

    def activate(self, release=NEW, check=False, **more):
        options = {
            "release": release,
            "gunicorn": None,
            "python": None,
            "url": parse_url("http://h/x"),
            "adopt_as": None,
            "restart": False,
            "going_back": False,
            "kill_orphans": False,
            "stop_timeout": 5,
            "start_timeout": 5,
            "stable_for": 0.5,
        }
        options.update(more)
        site = _service.Site(
            str(self.home), "app", ProcReader(str(self.root)), self,
            lambda command: None, lambda: self.now, self.now - 500, 100)  # fmt: skip
        self.switch = _activation.Activation(
            site, _activation.Wanted(**options), _activation.Files(), lambda: self.now,
            self.sleep, lambda where, timeout: (self.status, "why"),
            lambda pid, number: self.log.append(("kill", pid, number)), "now")  # fmt: skip
        return self.switch.run(check)

    def done(self):
        return [each[0] for each in self.log]


@pytest.fixture(autouse=True)
def coarse_polls(monkeypatch):
    monkeypatch.setattr(_activation, "POLL", 0.05)
    monkeypatch.setattr(_activation, "PROOF_POLL", 0.1)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    os.symlink(f"releases/{OLD}", str(world.home / "venv"))
    world.run_release(OLD, 20)
    world.state = "RUNNING"
    return world


def test_the_order_is_stop_flip_start(world):
    result = world.activate()
    assert world.log == [("stop", f"releases/{OLD}"), ("start", f"releases/{NEW}")]
    assert (result["changed"], result["release"], result["previous"]) == (True, NEW, OLD)
    assert result["generation"]["pid"] == world.program_pid
    assert result["timings"]["stop_s"] == pytest.approx(0.2, abs=0.06)
    assert result["timings"]["total_s"] == pytest.approx(0.8, abs=0.2)
    assert result["timings"]["down_s"] < result["timings"]["total_s"] - 0.4
    assert sorted(os.listdir(str(world.home))) == ["releases", "venv"]


def test_a_second_time_nothing_is_done(world):
    world.activate()
    world.state = "RUNNING"
    world.log.clear()
    assert world.activate()["changed"] is False
    assert world.log == []


def test_check_mode_does_nothing(world):
    before = sorted(str(path) for path in world.home.rglob("*"))
    result = world.activate(check=True)
    assert (result["changed"], result["generation"]["pid"], world.log) == (True, None, [])
    assert sorted(str(path) for path in world.home.rglob("*")) == before


def test_a_stop_without_end_flips_nothing(world):
    world.stop_takes = 9
    with pytest.raises(FleetError, match=r"after 5 s these processes still run: 20 \(127.0.0.1"):
        world.activate()
    assert world.log == [("stop", f"releases/{OLD}"), ("start", f"releases/{OLD}")]
    assert world.program_pid not in (0, 20)


def test_a_program_that_never_stops_is_not_said_to_have_been_started(world):
    world.stop_takes = None
    with pytest.raises(FleetError, match="COULD NOT BE STARTED AGAIN"):
        world.activate()
    assert world.done() == ["stop"]
    assert world.link() == f"releases/{OLD}"


def test_stopped_by_supervisords_word_is_not_enough(world):
    """killasgroup=false: the arbiter is gone, a worker goes on."""

    def half():
        world.vanish(20, 21)
        world.state, world.program_pid = "STOPPED", 0

    world.stop_takes = None
    world.after(0.1, half)
    with pytest.raises(FleetError, match=r"still run: 22 \(127.0.0.1:8000\)"):
        world.activate()
    assert world.log[-1] == ("start", f"releases/{OLD}")


def test_a_port_that_someone_took_is_not_free(world):
    world.process(500, 1, "nginx", sockets=[99])
    world.stop_takes = None

    def end():
        world.vanish(20, 21, 22)
        world.listening.clear()
        world.listen(8000, 99)
        world.state, world.program_pid = "STOPPED", 0
        world.write_net()

    world.after(0.1, end)
    with pytest.raises(FleetError, match="someone still listens: process 500 on 127.0.0.1:8000"):
        world.activate()
    assert world.link() == f"releases/{OLD}"


def orphaned(world):
    """The arbiter was killed; a worker lives on and supervisord has given up."""
    world.vanish(20, 21)
    stat = world.root / "proc/22/stat"
    stat.write_text(stat.read_text().replace("S 20 ", "S 1 "))
    world.state, world.program_pid = "FATAL", 0


def test_orphans_are_asked_to_end_and_waited_for(world):
    orphaned(world)

    def end():
        world.vanish(22)
        world.listening.clear()
        world.write_net()

    world.after(2, end)
    result = world.activate()
    assert world.log == [("kill", 22, 15), ("start", f"releases/{NEW}")]
    assert result["timings"]["down_s"] is None


def test_orphans_are_killed_only_when_that_was_asked_for(world):
    orphaned(world)
    with pytest.raises(FleetError, match=r"22 \(127.0.0.1:8000\).*was not running before"):
        world.activate()
    assert world.log == [("kill", 22, 15)]
    with pytest.raises(FleetError):
        world.activate(kill_orphans=True)
    assert world.log[1:] == [("kill", 22, 15), ("kill", 22, 9)]


def test_a_worker_whose_arbiter_lives_is_never_killed(world):
    world.stop_takes = 9
    with pytest.raises(FleetError):
        world.activate(kill_orphans=True)
    assert "kill" not in world.done()


def test_an_orphan_is_killed_even_while_a_new_arbiter_tries_for_its_port(world):
    world.process(40, 1, f"{world.home}/venv/bin/python {world.home}/venv/bin/gunicorn a")
    world.stop_takes = 9
    with pytest.raises(FleetError):
        world.activate(kill_orphans=True)
    assert [each for each in world.log if each[0] == "kill"] == [("kill", 40, 15), ("kill", 40, 9)]


def test_an_arbiter_behind_a_wrapper_gets_the_signal_itself(world):
    world.vanish(20, 21, 22)
    world.listening.clear()
    world.process(20, 10, "/bin/sh x")
    serve(world, 30, 20, f"{world.home}/releases/{OLD}/bin/python {world.home}/venv/bin/gunicorn a")
    world.write_net()
    world.stop_takes = None
    with pytest.raises(FleetError):
        world.activate()
    assert world.log[:2] == [("stop", f"releases/{OLD}"), ("kill", 30, 15)]


def test_a_restart_by_supervisord_during_the_stop_is_stopped_too(world, monkeypatch):
    """autorestart saw the arbiter die before it was told to stop."""

    def end():
        world.vanish(20, 21, 22)
        world.program_pid, world.state = 0, "STARTING"
        world.listening.clear()
        world.write_net()

    def stop(_name):
        world.log.append(("stop", world.link()))
        if world.program_pid:
            world.after(0.1, end)
        else:
            world.state = "STOPPED"

    monkeypatch.setattr(world, "stop", stop)
    assert world.activate()["changed"]
    assert world.done() == ["stop", "stop", "start"]


def test_a_flip_that_fails_is_undone(tmp_path, monkeypatch):
    world = World(tmp_path)
    make_venv(world.home / "venv")
    serve(world, 20, 10, f"{world.home}/venv/bin/python {world.home}/venv/bin/gunicorn app")
    world.program_pid, world.state = 20, "RUNNING"
    world.write_net()
    rename = os.rename

    def fail(old, new):
        if old.endswith(".venv-next"):
            raise OSError(30, "read-only file system")
        rename(old, new)

    monkeypatch.setattr(os, "rename", fail)
    world.boots = False
    with pytest.raises(FleetError, match="read-only file system.*was started again"):
        world.activate(adopt_as="adopted-x")
    assert (world.home / "venv").is_dir() and not (world.home / "venv").is_symlink()
    assert sorted(os.listdir(str(world.home / "releases"))) == [".history.json", OLD, NEW]
    assert world.done() == ["stop", "start"]


def test_adoption_moves_the_directory_and_records_what_it_is(tmp_path):
    world = World(tmp_path)
    make_venv(world.home / "venv")
    serve(world, 20, 10, f"{world.home}/venv/bin/python {world.home}/venv/bin/gunicorn app")
    world.program_pid, world.state = 20, "RUNNING"
    world.write_net()
    result = world.activate(adopt_as="adopted-x")
    assert (result["adopted"], result["previous"]) == ("adopted-x", "adopted-x")
    record = json.loads((world.home / "releases/adopted-x/release.json").read_text())
    wanted = {"id": "adopted-x", "schema": 1, "adopted": True, "gunicorn": "20.0.4",
              "python_version": "3.6.15", "freeze": ["gunicorn==20.0.4"], "built_at": "now",
              "stage": {"gunicorn": "20.0.4", "python": "3.6"}}  # fmt: skip
    assert {name: record[name] for name in wanted} == wanted
    assert world.link() == f"releases/{NEW}"


def test_the_directory_that_would_be_adopted_is_itself_a_way_back(tmp_path):
    world = World(tmp_path)
    make_venv(world.home / "venv")
    serve(world, 20, 10, f"{world.home}/venv/bin/python {world.home}/venv/bin/gunicorn app")
    world.program_pid, world.state = 20, "RUNNING"
    world.write_net()
    result = world.activate("adopted-x", adopt_as="adopted-x")
    assert (result["changed"], world.log) == (False, [])


@pytest.mark.parametrize("name", ["../x", ".hidden", "a/b"])
def test_an_adopted_release_has_a_plain_name(tmp_path, name):
    world = World(tmp_path)
    make_venv(world.home / "venv")
    with pytest.raises(FleetError, match="not a path"):
        world.activate(adopt_as=name)


# --- the proof ------------------------------------------------------------------------------------


def unproved(world, text, **more):
    with pytest.raises(_activation.Evidence, match=text) as caught:
        world.activate(**more)
    assert world.link() == f"releases/{NEW}"
    assert caught.value.details["previous"] == OLD
    assert caught.value.details["evidence"]["log"] == ["the Stdout log"]
    assert world.done() == ["stop", "start"]
    return caught.value


def test_a_generation_that_backs_off_fails_at_once(world):
    def boots():
        world.state = "BACKOFF"

    world.boots = boots
    begin = world.now
    unproved(world, "did not stay up: supervisord calls the program BACKOFF")
    assert world.now - begin < 1


def test_a_generation_that_dies_while_watched_fails(world):
    def boots():
        world.run_release(NEW, 200)

        def again():
            world.vanish(200, 201, 202)
            world.run_release(NEW, 300)

        world.after(0.4, again)

    world.boots = boots
    unproved(world, r"\(200\) did not stay up: .* again, as process 300")


def test_a_death_after_the_watch_is_for_the_gate_to_find(world):
    def boots():
        world.run_release(NEW, 200)
        world.after(2, lambda: world.run_release(NEW, 300))

    world.boots = boots
    assert world.activate()["changed"]


def test_without_a_url_the_watch_is_longer(world):
    def boots():
        world.run_release(NEW, 200)
        world.after(1.5, lambda: world.run_release(NEW, 300))

    world.boots = boots
    unproved(world, "as process 300", url=None)


def test_another_release_than_wanted_fails(world):
    world.boots = lambda: world.run_release(OLD, 200)
    unproved(world, f"runs from .*{OLD}, not from .*{NEW}")


@pytest.mark.parametrize(
    "more, text",
    [
        ({"python": "3.12"}, "holds Python 3.11.7, but 3.12 is wanted"),
        ({"gunicorn": "24.1.1"}, "holds gunicorn 23.0.0, but 24.1.1 is wanted"),
    ],
)
def test_versions_that_the_files_belie_are_refused_before_the_stop(world, more, text):
    with pytest.raises(FleetError, match=text):
        world.activate(**more)
    assert world.log == []


def test_a_missing_worker_fails_in_the_end(world):
    world.boots = lambda: world.run_release(NEW, 200, workers=1)
    unproved(world, "not proved within 5 s: arbiter 200 has 1 of 2 workers")


def test_a_missing_address_fails_in_the_end(world):
    def boots():
        world.run_release(NEW, 200)
        world.listening[:] = []
        world.listen(8001, 77)
        world.write_net()

    world.boots = boots
    unproved(world, "does not listen on 127.0.0.1:8000 as the one before did")


def test_a_page_that_fails_fails(world):
    world.status = 500
    unproved(world, "http://h:80/x answered with status 500")


def test_a_page_that_does_not_answer_fails(world):
    world.status = 0
    unproved(world, "did not answer: why")


def test_an_orphan_beside_the_new_generation_fails(world):
    def boots():
        world.run_release(NEW, 200)
        world.process(400, 1, f"{world.home}/venv/bin/python {world.home}/venv/bin/gunicorn a")

    world.boots = boots
    unproved(world, "orphan 400 of an earlier generation still runs")


def test_a_young_generation_is_proved_rather_than_restarted(world):
    """A run that was killed after its start left it; it has no workers yet."""
    world.vanish(20, 21, 22)
    world.listening.clear()
    os.unlink(str(world.home / "venv"))
    os.symlink(f"releases/{NEW}", str(world.home / "venv"))
    world.run_release(NEW, 200, workers=1)
    world.after(1, lambda: world.process(
        202, 200, f"{world.home}/releases/{NEW}/bin/python {world.home}/venv/bin/gunicorn -w 2 app",
        sockets=[77]))  # fmt: skip
    # It was started at tick 1000, that is 10 s after the boot 500 s ago.
    result = world.activate(start_timeout=600)
    assert (result["changed"], world.log) == (False, [])


# --- refusals -------------------------------------------------------------------------------------


def test_a_command_that_bypasses_the_link_is_refused_before_the_stop(world):
    world.vanish(20, 21, 22)
    world.listening.clear()
    base = f"{world.home}/releases/{OLD}/bin"
    world.command = f"{base}/gunicorn app"
    serve(world, 20, 10, f"{base}/python {base}/gunicorn app")
    world.write_net()
    with pytest.raises(FleetError, match="Nothing was stopped: app:app does not start through"):
        world.activate()
    assert world.log == []
    assert sorted(os.listdir(str(world.home))) == ["releases", "venv"]


def test_a_left_over_that_shares_the_address_is_refused_before_the_stop(world):
    python = f"{world.home}/venv/bin/python {world.home}/venv/bin/gunicorn a"
    world.process(40, 1, python, sockets=[77])
    world.process(41, 40, python, sockets=[77])
    world.write_net()
    with pytest.raises(FleetError, match="Nothing was stopped: gunicorn 40, .* kill -TERM 40"):
        world.activate()
    assert world.log == []


def test_a_home_that_cannot_be_written_is_found_out_before_the_stop(world, monkeypatch):
    def refuse(*_paths):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "symlink", refuse)
    with pytest.raises(FleetError, match="Nothing was stopped: .*could not be prepared.*denied"):
        world.activate()
    assert world.log == []


def test_digest_keeps_the_reasons():
    log = (
        "[1] Booting\n[1] Exception in worker process\nTraceback (most recent call last):\n"
        + "".join(f'  File "x{n}"\n    call{n}()\n    ~~~~^^\n' for n in range(50))
        + "RuntimeError: TOKEN=abc\n" + "same\n" * 99 + "last\n"
    )  # fmt: skip
    assert _activation.digest(log) == [
        "[1] Booting",
        "[1] Exception in worker process",
        "Traceback (most recent call last):",
        '  File "x49"',
        "    call49()",
        "RuntimeError: TOKEN=***",
        "same",
        "last",
    ]
    assert len(_activation.digest("\n".join(str(n) for n in range(99)))) == 30
    assert _activation.digest("") == []
