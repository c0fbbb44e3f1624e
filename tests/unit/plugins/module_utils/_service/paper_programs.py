# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program of paper beside a gunicorn: its processes and its manager do what a test says."""

from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.live_venv import Venv
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.snapshot import (
    Observation,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Process,
    Reader,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.manager import (
    Manager,
    Mark,
)

OLD, NEW = "/srv/app/releases/old", "/srv/app/releases/new"


class PaperManager(Manager):
    """What is asked of it is written into ``log``, with the link of that time."""

    word, reload = "supervisord", "supervisorctl update"

    def __init__(self, site, name, log):
        self.site, self.name, self._log = site, name, log
        self.refused = []

    def stop(self):
        self._log.append(("stop", self.name))
        self.site.state, self.site.pid = "STOPPED", 0

    def start(self):
        self._log.append(("start", self.name))
        self.site.begin()

    def state(self):
        return self.site.state

    def mark(self, program):
        return Mark()

    def said_since(self, mark, limit):
        return "its last words\n"

    def refusals(self, program):
        return self.refused

    def deviations(self, program, options, wrapped):
        one = {"value": "yes", "wanted": "no", "why": "w"}
        return [dict(one, setting="NeedDaemonReload"), dict(one, setting="stopsignal")]


class PaperSite:
    """Stands for a `Site` whose program is a worker."""

    home = "/srv/app"

    def __init__(self, name, log, prefix=OLD):
        self.name, self.reader = name, Reader("/nonexistent")
        self.manager = PaperManager(self, name, log)
        self.state, self.pid, self.prefix, self.next = "RUNNING", 7, prefix, NEW
        self.through, self.lives = True, True
        self.stopwaitsecs = 30
        # What each look does before it sees.
        self.looks = lambda: None

    def begin(self):
        self.state, self.pid, self.prefix = "RUNNING", self.pid + 100 or 100, self.next

    def observe(self, waiting=False):
        self.looks()
        program = {
            "manager": "supervisord", "name": self.name, "state": self.state, "said": self.state,
            "pid": self.pid, "command": "/srv/app/venv/bin/celery worker", "directory": "/",
            "stopwaitsecs": self.stopwaitsecs, "stopasgroup": None, "exitstatus": 3,
            "spawnerr": "",
        }  # fmt: skip
        tree = [Process(self.pid, 1, "S", self.pid * 10, ("celery",))] if self.pid else []
        venv = Venv("/srv/app/venv", "symlink", NEW, "new", None, None, 0.0)
        return Observation(program, None, [], tree, [], [], [], [], venv, {}, {})

    def starts_here(self, process):
        return self.lives

    def started(self, process):
        return float(process.pid)

    def runs_from(self, seen, process):
        return self.prefix

    def goes_through_venv(self, seen):
        return self.through

    def unread(self, seen):
        return []

    def deviations(self, seen):
        return self.manager.deviations(seen.program, {}, False)
