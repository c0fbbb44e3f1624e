# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a switch would do, or why it is refused: decided before anything is touched."""

import os
from typing import List, NamedTuple, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.live_venv import (
    gunicorn_version,
    python_version,
    release_path,
    version_matches,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.snapshot import (
    Observation,
    clashes,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.bounded_http import Endpoint
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import Reader
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.site import Site


class Wanted(NamedTuple):
    """What the operator asked for."""

    release: Optional[str]
    gunicorn: Optional[str]
    python: Optional[str]
    url: Optional[Endpoint]
    adopt_as: Optional[str]
    restart: bool
    going_back: bool
    # Whether a failure says how to go back; not where a run does so by itself.
    advise: bool
    kill_after: Optional[float]
    stop_timeout: float
    start_timeout: float
    stable_for: float


class Plan(NamedTuple):
    """What will be done. ``flip_to`` and ``adopt`` are None if not needed."""

    release: str
    path: str
    flip_to: Optional[str]
    adopt: Optional[str]
    before: Optional[str]


def make_plan(reader: Reader, site: Site, seen: Observation, wanted: Wanted) -> Plan:
    """Decide what is to be done, or refuse; nothing has been touched yet."""
    venv = seen.venv
    home = site.home
    if venv.kind not in ("symlink", "directory", "absent"):
        raise FleetError(
            f"{venv.path} is neither a virtualenv nor a link to one, but a {venv.kind}."
            " Move it away."
        )
    before = venv.release or venv.target
    adopted = wanted.adopt_as
    if venv.kind == "directory":
        adopted = adopted or site.adopted_id(venv)
        before = adopted
    # The way back after a failure before the adoption: what shall become that release runs still.
    unadopted = adopted and reader.kind(release_path(home, adopted)) == "absent"
    in_place = venv.kind == "directory" and (
        wanted.release is None or (wanted.release == adopted and bool(unadopted))
    )
    if in_place or wanted.release is None:
        if venv.kind == "absent":
            raise FleetError(
                f"{venv.path} does not exist, so there is no active release. Name one."
            )
        path, release = venv.target or venv.path, str(before)
        flip_to = None
    else:
        named = wanted.release
        path = release_path(home, named)
        real = reader.real(path)
        inside = os.path.dirname(real) == reader.real(f"{home}/releases")
        release = os.path.basename(real) if inside else real
        known = [name for name in reader.names(f"{home}/releases") if not name.startswith(".")]
        if reader.kind(real) != "directory":
            raise FleetError(
                f"Release {named} is not on this host: there is no directory {path}."
                f" Present: {', '.join(known[-20:]) or 'none'}. Build it first."
            )
        flip_to = None
        if venv.kind != "symlink" or venv.target != real:
            flip_to = f"releases/{release}" if inside else real
        path = real
    _check_release(reader, path, release, wanted)
    adopt = adopted if venv.kind == "directory" and not in_place else None
    if adopt:
        if "/" in adopt or adopt.startswith("."):
            raise FleetError(f"adopt_as is the name of a release, not a path: {adopt!r}.")
        if not unadopted:
            raise FleetError(
                f"{venv.path} is a directory that shall become the release {adopt}, but"
                f" {home}/releases/{adopt} exists already. Name another with adopt_as, or remove"
                " what is there."
            )
    return Plan(release, path, flip_to, adopt, before)


def _check_release(reader: Reader, path: str, release: str, wanted: Wanted) -> None:
    """Versions that are wrong in the files need no down-time to be found wrong."""
    if reader.kind(f"{path}/bin/python") == "absent":
        raise FleetError(f"{path} is no virtualenv: it has no bin/python. Build release {release}.")
    found = {"gunicorn": gunicorn_version(reader, path), "Python": python_version(reader, path)}
    for what, asked in (("gunicorn", wanted.gunicorn), ("Python", wanted.python)):
        if what == "gunicorn" and found[what] is None:
            raise FleetError(f"Release {release} ({path}) has no gunicorn in it. Build it again.")
        if found[what] is not None and not version_matches(found[what], asked):
            raise FleetError(
                f"Release {release} holds {what} {found[what]}, but {asked} is wanted."
                " Nothing was stopped. Name another release, or correct the expectation."
            )


def refuse_in_vain(site: Site, seen: Observation, plan: Plan) -> None:
    """Everything that would make the stop be in vain."""
    program = seen.program
    if plan.flip_to and not site.goes_through_venv(seen):
        raise FleetError(
            f"Nothing was stopped: {site.name} does not start through {seen.venv.path}, so"
            " switching that would change nothing. Its command is"
            f" {redact(str(program['command']))!r}. Let the command (or the wrapper in it) use"
            f" {seen.venv.path}/bin/…, then run `{site.manager.reload}` yourself."
        )
    refused = site.manager.refusals(program, seen.arbiter.pid if seen.arbiter else 0)
    if refused:
        raise FleetError(f"Nothing was stopped: {' '.join(refused)}")
    mine = [each.address for each in seen.listeners]
    for stray in seen.unmanaged:
        shared = [a for a in stray.addresses if clashes(a, mine)]
        if shared and not stray.program:
            raise FleetError(
                f"Nothing was stopped: gunicorn {stray.process.pid}, which {site.manager.word} does"
                f" not know (a left-over of USR2?), also listens on {', '.join(shared)}, so a"
                " new generation could not. End it first: kill -TERM"
                f" {stray.process.pid}."
            )
    unread = [path for path in site.unread(seen) if path.endswith(("/fd", "/exe"))]
    if unread:
        raise FleetError(
            f"Nothing was stopped: this user may not read {', '.join(unread[:5])}, so nothing"
            " could be proved. Become root, or the user that runs gunicorn."
        )


def side_effects(site: Site, seen: Observation) -> List[str]:
    """What the operator is to know of, though it stops nothing."""
    found = []
    for other in site.manager.sharing:
        found.append(
            f"Program {other} runs from the same virtualenv; it is left alone and may import"
            " from the new release without having been restarted."
        )
    for stray in seen.unmanaged:
        if not stray.program:
            found.append(
                f"gunicorn {stray.process.pid} of this home runs outside {site.manager.word} (a"
                " left-over of USR2?); it is left alone."
            )
    return found
