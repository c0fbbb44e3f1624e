# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A switch of paper: time, supervisord and processes do what a test says; it is written down."""

import os
import shutil
from unittest import mock

from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation import (
    activate as activation,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation import (
    files,
    plan,
    proof,
    restart,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.bounded_http import parse_url
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import Reader
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.site import Site
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord.driver import (
    SupervisordManager,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord.rpc import (
    RpcFault,
)

from tests.unit.plugins.module_utils._host.paper_machine import (
    CONFIG,
    INFO,
    Machine,
    make_venv,
    serve,
)

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

    @mock.patch.object(restart, "POLL", 0.05)
    @mock.patch.object(proof, "PROOF_POLL", 0.1)
    def activate(self, release=NEW, check=False, **more):
        options = {
            "release": release,
            "gunicorn": None,
            "python": None,
            "url": parse_url("http://h/x"),
            "adopt_as": None,
            "restart": False,
            "going_back": False,
            "advise": True,
            "kill_after": None,
            "stop_timeout": 5,
            "start_timeout": 5,
            "stable_for": 0.5,
        }
        options.update(more)
        site = Site(
            str(self.home), SupervisordManager(self, "app"), ProcReader(str(self.root)),
            lambda command: None, lambda: self.now, self.now - 500, 100)  # fmt: skip
        self.switch = activation.Activation(
            site, plan.Wanted(**options), files.Files(), lambda: self.now,
            self.sleep, lambda where, timeout: (self.status, "why"),
            lambda pid, number: self.log.append(("kill", pid, number)), "now",
            self.permit)  # fmt: skip
        return self.switch.run(check)

    def permit(self):
        """Whether this process may still change the host: asked before each step."""

    def done(self):
        return [each[0] for each in self.log]


def running_old(root):
    """A world in which the old release serves."""
    world = World(root)
    os.symlink(f"releases/{OLD}", str(world.home / "venv"))
    world.run_release(OLD, 20)
    world.state = "RUNNING"
    return world
