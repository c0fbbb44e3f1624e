# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sockets that systemd keeps for a service (socket activation). No I/O."""

from typing import Iterable, List, Mapping, NamedTuple, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.manager import Deviation
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.sandbox import (
    read_repeated,
)

PROPERTIES = (
    *("Id", "LoadState", "ActiveState", "UnitFileState", "Result", "NeedDaemonReload"),
    *("Accept", "Listen", "Triggers", "FlushPending"),
)
_STREAM = " (Stream)"
# It has started the service, until that was given up.
_GAVE_UP = ("service-start-limit-hit", "trigger-limit-hit")
_NEEDING = ("Requires", "BindsTo", "Wants")


class Socket(NamedTuple):
    """One unit; ``addresses`` as gunicorn's ``bind`` writes them, streams alone."""

    name: str
    state: str  # systemd's word: active, failed, inactive, ...
    result: str
    loaded: bool
    enabled: bool
    accept: bool
    triggers: Tuple[str, ...]
    addresses: Tuple[str, ...]
    flushes: bool
    stale: bool


def read_sockets(text: str) -> List[Socket]:
    """What ``systemctl show`` tells of several sockets: a block each."""
    blocks = (read_repeated(block) for block in text.split("\n\n"))
    return [_socket(told) for told in blocks if told.get("Id")]


def _socket(told: Mapping[str, List[str]]) -> Socket:
    last = {name: values[-1] for name, values in told.items()}
    places = [each[: -len(_STREAM)] for each in told.get("Listen", []) if each.endswith(_STREAM)]
    return Socket(
        name=last["Id"],
        state=last.get("ActiveState", ""),
        result=last.get("Result", ""),
        loaded=last.get("LoadState") == "loaded",
        enabled=last.get("UnitFileState", "") not in ("", "disabled"),
        accept=last.get("Accept") == "yes",
        triggers=tuple(last.get("Triggers", "").split()),
        addresses=tuple(f"unix:{each}" if each[:1] in ("/", "@") else each for each in places),
        flushes=last.get("FlushPending") == "yes",
        stale=last.get("NeedDaemonReload") == "yes",
    )


def in_use(
    found: Iterable[Socket], service: Mapping[str, str], running: bool, activated: bool
) -> List[Socket]:
    """Those that the service has its listeners from, or would be started with.

    ``activated``: what runs was given listeners. One that is down is left so only if the service
    runs without it, or nothing asks for it.
    """
    needed = " ".join(service.get(name, "") for name in _NEEDING).split()
    used = []
    for each in found:
        if each.state in ("inactive", "failed") and not activated:
            wanted = each.state == "failed" or each.enabled or each.name in needed
            if each.result not in _GAVE_UP and (running or not wanted):
                continue
        used.append(each)
    return used


def refusals(unit: str, used: Iterable[Socket], may_hold: bool) -> List[str]:
    """Why a switch of a service with these sockets would be done wrong.

    ``may_hold``: whether this user may keep clients from starting the service.
    """
    found = []
    used = list(used)
    for each in used:
        others = [name for name in each.triggers if name != unit]
        if each.accept:
            found.append(
                f"{each.name} has Accept=yes, so it starts a {unit} for each client, which gunicorn"
                " is not made for. Set Accept=no."
            )
        elif others:
            found.append(
                f"{each.name} starts {', '.join(others)} as well, which would take {unit}'s clients"
                " meanwhile. Give each service a socket of its own."
            )
        if not each.loaded and each.state != "active":
            found.append(
                f"{unit} has its listeners from {each.name}, which is not there any more. Put its"
                f" file back and run `systemctl daemon-reload`."
            )
    if used and not may_hold:
        found.append(
            f"{unit} is started by its clients ({', '.join(each.name for each in used)}), and only"
            " root can have them wait until the release has been switched. Become root for it"
            " (ansible_become)."
        )
    return found


def not_taken(unit: str, used: Iterable[Socket], meant: str, arbiter: int) -> List[str]:
    """Why the listeners that systemd gave to the service are not gunicorn's; empty if they are.

    ``meant`` is LISTEN_PID of the arbiter: gunicorn takes what is meant for its own process.
    """
    names = " ".join(each.name for each in used)
    if not names or meant in ("", str(arbiter)):
        return []
    return [
        f"{unit} is given the listeners of {names}, but for process {meant}, so that its gunicorn"
        f" ({arbiter}) does not take them: without --daemon and behind a wrapper that ends in"
        f" `exec gunicorn …` it would. `systemctl disable --now {names}` if nobody uses them."
    ]


def deviations(unit: str, service: Mapping[str, str], used: Iterable[Socket]) -> List[Deviation]:
    """Settings of the sockets that make a switch less safe."""
    found: List[Deviation] = []

    def add(setting: str, value: str, wanted: str, why: str) -> None:
        found.append({"setting": setting, "value": value, "wanted": wanted, "why": why})

    stops = service.get("ConsistsOf", "").split() + service.get("BoundBy", "").split()
    for each in used:
        name = each.name
        if each.state in ("inactive", "failed"):
            state = f"{each.state} ({each.result})" if each.state == "failed" else each.state
            why = "nobody keeps its addresses: clients are refused until the switch starts it again"
            add(name, state, "active", why)
        if each.stale:
            why = "its files have changed since systemd read them"
            add(f"NeedDaemonReload of {name}", "yes", "no", why)
        if each.flushes:
            why = "who waits while the service is stopped is sent away"
            add(f"FlushPending of {name}", "yes", "no", why)
        if name in stops:
            why = "it stops with the service: clients are refused during the switch"
            add(f"PartOf or BindsTo of {name}", unit, "none", why)
        if name not in service.get("Requires", "").split():
            why = (
                f"{unit} can be started while {name} is down, without its addresses: gunicorn then"
                " listens elsewhere"
            )
            add("Requires", "", name, why)
    return found
