# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import random

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.model import Arm
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.soak_windows import (
    MOST_WINDOWS,
    merged,
    watch_begin,
    watch_more,
)

LOOKS = 12
OTHERS = ["web2", "web3", "web4"]


class Fleet:
    """Four servers behind two balancers, and what each balancer has counted for each of them."""

    def __init__(self, seed=1):
        self.dice = random.Random(seed)
        self.pids = {"lb1": 1, "lb2": 1}
        self.counted = {(lb, f"web{n}"): [500, 3] for lb in self.pids for n in range(1, 5)}

    def serve(self, requests, errors):
        """Each server gets so many requests, half of them from each balancer."""
        for (_lb, name), row in self.counted.items():
            row[0] += requests // 2
            row[1] += errors.get(name, 0) // 2

    def restart(self, lb):
        self.pids[lb] += 1
        for key in self.counted:
            if key[0] == lb:
                self.counted[key] = [0, 0]

    def results(self):
        found = []
        for lb, pid in self.pids.items():
            rows = [
                {
                    "backend": "app",
                    "server": name,
                    "counters": {"stot": n, "hrsp_2xx": n - bad, "hrsp_5xx": bad, "econ": 0},
                }
                for (where, name), (n, bad) in self.counted.items()
                if where == lb
            ]
            own = sum(row["counters"]["stot"] for row in rows)
            node = {"name": lb, "pid": pid, "uptime": 10, "requests": own}
            found.append({"item": lb, "node": node, "backends": [{"servers": rows}]})
        return found


def soak(fleet, errors, requests=300, looks=LOOKS, beside=None, meanwhile=None):
    """All looks of a soak, each kept as Ansible keeps it."""
    watch = watch_begin(fleet.results(), 0.0)
    for look in range(1, looks + 1):
        fleet.serve(requests, errors(look))
        if meanwhile:
            meanwhile(look)
        watch = json.loads(json.dumps(watch))
        others = OTHERS if beside is None else beside
        watch = watch_more(watch, fleet.results(), 5.0 * look, "web1", others)
    return watch


def test_each_look_ends_a_window_of_both_sides():
    watch = soak(Fleet(), lambda look: dict.fromkeys(["web1", *OTHERS], 2))
    assert (len(watch["windows"]), watch["seconds"]) == (LOOKS, 60.0)
    assert watch["windows"][0]["canary"]["requests"] == 300
    assert watch["windows"][0]["baseline"]["requests"] == 900
    assert watch["windows"][0]["canary"]["errors"] == 2


def test_a_balancer_that_is_restarted_or_silent_costs_a_window_and_no_more():
    fleet = Fleet()
    watch = soak(
        fleet,
        lambda look: {},
        requests=100,
        meanwhile=lambda look: look == 4 and fleet.restart("lb1"),
    )
    # Of the fourth window lb1 has forgotten all; its own 500 from before are nobody's.
    assert [w["canary"]["requests"] for w in watch["windows"][2:6]] == [100, 50, 100, 100]

    watch = watch_begin(fleet.results(), 0.0)
    fleet.serve(100, {})
    silent = [fleet.results()[0], {"item": "lb2", "failed": True, "msg": "no answer"}]
    watch = watch_more(watch, silent, 5.0, "web1", OTHERS)
    assert watch["windows"] == []
    fleet.serve(100, {})
    watch = watch_more(watch, fleet.results(), 10.0, "web1", OTHERS)
    assert [(w["seconds"], w["canary"]["requests"]) for w in watch["windows"]] == [(10.0, 200)]


def test_who_is_not_known_to_the_balancers_can_be_compared_with_nobody():
    watch = watch_begin(Fleet().results(), 0.0)
    watch = watch_more(watch, Fleet().results(), 5.0, "web1", ["web9"])
    assert "no server web9" in watch["problem"]


def test_a_long_soak_keeps_a_bounded_number_of_windows_and_loses_nothing():
    fleet = Fleet()
    watch = watch_begin(fleet.results(), 0.0)
    for look in range(1, MOST_WINDOWS + 20):
        fleet.serve(10, {"web1": 2})
        watch = watch_more(watch, fleet.results(), 5.0 * look, "web1", OTHERS)
    assert len(watch["windows"]) <= MOST_WINDOWS
    assert sum(w["canary"]["requests"] for w in watch["windows"]) == 10 * look
    assert sum(w["seconds"] for w in watch["windows"]) == watch["seconds"] == 5.0 * look


def test_merged_times_are_means_of_their_requests():
    def one(requests, time_ms, errors):
        arm = Arm(requests, errors, 0, None, 5.0, time_ms)._asdict()
        return {"seconds": 5.0, "canary": arm, "baseline": arm}

    found = merged([one(10, 40.0, 1), one(30, 80.0, 2), one(99, None, None)])
    assert found["canary"] == Arm(139, 3, 0, None, 15.0, 70.0)._asdict()
    assert found["seconds"] == 15.0
