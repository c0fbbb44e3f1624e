# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How often the canary's judge is wrong, and how often it sees: a seeded simulation.

    python tests/bench/canary/simulate.py            prints a table in Markdown
    CANARY_RUNS=0.1 python tests/bench/canary/...    a tenth of the runs

This is the judge alone, with twelve looks in a minute, a window before each, and all measures that
the scenario has; the whole gate is in ../gate. A bake has one window. The one
short cut: an early look is left out where the sums alone show that no p-value can reach its
threshold. In brackets: exact 95 % limits of the rate (Clopper and Pearson 1934).
"""

from __future__ import annotations

import math
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / ".collections"), str(ROOT)]

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary import judge as _canary
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.balancer import (
    MEMORY,
    fresh_average,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.duration import (
    Traffic,
    bake_seconds,
    power_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.exact_tests import (
    binomial_tail,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.model import (
    RULES,
    Arm,
    Settings,
    Window,
)

from tests.bench.canary.mann_whitney import fails as mann_whitney_fails

SHARE = float(os.environ.get("CANARY_RUNS", "1"))
SEED = 20261123
WINDOWS = LOOKS = 12


def soak_settings(look: int, looks: int, gates: int) -> Settings:
    """All gates share what one may be wrong; the whole gate of a soak is in tests/bench/gate."""
    alarm = Settings().false_alarm
    return Settings(look=look, looks=looks, gates=gates, false_alarm_rollout=alarm)


GATE = soak_settings(LOOKS, LOOKS, 1)
BAKE = Settings()
COUNTS = ("errors", "connection_errors", "incidents")
Gate = list[Window]


# --- what the world does -----------------------------------------------------------------------


def errors(dice: random.Random, requests: int, rate: float) -> list[int]:
    """Independent errors per window: skip from one to the next."""
    found = [0] * WINDOWS
    if rate <= 0:
        return found
    place, step = -1, math.log1p(-rate)
    while True:
        place += 1 + int(math.log(1.0 - dice.random()) / step)
        if place >= requests * WINDOWS:
            return found
        found[place // requests] += 1


def bursts(dice: random.Random, requests: int, rate: float, together: float) -> list[int]:
    """Beta-binomial windows: ``together`` is the correlation of two requests of a window."""
    a, b = rate * (1 - together) / together, (1 - rate) * (1 - together) / together
    found = []
    for _each in range(WINDOWS):
        bad = dice.betavariate(a, b)
        found.append(sum(dice.random() < bad for _each in range(requests)) if bad > 1e-9 else 0)
    return found


def together(dice: random.Random, size: int, often: float) -> list[int]:
    """Errors that come ``size`` at once: on average ``often`` times in a gate."""
    found = [0] * WINDOWS
    clock = dice.expovariate(often / WINDOWS)
    while clock < WINDOWS:
        found[int(clock)] += size
        clock += dice.expovariate(often / WINDOWS)
    return found


def one_window(make: Callable[..., Gate]) -> Callable[..., Gate]:
    """The same, known by its sums only: a bake between two looks."""

    def merge(dice: random.Random) -> Gate:
        arms = []
        gate = make(dice)
        for side in ("canary", "baseline"):
            parts = [getattr(window, side) for window in gate]
            sums = [
                sum(each) for each in zip(*((p.requests, p.errors) for p in parts), strict=True)
            ]
            arms.append(Arm(*sums))
        return [Window(sum(window.seconds for window in gate), *arms)]

    return merge


def outages(dice: random.Random, requests: int, bad: float, often: float) -> list[int]:
    """Now and then a server is bad for two windows: on average ``often`` times in a gate."""
    found = [0] * WINDOWS
    clock = dice.expovariate(often / WINDOWS)
    while clock < WINDOWS:
        for place in range(int(clock), min(WINDOWS, int(clock) + 2)):
            found[place] += sum(dice.random() < bad for _each in range(requests))
        clock += dice.expovariate(often / WINDOWS)
    return found


def plain(requests: int, good: float, bad: float, servers: int = 1) -> Callable[..., Gate]:
    """The canary at rate ``bad``, ``servers`` others at ``good``; nothing else goes wrong."""

    def make(dice: random.Random) -> Gate:
        a = errors(dice, requests, bad)
        b = errors(dice, requests * servers, good)
        return [
            Window(5, Arm(requests, x, 0, 0, 5), Arm(requests * servers, y, 0, 0, 5 * servers))
            for x, y in zip(a, b, strict=True)
        ]

    return make


def all_measures(requests: int, rate: float, servers: int = 1) -> Callable[..., Gate]:
    """Errors, connection errors (half as many) and incidents (6 per server in a gate), A/A."""

    def make(dice: random.Random) -> Gate:
        one, many = requests, requests * servers
        kinds = [
            (errors(dice, one, share * rate), errors(dice, many, share * rate))
            for share in (1, 0.5)
        ]
        kinds.append((errors(dice, 1000, 0.0005), errors(dice, 1000 * servers, 0.0005)))
        (a, b), (c, d), (e, f) = kinds
        return [
            Window(5, Arm(one, a[i], c[i], e[i], 5), Arm(many, b[i], d[i], f[i], 5 * servers))
            for i in range(WINDOWS)
        ]

    return make


def both(requests: int, make_arm: Callable[[random.Random, int], list[int]]) -> Callable[..., Gate]:
    """A/A where each arm's errors come from ``make_arm``."""

    def make(dice: random.Random) -> Gate:
        a, b = make_arm(dice, requests), make_arm(dice, requests)
        return [Window(5, Arm(requests, x), Arm(requests, y)) for x, y in zip(a, b, strict=True)]

    return make


