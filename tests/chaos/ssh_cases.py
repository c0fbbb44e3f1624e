# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host is lost: its ssh is cut, and comes back later, or never."""

from __future__ import annotations

from tests.chaos.bed import MIDDLE, OLD, Bed, wait_for
from tests.chaos.harness import case
from tests.chaos.ssh_support import freeze, give_back, lose, reach_by_ssh

LEASE = 15
POINTS = {
    "before the drain": "begin | Take the lock",
    "while drained": "drained | Drain on every balancer",
    "after the switch": "ask | Ask the application, the processes and the log",
    "during the soak": "soak_look | Look",
}


def web1_by_ssh(bed: Bed) -> None:
    reach_by_ssh(bed, "web1")


def lb1_by_ssh(bed: Bed) -> None:
    reach_by_ssh(bed, "lb1")


def cut(bed: Bed, name: str, where: str, *arguments: str) -> None:
    """Lose a host at this point; the run stops, and the lease gives back what was drained."""
    run = bed.run("upgrade.yml", *arguments, load_balancer_lease=LEASE, gate_soak=12)
    run.reaches(POINTS[where])
    if where == "while drained":
        bed.drained("web1")
    lose(bed, name)
    bed.ends(run, says="(?i)unreachable|cannot be reached|lost")
    bed.check("web2" not in bed.out_of_rotation(), "web2 is out of rotation")
    wait_for("the lease to restore web1", lambda: not bed.out_of_rotation(), LEASE + 45)
    bed.undrained("web2")


def back_later(bed: Bed, name: str, where: str) -> None:
    cut(bed, name, where)
    if name == "web1":
        # Whether it ever comes back: the others serve, and a run for them works.
        bed.converges("-l", "web2")
    give_back(bed, name)
    bed.converges("-l", "web1")
    bed.expect(web1=MIDDLE, web2=MIDDLE if name == "web1" else OLD)


for name, prepare in (("web1", web1_by_ssh), ("lb1", lb1_by_ssh)):
    for where in POINTS:
        words = "the others are upgraded, then it is back" if name == "web1" else "back later"
        case("ssh", f"to {name} lost {where}; {words}", prepare=prepare)(
            lambda bed, name=name, where=where: back_later(bed, name, where)
        )


@case("ssh", "to web1 frozen while drained (packets go, nothing comes)", prepare=web1_by_ssh)
def frozen(bed: Bed) -> None:
    """Nobody tells the controller: it must find out by itself, within two minutes."""
    run = bed.run(load_balancer_lease=LEASE)
    run.reaches(POINTS["while drained"])
    bed.drained("web1")
    freeze(bed, "web1")
    wait_for("the lease to restore web1", lambda: not bed.out_of_rotation(), LEASE + 45)
    bed.ends(run, patience=120)
    bed.undrained("web2")
    lose(bed, "web1")
    give_back(bed, "web1")
    bed.converges("-l", "web1")
    bed.expect(web1=MIDDLE, web2=OLD)
