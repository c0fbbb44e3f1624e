# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask systemd by its own command, in bounded time."""

import os
from typing import Callable, Dict, List, Mapping, Sequence

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import Result, run
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.show import (
    PROPERTIES,
    read_properties,
)

TIMEOUT = 10.0
_RIGHTS = ("Interactive authentication", "Access denied", "authentication required", "Permission")

Ask = Callable[[List[str]], Result]


def environment(user: bool) -> Dict[str, str]:
    """What systemd's commands need: nothing of ours that would change their words."""
    found = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"}
    if user:
        found["XDG_RUNTIME_DIR"] = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    return found


def ask(user: bool) -> Ask:
    """A way to run one of systemd's commands for the system, or for this user's own manager."""
    return lambda words: run(words, environment(user), "/", TIMEOUT)


class Systemctl:
    """The few questions and orders that a switch needs."""

    def __init__(self, asking: Ask, user: bool = False) -> None:
        self._ask = asking
        self._scope = ["--user"] if user else []

    def show(self, unit: str, properties: Sequence[str] = PROPERTIES) -> Dict[str, str]:
        return read_properties(self.show_text(unit, properties))

    def show_text(self, unit: str, properties: Sequence[str]) -> str:
        words = ["show", "--no-pager", f"--property={','.join(properties)}", "--", unit]
        return self._do(words, f"what unit {unit} is")

    def show_services(self, properties: Sequence[str]) -> str:
        words = ["show", "--no-pager", f"--property={','.join(properties)}", "--", "*.service"]
        return self._do(words, "which services there are")

    def cat(self, unit: str) -> str:
        """The unit's files; empty if they cannot be read."""
        result = self._ask(["systemctl", *self._scope, "cat", "--no-pager", "--", unit])
        return result.output if result.status == 0 else ""

    def show_units(self, units: Sequence[str], properties: Sequence[str]) -> str:
        """A block for each unit."""
        words = ["show", "--no-pager", f"--property={','.join(properties)}", "--", *units]
        return self._do(words, f"what {', '.join(units)} are")

    def order(self, verb: str, unit: str, wait: bool = False) -> None:
        """Ask for a start or a stop, and wait for neither unless told so."""
        words = [verb, *([] if wait else ["--no-block"]), "--no-ask-password", "--", unit]
        self._do(words, f"to {verb} {unit}")

    def reset_failed(self, unit: str) -> None:
        """Forget how often it was started; that it cannot is no reason not to start it."""
        self._ask(["systemctl", *self._scope, "reset-failed", "--no-ask-password", "--", unit])

    def _do(self, words: List[str], what: str) -> str:
        result = self._ask(["systemctl", *self._scope, *words])
        if result.status == 0:
            return result.output
        said = result.error or " ".join(result.output.split())[:500] or "nothing"
        todo = "Is systemd what runs this host (`systemctl is-system-running`)?"
        if any(word in said for word in _RIGHTS):
            todo = "Become root, or allow it to this user by a rule of polkit."
        raise FleetError(f"systemd was asked {what}, and systemctl said: {redact(said)}. {todo}")


def journal(asking: Ask, user: bool, words: Mapping[str, str], more: Sequence[str]) -> str:
    """The plain lines of the journal that fit; empty if it cannot be read."""
    scope = ["--user"] if user else []
    options = [f"--{name}={value}" for name, value in sorted(words.items())]
    result = asking(["journalctl", *scope, "--quiet", "--no-pager", *options, *more])
    return result.output if result.status == 0 else ""
