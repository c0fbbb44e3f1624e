# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The balancer is reloaded, restarted, wedged or gone; the other server falls; leases are hurt."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from demo import fleet as fleets
from demo import processes
from demo.fleet import BALANCER
from tests.chaos.bed import EVERY, MIDDLE, OLD, OURS, Bed, wait_for
from tests.chaos.harness import case
from tests.chaos.playbook import Run

SWITCH = "activate | Switch and prove"
SOAK = "soak_look | Look"
WEB1 = ("-l", "web1")
# How long the application takes to start in these cases: long enough to hurt it meanwhile.
START = 4.0
# Past the end of a lease: the watcher's look, and HAProxy's two checks.
LATE = 15.0


# -- means ----------------------------------------------------------------------------------------


def slow_start(bed: Bed) -> None:
    """From the next start on the application takes its time."""
    bed.append_to_app("web1", f"time.sleep({START})")


class Slow(threading.Thread):
    """A request that is in flight on web1 for so long, and must be answered."""

    def __init__(self, bed: Bed, seconds: float) -> None:
        super().__init__(daemon=True)
        self._front, self._seconds = bed.fleet.front, seconds
        self.answers: list[str] = []
        self.start()

    def run(self) -> None:
        # So many that web1 has one, whoever else asks.
        others = [threading.Thread(target=self._ask) for _turn in range(6)]
        for each in others:
            each.start()
        for each in others:
            each.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(self._front, timeout=60)
        try:
            connection.request("GET", f"/slow?s={self._seconds:g}", headers={"Connection": "close"})
            answer = connection.getresponse()
            host = json.loads(answer.read()).get("host", "nobody")
            self.answers.append(f"{answer.status} {host}")
        except (OSError, ValueError, http.client.HTTPException) as exc:
            self.answers.append(f"{type(exc).__name__} {exc}")
        finally:
            connection.close()

    def judge(self, bed: Bed) -> None:
        self.join(60)
        bed.check(
            len(self.answers) == 6 and set(self.answers) == {"200 web1", "200 web2"},
            f"slow requests: {self.answers}",
        )


def begin(bed: Bed, *limit: str, **inputs: Any) -> Run:
    """What befalls web1 does not need web2 to follow."""
    return bed.run("upgrade.yml", *(limit or WEB1), **inputs)


def done(bed: Bed, *broken: str) -> None:
    bed.expect(web1=MIDDLE, web2=OLD, broken=broken)


def done_by_another_run(bed: Bed, *broken: str) -> None:
    bed.converges(*WEB1)
    done(bed, *broken)


def waiting(bed: Bed, seconds: float = 8.0, **inputs: Any) -> tuple[Run, Slow]:
    """A run whose drain of web1 waits for a slow request."""
    run = begin(bed, **inputs)
    run.reaches("drained | Ask every balancer")
    slow = Slow(bed, seconds)
    wait_for("web1 is drained", lambda: drained(bed))
    return run, slow


def switching(bed: Bed, *limit: str, **inputs: Any) -> Run:
    """A run that is starting the new release on web1, which takes a while."""
    slow_start(bed)
    run = begin(bed, *limit, **inputs)
    run.reaches(SWITCH)
    wait_for("web1 is stopped", lambda: fleets.version(bed.fleet, "web1", 0.5) is None)
    return run


def soaking(bed: Bed) -> Run:
    run = begin(bed, gate_soak=8)
    run.reaches(SOAK)
    return run


def drained(bed: Bed, name: str = "web1") -> bool:
    with suppress(OSError, KeyError, ValueError):
        return bool(bed.look()[name].admin)
    return False


def serves(bed: Bed, name: str = "web1") -> bool:
    with suppress(OSError, KeyError, ValueError):
        return bed.look()[name].in_rotation
    return False