def ramp(dice: random.Random) -> Gate:
    """A/A while the canary's weight climbs from 10 to 90 % and the rate of both from 0.1 to 2 %."""
    gate = []
    for i in range(WINDOWS):
        done = i / (WINDOWS - 1)
        n = int(1000 * (0.1 + 0.8 * done))
        rate = 0.001 + 0.019 * done
        x = sum(dice.random() < rate for _each in range(n))
        y = sum(dice.random() < rate for _each in range(1000 - n))
        gate.append(Window(5, Arm(n, x), Arm(1000 - n, y)))
    return gate


class Haproxy:
    """HAProxy's moving average of one server, rounded as it rounds."""

    def __init__(self) -> None:
        self.total, self.count = 0, 0

    def add(self, value: int) -> None:
        self.count += 1
        if self.count > MEMORY:
            self.total -= (self.total + MEMORY - 1) // MEMORY
        self.total += value

    def reading(self) -> int:
        window = max(1, min(self.count, MEMORY))
        return (self.total + window - 1) // window


def slow(requests: int, ratio: float, wander: float) -> Callable[..., Gate]:
    """Log-normal times of mean 50 ms (sd 65 ms), seen through HAProxy's average.

    Both servers share a load that moves slowly by 20 %; each wanders on its own by ``wander``
    (AR(1), 0.8 from window to window), as servers do. The canary is slower by ``ratio``.
    """

    def make(dice: random.Random) -> Gate:
        sides = [Haproxy(), Haproxy()]
        for side, factor in zip(sides, (ratio, 1.0), strict=True):
            for _each in range(MEMORY):
                side.add(int(50 * factor * dice.lognormvariate(-0.5, 1)))
        load, own = 0.0, [dice.gauss(0, wander), dice.gauss(0, wander)]
        gate = []
        for _each in range(WINDOWS):
            load = 0.9 * load + dice.gauss(0, 0.2 * math.sqrt(1 - 0.81))
            arms = []
            for i, side in enumerate(sides):
                own[i] = 0.8 * own[i] + dice.gauss(0, wander * 0.6)
                mean = 50 * (ratio if i == 0 else 1) * math.exp(load + own[i] - 0.5)
                old, count = side.reading(), side.count
                for _each in range(requests):
                    side.add(int(mean * math.exp(dice.gauss(0, 1))))
                fresh = fresh_average(old, count, side.reading(), side.count)
                arms.append(Arm(requests, 0, time_ms=fresh))
            gate.append(Window(5, *arms))
        return gate

    return make


# --- what the judges say -----------------------------------------------------------------------


def soak(windows: Gate, settings: Settings) -> str:
    """All looks of one gate: the first failure ends it."""
    for look in range(1, settings.looks):
        now = settings._replace(look=look)
        seen = windows[:look]
        if _could_fail(seen, now):
            found = _canary.judge(seen, now)
            if found.verdict == "fail":
                return "fail"
    return _canary.judge(windows, settings._replace(look=settings.looks)).verdict


def _could_fail(seen: Gate, settings: Settings) -> bool:
    """Where the share never changes the judge's p-values follow from the sums: a short cut."""
    if "times" in settings.rules and settings.look >= 12:
        return True
    n = [window.canary.requests for window in seen]
    m = [window.baseline.requests for window in seen]
    if n != n[:1] * len(n) or m != m[:1] * len(m):
        return True
    for name in COUNTS:
        if name not in settings.rules:
            continue
        x = sum(getattr(window.canary, name) or 0 for window in seen)
        y = sum(getattr(window.baseline, name) or 0 for window in seen)
        if binomial_tail(x, x + y, n[0] / (n[0] + m[0])) <= settings.threshold(
            settings.rules[name]
        ):
            return True
    return False


