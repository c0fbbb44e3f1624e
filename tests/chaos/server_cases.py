# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server has troubles of its own while it, or the other one, is being upgraded."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from tests.chaos.bed import EVERY, MIDDLE, OLD, Bed
from tests.chaos.harness import case
from tests.chaos.playbook import descendants

WEB1 = ("-l", "web1")
FORCED = {"rollout_force": True}
SOAK = {"gate_soak": 12}
SOAKS = "soak_look | Look"
SWITCHES = "activate | Switch and prove"


ORPHAN = """
import os, signal, time
import gunicorn as _gunicorn

if _gunicorn.__version__ == "20.0.1" and os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(60)
"""


def log_of(bed: Bed, name: str) -> Path:
    return bed.fleet.hosts[name].home / "app.log"


# -- the service manager and the host ------------------------------------------------------------


@case("server", "supervisord restarted while it soaks")
def supervisord_soaking(bed: Bed) -> None:
    run = bed.run("upgrade.yml", *WEB1, **SOAK)
    run.reaches(SOAKS)
    bed.stop_supervisor("web1")
    bed.start_host("web1")
    bed.ends(run, says="back in service")
    bed.undrained("web2")
    bed.expect(web1=OLD, web2=OLD, broken=("web1",))
    bed.converges(*WEB1, **FORCED)
    bed.expect(web1=MIDDLE, web2=OLD, broken=("web1",))


@case("server", "supervisord restarted while it is drained")
def supervisord_drained(bed: Bed) -> None:
    run = bed.run("upgrade.yml", *WEB1)
    run.reaches("drained | Drain on every balancer")
    bed.drained("web1")
    bed.stop_supervisor("web1")
    bed.start_host("web1")
    run.wait()
    bed.undrained("web2")
    bed.converges(*WEB1, **FORCED)
    bed.expect(web1=MIDDLE, web2=OLD)


@case(
    "server",
    "host rebooted while it is drained (all its processes killed, up again after 3 s)",
    on=EVERY,
)
def rebooted(bed: Bed) -> None:
    run = bed.run("upgrade.yml", *WEB1)
    run.reaches(SWITCHES)
    bed.kill_host("web1")
    time.sleep(3)
    bed.start_host("web1")
    run.wait()
    bed.undrained("web2")
    bed.converges(*WEB1, **FORCED)
    bed.expect(web1=MIDDLE, web2=OLD)


def leaves_orphans(bed: Bed) -> None:
    """The old application forks what inherits its socket and hears no TERM."""
    bed.append_to_app("web1", ORPHAN)


@case("server", "orphan of the old master holds the port", prepare=leaves_orphans)
def orphan(bed: Bed) -> None:
    run = bed.run("upgrade.yml", *WEB1, service_stop_timeout=15)
    bed.ends(run, says="these processes still run.*back in service")
    bed.rolled_back(run)
    bed.undrained("web2")
    bed.expect(web1=OLD, web2=OLD)


@case(
    "server",
    "a worker is killed while it soaks (SIGKILL stands in for the memory limit)",
    on=EVERY,
)
def worker_killed(bed: Bed) -> None:
    """One failure is evidence, and no verdict."""
    run = bed.run("upgrade.yml", *WEB1, **SOAK)
    run.reaches(SOAKS)
    os.kill(descendants(bed.arbiter("web1"))[0], signal.SIGKILL)
    bed.ends(run, 0)
    bed.undrained("web2")
    bed.expect(web1=MIDDLE, web2=OLD, broken=("web1",))


@case("server", "one worker after the other is killed while it soaks", on=EVERY)
def workers_killed(bed: Bed) -> None:
    run = bed.run("upgrade.yml", *WEB1, **SOAK)
    run.reaches(SOAKS)
    arbiter = bed.arbiter("web1")
    for _each in range(60):
        with contextlib.suppress(ProcessLookupError, IndexError):
            os.kill(descendants(arbiter)[0], signal.SIGKILL)
        time.sleep(1)
        if "web1" in bed.out_of_rotation():
            break
    bed.ends(run, says="(?i)worker.*back in service")
    bed.rolled_back(run)
    bed.undrained("web2")
    bed.expect(web1=OLD, web2=OLD, broken=("web1",))


@case("server", "web2 dies while web1 soaks", on=EVERY)
def other_dies(bed: Bed) -> None:
    run = bed.run(**SOAK)
    run.reaches(SOAKS)
    bed.kill_host("web2")
    bed.ends(run, says="web2")
    bed.check(not (bed.fleet.hosts["lb1"].home / "locks/app.lock").exists(), "the lock is left")
    bed.check("web1" not in bed.out_of_rotation(), "web1 is out of rotation as well")
    bed.start_host("web2")
    bed.converges()
    bed.expect(web1=MIDDLE, web2=MIDDLE, broken=("web2",))


# -- its log -------------------------------------------------------------------------------------


def reopen_logs(bed: Bed, name: str) -> None:
    """What logrotate tells supervisord."""
    (supervisord,) = bed.of_host(name, "supervisord")
    os.kill(supervisord.pid, signal.SIGUSR2)


@case("log", "rotated during the soak (renamed, reopened)")
def rotated(bed: Bed) -> None:
    run = bed.run("upgrade.yml", *WEB1, **SOAK)
    run.reaches(SOAKS)
    log = log_of(bed, "web1")
    log.rename(f"{log}.1")
    reopen_logs(bed, "web1")
    bed.ends(run, 0)
    bed.undrained("web2")
    bed.expect(web1=MIDDLE, web2=OLD)


@case("log", "copied and truncated during the soak")
def copied(bed: Bed) -> None:
    run = bed.run("upgrade.yml", *WEB1, **SOAK)
    run.reaches(SOAKS)
    log = log_of(bed, "web1")
    Path(f"{log}.1").write_bytes(log.read_bytes())
    os.truncate(log, 0)
    bed.ends(run, 0)
    bed.undrained("web2")
    bed.expect(web1=MIDDLE, web2=OLD)


@case("log", "truncated during the soak: nothing can be known, nothing is rolled back")
def truncated(bed: Bed) -> None:
    run = bed.run(**SOAK)
    run.reaches(SOAKS)
    os.truncate(log_of(bed, "web1"), 0)
    bed.ends(run, says="still on .*healthy and in service")
    bed.undrained("web2")
    bed.expect(web1=MIDDLE, web2=OLD)


@case("log", "unreadable during the soak (a directory is in its place: root may read any file)")
def unreadable(bed: Bed) -> None:
    run = bed.run(**SOAK)
    run.reaches(SOAKS)
    log = log_of(bed, "web1")
    aside = log.with_name("aside.log")
    log.rename(aside)
    log.mkdir()
    bed.ends(run, says="still on .*healthy and in service")
    bed.undrained("web2")
    log.rmdir()
    aside.rename(log)
    bed.converges()
    bed.expect(web1=MIDDLE, web2=MIDDLE)
