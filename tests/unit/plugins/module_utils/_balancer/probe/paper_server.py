# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server, its health page and its balancer on paper: time passes only when somebody sleeps."""

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe import (
    drain,
    options,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.eyes import Answer
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.switch import State
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.seam import Clock, Wish
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.shape import parse_need
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

GIVEN = {name: each.get("default", "") for name, each in options.ARGUMENTS.items()}
GIVEN.update(
    url="http://a/",
    file="/srv/ill",
    ports=["8000"],
    lease_directory="/run/x",
    others={"web2": "http://b/", "web1": "http://a/"},
    settle=10,
    settle_back=10,
)
UP, DOWN = Answer("UP", "HTTP 200 for /"), Answer("DOWN", "HTTP 503 for /")


class Paper:
    """web1 as it is seen and switched; `at` calls what happens at a time."""

    def __init__(self):
        self.now = 1000.0
        self.state = State(False, False)
        self.ill_for = None
        self.page = UP
        self.others_up = {"web2": True}
        # Connections that are seen from a time on.
        self.connected = [(0, 0)]
        self.told = ""
        self.unheard_of = []
        self.looks = True
        self.one_page = False
        self.broken = ""
        # How long a command that came back still works.
        self.slow = 0
        self.done = []
        self._plans = []

    # -- time

    def sleep(self, seconds):
        self.now += seconds
        due = [plan for plan in self._plans if plan[0] <= self.now]
        self._plans = [plan for plan in self._plans if plan[0] > self.now]
        for _when, happens in due:
            happens()

    def at(self, seconds, happens):
        self._plans.append((self.now + seconds, happens))

    # -- eyes

    def own(self):
        return DOWN if self.state.ill and self.looks else self.page

    def gate(self):
        return DOWN if self.state.ill and self.one_page else UP

    def others(self, names):
        return {name: UP if self.others_up[name] else DOWN for name in names}

    def comers(self):
        count = [count for since, count in self.connected if 1000 + since <= self.now][-1]
        return frozenset(("10.0.0.9", port) for port in range(count))

    def unheard(self):
        return self.unheard_of

    def page_says(self, wanted):
        return self.told if wanted else ""

    # -- switch

    text = "file /srv/ill made"
    undo = "remove /srv/ill"

    def look(self):
        return self.state

    def glance(self):
        return self.state.ill

    def age(self):
        return self.ill_for

    def refusal(self):
        return ""

    def make_ill(self):
        self.done.append("ill")
        if self.broken:
            self.state = State(False, True)
            raise FleetError(self.broken)
        if self.slow:
            self.page, self.state = DOWN, State(False, True)
        self._turn(State(True, True))

    def make_well(self):
        self.done.append("well")
        if self.slow:
            self.page = UP
        self._turn(State(False, False))

    def _turn(self, state):
        if self.slow:
            self.at(self.slow, lambda: setattr(self, "state", state))
        else:
            self.state = state

    # -- the change

    def change(self, timeout=20, policy="restore", need="1", **options_given):
        settings = options.settings_of(dict(GIVEN, **options_given))
        wish = Wish("web1", parse_need(need), timeout, policy, 5, 1, 0.1)
        clock = Clock(lambda: self.now, lambda: self.now, self.sleep)
        return drain.Change(settings, ["app"], wish, clock, self, self)
