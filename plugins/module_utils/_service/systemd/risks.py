# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which settings of a unit make a switch slower, less safe or impossible, and why. No I/O."""

from typing import Container, Iterable, List, Mapping

from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.options import (
    graceful_timeout,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.manager import (
    Deviation,
    Program,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.show import (
    seconds,
)

_SERVICES_WITH_IT = ("RequiredBy", "BoundBy", "ConsistsOf")


def deviations(
    properties: Mapping[str, str],
    program: Program,
    options: Mapping[str, str],
    wrapped: bool,
    sharing: Iterable[str],
) -> List[Deviation]:
    """Settings that make a switch slower or less safe, each with its reason."""
    graceful = graceful_timeout(options)
    found: List[Deviation] = []

    def add(setting: str, value: str, wanted: str, why: str) -> None:
        found.append({"setting": setting, "value": value, "wanted": wanted, "why": why})

    if properties.get("NeedDaemonReload") == "yes":
        add(
            "NeedDaemonReload",
            "yes",
            "no",
            "its files have changed since systemd read them: it would be started as they were, and"
            " as they are after anybody's `systemctl daemon-reload`",
        )
    if program["stopsignal"] not in (None, "TERM"):
        why = (
            "HUP restarts the workers instead of stopping, so that systemd kills them with requests"
            " in flight"
            if program["stopsignal"] == "HUP"
            else "gunicorn answers requests in flight with status 500 on QUIT and INT"
        )
        add("KillSignal", str(program["stopsignal"]), "TERM", why)
    mode = properties.get("KillMode", "")
    if mode == "control-group":
        why = (
            "workers get TERM from systemd and from their arbiter, which writes 'was sent SIGTERM!'"
            " and can set off the reentrant-call error while stopping"
        )
        add("KillMode", mode, "mixed", why)
    elif mode != "mixed":
        why = "when the arbiter ends or is killed, its workers live on and keep the port"
        add("KillMode", mode or "unknown", "mixed", why)
    if properties.get("SendSIGKILL") == "no":
        add("SendSIGKILL", "no", "yes", "what does not end by itself is left, and keeps the port")
    patience = seconds(properties.get("TimeoutStopUSec") or "infinity")
    if patience is not None and patience <= graceful:
        add(
            "TimeoutStopSec",
            f"{patience:g}",
            str(graceful + 5),
            f"systemd kills the workers before gunicorn's graceful timeout ({graceful} s) is over:"
            " requests in flight are lost",
        )
    if properties.get("Restart") in ("no", "on-success"):
        why = "a gunicorn that dies is not started again"
        add("Restart", properties["Restart"], "on-failure", why)
    if properties.get("Type") == "forking" and not properties.get("PIDFile"):
        why = "systemd can only guess which process is the arbiter"
        add("Type", "forking without PIDFile", "notify, without --daemon", why)
    watchdog = properties.get("WatchdogUSec") or "0"
    if watchdog not in ("0", "infinity"):
        why = "gunicorn never answers the watchdog, so systemd kills it after that time"
        add("WatchdogSec", watchdog, "0", why)
    for name in ("FailureAction", "StartLimitAction"):
        if properties.get(name, "none") not in ("", "none"):
            why = "a release that cannot start would do that to the machine"
            add(name, properties[name], "none", why)
    if wrapped:
        add(
            "ExecStart",
            redact(str(program["command"])),
            "a wrapper that ends in `exec gunicorn …`",
            "the wrapper keeps running as gunicorn's parent: signals of systemd reach the wrapper"
            " first",
        )
    for other in sharing:
        add(
            "virtualenv",
            other,
            "a virtualenv of its own",
            "this other unit runs from the same virtualenv, and is not restarted when the release"
            " is switched",
        )
    return found


def refusals(properties: Mapping[str, str], together: Container[str] = ()) -> List[str]:
    """Why a switch of this unit would be done wrong; ``together``: units that are switched too."""
    unit = properties["Id"]
    found = []
    with_it = sorted(
        {
            each
            for name in _SERVICES_WITH_IT
            for each in properties.get(name, "").split()
            if each.endswith(".service") and each not in together
        }
    )
    if with_it:
        found.append(
            f"systemd stops {', '.join(with_it)} whenever {unit} is stopped (Requires=, BindsTo= or"
            " PartOf=), and does not start that again with it. Use Wants= and After= there;"
            " a worker on the same virtualenv may be named in app_programs instead."
        )
    for name in ("RootDirectory", "RootImage"):
        if properties.get(name, "") not in ("", "/"):
            found.append(
                f"{unit} has {name}={properties[name]}: the paths that it knows are not those of"
                " this host, so what it runs from could not be proved. Run it without."
            )
    for name in ("RefuseManualStart", "RefuseManualStop"):
        if properties.get(name) == "yes":
            found.append(f"{unit} has {name}=yes, so nobody may switch it. Set it to no.")
    if properties.get("Type") == "oneshot":
        found.append(
            f"{unit} is of Type=oneshot, which systemd does not look after. Use notify or exec."
        )
    if properties.get("Transient") == "yes":
        found.append(
            f"{unit} was made by systemd-run and is gone once it has stopped. Write a unit file."
        )
    return found
