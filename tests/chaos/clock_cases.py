# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clock of a host jumps by an hour, for its service manager, its application and our modules.

libfaketime stands in for the clock: it is in the environment of web1's supervisord and around its
interpreter, and reads the offset from a file that the case writes. The monotonic clock goes on; so
libfaketime 0.9.10 breaks sleep() of Python 3.11 and later, which gets another one. It does not move
the times of files either, by which gunicorn up to 21.2.0 tells whether a worker lives: what was
touched before the jump is an hour old after it, what is touched later is not, as on a real host.

So a jump ahead makes these gunicorns kill every worker that was idle in that moment. The gate sees
that, and cannot know better than to take the release back.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.chaos.bed import MIDDLE, OLD, Bed
from tests.chaos.harness import case
from tests.chaos.playbook import PATIENCE
from tests.chaos.wrong import LeftOut

PLACES = (
    "/usr/lib/*/faketime",
    "/usr/lib64/faketime",
    "/usr/lib/faketime",
    "/usr/local/lib/faketime",
)
INVENTORY = "all: {{hosts: {{web1: {{ansible_python_interpreter: {place}/python}}}}}}\n"
CUSTOM = """\
import os, select, time
time.sleep = lambda seconds: select.select([], [], [], seconds) and None
plain = os.fstat


def fstat(fd):
    found = plain(fd)
    with open({offset!r}) as file:
        jumped, ahead = plain(file.fileno()).st_mtime, float(file.read())
    values = {{name: getattr(found, name) for name in dir(found) if name.startswith("st_")}}
    if found.st_ctime >= jumped:
        values["st_ctime"] += ahead
    return os.stat_result(tuple(found), values)


os.fstat = fstat
"""


def library() -> Path:
    for place in PLACES:
        for found in Path("/").glob(f"{place[1:]}/libfaketimeMT.so.1"):
            return found
    raise LeftOut("no libfaketime here (apt-get install faketime)")


def own_clock(bed: Bed) -> None:
    place = bed.fleet.hosts["web1"].home / "clock"
    place.mkdir()
    offset(bed, "+0")
    environment = {
        "LD_PRELOAD": str(library()),
        "FAKETIME_TIMESTAMP_FILE": str(place / "offset"),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": str(place),
    }
    bed.environment["web1"] = environment
    (place / "sitecustomize.py").write_text(CUSTOM.format(offset=str(place / "offset")))
    lines = [f"export {name}={value}" for name, value in environment.items()]
    (place / "python").write_text(
        "\n".join(["#!/bin/sh", *lines, f'exec {sys.executable} "$@"', ""])
    )
    (place / "python").chmod(0o755)
    (place / "inventory.yml").write_text(INVENTORY.format(place=place))
    bed.inventory.append(place / "inventory.yml")


def offset(bed: Bed, seconds: str) -> None:
    file = bed.fleet.hosts["web1"].home / "clock" / "offset"
    file.with_name("new").write_text(seconds + "\n")
    file.with_name("new").rename(file)


def jump(bed: Bed, task: str, seconds: str) -> None:
    run = bed.run("upgrade.yml", "-l", "web1", gate_soak=8)
    run.reaches(task)
    offset(bed, seconds)
    if run.wait(PATIENCE):
        bed.check(seconds == "+3600", f"a clock that goes back stops it: {run.end}")
        bed.check("worker timeout" in run.words, f"it does not say why it stopped: {run.end}")
        bed.expect(web1=OLD, web2=OLD, broken=("web1",))
        bed.converges("-l", "web1", gate_soak=8, rollout_force=True)
    bed.undrained("web2")
    bed.expect(web1=MIDDLE, web2=OLD, broken=("web1",) if seconds == "+3600" else ())


for where, task in {
    "while it is drained": "drained | Drain on every balancer",
    "during the soak": "soak_look | Wait for it",
}.items():
    for seconds in ("+3600", "-3600"):
        case("clock", f"of web1 jumps by {seconds} s {where}", prepare=own_clock)(
            lambda bed, task=task, seconds=seconds: jump(bed, task, seconds)
        )
