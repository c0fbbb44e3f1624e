from __future__ import annotations

import copy
import random

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.balancer import (
    MEMORY,
    fresh_average,
    windows_from_looks,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.model import (
    Arm,
    Window,
)


class Haproxy:
    """The moving average of HAProxy: swrate_add_dynamic() and swrate_avg(), in whole numbers."""

    def __init__(self):
        self.total, self.count = 0, 0

    def add(self, value):
        self.count += 1
        if self.count > MEMORY:
            self.total -= (self.total + MEMORY - 1) // MEMORY
        self.total += value

    def reading(self):
        window = max(1, min(self.count, MEMORY))
        return (self.total + window - 1) // window


@pytest.mark.parametrize("first", [0, 1, 100, 511, 512, 513, 5000])
@pytest.mark.parametrize("then", [100, 512, 3000])
def test_the_mean_of_new_requests_comes_back_out_of_the_moving_one(first, then):
    """A server that answers in 40 ms turns to 140 ms: the old 40 must not linger."""
    server, dice = Haproxy(), random.Random(1)
    for _each in range(first):
        server.add(dice.randint(30, 50))
    old, count = server.reading(), server.count
    for _each in range(then):
        server.add(dice.randint(120, 160))
    found = fresh_average(old, count, server.reading(), server.count)
    # Two readings of whole ms, each off by up to 1, over the share of the new requests.
    assert found == pytest.approx(140, abs=3 + 2 * MEMORY / then)
    if first >= 512 and then == 100:
        assert server.reading() < 65  # what the plain reading would have said


def test_no_new_request_has_no_mean():
    assert fresh_average(40, 10, 40, 10) is None
    assert fresh_average(40, 10, 40, 9) is None


def server(name, stot=0, errors=0, good=0, econ=0, eresp=0, ttime=50, **more):
    counters = {
        "stot": stot,
        "econ": econ,
        "eresp": eresp,
        "hrsp_2xx": good,
        "hrsp_5xx": errors,
        "ttime": ttime,
        **more,
    }
    return {"backend": "app", "server": name, "counters": counters}


def look(at, *servers, pid=7, item="lb1", **more):
    backends = [{"name": "app", "servers": list(servers)}]
    node = {"name": item, "pid": pid}
    return {"at": at, "balancers": [{"item": item, "node": node, "backends": backends}], **more}


def test_two_looks_make_a_window_of_what_rose():
    looks = [
        look(100, server("web1", 10, 1, 9, ttime=50), server("web2", 20, 0, 20)),
        look(105, server("web1", 110, 3, 107, 1, 2, 50), server("web2", 130, 1, 129)),
    ]
    (found,) = windows_from_looks(looks, ["web1"], ["web2"])
    assert found == Window(5.0, Arm(100, 2, 3, None, 5.0, 50.0), Arm(110, 1, 0, None, 5.0, 50.0))


def test_times_that_were_added_up_are_an_exact_mean():
    def timed(name, stot, count, took):
        row = server(name, stot, 0, stot, rtime_count=count, rtime_ms=took)
        del row["counters"]["ttime"]
        return row

    looks = [
        look(100, timed("web1", 10, 10, 1000), timed("web2", 10, 10, 0)),
        look(105, timed("web1", 30, 30, 1400), timed("web2", 10, 10, 0)),
    ]
    (found,) = windows_from_looks(looks, ["web1"], ["web2"])
    assert (found.canary.requests, found.canary.time_ms) == (20, 20.0)
    assert (found.baseline.requests, found.baseline.time_ms) == (0, None)


def test_servers_balancers_and_incidents_add_up():
    def at(when, n, incidents):
        one = look(when, server("web1", n), server("web2", 2 * n), server("web3", 3 * n))
        two = look(when, server("web1", n), server("web2", n), server("web3", n), item="lb2")
        one["balancers"] += two["balancers"]
        return {**one, "incidents": incidents}

    (found,) = windows_from_looks(
        [at(0, 10, {"web1": 1}), at(4, 20, {"web1": 3, "web2": 1})], ["web1"], ["web2", "web3"]
    )
    assert (found.canary.requests, found.baseline.requests) == (20, 70)
    assert (found.canary.incidents, found.baseline.incidents) == (2, None)
    assert (found.canary.server_seconds, found.baseline.server_seconds) == (4.0, 8.0)


@pytest.mark.parametrize("pid", [7, 8])
def test_after_a_reload_what_was_counted_since_is_taken_for_all_servers(pid):
    """With another process for sure; with the same one when any counter of that balancer fell."""
    before = look(0, server("web1", 1000, 9, 900), server("web2", 10, 0, 10))
    after = look(5, server("web1", 30, 1, 29), server("web2", 40, 0, 40), pid=pid)
    (found,) = windows_from_looks([before, after], ["web1"], ["web2"])
    assert (found.canary.requests, found.canary.errors) == (30, 1)
    # web2's rose from 10 to 40 only by chance: they too began at zero.
    assert found.baseline.requests == 40


def test_in_tcp_mode_there_are_no_statuses_and_no_times():
    def tcp(name, n):
        return {"backend": "app", "server": name, "counters": {"stot": n, "econ": 0, "eresp": 0}}

    looks = [look(0, tcp("web1", 1), tcp("web2", 1)), look(5, tcp("web1", 4), tcp("web2", 4))]
    (found,) = windows_from_looks(looks, ["web1"], ["web2"])
    assert found.canary == Arm(3, None, 0, None, 5.0, None)


def test_one_look_makes_no_window():
    assert windows_from_looks([], ["web1"], ["web2"]) == []
    assert windows_from_looks([look(0, server("web1"))], ["web1"], []) == []


def test_mistakes_are_sentences():
    looks = [look(0, server("web1")), look(5, server("web1"))]
    with pytest.raises(FleetError, match=r"no server web9; they have web1\."):
        windows_from_looks(looks, ["web9"], [])
    with pytest.raises(FleetError, match="web1 cannot be the canary and its baseline"):
        windows_from_looks(looks, ["web1"], ["web1", "web2"])


def test_looks_are_left_as_they_were():
    looks = [look(0, server("web1", 1)), look(5, server("web1", 2))]
    kept = copy.deepcopy(looks)
    windows_from_looks(looks, ["web1"], [])
    assert looks == kept


# --- another process of the balancer --------------------------------------------------------------


def of_process(one, pid, uptime=None, served=None):
    one["balancers"][-1]["node"] = {"name": "n", "pid": pid, "uptime": uptime, "requests": served}
    return one


def test_counters_that_were_taken_over_are_no_window_of_the_whole_history():
    """HAProxy 3.0 with stats-file: another process, and nobody began at 0."""
    past = look(0, server("web1", 90_000, 900, 89_100), server("web2", 90_000, 0, 90_000))
    after = look(5, server("web1", 90_030, 901, 89_129), server("web2", 90_030, 0, 90_030))
    looks = [of_process(past, 1, 9000, 180_000), of_process(after, 2, 4, 60)]
    (found,) = windows_from_looks(looks, ["web1"], ["web2"])
    assert (found.canary.requests, found.canary.errors) == (30, 1)
    assert (found.baseline.requests, found.baseline.errors) == (30, 0)


def test_where_it_cannot_be_told_nothing_is_taken_for_evidence():
    """5 errors before, 5 now: none, or five; of another balancer beside it what is sure counts."""

    def at(when, pid, one, two):
        told = of_process(look(when, server("web1", *one), server("web2", *one)), pid)
        more = look(when, server("web1", *two), server("web2", *two), item="lb2")
        told["balancers"] += more["balancers"]
        return told

    looks = [at(0, 1, (20, 5, 15), (10, 0, 10)), at(5, 2, (25, 5, 20), (40, 2, 38))]
    (found,) = windows_from_looks(looks, ["web1"], ["web2"])
    assert (found.canary.requests, found.canary.errors) == (30, 2)
    alone = [{**one, "balancers": one["balancers"][:1]} for one in looks]
    (found,) = windows_from_looks(alone, ["web1"], ["web2"])
    assert (found.canary.requests, found.canary.errors) == (0, None)


def test_a_balancer_that_was_not_seen_before_brings_no_window_of_its_history():
    before = look(0, server("web1", 10), server("web2", 10))
    after = look(5, server("web1", 20), server("web2", 20))
    after["balancers"] += look(5, server("web1", 9000), server("web2", 9), item="lb2")["balancers"]
    (found,) = windows_from_looks([before, after], ["web1"], ["web2"])
    assert (found.canary.requests, found.baseline.requests) == (10, 10)


def test_hours_are_counted_by_the_balancer_and_not_by_the_clocks_of_two_controllers():
    looks = [of_process(look(at, server("web1", 5)), 1, age) for at, age in ((9000, 50), (0, 7250))]
    assert windows_from_looks(looks, ["web1"], [])[0].seconds == 7200
