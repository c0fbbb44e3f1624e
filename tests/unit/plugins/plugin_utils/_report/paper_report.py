# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run on paper: two hosts, one stage; web1 passes, web2 fails its soak and goes back."""

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.data import Run, report

RUN = Run(
    "upgrade",
    1000.0,
    1100.0,
    failed=("web2",),
    user="ada",
    controller="deploy1",
    limit="web",
    version="0.1.0",
)
WELL = RUN._replace(failed=())
HAZARD = {"name": "reentrant", "effect": "dies", "cure": "24.1", "source": "#3441"}
STAGE = {"number": 1, "gunicorn": "23.0.0", "python": "3.11", "requirements": ""}
STEP = {"stage": 1, "action": "upgrade", "reason": "", "hazards": [HAZARD]}
WAY = ("draining", "drained", "switching", "switched", "restoring", "serving", "soaking")


def event(at, kind, host="", **more):
    return {"at": float(at), "kind": kind, **({"host": host} if host else {}), **more}


def state(at, host, name, **more):
    return event(at, "state", host, state=name, what=f"{name} it is", **more)


def counters(at, web1, web2, pid=7, host="", errors=0):
    """A look at lb1, of which each server got so many requests."""
    rows = {
        name: {"status": "UP", "stot": requests, "hrsp_5xx": 0, "rtime": 12}
        for name, requests in (("web1", web1), ("web2", web2))
    }
    total = {"req_tot": web1 + web2, "hrsp_5xx": errors, "rtime": 12}
    asked = {"server": host} if host else {}
    told = {"balancer": "lb1", "pid": pid, "servers": rows, "totals": {"app": total}}
    return event(at, "counters", host, **told, **asked)


def version(at, host, gunicorn, python, release=""):
    return event(at, "versions", host, gunicorn=gunicorn, python=python, release=release)


def taken(at, host):
    return [state(at + index, host, name) for index, name in enumerate(WAY)]


def events():
    """What a story keeps of such a run."""
    plan = {"stages": [STAGE], "steps": [STEP], "problems": []}
    log = {"verdict": "clean", "counts": {}}
    told = [event(1000, "play", name="Ask every host and every balancer")]
    for host in ("web1", "web2"):
        told += [
            version(1001, host, "20.0.1", "3.6.15"),
            event(1002, "plan", host, plan=plan),
            counters(1003, 100, 100, host=host),
            event(
                1004,
                "log",
                host,
                verdict="dirty",
                counts={"worker_timeout": 2},
                pid=10,
                started=1004 - 7200,
            ),
        ]
    told += [
        event(
            1004,
            "incident",
            "web1",
            event="worker_timeout",
            severity="error",
            path="/l",
            offset=1,
            first="2026-11-23T03:00:00Z",
            excerpt="WORKER TIMEOUT (pid:11)",
        ),
        event(1010, "play", name="Stage 1"),
        event(
            1010,
            "record",
            run={
                "id": "x",
                "owner": "ada",
                "controller": "deploy1",
                "kind": "upgrade to gunicorn 23.0.0",
                "reason": "support ends",
                "overrides": ["rollout_force"],
                "status": "running",
                "plan": "",
            },
        ),
        *taken(1020, "web1"),
        version(1023, "web1", "23.0.0", "3.11.2", "23.0.0-py3.11-aa"),
        event(
            1027, "verdict", "web1", gate="soak", verdict="pass", summary="10 requests", reasons=[]
        ),
        event(1027, "log", "web1", **log, pid=20, started=1023.0),
        event(
            1030, "verdict", "web1", gate="soak", verdict="pass", summary="20 requests", reasons=[]
        ),
        state(1031, "web1", "passed"),
        event(1035, "play", name="Stage 1"),
        counters(1036, 100, 260),
        *taken(1040, "web2"),
        version(1043, "web2", "23.0.0", "3.11.2", "23.0.0-py3.11-aa"),
        counters(1050, 380, 260, errors=3),
        event(
            1050, "log", "web2", verdict="dirty", counts={"worker_killed": 1}, pid=21, started=1043
        ),
        event(
            1050,
            "incident",
            "web2",
            event="worker_killed",
            severity="error",
            path="/l",
            offset=9,
            first="2026-11-23T03:01:00Z",
            excerpt="Worker (pid:12) was sent SIGKILL!",
        ),
        event(
            1050,
            "verdict",
            "web2",
            gate="soak",
            verdict="fail",
            summary="5 requests",
            reasons=["log dirty"],
        ),
        event(
            1051,
            "failure",
            "web2",
            task="soak | Judge",
            text="soak | Judge: soak: fail; log dirty",
            unreachable=False,
        ),
        state(1052, "web2", "failed"),
        *[state(1053 + index, "web2", name) for index, name in enumerate(WAY[:6])],
        version(1056, "web2", "20.0.1", "3.6.15", "adopted"),
        state(1060, "web2", "returned"),
        event(
            1061,
            "failure",
            "web2",
            task="repair | End the run",
            text="web2: stage 1 failed.\nWhy",
            unreachable=False,
        ),
    ]
    return told


def made(told=None, run=RUN):
    return report(events() if told is None else told, run)