@contextmanager
def wedged(bed: Bed) -> Iterator[None]:
    """In the admin socket's place is one that accepts and never answers."""
    place = bed.fleet.admin_socket
    aside = place.with_name("aside.sock")
    place.rename(aside)
    held: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen(64)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    held.append(listener.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            aside.rename(place)
            for each in held:
                each.close()


def leases(bed: Bed) -> list[Path]:
    return sorted((bed.fleet.hosts[BALANCER].home / "leases").glob("*.json"))


def story(bed: Bed) -> str:
    with suppress(OSError):
        return (bed.fleet.hosts[BALANCER].home / "leases/lease.log").read_text()
    return ""


def last_loss(bed: Bed, before: float, what: str) -> None:
    """Whatever was lost with HAProxy gone, nothing was later."""
    last = (fleets.read_json(bed.fleet.root / "traffic.json") or {}).get("last_failed") or 0
    bed.check(last < before, f"requests were lost {last - before:.1f} s after {what}")


# -- HAProxy is started anew ----------------------------------------------------------------------


@case("balancer", "reloaded while web1 waits for its sessions", on=OURS)
def reload_waiting(bed: Bed) -> None:
    run, slow = waiting(bed)
    bed.reload_balancer()
    wait_for("web1 is drained again", lambda: drained(bed), 10)
    bed.ends(run, 0)
    slow.judge(bed)
    done(bed)


@case("balancer", "reloaded while web1 is switched", on=OURS)
def reload_switching(bed: Bed) -> None:
    run = switching(bed)
    bed.reload_balancer()
    wait_for("web1 is drained again", lambda: drained(bed), START)
    bed.check(not bed.forgets or "maint again" in story(bed), f"lease.log: {story(bed)}")
    bed.ends(run, 0)
    # Until HAProxy's first check web1 gets its share, and is not there.
    done(bed, "web1")


@case("balancer", "reloaded while web1 soaks", on=OURS)
def reload_soaking(bed: Bed) -> None:
    run = soaking(bed)
    bed.reload_balancer()
    bed.ends(run, 0)
    done(bed)


def anew(bed: Bed, run: Run, seconds: float, slow: Slow | None = None) -> None:
    """HAProxy is gone for a while: nothing can be served then, and all afterwards."""
    bed.balancer_gone(seconds)
    back = time.time()
    bed.ends(run, 0)
    if slow:
        slow.join(60)
    # What HAProxy has chosen before its first checks is lost through the server that is down.
    last_loss(bed, back + 3, "HAProxy was back")
    done(bed, "balancer")


@case("balancer", "restarted while web1 waits for its sessions", on=OURS)
def restart_waiting(bed: Bed) -> None:
    run, slow = waiting(bed)
    anew(bed, run, 0, slow)


@case("balancer", "restarted while web1 is switched", on=OURS)
def restart_switching(bed: Bed) -> None:
    anew(bed, switching(bed), 0)


@case("balancer", "restarted while web1 soaks", on=OURS)
def restart_soaking(bed: Bed) -> None:
    anew(bed, soaking(bed), 0)


@case("balancer", "gone for 6 s while web1 is switched", on=OURS)
def gone_switching(bed: Bed) -> None:
    # Longer than the switch: it is not there when web1 is to be put back.
    anew(bed, switching(bed), 6)


@case("balancer", "gone for 8 s while web1 waits for its sessions", on=OURS)
def gone_waiting(bed: Bed) -> None:
    run, slow = waiting(bed)
    bed.balancer_gone(8)
    back = time.time()
    slow.join(60)
    bed.ends(run, says="put back as it was before")
    last_loss(bed, back + 3, "HAProxy was back")
    done_by_another_run(bed, "balancer")


@case("balancer", "gone for 6 s while web1 soaks", on=OURS)
def gone_soaking(bed: Bed) -> None:
    run = soaking(bed)
    bed.balancer_gone(6)
    back = time.time()
    # Whether the gate may pass without having looked is the gate's to say; nobody may be out.
    run.wait()
    bed.check(not bed.out_of_rotation(), "somebody is out")
    last_loss(bed, back + 3, "HAProxy was back")
    done_by_another_run(bed, "balancer")


# -- its admin socket is wedged -------------------------------------------------------------------


@case("balancer", "its socket is wedged before the drain")
def wedged_before(bed: Bed) -> None:
    run = begin(bed)
    run.reaches("take | Note what runs now")
    with wedged(bed):
        began = time.monotonic()
        bed.ends(run, says="It is wedged")
        bed.check(time.monotonic() - began < 60, "it took long to say so")
    bed.undrained("web1", "web2")
    done_by_another_run(bed)


@case("balancer", "its socket is wedged for 8 s when web1 is to be put back")
def wedged_for_a_while(bed: Bed) -> None:
    run = switching(bed)
    with wedged(bed):
        run.reaches("ready | Put the server back")
        time.sleep(8)
    bed.ends(run, 0)
    done(bed)


@case("balancer", "its socket is wedged until the run has given up")
def wedged_for_long(bed: Bed) -> None:
    run = switching(bed, load_balancer_lease=25, load_balancer_up_timeout=3)
    with wedged(bed):
        bed.ends(run, says="It is wedged")
    bed.check(drained(bed), "web1 is not out: what put it back?")
    wait_for("the lease puts web1 back", lambda: serves(bed), 25 + LATE)
    bed.check("the lease ended" in story(bed), f"lease.log: {story(bed)}")
    done_by_another_run(bed)


@case("balancer", "its socket is wedged while web1 waits for its sessions")
def wedged_waiting(bed: Bed) -> None:
    run, slow = waiting(bed, load_balancer_lease=25, load_balancer_up_timeout=3)
    with wedged(bed):
        bed.ends(run, says="MAY STILL BE OUT OF ROTATION")
    slow.judge(bed)
    wait_for("the lease puts web1 back", lambda: serves(bed), 25 + LATE)
    done_by_another_run(bed)


# -- the other server falls -----------------------------------------------------------------------


@case("balancer", "web2 is killed while web1 waits for its sessions", fast=True, on=EVERY)
def other_falls_waiting(bed: Bed) -> None:
    run, slow = waiting(bed)
    bed.kill_host("web2")
    wait_for("HAProxy sees it", lambda: not bed.look()["web2"].up)
    down = time.monotonic()
    wait_for("web1 is back", lambda: serves(bed), 10)
    took = time.monotonic() - down
    bed.check(took < 3, f"web1 was back {took:.1f} s after web2 was DOWN")
    bed.ends(run, says="too few others were left.*put back as it was before")
    slow.join(60)
    bed.check("200 web1" in slow.answers, f"slow requests: {slow.answers}")
    bed.start_host("web2")
    wait_for("web2 is back", lambda: serves(bed, "web2"))
    done_by_another_run(bed, "web2")
    bed.end_state += f"; web1 back {took:.1f} s after web2 was seen DOWN"


@case("balancer", "web2 is killed while web1 is switched", on=EVERY)
def other_falls_switching(bed: Bed) -> None:
    run = switching(bed, "-l", "web1,web2")
    bed.kill_host("web2")
    bed.ends(run, says="web2")
    wait_for("web1 serves", lambda: serves(bed))
    bed.start_host("web2")
    wait_for("web2 is back", lambda: serves(bed, "web2"))
    # Both were down until web1 had started: HAProxy itself answers 503.
    done_by_another_run(bed, "web2", "<NOSRV>")


# -- the lease ------------------------------------------------------------------------------------


# Longer than the switch takes on a busy machine.
LEASE = 60.0


def killed(bed: Bed) -> None:
    """The controller dies while web1 is out, with the new release started."""
    run = begin(bed, load_balancer_lease=LEASE)
    run.reaches("boot | Judge")
    run.kill()
    bed.check(drained(bed), "web1 was not out any more")


def back_by_itself(bed: Bed) -> None:
    wait_for("the lease puts web1 back", lambda: serves(bed), LEASE + LATE)
    wait_for("no lease is left", lambda: not leases(bed), 10)
    bed.check("the lease ended: app: was in maint" in story(bed), f"lease.log: {story(bed)}")


@case("lease", "the controller is gone while web1 is out", on=EVERY)
def lease_ends(bed: Bed) -> None:
    killed(bed)
    back_by_itself(bed)
    done_by_another_run(bed)


@case("lease", "the controller is gone while web1 is out, and HAProxy is reloaded")
def lease_holds(bed: Bed) -> None:
    killed(bed)
    bed.reload_balancer()
    wait_for("web1 is drained again", lambda: drained(bed), 10)
    bed.check("maint again" in story(bed), f"lease.log: {story(bed)}")
    back_by_itself(bed)
    done_by_another_run(bed)


@case("lease", "the controller and its module are gone while web1 is stopped")
def lease_of_a_dead_one(bed: Bed) -> None:
    switching(bed, load_balancer_lease=LEASE).kill()
    # It is set ready, and HAProxy's own check keeps it out: nobody has started it.
    wait_for("the lease ends", lambda: not leases(bed), LEASE + LATE)
    bed.check("was in maint, restored; web1 is set ready" in story(bed), story(bed))
    bed.check(not drained(bed) and not serves(bed), "HAProxy uses a server that is stopped")
    done_by_another_run(bed)


NEWER = '{"schema": 99, "token": "x"}\n'
FILES = {"corrupt": '{"schema": 1, "tok', "empty": "", "newer": NEWER}


def hurt(bed: Bed, content: str) -> None:
    found = leases(bed)
    bed.check(len(found) == 1, f"leases: {found}")
    for path in found:
        path.write_text(content)


def file_is_hurt(bed: Bed, content: str) -> None:
    run = switching(bed)
    hurt(bed, content)
    bed.ends(run, 0)
    done(bed)


def file_is_hurt_and_controller_gone(bed: Bed, content: str) -> None:
    killed(bed)
    hurt(bed, content)
    if content == NEWER:
        # Its watcher believes that a newer version has taken over. Running again is what helps.
        still_out(bed)
    else:
        back_by_itself(bed)
    done_by_another_run(bed)


def still_out(bed: Bed) -> None:
    time.sleep(LEASE + 2)
    bed.check(drained(bed), "web1 is not out: what put it back?")


def register(what: str, content: str) -> None:
    case("lease", f"its file is {what} while web1 is out")(lambda bed: file_is_hurt(bed, content))
    case("lease", f"its file is {what}, and the controller is gone")(
        lambda bed: file_is_hurt_and_controller_gone(bed, content)
    )


for _what, _content in FILES.items():
    register(_what, _content)


def kill_watcher(bed: Bed) -> None:
    [path] = leases(bed)
    watcher = processes.read(json.loads(path.read_text())["pid"])
    bed.check(watcher, "nobody watches the lease")
    if watcher:
        left = processes.end([watcher], signal.SIGKILL, 10)
        bed.check(not left, f"it does not die: {left}")


@case("lease", "its watcher is killed while web1 is out", on=EVERY)
def watcher_is_killed(bed: Bed) -> None:
    run = switching(bed)
    kill_watcher(bed)
    bed.ends(run, 0)
    done(bed)


@case("lease", "its watcher is killed, and the controller is gone", on=EVERY)
def watcher_is_killed_too(bed: Bed) -> None:
    killed(bed)
    kill_watcher(bed)
    # Nobody is left who could put it back: the next run does.
    still_out(bed)
    done_by_another_run(bed)
