# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A gate before a service: while it is closed nobody starts it, and who wants to waits.

It is a unit of its own (``systemd-run``), ``Type=oneshot`` and ``Before=`` the service, that has
not finished to start: systemd lets each start of the service wait for that, a client's at its
socket included. Nothing of the service is edited, systemd need not read its files again, no time of
the service's own start is used up, and its sandbox does not matter. A mask would not let wait but
refuse, and have the socket fail; a drop-in would need `daemon-reload` twice, and outlive a killed
run.

The gate opens by itself as soon as the process that closed it has ended, or its time is over.
"""

import os
import re
from typing import List

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.systemctl import (
    Ask,
    Systemctl,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.target import (
    services,
)

GATE_UNIT = "fleetops-gate-"
# $1: whose gate it is, $2: for how many looks at most.
WATCH = 'while [ "$2" -gt 0 ] && [ -d "/proc/$1" ]; do sleep 0.2; set -- "$1" $(($2 - 1)); done'
LOOKS = 5  # a second


def gate_name(unit: str, token: str) -> str:
    """The name of a gate; ``token`` tells it from those before."""
    bare = unit[: -len(".service")] if unit.endswith(".service") else unit
    return f"{GATE_UNIT}{re.sub(r'[^A-Za-z0-9_.]', '-', bare)[:100]}-{token}.service"


def gate_command(user: bool, name: str, unit: str, pid: int, seconds: float) -> List[str]:
    """The words that close it: for as long as ``pid`` lives, ``seconds`` at most."""
    most = int(seconds) + 1
    words = ["systemd-run", *(["--user"] if user else []), "--no-ask-password", "--quiet"]
    words += ["--no-block", "--collect", f"--unit={name}"]
    words += [f"--description=Clients of {unit} wait until its release has been switched"]
    properties = ("Type=oneshot", f"Before={unit}", f"TimeoutStartSec={2 * most}")
    words += [f"--property={each}" for each in (*properties, "TimeoutStopSec=5")]
    # systemd would put variables in.
    shell = ["/bin/sh", "-c", WATCH.replace("$", "$$"), "sh", str(pid), str(most * LOOKS)]
    return [*words, "--", *shell]


class Gate:
    """Before one service; open until it is closed."""

    def __init__(self, asking: Ask, user: bool, unit: str, token: str) -> None:
        self._ask = asking
        self._user = user
        self._unit = unit
        self._systemctl = Systemctl(asking, user)
        self._name = gate_name(unit, token)
        self.closed = False

    def close(self, seconds: float) -> None:
        """From here on nobody starts the service; ``seconds`` bound it."""
        words = gate_command(self._user, self._name, self._unit, os.getpid(), seconds)
        result = self._ask(words)
        if result.status != 0:
            said = result.error or " ".join(result.output.split())[:500] or "nothing"
            raise FleetError(
                f"systemd was asked to let the clients of {self._unit} wait, and systemd-run said:"
                f" {redact(said)}. Become root; systemd 236 or newer is needed."
            )
        self.closed = True
        if not self.holds():
            raise FleetError(
                f"systemd was asked to let the clients of {self._unit} wait, but {self._name} ended"
                " at once. `journalctl -e` tells why; it needs /bin/sh and sleep."
            )
        self._open_others()

    def holds(self) -> bool:
        """Does it still let everybody wait?"""
        told = self._systemctl.show(self._name, ("ActiveState", "Job"))
        return told.get("ActiveState") == "activating" or told.get("Job", "0") not in ("", "0")

    def open(self) -> None:
        """Whoever waits is let in."""
        if self.closed:
            self.closed = False
            try:
                self._systemctl.order("stop", self._name, wait=True)
            except FleetError:
                # It may have ended by itself.
                if self.holds():
                    raise

    def _open_others(self) -> None:
        """Those of runs that are gone."""
        told = self._systemctl.show_text(f"{GATE_UNIT}*.service", ("Id", "Before"))
        for each in services(told):
            if each["Id"] != self._name and self._unit in each.get("Before", "").split():
                self._systemctl.order("stop", each["Id"])
