# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture that one look gives: the program, and everything that runs from its home. No I/O."""

from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.live_venv import Venv
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.owners import Beside
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Listener,
    Process,
)


class Arbiter(NamedTuple):
    """The master process of one generation."""

    pid: int
    started: float
    start_ticks: int
    boot_id: str
    uid: Optional[int]
    user: Optional[str]
    cwd: Optional[str]
    python: Optional[str]
    python_executable: Optional[str]
    gunicorn: Optional[str]
    prefix: Optional[str]
    release: Optional[str]
    workers_wanted: Optional[int]
    cmdline: List[str]


class Stray(NamedTuple):
    """A gunicorn process of this home that no arbiter under the program accounts for."""

    process: Process
    addresses: List[str]
    # Who else looks after it: another program of this supervisord, another one, systemd.
    program: Optional[str]


class Observation(NamedTuple):
    """One look at the program and everything that runs from its home."""

    program: Dict[str, Any]
    arbiter: Optional[Arbiter]
    workers: List[Process]
    # Everything under the program's pid, wrappers included.
    tree: List[Process]
    listeners: List[Listener]
    # Those of everybody else, too.
    listening: List[Listener]
    orphans: List[Stray]
    unmanaged: List[Stray]
    venv: Venv
    options: Dict[str, Any]
    environ: Dict[str, str]
    # Children of the arbiter that serve no requests.
    helpers: Tuple[Process, ...] = ()
    beside: Tuple[Beside, ...] = ()
    # What else the service manager ends with the program.
    rest: Tuple[Process, ...] = ()
    # What runs from the virtualenv and nobody looks after.
    loose: Tuple[Process, ...] = ()


def clashes(listener: str, wanted: Iterable[str]) -> bool:
    """Would a bind to one of ``wanted`` fail because of ``listener``?"""
    for address in wanted:
        if listener == address:
            return True
        if listener.startswith("unix:") or address.startswith("unix:"):
            continue
        (host, port), (mine, my_port) = listener.rsplit(":", 1), address.rsplit(":", 1)
        if port == my_port and {host, mine} & {"0.0.0.0", "[::]"}:
            return True
    return False


def stray_report(stray: Stray) -> Dict[str, Any]:
    return {"pid": stray.process.pid, "ppid": stray.process.ppid, "listeners": stray.addresses}
