# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clock of a host jumps by an hour, for its service manager, its application and our modules.

libfaketime stands in for the clock: it is in the environment of web1's supervisord and around its
interpreter, and reads the offset from a file that the case writes. The monotonic clock goes on; so
libfaketime 0.9.10 breaks sleep() of Python 3.11 and later, and our modules get another one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.chaos.bed import MIDDLE, OLD, Bed
from tests.chaos.harness import case
from tests.chaos.wrong import LeftOut

PLACES = (
    "/usr/lib/*/faketime",
    "/usr/lib64/faketime",
    "/usr/lib/faketime",
    "/usr/local/lib/faketime",
)
INVENTORY = "all: {{hosts: {{web1: {{ansible_python_interpreter: {place}/python}}}}}}\n"
SLEEP = """\
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds) and None
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
    }
    bed.environment["web1"] = environment
    (place / "sitecustomize.py").write_text(SLEEP)
    environment = {**environment, "PYTHONPATH": str(place)}
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
    bed.ends(run, 0)
    bed.undrained("web2")
    bed.expect(web1=MIDDLE, web2=OLD)


for where, task in {
    "while it is drained": "drained | Drain on every balancer",
    "during the soak": "soak_look | Wait for it",
}.items():
    for seconds in ("+3600", "-3600"):
        case("clock", f"of web1 jumps by {seconds} s {where}", prepare=own_clock)(
            lambda bed, task=task, seconds=seconds: jump(bed, task, seconds)
        )
