# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``systemctl show`` tells of one unit. No I/O.

systemd 252 answers 0 for a unit that it does not know, so LoadState is asked, never the exit code.
"""

import re
from typing import Dict, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

PROPERTIES = (
    *("Id", "LoadState", "UnitFileState", "ActiveState", "SubState", "Result", "Type", "Job"),
    *("MainPID", "InvocationID", "ExecMainStartTimestampMonotonic", "NRestarts"),
    *("ExecMainCode", "ExecMainStatus", "ControlGroup"),
    *("ConditionTimestampMonotonic", "ConditionResult", "AssertResult"),
    *("TriggeredBy", "RequiredBy", "BoundBy", "ConsistsOf", "Requires", "BindsTo", "Wants"),
    *("ExecStart", "User", "DynamicUser", "WorkingDirectory", "Environment"),
    *("StandardOutput", "StandardError", "LogNamespace", "LogLevelMax", "SyslogLevel"),
    *("RootDirectory", "RootImage"),
    *("KillMode", "KillSignal", "SendSIGKILL", "TimeoutStopUSec", "Restart", "WatchdogUSec"),
    *("FailureAction", "StartLimitAction", "RefuseManualStart", "RefuseManualStop", "PIDFile"),
    *("FragmentPath", "DropInPaths", "NeedDaemonReload", "Transient"),
)
_SECONDS = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "month": 2629800.0,
    "y": 31557600.0,
}


class Generation(NamedTuple):
    """One life of a unit: new at each start, also at one of systemd's own restarts."""

    invocation: str  # 32 hexadecimal digits
    pid: int
    started: int  # microseconds of the monotonic clock


def read_properties(text: str) -> Dict[str, str]:
    """``Name=value`` lines; a value may hold ``=`` and may be empty."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            found[name] = value
    return found


def seconds(text: str) -> Optional[float]:
    """A span such as ``1min 30s``; None for ``infinity``."""
    if text == "infinity":
        return None
    if text == "0":
        return 0.0
    parts = re.findall(r"(\d+(?:\.\d+)?)([a-z]+)", text)
    if "".join(map("".join, parts)) != text.replace(" ", "") or not parts:
        raise FleetError(f"systemd told a span of time as {text!r}, which cannot be read.")
    unknown = sorted({unit for _number, unit in parts} - set(_SECONDS))
    if unknown:
        raise FleetError(f"systemd told a span of time as {text!r}: {unknown[0]!r} is unknown.")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def require_loaded(unit: str, properties: Dict[str, str]) -> None:
    """Refuse a unit that systemd cannot start."""
    state = properties.get("LoadState", "")
    if state == "loaded":
        return
    todo = {
        "not-found": "Correct app_program, or install the unit and run `systemctl daemon-reload`.",
        "masked": f"Run `systemctl unmask {unit}` yourself if it is to run.",
    }.get(state, f"`systemctl status {unit}` tells why; mend its files.")
    raise FleetError(f"Unit {unit!r} of systemd is {state or 'unknown'}, not loaded. {todo}")


def generation(properties: Dict[str, str]) -> Optional[Generation]:
    """The life that runs, or None. A unit that died keeps its InvocationID, so the pid decides."""
    pid = int(properties["MainPID"])
    if not pid:
        return None
    started = int(properties["ExecMainStartTimestampMonotonic"])
    return Generation(properties["InvocationID"], pid, started)


def sockets(properties: Dict[str, str]) -> Tuple[str, ...]:
    """The units that hold its listeners and start it when a client comes."""
    units = properties.get("TriggeredBy", "").split()
    return tuple(unit for unit in units if unit.endswith(".socket"))