def pooled_fails(windows: Gate, settings: Settings) -> bool:
    """The naive exact test on the sums, blind to windows and bursts."""
    found = _canary.samples(windows, "errors")
    x, n = sum(e.canary for e in found), sum(e.canary_exposure for e in found)
    y, m = sum(e.baseline for e in found), sum(e.baseline_exposure for e in found)
    return binomial_tail(x, x + y, n / (n + m)) <= settings.alpha


def kayenta_like(windows: Gate) -> bool:
    """Errors per 60 requests: their points are counts per minute."""
    found = _canary.samples(windows, "errors")
    return mann_whitney_fails(
        [60 * each.canary / each.canary_exposure for each in found],
        [60 * each.baseline / each.baseline_exposure for each in found],
    )


class Row(NamedTuple):
    text: str
    runs: int
    make: Callable[..., Gate]
    wanted: str
    settings: Settings = GATE
    exact: float | None = None
    points: bool = True


def limits(hits: int, runs: int) -> tuple[float, float]:
    def root(rises: Callable[[float], float]) -> float:
        low, high = 0.0, 1.0
        for _each in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if rises(middle) < 0.025 else (low, middle)
        return high

    lower = root(lambda p: binomial_tail(hits, runs, p)) if hits else 0.0
    upper = 1 - root(lambda q: binomial_tail(runs - hits, runs, q)) if hits < runs else 1.0
    return lower, upper


def told(hits: int, runs: int) -> str:
    low, high = limits(hits, runs)
    return f"{100 * hits / runs:.2f} % [{100 * low:.2f}, {100 * high:.2f}]"


def run(row: Row, number: int) -> str:
    dice = random.Random(SEED + number)
    runs = max(20, int(row.runs * SHARE))
    compared = min(runs, 1000)
    verdicts: Counter[str] = Counter()
    naive = other = 0
    for i in range(runs):
        gate = row.make(dice)
        verdicts[soak(gate, row.settings)] += 1
        naive += row.points and pooled_fails(gate, row.settings)
        if row.points and len(gate) > 1 and i < compared:
            other += kayenta_like(gate)
    cells = [row.text, str(runs), row.wanted, f"**{told(verdicts['fail'], runs)}**"]
    cells += [f"{100 * verdicts[verdict] / runs:.1f} %" for verdict in ("pass", "inconclusive")]
    cells.append(f"{100 * row.exact:.2f} %" if row.exact is not None else "")
    cells.append(f"{100 * naive / runs:.2f} %" if row.points else "")
    cells.append(f"{100 * other / compared:.1f} %" if row.points and row.settings.looks > 1 else "")
    return "| " + " | ".join(cells) + " |"


def exact(requests: int, good: float, bad: float) -> float:
    rule = RULES["errors"]
    n = float(requests * WINDOWS)
    return power_of(n, n, good, bad - good, GATE.threshold(rule), rule.tolerance)


def rollout(hosts: int, rate: float, steps: int, runs: int, number: int) -> str:
    """Two stages over ``hosts``: the first of each is compared, at each step of its ramp."""
    dice = random.Random(SEED + number)
    runs = max(20, int(runs * SHARE))
    settings = soak_settings(LOOKS, LOOKS, steps)
    failed = worst = 0
    for _each in range(runs):
        fails = sum(
            soak(all_measures(250, rate, hosts - 1)(dice), settings) == "fail"
            for _gate in range(2 * steps)
        )
        failed += fails > 0
        worst += fails
    ramp_words = f"ramp of {steps} steps" if steps > 1 else "no ramp"
    return (
        f"| {hosts} hosts, {ramp_words}, {100 * rate:g} % | {runs} | <= 5 % |"
        f" **{told(failed, runs)}** | {told(worst, runs * 2 * steps)} |"
    )


