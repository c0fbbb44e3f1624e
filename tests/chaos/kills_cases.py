# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The controller dies: kill -9 at task boundaries, SIGINT and SIGTERM at the worst points."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.chaos.bed import EVERY, HAPROXY, MIDDLE, NEW, OLD, Bed
from tests.chaos.harness import Case, case, series
from tests.chaos.playbook import Run
from tests.chaos.wrong import Wrong

ALL = {"rollout_stages": None}


class Way(NamedTuple):
    """What the runs that are killed do, and who runs what at their end."""

    arguments: tuple[str, ...]
    inputs: dict[str, Any]
    web1: str
    web2: str

    def run(self, bed: Bed) -> Run:
        return bed.run("upgrade.yml", *self.arguments, **self.inputs)


# Both stages of both servers; and one stage of one, which has each boundary of a provider.
WAYS = dict.fromkeys(EVERY, Way(("-l", "web1"), {}, MIDDLE, OLD))
WAYS[HAPROXY] = Way((), ALL, NEW, NEW)


def note_boundaries(bed: Bed, way: Way) -> None:
    """The plays and tasks of a run that nobody kills; once."""
    if "boundaries" not in bed.memory:
        bed.start()
        run = way.run(bed)
        if run.wait():
            raise Wrong(f"the run without a kill failed: {run.end}")
        bed.memory["boundaries"] = [task.name for task in run.tasks]
        bed.rewind()


@case("kill", "nothing (a two-stage run, and once more)", on=EVERY)
def nothing(bed: Bed) -> None:
    bed.converges(**ALL)
    run = bed.run(**ALL)
    bed.ends(run, 0)
    bed.check("changed=0" in run.words, "a second run changes something")
    bed.check(not any("Drain on every" in task.name for task in run.tasks), "it drains again")
    bed.expect(web1=NEW, web2=NEW)


def kill_at(bed: Bed, share: float, way: Way) -> None:
    names = bed.memory["boundaries"]
    # Before it nothing of the fleet is changed.
    begin = next(i for i, name in enumerate(names) if "Ask every balancer whether" in name)
    number = begin + round(share * (len(names) - 1 - begin))
    run = way.run(bed)
    where = run.passes(number)
    run.kill()
    time.sleep(1)
    out = bed.out_of_rotation()
    bed.check(len(out) < 2, f"all out of rotation: {out}")
    bed.converges(*way.arguments, **way.inputs)
    bed.expect(web1=way.web1, web2=way.web2)
    bed.end_state += f"; killed at task {number} of {len(names)}: {where.split(' : ')[-1]}"


@series
def kills(points: int) -> Iterator[Case]:
    for kind, way in WAYS.items():
        for number in range(points):
            share = number / max(points - 1, 1)
            yield Case(
                "kill",
                f"-9 at {share:.1%} of the run",
                lambda bed, share=share, way=way: kill_at(bed, share, way),
                prepare=lambda bed, way=way: note_boundaries(bed, way),
                bed=kind,
            )


def interrupted(bed: Bed, number: int, task: str) -> None:
    run = bed.run()
    run.reaches(task)
    # Ansible loses a signal that comes while it forks; an operator presses Ctrl-C once more.
    for _again in range(5):
        run.signal(number)
        if run.ended_within(3):
            break
    bed.ends(run)
    bed.check(len(bed.out_of_rotation()) < 2, "all out of rotation")
    bed.converges()
    bed.expect(web1=MIDDLE, web2=MIDDLE)


POINTS = {
    "the build": "Build and try it",
    "the drain": "drained | Drain on every balancer",
    "the switch": "activate | Switch and prove",
    "what comes between switch and restore": "boot | Judge",
    "the soak": "soak_look | Look",
}


def forget_releases(bed: Bed) -> None:
    """So that there is something to build."""
    for name in ("web1", "web2"):
        bed.forget_releases(name)


def register(number: signal.Signals) -> None:
    for where, task in POINTS.items():
        prepare = forget_releases if where == "the build" else None
        case("interrupt", f"{number.name} during {where}", prepare=prepare, on=EVERY)(
            lambda bed, number=number, task=task: interrupted(bed, number, task)
        )


register(signal.SIGINT)
register(signal.SIGTERM)
