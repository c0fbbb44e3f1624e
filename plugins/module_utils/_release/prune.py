# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which releases may go: those beyond the newest few that nothing and nobody needs any more."""

import os
import re
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.live_venv import (
    add_history,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Reader,
    parse_stat,
    read_environ,
    read_mapped,
    started_in,
)

_MOMENT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


class Release(NamedTuple):
    """A release that was built here. In this form, a later moment is the greater text."""

    id: str
    built_at: str


class State(NamedTuple):
    """The releases that are there, and what is known of their use."""

    found: Sequence[Release]
    active: Optional[str]
    previous: Optional[str]
    # {release: the one that was active before it}
    history: Mapping[str, str]
    # {release: what uses it}
    used: Mapping[str, str]


class Needs(NamedTuple):
    """What must stay, however old it is."""

    active: Optional[str]
    previous: Optional[str]
    protected: Sequence[str]
    # {release: what uses it}
    used: Mapping[str, str]

    def why(self, release: str) -> str:
        """Why a release must stay; empty if it need not."""
        if release == self.active:
            return "active"
        if release == self.previous:
            return "previous"
        if release in self.protected:
            return "protected"
        return self.used.get(release, "")


def check_keep(keep: int) -> None:
    """Refuse a number that cannot be meant."""
    if keep == 1 or keep < 0:
        raise FleetError(
            f"keep is {keep}: the active release and the one before it, the way back, always stay."
            " Give 2 or more, or 0 to keep all. Nothing was removed."
        )


def release_of(record: Mapping[str, Any]) -> Optional[Release]:
    """What may go at all. One that was adopted is not ours: nobody could build it again."""
    built_at = record.get("built_at")
    if record.get("adopted") or not isinstance(built_at, str) or not _MOMENT.match(built_at):
        return None
    return Release(record["id"], built_at)


def decide(
    found: Iterable[Release], keep: int, needs: Needs, coming: Sequence[str] = ()
) -> Tuple[List[str], Dict[str, str]]:
    """(what goes, {what stays: why}), both from new to old. What is coming is newer than all."""
    order = sorted(found, key=lambda each: (each.built_at, each.id), reverse=True)
    there = [each.id for each in order]
    ahead = len(set(coming) - set(there))
    go: List[str] = []
    stay: Dict[str, str] = {}
    for place, release in enumerate(there, start=ahead + 1):
        why = needs.why(release)
        if not why and (keep == 0 or place <= keep):
            why = "new"
        if why:
            stay[release] = why
        else:
            go.append(release)
    return go, stay


def choose(
    state: State, keep: int, protect: Sequence[str] = (), coming: Sequence[str] = ()
) -> Tuple[List[str], Dict[str, str]]:
    """(what goes, {what stays: why}) now, or after the switches to what is ``coming``."""
    if not coming:
        needs = Needs(state.active, state.previous, protect, state.used)
        return decide(state.found, keep, needs)
    # Its processes end with the switch.
    used = {release: why for release, why in state.used.items() if release != state.active}
    active, previous = foresee(state.active, dict(state.history), coming)
    needs = Needs(active, previous, [*protect, *coming], used)
    return decide(state.found, keep, needs, coming)


def foresee(
    active: Optional[str], history: Dict[str, str], coming: Iterable[str]
) -> Tuple[Optional[str], Optional[str]]:
    """Which release will be active, and which one will be its way back, after these switches."""
    for release in coming:
        history = add_history(history, active, release)
        active = release
    return active, history.get(active or "")


def uses(reader: Reader, home: str) -> Dict[str, str]:
    """{release: what uses it}. Who was started through the link ``venv`` also reads through it."""
    homes = "|".join(sorted({re.escape(home), re.escape(reader.real(home))}))
    named = re.compile(rf"(?:{homes})/releases/([0-9A-Za-z.+-]+)")
    found: Dict[str, str] = {}
    for pid in reader.names("/proc"):
        if pid.isdigit():
            for release in named.findall("\n".join(_told_by(reader, pid))):
                found.setdefault(release, f"in use by process {pid}")
    for release in named.findall(reader.text("/proc/self/mounts")):
        found.setdefault(release, "a file system is mounted in it")
    return found


def _told_by(reader: Reader, pid: str) -> Iterable[str]:
    """Every path by which a process may hold, or come back to, a file."""
    place = f"/proc/{pid}"
    words = reader.text(f"{place}/cmdline", 1 << 20).split("\0")
    yield from words
    stat = parse_stat(reader.text(f"{place}/stat", 4096))
    environ = read_environ(reader, int(pid))
    for here in started_in(reader, int(pid), stat[0] if stat else 0, environ):
        yield from (os.path.normpath(os.path.join(here, word)) for word in words)
    yield reader.text(f"{place}/environ", 1 << 20)
    yield from sorted(read_mapped(reader, int(pid)))
    links = ["cwd", "exe", "root"] + [f"fd/{name}" for name in reader.names(f"{place}/fd")]
    yield from (reader.link(f"{place}/{name}") or "" for name in links)