def main() -> None:
    started = time.process_time()
    only_errors = GATE._replace(rules={"errors": RULES["errors"]})
    bake = BAKE._replace(rules={"errors": RULES["errors"]})
    loose = {"times": RULES["times"]._replace(required=True)}
    times = GATE._replace(rules=loose)
    a, seen = "A/A", "change"
    rows = [
        Row(
            f"{seen} 0 -> 0.5 %, 3,000 per arm",
            10000,
            plain(250, 0, 0.005),
            ">= 97 %",
            exact=exact(250, 0, 0.005),
        ),
        Row(
            f"{seen} 0.1 -> 0.5 %, 6,000",
            6000,
            plain(500, 0.001, 0.005),
            ">= 94 %",
            exact=exact(500, 0.001, 0.005),
        ),
        Row(
            f"{seen} 0.1 -> 1 %, 3,000",
            1000,
            plain(250, 0.001, 0.01),
            "",
            exact=exact(250, 0.001, 0.01),
        ),
        Row(
            f"{seen} 5 -> 10 %, 1,200",
            1000,
            plain(100, 0.05, 0.10),
            "",
            exact=exact(100, 0.05, 0.10),
        ),
        Row(
            f"{seen} 0.1 -> 0.6 %, 3,000",
            3000,
            plain(250, 0.001, 0.006),
            "passes <= 5 %",
            exact=exact(250, 0.001, 0.006),
        ),
        Row(
            f"{seen} 0 -> 0.5 %, 744",
            3000,
            plain(62, 0, 0.005),
            "passes <= 5 %",
            exact=exact(62, 0, 0.005),
        ),
        Row(f"{a} 0 %, 3,000", 200, all_measures(250, 0), "<= 1 %"),
        Row(f"{a} 0.1 %, 3,000", 6000, all_measures(250, 0.001), "<= 1 %"),
        Row(f"{a} 1 %, 3,000", 6000, all_measures(250, 0.01), "<= 1 %"),
        Row(f"{a} 5 %, 3,000", 3000, all_measures(250, 0.05), "<= 1 %"),
        Row(f"{a} 1 %, 3,000, 9 in the baseline", 2000, all_measures(250, 0.01, 9), "<= 1 %"),
        Row(f"{a} weight 10 -> 90 % while rate 0.1 -> 2 %", 3000, ramp, "<= 1 %", only_errors),
        *(
            Row(
                f"{a} 0.5 %, 20,000, errors {size} at a time",
                4000,
                both(1667, lambda d, _n, size=size: together(d, size, 100 / size)),
                "<= 1 %" if size > 2 else "",
                only_errors,
            )
            for size in (2, 5, 20, 50)
        ),
        Row(
            f"{a} bursts, 0.1 %, correlation 0.02",
            3000,
            both(250, lambda d, n: bursts(d, n, 0.001, 0.02)),
            "",
            only_errors,
        ),
        Row(
            f"{a} bursts, 0.5 %, correlation 0.02",
            3000,
            both(250, lambda d, n: bursts(d, n, 0.005, 0.02)),
            "",
            only_errors,
        ),
        Row(
            f"{a} one outage of 2 windows at 20 % per arm",
            4000,
            both(250, lambda d, n: outages(d, n, 0.2, 1)),
            "",
            only_errors,
        ),
        Row(
            "times A/A, 6,000, each wanders 5 %",
            150,
            slow(500, 1.0, 0.05),
            "<= 1 %",
            times,
            points=False,
        ),
        Row(
            "times x1.15, 6,000, each wanders 10 %",
            150,
            slow(500, 1.15, 0.10),
            "<= 1 %",
            times,
            points=False,
        ),
        Row(
            "times x1.5, 6,000, each wanders 5 %",
            150,
            slow(500, 1.5, 0.05),
            "",
            times,
            points=False,
        ),
        *(
            Row(
                f"bake, {a} 0.5 %, 20,000, errors {size} at a time",
                4000,
                one_window(both(1667, lambda d, _n, size=size: together(d, size, 100 / size))),
                "<= 1 %",
                bake,
            )
            for size in (1, 5, 20, 50)
        ),
        Row(
            f"bake, {seen} 0.1 -> 1 %, 120,000",
            200,
            one_window(plain(10000, 0.001, 0.01)),
            "",
            bake,
        ),
    ]
    print(
        "| gate | runs | wanted | fails | passes | inconclusive | exact power | pooled exact"
        " test | Mann-Whitney judge |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for number, row in enumerate(rows):
        print(run(row, number), flush=True)
        print(f"{time.process_time() - started:.0f} s", file=sys.stderr)
    print("\n| rollout A/A, 2 stages | runs | wanted | rollouts with a false failure | gates |")
    print("|---|---|---|---|---|")
    for number, (hosts, rate, steps, runs) in enumerate(
        [(2, 0.001, 1, 1500), (2, 0.01, 1, 1500), (4, 0.01, 1, 600), (4, 0.01, 4, 300)]
    ):
        print(rollout(hosts, rate, steps, runs, 100 + number), flush=True)
        print(f"{time.process_time() - started:.0f} s", file=sys.stderr)
    print("\n| requests/s to each arm | healthy rate | change | seconds until it is seen (95 %) |")
    print("|---|---|---|---|")
    threshold = GATE.threshold(RULES["errors"])
    for speed in (5.0, 50.0, 500.0):
        for rate, change in ((0.0, 0.005), (0.001, 0.004), (0.001, 0.01), (0.01, 0.005)):
            seconds = bake_seconds(Traffic(speed, speed, rate), change, threshold, 0.95, 0.001)
            print(f"| {speed:g} | {100 * rate:g} % | + {100 * change:g} % | {seconds:.0f} |")
    print(f"\nSeed {SEED}; {time.process_time() - started:.0f} s of one core.")


if __name__ == "__main__":
    main()
