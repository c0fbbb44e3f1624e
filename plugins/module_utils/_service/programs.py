# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program that runs from the same virtualenv as the gunicorn and is switched with it.

A celery worker, a scheduler, another gunicorn: what it is is seen from its processes, never
declared. Reads, never changes.
"""

from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.live_venv import (
    release_id,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.snapshot import (
    Observation,
    clashes,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Process,
    read_environ,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.manager import UP_STATES
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.site import Site

# What of a manager's deviations holds for a program that is no gunicorn.
_FOR_ANY = ("NeedDaemonReload", "FailureAction", "StartLimitAction")
# Seconds: supervisord's default, in which a worker hardly finishes what it is at.
_SHORT_STOP = 10


class Look(NamedTuple):
    """One look at the program. ``first``: its process that runs from the home, its parents none."""

    seen: Observation
    first: Optional[Process]
    started: Optional[float]
    prefix: Optional[str]

    @property
    def gunicorn(self) -> bool:
        return self.seen.arbiter is not None


def look_at(site: Site, waiting: bool = False) -> Look:
    """Look at a program that need not be a gunicorn; ``waiting`` as for `Site.observe`."""
    seen = site.observe(waiting)
    if seen.arbiter:
        top = next(each for each in seen.tree if each.pid == seen.arbiter.pid)
        return Look(seen, top, seen.arbiter.started, seen.arbiter.prefix)
    first = next((each for each in seen.tree if site.starts_here(each)), None)
    if first is None:
        return Look(seen, None, None, None)
    return Look(seen, first, site.started(first), site.runs_from(seen, first))


def faults(look: Look, path: str) -> List[str]:
    """What speaks against "it runs from the virtualenv ``path``"; for one that is no gunicorn."""
    program = look.seen.program
    if program["state"] != "RUNNING":
        return ["{manager} calls {name} {said}".format(**program)]
    if look.first is None:
        return [f"no process of {program['name']} runs from the virtualenv"]
    return mismatch(look, path)


def mismatch(look: Look, path: str) -> List[str]:
    """What waiting cannot cure, once a process is there and what it runs from can be told."""
    if look.first is None:
        return []
    who = f"process {look.first.pid} of {look.seen.program['name']}"
    if look.prefix is None:
        return [f"what {who} runs from cannot be told, so it is older than the link"]
    return [] if look.prefix == path else [f"{who} runs from {look.prefix}, not from {path}"]


def through_venv(site: Site, look: Look) -> bool:
    """Will the flip of the link change what its command runs?"""
    seen = look.seen
    if look.first and not seen.environ:
        seen = seen._replace(environ=read_environ(site.reader, look.first.pid))
    return site.goes_through_venv(seen)


def not_through(site: Site, look: Look) -> str:
    """Why it cannot be switched with the link; empty if it can."""
    if through_venv(site, look):
        return ""
    return (
        f"app_programs names {site.name}, but that does not start through"
        f" {look.seen.venv.path}, so switching that would change nothing of it. Its command is"
        f" {redact(str(look.seen.program['command']))!r}. Take it out of app_programs, or let its"
        f" command use {look.seen.venv.path}/bin/… and run `{site.manager.reload}` yourself."
    )


def problems(site: Site, look: Look, taken: List[str]) -> List[str]:
    """Why a switch must not begin with it as it is; ``taken``: addresses of other gunicorns."""
    program = look.seen.program
    found = []
    if program["state"] not in UP_STATES or not look.seen.tree:
        found.append(
            f"app_programs names {site.name}, which {site.manager.word} calls {program['said']}."
            " Start it and see that it works, or take it out of app_programs: what is switched"
            " begins from a healthy host."
        )
    outside = not_through(site, look)
    if outside:
        found.append(outside)
    elif look.seen.tree and look.first is None:
        found.append(
            f"app_programs names {site.name}, but none of its processes"
            f" ({', '.join(str(each.pid) for each in look.seen.tree[:5])}) runs from"
            f" {look.seen.venv.path}. Take it out of app_programs."
        )
    shared = [each.address for each in look.seen.listeners if clashes(each.address, taken)]
    if look.gunicorn and shared:
        found.append(
            f"app_programs names {site.name}, a gunicorn that listens on {', '.join(shared)} as"
            " another one does (reuse_port): which of them answers could not be told. Give each"
            " an address of its own."
        )
    return found + refusals(site, look)


def refusals(site: Site, look: Look) -> List[str]:
    """Why its manager cannot switch it as one of several."""
    refused = site.manager.refusals(look.seen.program)
    if site.manager.activated_by and not refused:
        refused = [
            f"app_programs names {site.name}, which {', '.join(site.manager.activated_by)} starts"
            " by itself (socket activation): a client in the middle of the switch would start the"
            " old release. Only app_program may be so. Let it bind its address itself."
        ]
    return refused


def deviations(site: Site, look: Look) -> List[Dict[str, str]]:
    """Settings that make its stop or start less safe, as `Manager.deviations` tells them."""
    told = site.deviations(look.seen)
    if look.gunicorn:
        return told
    found = [each for each in told if each["setting"] in _FOR_ANY]
    patience = look.seen.program["stopwaitsecs"]
    if patience is not None and patience <= _SHORT_STOP:
        setting = {"systemd": "TimeoutStopSec"}.get(site.manager.word, "stopwaitsecs")
        why = (
            f"{site.manager.word} kills it then, with whatever it is at: a celery worker ends when"
            " its tasks have"
        )
        found.append(
            {
                "setting": setting,
                "value": f"{patience:g}",
                "wanted": "longer than a task",
                "why": why,
            }
        )
    return found


def report(site: Site, look: Look, taken: List[str]) -> Dict[str, Any]:
    """The program as gunicorn_info returns it in ``programs``."""
    seen, program, arbiter = look.seen, look.seen.program, look.seen.arbiter
    return {
        "program": site.name,
        "state": program["state"],
        "said": program["said"],
        "pid": look.first.pid if look.first else program["pid"],
        "started": look.started,
        "start_ticks": look.first.start_ticks if look.first else None,
        "release": release_id(site.reader, site.home, look.prefix),
        "gunicorn": arbiter.gunicorn if arbiter else None,
        "listeners": sorted({each.address for each in seen.listeners}),
        "stop_timeout": program["stopwaitsecs"],
        "command": redact(program["command"]) if program["command"] else None,
        "deviations": deviations(site, look),
        "problems": problems(site, look, taken),
    }
