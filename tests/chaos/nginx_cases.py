# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What befalls nginx alone: its file is somebody else's too, and a reload may not be taken."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from tests.chaos.balancer_cases import (
    LATE,
    LEASE,
    done,
    done_by_another_run,
    drained,
    killed,
    serves,
    soaking,
    story,
    switching,
    waiting,
)
from tests.chaos.bed import NGINX, wait_for
from tests.chaos.harness import Function
from tests.chaos.harness import case as any_case
from tests.chaos.unit_bed import UnitBed

# For how long nginx may not take a reload in these cases.
IMPATIENT = {"load_balancer_nginx_reload_timeout": 4}
Played = Callable[[UnitBed], object]


def case(name: str, prepare: Played | None = None) -> Callable[[Played], Played]:
    def register(function: Played) -> Played:
        before = None if prepare is None else cast(Function, prepare)
        any_case("nginx", name, prepare=before, on=(NGINX,))(cast(Function, function))
        return function

    return register


# -- means ----------------------------------------------------------------------------------------


def rewrite(bed: UnitBed, number: int = 0) -> None:
    """What certbot or a role does: its own text, as it was before us, and a reload."""
    scratch = bed.site.with_name(".somebody")
    scratch.write_text(bed.site_before + f"# somebody {number}\n")
    scratch.rename(bed.site)
    bed.reload_balancer()


def theirs_is_kept(bed: UnitBed, number: int = 0) -> None:
    found = bed.site.read_text()
    bed.check(found == bed.site_before + f"# somebody {number}\n", f"their file is now: {found}")


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """As if it hung: nothing is done, and nothing is answered."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def master(bed: UnitBed) -> list[int]:
    return [each.pid for each in bed.masters()]


# -- its file is rewritten by another -------------------------------------------------------------


@case("its file is rewritten while web1 waits for its sessions")
def rewritten_waiting(bed: UnitBed) -> None:
    run, slow = waiting(bed, 10)
    rewrite(bed)
    wait_for("web1 is out again", lambda: drained(bed), 10)
    bed.ends(run, 0)
    slow.judge(bed)
    theirs_is_kept(bed)
    done(bed)


@case("its file is rewritten twice while web1 waits for its sessions")
def rewritten_twice(bed: UnitBed) -> None:
    run, slow = waiting(bed, 10)
    for number in range(2):
        rewrite(bed, number)
        if number == 0:
            wait_for("web1 is out again", lambda: drained(bed), 10)
    bed.ends(run, says="twice while it was drained.*put back as it was before")
    slow.judge(bed)
    theirs_is_kept(bed, 1)
    done_by_another_run(bed)


@case("its file is rewritten while web1 is switched")
def rewritten_switching(bed: UnitBed) -> None:
    run = switching(bed)
    rewrite(bed)
    wait_for("web1 is out again", lambda: drained(bed), 10)
    bed.check("were rewritten without the drain" in story(bed), f"lease.log: {story(bed)}")
    bed.ends(run, 0)
    theirs_is_kept(bed)
    # Until the watcher looks, what comes to web1 is refused.
    done(bed, "web1")


@case("its file is rewritten while web1 soaks")
def rewritten_soaking(bed: UnitBed) -> None:
    run = soaking(bed)
    rewrite(bed)
    bed.ends(run, 0)
    theirs_is_kept(bed)
    done(bed)


@case("its file is rewritten while web1 is out, and the controller is gone")
def rewritten_alone(bed: UnitBed) -> None:
    killed(bed)
    rewrite(bed)
    wait_for("web1 is out again", lambda: drained(bed), 10)
    wait_for("the lease puts web1 back", lambda: serves(bed), LEASE + LATE)
    theirs_is_kept(bed)
    done_by_another_run(bed)


# -- it does not take a reload --------------------------------------------------------------------


@case("its master hangs when web1 is to be drained")
def hangs_at_the_drain(bed: UnitBed) -> None:
    run = bed.run("upgrade.yml", "-l", "web1", **IMPATIENT)
    run.reaches("take | Note what runs now")
    with stopped(master(bed)):
        bed.ends(run, says="did not take the new configuration.*files are as they were")
        bed.check(bed.site.read_text() == bed.site_before, "the file is not as it was")
    done_by_another_run(bed)


@case("its master hangs for 8 s when web1 is to be put back")
def hangs_for_a_while(bed: UnitBed) -> None:
    run = switching(bed)
    with stopped(master(bed)):
        run.reaches("ready | Put the server back")
        time.sleep(8)
    bed.ends(run, 0)
    done(bed)


@case("its master hangs until the run has given up")
def hangs_for_long(bed: UnitBed) -> None:
    run = switching(bed, load_balancer_lease=30, load_balancer_up_timeout=3, **IMPATIENT)
    with stopped(master(bed)):
        bed.ends(run, says="did not take the new configuration")
        bed.check(drained(bed), "web1 is not out: what put it back?")
    wait_for("the lease puts web1 back", lambda: serves(bed), 30 + LATE)
    done_by_another_run(bed)


def broken_file(bed: UnitBed) -> Path:
    """Somebody's unfinished work, of which nginx knows nothing yet."""
    path = bed.site.with_name("somebody")
    path.write_text("server { listen 127.0.0.1:1; nonsense; }\n")
    return path


