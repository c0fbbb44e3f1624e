# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import random

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.model import Arm
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.soak_windows import (
    MOST_WINDOWS,
    merged,
    soak_settings,
    watch_begin,
    watch_more,
    watch_verdict,
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
    """All looks of a soak, each kept as Ansible keeps it; the first failure ends it."""
    watch = watch_begin(fleet.results(), 0.0)
    for look in range(1, looks + 1):
        fleet.serve(requests, errors(look))
        if meanwhile:
            meanwhile(look)
        watch = json.loads(json.dumps(watch))
        others = OTHERS if beside is None else beside
        watch = watch_more(watch, fleet.results(), 5.0 * look, "web1", others)
        found = watch_verdict(watch, look, str(looks), "1")
        if found["verdict"] == "fail":
            break
    return found, watch, look


def test_a_server_like_the_others_passes_over_all_windows():
    found, watch, _look = soak(Fleet(), lambda look: dict.fromkeys(["web1", *OTHERS], 2))
    assert found["verdict"] == "pass", found
    assert (len(watch["windows"]), watch["seconds"]) == (LOOKS, 60.0)
    assert watch["windows"][0]["canary"]["requests"] == 300
    assert watch["windows"][0]["baseline"]["requests"] == 900


def test_a_server_that_does_worse_fails_as_soon_as_that_is_sure():
    found, watch, look = soak(Fleet(), lambda look: {"web1": 20, "web2": 2, "web3": 2, "web4": 2})
    assert found["verdict"] == "fail" and "errors: " in found["reasons"][0]
    assert look < LOOKS and watch["seconds"] == 5.0 * look


def test_one_bad_moment_is_evidence_and_no_failure():
    """60 errors in one window of twelve; the same 60 over all of them fail."""
    found, _watch, _look = soak(Fleet(), lambda look: {"web1": 60 if look == 5 else 0})
    assert found["verdict"] == "inconclusive" and "bursts" in found["reasons"][0]
    found, _watch, _look = soak(Fleet(), lambda look: {"web1": 6})
    assert found["verdict"] == "fail"


def test_an_outage_of_all_servers_fails_nobody():
    found, _watch, _look = soak(
        Fleet(), lambda look: dict.fromkeys(["web1", *OTHERS], 100 if 4 < look < 8 else 0)
    )
    assert found["verdict"] != "fail"


def test_a_balancer_that_is_restarted_or_silent_costs_a_window_and_no_more():
    fleet = Fleet()
    found, watch, _look = soak(
        fleet,
        lambda look: {},
        requests=100,
        meanwhile=lambda look: look == 4 and fleet.restart("lb1"),
    )
    assert found["verdict"] != "fail"
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
    found = watch_verdict(watch, 12, 12, 1)
    assert found["verdict"] == "inconclusive" and "no server web9" in found["reasons"][0]
    empty = watch_verdict(watch_begin([], 0.0), 12, 12, 1)
    assert empty["verdict"] == "inconclusive"


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


def test_gates_share_the_chance_of_a_false_alarm():
    assert soak_settings(1, 1, 1).alpha == pytest.approx(0.01)
    assert soak_settings(1, 1, 4).alpha == pytest.approx(0.0025)


@pytest.mark.parametrize("size", [1, 5, 20, 50])
def test_bursts_at_equal_rates_are_no_evidence(size):
    """As a soak sees them; over one window 13, 31 and 40 % of such servers failed."""
    fails, runs = 0, 60
    for seed in range(runs):
        fleet = Fleet(seed)

        def errors(_look, draw=fleet.dice.random):
            # On average 100 a server in the whole soak, each burst at once.
            chance = 50 / size / 120
            bursts = {n: sum(draw() < chance for _each in range(10)) for n in ("web1", "web2")}
            return {name: 2 * size * count for name, count in bursts.items()}

        fails += soak(fleet, errors, requests=2000, beside=["web2"])[0]["verdict"] == "fail"
    assert fails <= 3
