# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two operators at once, and files of theirs that cannot be believed."""

from __future__ import annotations

import json

from tests.chaos.bed import MIDDLE, OLD, Bed, wait_for
from tests.chaos.harness import case

HELD = "The lock of fleet app is held by"


def two(bed: Bed, first: str, second: str) -> None:
    """The second comes while the first is at work: it is refused, and hears by whom."""
    one = bed.run("upgrade.yml", "-l", first)
    wait_for("the lock", (bed.fleet.hosts["lb1"].home / "locks/app.lock").exists, 120)
    other = bed.run("upgrade.yml", "-l", second)
    bed.ends(other, says=HELD)
    bed.check(f"pid {one.pid}" in other.words, "it does not hear who holds it")
    bed.ends(one, 0)
    bed.undrained(second)
    versions = {first: MIDDLE, second: OLD}
    bed.expect(web1=versions["web1"], web2=versions["web2"])


@case("operators", "-l web1, then -l web2 while it is at work", fast=True)
def web1_first(bed: Bed) -> None:
    two(bed, "web1", "web2")


@case("operators", "-l web2, then -l web1 while it is at work")
def web2_first(bed: Bed) -> None:
    two(bed, "web2", "web1")


@case("operators", "-l web1 and -l web2 in the same moment, then the refused one again")
def same_moment(bed: Bed) -> None:
    runs = {name: bed.run("upgrade.yml", "-l", name) for name in ("web1", "web2")}
    refused = [name for name, run in runs.items() if run.wait()]
    bed.check(len(refused) == 1, f"refused: {refused or 'nobody'}")
    for name in refused:
        bed.check(HELD in runs[name].words, f"it does not say why: {runs[name].end}")
        bed.undrained(name)
        bed.converges("-l", name)
    bed.expect(web1=MIDDLE, web2=MIDDLE)


CONTENTS = {
    "empty": "",
    "corrupt": '{"schema": 1, "fleet": "app", "tok',
    "of a newer version": json.dumps({"schema": 99, "fleet": "app"}),
}


def unbelievable(bed: Bed, file: str, content: str) -> None:
    """Refused with nothing touched and told what to do; after that the same command converges."""
    path = bed.fleet.hosts["lb1"].home / "locks" / file
    path.parent.mkdir(mode=0o700)
    path.write_text(content)
    bed.ends(bed.run("upgrade.yml", "-l", "web1"), says=r"cannot be believed.*locks/")
    bed.undrained("web1", "web2")
    path.unlink()
    bed.converges("-l", "web1")
    bed.expect(web1=MIDDLE, web2=OLD)


for words, content in CONTENTS.items():
    for kind, file in (("lock", "app.lock"), ("record", "app.record.json")):
        case("operators", f"{kind} file {words}", fast=(kind, words) == ("lock", "corrupt"))(
            lambda bed, file=file, content=content: unbelievable(bed, file, content)
        )
