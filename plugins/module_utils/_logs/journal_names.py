# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A unit's journal as a log: how it is named among paths, and why it cannot be read."""

import re
from typing import NamedTuple, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

SYSTEM, USER = "journal:", "journal-user:"
_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]{1,255}\.service$")
# Says what this user may not see; with --output=export or cat, it does not.
PROBE = ["--lines=0", "--output=short"]
_RIGHTS = ("insufficient permissions", "not seeing messages from other users", "ermission denied")


class Unit(NamedTuple):
    """A service whose journal is meant; ``user``: of the user's own manager."""

    name: str
    user: bool


def unit_of(path: str) -> Optional[Unit]:
    """``journal:app.service`` names a log, too; None for a file, FleetError for a bad name."""
    for prefix in (SYSTEM, USER):
        if path.startswith(prefix):
            name = path[len(prefix) :]
            name = name if name.endswith(".service") else name + ".service"
            if not _NAME.match(name):
                raise FleetError(
                    f"paths: {path!r} names no service. Write {prefix}app.service for the journal"
                    " of app.service."
                )
            return Unit(name, prefix == USER)
    return None


def path_of(name: str, user: bool) -> str:
    """The name of a unit's journal, where paths of logs are given."""
    return (USER if user else SYSTEM) + name


def spoken(path: str) -> str:
    """How a log is called in a sentence."""
    unit = unit_of(path)
    return path if unit is None else f"the journal of {unit.name}"


def complaint(unit: str, status: Optional[int], error: str) -> str:
    """Why journalctl cannot tell of a unit, and what to do; empty if it can."""
    if any(words in error for words in _RIGHTS):
        return (
            "this user may not read the journal: add it to the group systemd-journal (or adm), or"
            " become root"
        )
    if "No journal files were found" in error:
        return "there is no journal: set Storage=persistent in /etc/systemd/journald.conf"
    if "seek to cursor" in error:
        return "the place that was remembered is none of a journal: remove the cursor's file"
    if status == 0:
        return ""
    said = " ".join(error.split())[-300:] or "nothing"
    if status is None:
        return f"journalctl cannot be run: {said}"
    return f"journalctl ended with {status} and said: {said}. Try `journalctl -u {unit}`"
