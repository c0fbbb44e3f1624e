# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cases of chaos: how one is written, how they are run, and the table they fill.

A file `*_cases.py` in this directory is all it takes. A case is a function of a Bed:

    from tests.chaos.bed import MIDDLE, OLD, Bed
    from tests.chaos.harness import case

    @case("servers", "web2 is killed while web1 soaks")
    def other_killed(bed: Bed) -> None:
        run = bed.run(gate_soak=10)            # ansible-playbook upgrade.yml, 20.0.1 -> 21.2.0
        run.reaches("soak_look | Look")        # hard: raises Wrong when it never comes
        bed.kill_host("web2")                  # by pid
        bed.ends(run, code=None, says="web2")  # soft: any exit code but 0, and these words
        bed.start_host("web2")
        bed.converges()                        # the same command again ends with 0
        bed.expect(web1=MIDDLE, web2=MIDDLE, broken=("web2",))

It gets a fresh fleet (both servers on 20.0.1, every release built, in rotation) under traffic that
never retries, and must end with `expect`: who runs what, who is out, nothing left behind (locks,
leases, half-built releases, temporary files, processes). Requests may be lost only through the
servers named in `broken` ("balancer": by HAProxy itself); they stand in a column of their own.
`bed.check(x, "otherwise")` and `bed.wrong.append(...)` note what else is wrong and go on;
`raise LeftOut("no sshd here")` leaves the case out. `@case(..., prepare=f)`: f(bed) may change the
files of the stopped fleet before it starts. `bed.at_the_end(f)`: take back what was done to the
machine. `bed.seen` watches the balancer, `bed.undrained("web2")` insists that it never was out.
`bed.memory` outlives a case. `@case(..., fast=True)`: also part of `make test`.
`@case(..., on=EVERY)`: the same on every kind of fleet; else on supervisord behind HAProxy alone.
"""

from __future__ import annotations

import importlib
import json
import re
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from demo.errors import DemoError
from tests.chaos.bed import HAPROXY, ROOT, Bed
from tests.chaos.wrong import LeftOut, Wrong

HERE = Path(__file__).resolve().parent
OUT = ROOT / ".cache" / "chaos"


class Case(NamedTuple):
    """One thing that goes wrong, and what must come of it."""

    group: str
    name: str
    function: Callable[[Bed], object]
    fast: bool = False
    prepare: Callable[[Bed], object] | None = None
    bed: str = HAPROXY

    def __str__(self) -> str:
        return f"{self.title}: {self.name}"

    @property
    def title(self) -> str:
        """The group, and the kind of fleet if it is not the usual one."""
        return self.group if self.bed == HAPROXY else f"{self.bed} {self.group}"


class Row(NamedTuple):
    """How a case ended. ``failed`` excludes ``lost``: what the broken server lost by itself."""

    group: str
    name: str
    end: str
    sent: int
    failed: int
    lost: int
    rollback: float | None
    seconds: float
    result: str
    wrong: list[str]


Function = Callable[[Bed], object]
_cases: list[Case] = []
_series: list[Callable[[int], Iterable[Case]]] = []


def case(
    group: str,
    name: str,
    fast: bool = False,
    prepare: Function | None = None,
    on: Iterable[str] = (HAPROXY,),
) -> Callable[[Function], Function]:
    """Register a function as a case on these kinds of fleet (tests/chaos/beds.py), on the usual
    one ``fast`` or not; several of these may stand above one function."""

    def register(function: Function) -> Function:
        for bed in on:
            quick = fast and bed == HAPROXY
            _cases.append(Case(group, name, function, quick, prepare, bed))
        return function

    return register


def series(make: Callable[[int], Iterable[Case]]) -> Callable[[int], Iterable[Case]]:
    """Register what makes as many cases as there are points."""
    _series.append(make)
    return make


def registry(points: int) -> list[Case]:
    """Every case of every `*_cases.py` here."""
    for path in sorted(HERE.glob("*_cases.py")):
        importlib.import_module(f"tests.chaos.{path.stem}")
    return [*_cases, *(each for make in _series for each in make(points))]


def play(bed: Bed, wanted: Case) -> Row:
    """Run one case on a fresh fleet."""
    began = time.monotonic()
    left_out = ""
    try:
        bed.restore(wanted.prepare)
        bed.begin()
        try:
            wanted.function(bed)
        except LeftOut as exc:
            left_out = str(exc)
            bed.expected = True
        except Wrong as exc:
            bed.wrong.append(str(exc))
            bed.expected = True
        bed.finish()
    except LeftOut as exc:
        left_out = str(exc)
    except (Wrong, DemoError, OSError, KeyError, ValueError) as exc:
        bed.wrong.append(f"{type(exc).__name__}: {exc} {traceback.format_exc(limit=-3)}")
    finally:
        bed.stop()
        keep(bed, wanted)
    result = "WRONG" if bed.wrong else f"left out: {left_out}" if left_out else "ok"
    return Row(
        wanted.title,
        wanted.name,
        bed.end_state,
        bed.sent,
        bed.failed - bed.lost,
        bed.lost,
        bed.rollback,
        time.monotonic() - began,
        result,
        bed.wrong,
    )


def left_out(wanted: Case, why: str) -> Row:
    """A case whose kind of fleet this machine cannot have."""
    return Row(wanted.title, wanted.name, "", 0, 0, 0, None, 0.0, f"left out: {why}", [])


def keep(bed: Bed, wanted: Case) -> None:
    """What the runs of a case said, for whoever wants to know why it went wrong."""
    place = OUT / "runs"
    place.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^a-z0-9]+", "-", str(wanted).lower())[:80].strip("-")
    for number, run in enumerate(bed.runs, 1):
        (place / f"{stem}-{number}.txt").write_text(run.text)


COLUMNS = (
    "case",
    "end state",
    "sent",
    "failed",
    "lost by the broken",
    "rollback",
    "took",
    "result",
)


def cells(row: Row) -> tuple[str, ...]:
    rollback = "" if row.rollback is None else f"{row.rollback:.1f} s"
    case_name = f"{row.group}: {row.name}"
    numbers = (str(row.sent), str(row.failed), str(row.lost or ""))
    return (case_name, row.end, *numbers, rollback, f"{row.seconds:.0f} s", row.result)


def markdown(rows: list[Row]) -> str:
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def summary(rows: list[Row]) -> str:
    bad = sum(row.result == "WRONG" for row in rows)
    out = sum(row.result.startswith("left out") for row in rows)
    sent, failed, lost = (
        sum(getattr(row, key) for row in rows) for key in ("sent", "failed", "lost")
    )
    return (
        f"{len(rows)} cases, {bad} wrong, {out} left out; {sent} requests sent, {failed} failed, "
        f"and {lost} lost by what a case broke"
    )


def write(rows: list[Row]) -> None:
    """The table so far, to be published and to be read by programs."""
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "table.md").write_text(f"{markdown(rows)}\n{summary(rows)}\n")
    data: list[dict[str, Any]] = [row._asdict() for row in rows]
    (OUT / "table.json").write_text(json.dumps(data, indent=2) + "\n")
