# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The releases that are there, and what needs them, as they are found."""

import os
from typing import List, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.live_venv import (
    read_history,
    read_venv,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import Reader
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.prune import (
    Release,
    State,
    release_of,
    uses,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.record import (
    is_release_id,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.store import (
    read_record,
    refuse_doubt,
)


def is_there(releases: str) -> bool:
    """Whether there are releases, in a directory that leads nowhere else."""
    if not os.path.lexists(releases):
        return False
    if os.path.islink(releases) or not os.path.isdir(releases):
        raise FleetError(
            f"{releases} is a symbolic link or no directory, and is not followed. Nothing was"
            " removed. Move the releases to their place, or keep them all: keep is 0"
            " (rollout_keep_releases)."
        )
    refuse_doubt(releases)
    return True


def built_in(releases: str) -> List[Release]:
    """The releases that were built there. What is anything else is nobody's business here."""
    found = []
    for name in sorted(os.listdir(releases)):
        path = os.path.join(releases, name)
        if not is_release_id(name) or os.path.islink(path) or not os.path.isdir(path):
            continue
        try:
            record = read_record(path)
        except FleetError:
            continue
        release = release_of(record) if record else None
        if release:
            found.append(release)
    return found


def read_state(home: str) -> Optional[State]:
    """What there is below ``home``; None where there are no releases."""
    releases = os.path.join(home, "releases")
    if not is_there(releases):
        return None
    reader = Reader()
    venv = read_venv(reader, home)
    if venv.kind not in ("symlink", "directory"):
        raise FleetError(
            f"{home}/venv is {venv.kind}, so nothing says which release is active. Nothing was"
            " removed. Activate one, then try again."
        )
    history = read_history(reader, home)
    return State(built_in(releases), venv.release, venv.previous, history, uses(reader, home))
