# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How often the gate of the soak is wrong, and how often it sees: the whole of it, simulated.

    python tests/bench/gate/simulate.py                   prints the tables in Markdown
    GATE_RUNS=0.1 python tests/bench/gate/simulate.py     a tenth of the runs
    GATE_ONLY=burst python tests/bench/gate/simulate.py   the rows whose name has this in it

Each look is what the modules would say (health, processes, log, balancers), and is given to the
function that the playbook calls (`_gate/soak.py`) with its defaults: a minute of soak, five at
most, a look each 5 s. A rollout takes all servers through two stages, one after the other: the
first are compared with the servers beside them, the last with their past and those that passed.
Left out is the budget of errors (`rollout_error_budget`), which stops a run whichever server ails.

"Fixed zero" is what was there before: the same looks, and one 5xx, connection error or dead worker
within the minute is a failure. In brackets: exact 95 % limits (Clopper and Pearson 1934).
"""

from __future__ import annotations

import math
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT)]

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.catalogue import (
    default_tolerances,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.verdict import (
    Seen,
    decide,
    tolerances,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate import soak as _soak
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.tolerance import (
    limits,
    relative_events,
)

from tests.bench.canary.simulate import told

SHARE = float(os.environ.get("GATE_RUNS", "1"))
ONLY = os.environ.get("GATE_ONLY", "")
SEED = 20261128
INTERVAL, SOAK, MOST, STAGES = 5.0, 12, 60, 2
# Boot, proof and coming UP, before the soak begins.
BOOT = 8.0
HISTORY = 24.0
AUTO = {"http_5xx": "auto", "connection_errors": "auto"}
# Rows that have more false alarms than there may be.
BEYOND: list[str] = []
EVENTS = relative_events({})
TOLERANCES = tolerances(default_tolerances(()), limits({}))


class World(NamedTuple):
    """What a healthy fleet of this kind does.

    ``rps``: requests a second to each server. ``errors``, ``broken``: shares of them. ``deaths``:
    workers an hour and server. ``burst``: errors that come at once; ``herd``: workers that die at
    once. ``outage``: share of gates with 20 s in which 30 % of all answers of all servers are
    5xx, and two workers of each time out. ``slow``: how much slower the one server is by nature.
    ``silent``: what ran before, and runs beside it, logs no death (gunicorn 20.0).
    ``wander``: by how much the rate of errors of all servers moves over the day (sd of its log).
    """

    rps: float = 10.0
    errors: float = 0.0
    broken: float = 0.0
    deaths: float = 0.0
    burst: int = 1
    herd: int = 1
    outage: float = 0.0
    slow: float = 1.0
    silent: bool = False
    wander: float = 0.0


class Bad(NamedTuple):
    """What the new release does beyond that: shares and rates in all, not on top; None: as before.

    ``dead``: seconds after its start at which it dies. ``reentrant``: when its log has one.
    """

    errors: float | None = None
    deaths: float | None = None
    dead: float | None = None
    hollow: float | None = None
    reentrant: float | None = None


def poisson(dice: random.Random, mean: float) -> int:
    """Exact, in pieces that do not underflow."""
    found = 0
    while mean > 0:
        limit, product = math.exp(-min(mean, 30.0)), dice.random()
        while product > limit:
            found += 1
            product *= dice.random()
        mean -= 30.0
    return found


def about(dice: random.Random, mean: float) -> int:
    """How many requests came: nothing hangs on its tails."""
    return max(0, round(dice.gauss(mean, math.sqrt(mean)))) if mean > 50 else poisson(dice, mean)


def log_verdict(counts: Counter[str]) -> dict[str, Any]:
    """What log_check says of so many incidents, with the tolerances that the gate gives it."""
    seen = Seen(dict(counts), {}, dict.fromkeys(counts, "now"), [], [], [], True)
    return decide(seen, TOLERANCES)._asdict()


class Fleet:
    """Servers behind one balancer; ``web1`` is the one whose gate it is."""

    def __init__(self, dice: random.Random, world: World, others: int, bad: Bad) -> None:
        self.dice, self.world, self.bad, self.others = dice, world, bad, others
        self.names = [f"web{n}" for n in range(1, others + 2)]
        self.at = 0.0
        self.gunicorn = "20.0.4" if world.silent else "21.2.0"
        self.rate = world.errors * math.exp(dice.gauss(0, world.wander) if world.wander else 0)
        self.outage = dice.uniform(0, SOAK * INTERVAL) if dice.random() < world.outage else None
        self.log: Counter[str] = Counter()
        self.log_beside: Counter[str] = Counter()
        self.log_past: dict[str, Any] | None = None
        self.old_gate_fails = False
        self.rows = {
            name: {"stot": 0, "hrsp_5xx": 0, "econ": 0, "hrsp_2xx": 0} for name in self.names
        }
        # Since the balancers began, hours ago; and since the run began, some minutes.
        self._count(self.names, 6 * 3600, self.world.errors)
        self.then = self.results()
        self._count(self.names, 180, self.rate)
        self.past = _soak.past_of(self.then, self.results(), "web1")

    def _count(self, names: list[str], seconds: float, rate: float) -> None:
        """Plain traffic of a time that nobody watched."""
        for name in names:
            requests = about(self.dice, self.world.rps * seconds)
            errors = self._errors(requests * rate)
            self._add(name, requests, errors, poisson(self.dice, requests * self.world.broken))

    def _errors(self, mean: float) -> int:
        size = self.world.burst
        if mean > 500:
            # A long past: the mean of it is what matters.
            return size * round(self.dice.gauss(mean / size, math.sqrt(mean / size)))
        return size * poisson(self.dice, mean / size)

    def _add(self, name: str, requests: int, errors: int, broken: int) -> None:
        row = self.rows[name]
        errors = min(errors, requests)
        row["stot"] += requests
        row["hrsp_5xx"] += errors
        row["hrsp_2xx"] += requests - errors
        row["econ"] += broken

    def results(self) -> list[dict[str, Any]]:
        rows = [
            {"backend": "app", "server": name, "status": "UP", "counters": dict(row)}
            for name, row in self.rows.items()
        ]
        if self.world.slow != 1.0:
            for row in rows:
                mean = 50 * (self.world.slow if row["server"] == "web1" else 1.0)
                row["counters"]["ttime"] = round(mean * math.exp(self.dice.gauss(0, 0.05)))
        node = {"name": "lb1", "pid": 1, "uptime": 9e4 + self.at, "requests": 10**12}
        return [{"item": "lb1", "node": node, "servers": rows[:1], "backends": [{"servers": rows}]}]

    def pass_time(self) -> None:
        """One interval: traffic, errors, deaths on every server."""
        world, dice = self.world, self.dice
        age = BOOT + self.at + INTERVAL
        for name in self.names:
            mine = name == "web1"
            requests = about(dice, world.rps * INTERVAL)
            rate = self.bad.errors if mine and self.bad.errors is not None else self.rate
            if self.outage is not None and self.outage <= self.at < self.outage + 20:
                rate = max(rate, 0.3)
            hollow = mine and self.bad.hollow is not None and age > self.bad.hollow
            errors = requests if hollow else self._errors(requests * rate)
            self._add(name, requests, errors, poisson(dice, requests * world.broken))
        self.log["worker_killed"] += self._deaths(INTERVAL, self.bad.deaths)
        self.log_beside["worker_killed"] += self._deaths(INTERVAL * self.others, None)
        if self.outage is not None and self.outage <= self.at < self.outage + 20:
            self.log["worker_timeout"] += poisson(dice, 0.5)
            self.log_beside["worker_timeout"] += poisson(dice, 0.5 * self.others)
        if self.bad.reentrant is not None and age > self.bad.reentrant:
            self.log["reentrant"] = 1
        self.at += INTERVAL

    def _deaths(self, seconds: float, rate: float | None) -> int:
        rate = self.world.deaths if rate is None else rate
        return self.world.herd * poisson(self.dice, rate / self.world.herd * seconds / 3600)

    def seen(self) -> dict[str, Any]:
        """One look, as the playbook hands it over."""
        dead = self.bad.dead is not None and BOOT + self.at > self.bad.dead
        odd = _soak.odd_events({"counts": self.log}, EVENTS)
        if odd and self.log_past is None:
            counts = {"worker_killed": self._deaths(HISTORY * 3600, None)}
            # What is silent of them has none to tell.
            told = {} if self.world.silent else counts
            self.log_past = {"since": 0.0, "until": HISTORY * 3600, "counts": told}
        # A worker that died is replaced within a second, and a look may fall into it.
        deaths = self.world.deaths if self.bad.deaths is None else self.bad.deaths
        missing = self.dice.random() < min(0.9, deaths / 3600)
        return {
            "generation": {"pid": 100, "start_ticks": 5},
            "health": {"msg": "connection refused", "answers": 0} if dead else {"answers": 1},
            "process": {
                "program": {"state": "RUNNING"},
                "arbiter": None if dead else {"pid": 100, "start_ticks": 5, "workers_wanted": 4},
                "workers": [] if dead else [{"pid": n} for n in range(4 - missing)],
                "orphans": [],
                "unmanaged": [],
            },
            "log": {
                **log_verdict(self.log),
                "tells": "start",
                "incidents": [],
                "counts": dict(self.log),
                "at": 1000.0 + BOOT + self.at,
            },
            "balancers": self.results(),
            "log_past": self.log_past if odd else {},
            "log_beside": self._logs_beside() if odd else [],
        }

    def _logs_beside(self) -> list[dict[str, Any]]:
        if not self.others:
            return []
        asked = min(4, self.others)
        thinned = {
            name: sum(self.dice.random() < asked / self.others for _each in range(count))
            for name, count in self.log_beside.items()
        }
        item = {"gunicorn": self.gunicorn}
        if self.world.silent:
            thinned.pop("worker_killed", None)
        first = {"counts": thinned, "item": item}
        return [first, *({"counts": {}, "item": item} for _each in range(asked - 1))]


class Ended(NamedTuple):
    verdict: str
    looks: int
    fixed_zero: bool


def gate(dice: random.Random, world: World, size: int, place: int, bad: Bad) -> Ended:
    """The gate of the server at ``place`` of the stage, from 0."""
    fleet = Fleet(dice, world, size - 1, bad)
    others = fleet.names[1:]
    # Those before it have passed, those behind it have not.
    passed, beside = others[:place], others[place:]
    if beside:
        # What passed has no say.
        fleet.names = ["web1", *beside]
        fleet.others = len(beside)
    given = {
        "server": "web1",
        "soak": SOAK,
        "most": MOST,
        "gates": size * STAGES,
        "beside": beside,
        "passed": passed,
        "events": EVENTS,
        "started": 1000.0,
        "tolerance": AUTO,
        "past": fleet.past,
        "before": {"gunicorn": fleet.gunicorn, "started": -1e9},
    }
    begun = dict(fleet.rows["web1"])
    state = _soak.begin(fleet.results(), fleet.at, given)
    zero = False
    for number in range(1, MOST + 1):
        fleet.pass_time()
        state = _soak.look(state, fleet.seen(), number, fleet.at)
        if number <= SOAK:
            row = fleet.rows["web1"]
            risen = sum(row[name] - begun[name] for name in ("hrsp_5xx", "econ"))
            zero = zero or risen > 0 or any(fleet.log.values()) or state["verdict"] == "fail"
        if state["done"] or state["verdict"] == "fail":
            break
    return Ended(state["verdict"], number, zero)


class Row(NamedTuple):
    text: str
    world: World
    size: int = 2
    rollouts: int = 150
    bad: Bad = Bad()
    wanted: str = "<= 1 %"


def alike(row: Row, number: int) -> str:
    """Rollouts of a release that is as good as the one before."""
    dice = random.Random(SEED + number)
    runs = max(5, int(row.rollouts * SHARE))
    gates, failed, stopped = [], 0, 0
    for _each in range(runs):
        ended = [
            gate(dice, row.world, row.size, place, row.bad)
            for _stage in range(STAGES)
            for place in range(row.size)
        ]
        gates += ended
        failed += any(each.verdict == "fail" for each in ended)
        stopped += any(each.fixed_zero for each in ended)
    count = len(gates)
    taken_back = sum(each.verdict == "fail" for each in gates)
    if taken_back > 0.01 * count or failed > 0.05 * runs:
        BEYOND.append(row.text)
    cells = [
        row.text,
        str(count),
        f"**{told(taken_back, count)}**",
        f"{100 * sum(each.verdict not in ('pass', 'fail') for each in gates) / count:.2f} %",
        f"{100 * sum(each.looks > SOAK for each in gates) / count:.1f} %",
        f"**{told(failed, runs)}**",
        f"{100 * sum(each.fixed_zero for each in gates) / count:.1f} %",
        f"{100 * stopped / runs:.1f} %",
    ]
    return "| " + " | ".join(cells) + " |"


def power(row: Row, number: int) -> str:
    """Gates of a release that is worse, of the first server and of the last."""
    dice = random.Random(SEED + 1000 + number)
    runs = max(5, int(row.rollouts * SHARE))
    cells = [row.text, str(runs), row.wanted]
    for place in (0, row.size - 1):
        ended = [gate(dice, row.world, row.size, place, row.bad) for _each in range(runs)]
        found = [each for each in ended if each.verdict == "fail"]
        in_time = sum(each.looks <= SOAK for each in found)
        looks = sorted(each.looks for each in found)
        median = f"{looks[len(looks) // 2] * INTERVAL:.0f} s" if looks else ""
        stopped = sum(each.verdict not in ("pass", "fail") for each in ended)
        cells += [f"{100 * in_time / runs:.0f} %", f"**{100 * len(found) / runs:.0f} %**", median]
        cells.append(f"{100 * stopped / runs:.0f} %")
    return "| " + " | ".join(cells) + " |"


ALIKE = [
    *(
        Row(
            f"{100 * rate:g} % 5xx, {rps:g}/s, {size} server{'s' * (size > 1)}",
            World(rps, rate),
            size,
            rollouts,
        )
        for rate, rps, size, rollouts in (
            (0.0, 10, 2, 300),
            (0.001, 10, 2, 300),
            (0.01, 1, 2, 300),
            (0.01, 10, 2, 300),
            (0.01, 50, 4, 200),
            (0.01, 10, 10, 80),
            (0.05, 10, 2, 300),
            (0.05, 500, 2, 300),
            (0.001, 500, 10, 80),
            (0.01, 10, 1, 600),
        )
    ),
    Row("1 worker death/h, 2 servers", World(deaths=1), 2, 300),
    Row("20 worker deaths/h, 2 servers", World(deaths=20), 2, 300),
    Row(
        "20 worker deaths/h, 1 % 5xx, 0.2 % broken, 10 servers", World(10, 0.01, 0.002, 20), 10, 80
    ),
    Row(
        "20 worker deaths/h, what ran before logs none, 2 servers",
        World(deaths=20, silent=True),
        2,
        300,
    ),
    Row("20 worker deaths/h, 4 at once, 2 servers", World(deaths=20, herd=4), 2, 300),
    Row("1 % broken connections (recycled workers), 2 servers", World(10, 0, 0.01), 2, 300),
    Row("burst: 0.5 % 5xx, 5 at once, 50/s, 2 servers", World(50, 0.005, burst=5), 2, 300),
    Row("burst: 0.5 % 5xx, 20 at once, 50/s, 2 servers", World(50, 0.005, burst=20), 2, 300),
    Row("outage of all in each gate, 2 servers", World(10, 0.001, outage=1.0), 2, 300),
    Row("outage of all in each gate, 10 servers", World(10, 0.001, outage=1.0), 10, 80),
    Row("one server 10 % slower by nature, 1 %, 2 servers", World(50, 0.01, slow=1.1), 2, 300),
    Row("1 % that wanders by 15 % over the day, 2 servers", World(50, 0.01, wander=0.15), 2, 300),
]
WORSE = [
    Row("5xx 0 -> 2 %", World(10, 0.0), 2, 200, Bad(errors=0.02), ""),
    Row("5xx 1 -> 3 %", World(10, 0.01), 2, 200, Bad(errors=0.03), ""),
    Row("5xx 1 -> 3 %, 50/s", World(50, 0.01), 2, 100, Bad(errors=0.03), ""),
    Row("5xx 5 -> 10 %", World(10, 0.05), 2, 200, Bad(errors=0.10), ""),
    Row("5xx 1 -> 10 %", World(10, 0.01), 2, 200, Bad(errors=0.10), ""),
    Row("5xx 1 -> 3 %, 4 servers", World(10, 0.01), 4, 200, Bad(errors=0.03), ""),
    Row("dead after a minute", World(10, 0.01), 2, 40, Bad(dead=60.0), "100 %"),
    Row("only 5xx after a minute, healthy", World(10, 0.01), 2, 40, Bad(hollow=60.0), "100 %"),
    Row("a storm: 60 % 5xx from the start", World(10, 0.01), 2, 40, Bad(errors=0.6), "100 %"),
    Row("0 -> 1 reentrant", World(10, 0.01, deaths=20), 2, 40, Bad(reentrant=30.0), "100 %"),
    Row("worker deaths 1 -> 120/h", World(10, deaths=1), 2, 100, Bad(deaths=120), ""),
    Row("worker deaths 20 -> 600/h", World(10, deaths=20), 2, 100, Bad(deaths=600), ""),
]


def main() -> None:
    started = time.process_time()

    def report(rows: list[Row], make: Any) -> None:
        for number, row in enumerate(rows):
            if ONLY in row.text:
                print(make(row, number), flush=True)
                print(f"{time.process_time() - started:.0f} s", file=sys.stderr)

    print(
        "| as good as before | gates | taken back (wanted <= 1 %) | stopped | looked on beyond 60 s"
        " | rollouts of 2 stages (wanted <= 5 %) | fixed zero: gates | rollouts |"
    )
    print("|---|---|---|---|---|---|---|---|")
    report(ALIKE, alike)
    print(
        "\n| worse | gates | wanted | first server: taken back in 60 s | in 300 s | median"
        " | stopped | last server: in 60 s | in 300 s | median | stopped |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    report(WORSE, power)
    print(f"\nSeed {SEED}; {time.process_time() - started:.0f} s of one core.")
    if BEYOND:
        sys.exit(f"more false alarms than 1 % a gate or 5 % a rollout: {'; '.join(BEYOND)}")


if __name__ == "__main__":
    main()
