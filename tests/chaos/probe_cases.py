# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What befalls a balancer that only asks a page: the file that the page looks at is anybody's."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from tests.chaos.balancer_cases import (
    LATE,
    LEASE,
    anew,
    done,
    done_by_another_run,
    drained,
    killed,
    leases,
    serves,
    soaking,
    switching,
    waiting,
)
from tests.chaos.bed import PROBE, wait_for
from tests.chaos.harness import Function
from tests.chaos.harness import case as any_case
from tests.chaos.probe_bed import ProbeBed
from tests.chaos.release_cases import fill, small_home

Played = Callable[[ProbeBed], object]


def case(name: str, prepare: Function | None = None) -> Callable[[Played], Played]:
    def register(function: Played) -> Played:
        any_case("probe", name, prepare=prepare, on=(PROBE,))(cast(Function, function))
        return function

    return register


@case("somebody removes the file while web1 waits for its sessions")
def removed_waiting(bed: ProbeBed) -> None:
    run, slow = waiting(bed)
    bed.ill_file("web1").unlink()
    bed.ends(run, says="does not look ill any more: somebody has undone it")
    slow.judge(bed)
    done_by_another_run(bed)


@case("somebody removes the file while web1 is switched")
def removed_switching(bed: ProbeBed) -> None:
    run = switching(bed)
    bed.ill_file("web1").unlink()
    wait_for("web1 is made ill again", lambda: drained(bed), 10)
    bed.ends(run, 0)
    # HAProxy asks a page that does not answer, and sends nobody.
    done(bed)


@case("somebody makes the file while web1 soaks")
def made_soaking(bed: ProbeBed) -> None:
    """Whoever wants it out has it out; the run says so, and takes no other server."""
    run = bed.run(gate_soak=8)
    run.reaches("soak_look | Look")
    bed.ill_file("web1").write_text("the operator's\n")
    run.wait()
    bed.undrained("web2")
    bed.check(bed.ill_file("web1").exists(), "the operator's file was removed")
    bed.ill_file("web1").unlink()
    wait_for("web1 is back", lambda: serves(bed))
    done_by_another_run(bed)


@case("its balancer is restarted while web1 waits for its sessions")
def restart_waiting(bed: ProbeBed) -> None:
    run, slow = waiting(bed)
    anew(bed, run, 0, slow)


@case("its balancer is restarted while web1 is switched")
def restart_switching(bed: ProbeBed) -> None:
    anew(bed, switching(bed), 0)


@case("its balancer is gone for 6 s while web1 soaks")
def gone_soaking(bed: ProbeBed) -> None:
    run = soaking(bed)
    bed.balancer_gone(6)
    run.wait()
    bed.check(not bed.out_of_rotation(), "somebody is out")
    done_by_another_run(bed, "balancer")


@case("the file is removed while web1 is out, and the controller is gone")
def removed_alone(bed: ProbeBed) -> None:
    killed(bed)
    bed.ill_file("web1").unlink()
    wait_for("web1 serves in the end", lambda: serves(bed), LEASE + LATE)
    done_by_another_run(bed)


@case("the controller and its module are gone while web1 is stopped")
def lease_of_a_dead_one(bed: ProbeBed) -> None:
    """It is made well, and the balancer's own check keeps it out: nobody has started it."""
    switching(bed, load_balancer_lease=LEASE).kill()
    wait_for("the lease ends", lambda: not leases(bed), LEASE + LATE)
    bed.check(not drained(bed) and not serves(bed), "a server that is stopped is used")
    done_by_another_run(bed)


@case("no room for the file when web1 is to be drained", prepare=small_home)
def full_at_the_drain(bed: ProbeBed) -> None:
    run = bed.run("upgrade.yml", "-l", "web1")
    run.reaches("take | Note what runs now")
    made = fill(bed.home("web1"))
    bed.ends(run, says="(?i)no space left")
    bed.undrained("web1", "web2")
    for path in made:
        path.unlink()
    done_by_another_run(bed)