@case("a file that it refuses is there when web1 is to be drained")
def refused_at_the_drain(bed: UnitBed) -> None:
    run = bed.run("upgrade.yml", "-l", "web1")
    run.reaches("take | Note what runs now")
    path = broken_file(bed)
    bed.ends(run)
    bed.check("somebody" in run.words, f"it does not say which file: {run.end}")
    bed.undrained("web2")
    bed.check(bed.site.read_text() == bed.site_before, "the file is not as it was")
    path.unlink()
    done_by_another_run(bed)


@case("a file that it refuses is there when web1 is to be put back")
def refused_at_the_end(bed: UnitBed) -> None:
    run = switching(bed, load_balancer_lease=30, load_balancer_up_timeout=3)
    path = broken_file(bed)
    bed.ends(run)
    bed.check("somebody" in run.words, f"it does not say which file: {run.end}")
    bed.check(drained(bed), "web1 is not out: what put it back?")
    path.unlink()
    wait_for("the lease puts web1 back", lambda: serves(bed), 30 + LATE)
    done_by_another_run(bed)


# -- the lease ------------------------------------------------------------------------------------


@case("the controller and its module are gone while web1 is stopped")
def lease_of_a_dead_one(bed: UnitBed) -> None:
    """nginx checks nobody: what does not answer is not put back."""
    switching(bed, load_balancer_lease=LEASE).kill()
    wait_for("the lease ends", lambda: "it cannot be restored yet" in story(bed), LEASE + LATE)
    bed.check(drained(bed), "nginx was given a server that is stopped")
    done_by_another_run(bed)


@case("the controller is gone while web1 is out, and nginx is started anew")
def lease_holds(bed: UnitBed) -> None:
    killed(bed)
    bed.balancer_gone()
    bed.check(drained(bed), "web1 is not out any more")
    wait_for("the lease puts web1 back", lambda: serves(bed), LEASE + LATE)
    done_by_another_run(bed, "balancer")


# -- it dies --------------------------------------------------------------------------------------


@case("one of its workers is killed while web1 waits for its sessions")
def worker_killed(bed: UnitBed) -> None:
    run, slow = waiting(bed)
    os.kill(bed.balancer_pid(), signal.SIGKILL)
    bed.ends(run, 0)
    slow.join(60)
    done(bed, "balancer")


@case("its master is killed while web1 is switched, and systemd starts it again")
def master_killed(bed: UnitBed) -> None:
    run = switching(bed)
    bed.kill_host("lb1")
    bed.start_host("lb1")
    wait_for("nginx is back", bed.balancer_pid)
    bed.ends(run, 0)
    done(bed, "balancer")


# -- its disk is full -----------------------------------------------------------------------------


def small_sites(bed: UnitBed) -> None:
    """Its files on a file system that can be full."""
    text = bed.site.read_text()
    bed.mount(bed.site.parent, "size=64k,nr_inodes=20")
    bed.site.write_text(text)


def fill(bed: UnitBed) -> list[Path]:
    made = []
    with suppress(OSError):
        for number in range(100):
            made.append(bed.site.with_name(f".filler-{number}"))
            made[-1].touch()
    with suppress(OSError), made[0].open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return made


def empty(made: list[Path]) -> None:
    for path in made:
        path.unlink(missing_ok=True)


@case("its disk is full when web1 is to be drained", prepare=small_sites)
def full_at_the_drain(bed: UnitBed) -> None:
    run = bed.run("upgrade.yml", "-l", "web1")
    run.reaches("take | Note what runs now")
    made = fill(bed)
    bed.ends(run, says="What was there is unchanged")
    bed.undrained("web1", "web2")
    empty(made)
    done_by_another_run(bed)


@case("its disk is full when web1 is to be put back", prepare=small_sites)
def full_at_the_end(bed: UnitBed) -> None:
    run = switching(bed, load_balancer_lease=45, load_balancer_up_timeout=3)
    made = fill(bed)
    bed.ends(run, says="What was there is unchanged")
    bed.check(drained(bed), "web1 is not out: what put it back?")
    empty(made)
    wait_for("the lease puts web1 back", lambda: serves(bed), 45 + LATE)
    done_by_another_run(bed)
