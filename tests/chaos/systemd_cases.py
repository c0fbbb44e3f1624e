# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What befalls units: systemd reads them anew, they are edited, the journal is vacuumed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import cast

from tests.chaos.balancer_cases import done, soaking, switching, waiting
from tests.chaos.bed import MIDDLE, NGINX, OLD, wait_for
from tests.chaos.harness import Function
from tests.chaos.harness import case as any_case
from tests.chaos.nginx_cases import stopped
from tests.chaos.playbook import Run
from tests.chaos.unit_bed import UnitBed

WEB1 = ("-l", "web1")
FORCED = {"rollout_force": True}
Played = Callable[[UnitBed], object]


def case(group: str, name: str) -> Callable[[Played], Played]:
    def register(function: Played) -> Played:
        any_case(group, name, on=(NGINX,))(cast(Function, function))
        return function

    return register


def on_switching(bed: UnitBed) -> Run:
    return switching(bed)


def on_waiting(bed: UnitBed) -> Run:
    return waiting(bed)[0]


def on_soaking(bed: UnitBed) -> Run:
    return soaking(bed)


MOMENTS: dict[str, Callable[[UnitBed], Run]] = {
    "waits for its sessions": on_waiting,
    "is switched": on_switching,
    "soaks": on_soaking,
}


# -- systemd reads the units anew -----------------------------------------------------------------


def reloaded(bed: UnitBed, begin: Callable[[UnitBed], Run]) -> None:
    run = begin(bed)
    bed.host.run("systemctl", "daemon-reload")
    bed.ends(run, 0)
    bed.undrained("web2")
    done(bed)


def executed_anew(bed: UnitBed, begin: Callable[[UnitBed], Run]) -> None:
    run = begin(bed)
    bed.host.run("systemctl", "daemon-reexec")
    bed.ends(run, 0)
    bed.undrained("web2")
    done(bed)


for _when, _begin in MOMENTS.items():
    case("systemd", f"daemon-reload while web1 {_when}")(
        lambda bed, begin=_begin: reloaded(bed, begin)
    )
case("systemd", "daemon-reexec while web1 is switched")(
    lambda bed: executed_anew(bed, on_switching)
)


# -- a unit is edited -----------------------------------------------------------------------------


def edit(bed: UnitBed, before: str, after: str, read: bool) -> None:
    """Somebody edits the unit of web1; ``read``: and lets systemd read it."""
    text = bed.unit_text("web1")
    assert before in text, text
    bed.write_unit("web1", text.replace(before, after))
    if read:
        bed.host.run("systemctl", "daemon-reload")


def mend(bed: UnitBed) -> None:
    bed.write_units()
    bed.host.systemctl("reset-failed", "web1.service")


MORE = ("--workers 2", "--workers 3")
WRONG = ("ExecStart=", "ExecStart=/nowhere")


@case("systemd", "the unit is edited and not read while web1 waits for its sessions")
def edited_waiting(bed: UnitBed) -> None:
    """What is started is the unit as it was read; the next plan tells of it."""
    run, slow = waiting(bed)
    edit(bed, *MORE, read=False)
    bed.ends(run, 0)
    slow.judge(bed)
    bed.undrained("web2")
    bed.ends(bed.run("upgrade.yml", *WEB1, "--check", "-v"), 0, says="NeedDaemonReload")
    done(bed)


@case("systemd", "the unit is edited and read while web1 waits for its sessions")
def edited_and_read_waiting(bed: UnitBed) -> None:
    run, slow = waiting(bed)
    edit(bed, *MORE, read=True)
    run.wait()
    slow.judge(bed)
    bed.undrained("web2")
    wait_for("web1 is in rotation", lambda: not bed.out_of_rotation())
    bed.converges(*WEB1, **FORCED)
    done(bed)


@case("systemd", "the unit is edited and read while web1 soaks")
def edited_soaking(bed: UnitBed) -> None:
    run = soaking(bed)
    edit(bed, *MORE, read=True)
    bed.ends(run, 0)
    bed.undrained("web2")
    done(bed)


@case("systemd", "the unit is edited and read while web1 waits, and cannot be started any more")
def edited_wrong(bed: UnitBed) -> None:
    """Neither the new release nor the old one starts: it stays out, and that is said."""
    run, slow = waiting(bed)
    edit(bed, *WRONG, read=True)
    bed.ends(run, says="web1")
    slow.judge(bed)
    bed.undrained("web2")
    bed.check("web1" in bed.out_of_rotation(), "nginx has a server that is down")
    mend(bed)
    bed.converges(*WEB1, **FORCED)
    done(bed)


# -- systemd itself -------------------------------------------------------------------------------


@case("systemd", "it does not answer for 8 s while web1 is switched")
def wedged(bed: UnitBed) -> None:
    run = switching(bed)
    with stopped([bed.host_init]):
        time.sleep(8)
    bed.ends(run, 0)
    bed.undrained("web2")
    done(bed)


@case("systemd", "somebody restarts the unit while web1 waits for its sessions")
def restarted_waiting(bed: UnitBed) -> None:
    run, slow = waiting(bed)
    bed.host.run("systemctl", "restart", "web1")
    slow.join(60)
    run.wait()
    bed.undrained("web2")
    bed.converges(*WEB1, **FORCED)
    done(bed)


@case("systemd", "somebody restarts the unit while web1 soaks")
def restarted_soaking(bed: UnitBed) -> None:
    run = soaking(bed)
    bed.host.run("systemctl", "restart", "web1")
    bed.ends(run, says="back in service")
    bed.undrained("web2")
    bed.expect(web1=OLD, web2=OLD, broken=("web1",))
    bed.converges(*WEB1, **FORCED)
    done(bed, "web1")


@case("systemd", "the arbiter is killed while web1 soaks, and systemd starts it again")
def arbiter_killed(bed: UnitBed) -> None:
    run = soaking(bed)
    os.kill(bed.arbiter("web1"), signal.SIGKILL)
    bed.ends(run, says="back in service")
    bed.undrained("web2")
    bed.expect(web1=OLD, web2=OLD, broken=("web1",))


# -- the journal ----------------------------------------------------------------------------------


@case("journal", "rotated during the soak")
def rotated(bed: UnitBed) -> None:
    run = soaking(bed)
    bed.host.run("journalctl", "--rotate")
    bed.ends(run, 0)
    bed.undrained("web2")
    done(bed)


@case("journal", "vacuumed during the soak: nothing can be known, nothing is rolled back")
def vacuumed(bed: UnitBed) -> None:
    run = bed.run(gate_soak=12)
    run.reaches("soak_look | Look")
    bed.host.run("journalctl", "--rotate")
    bed.host.run("journalctl", "--vacuum-time=1s", "--vacuum-files=1")
    bed.ends(run, says="still on .*healthy and in service")
    bed.undrained("web2")
    bed.expect(web1=MIDDLE, web2=OLD)
    bed.converges(**FORCED)
    bed.expect(web1=MIDDLE, web2=MIDDLE)


@case("journal", "journald is restarted during the soak")
def journald_restarted(bed: UnitBed) -> None:
    run = soaking(bed)
    bed.host.run("systemctl", "restart", "systemd-journald")
    bed.ends(run, 0)
    bed.undrained("web2")
    done(bed)


@case("journal", "journald hangs for 8 s while web1 is switched")
def journald_hangs(bed: UnitBed) -> None:
    run = switching(bed)
    with stopped([bed.host_pid(int(bed.host.show("systemd-journald", "MainPID")))]):
        time.sleep(8)
    bed.ends(run, 0)
    bed.undrained("web2")
    done(bed)
