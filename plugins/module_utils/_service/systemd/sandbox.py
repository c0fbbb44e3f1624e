# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A trial in the sandbox of a unit: by systemd-run, with the unit's own properties.

What boots outside of it may not boot inside: files that are hidden or read-only there, another
user, limits, calls that are not allowed.
"""

import re
from typing import Dict, List, Mapping, NamedTuple, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.target import (
    user_of,
)

TRIAL_UNIT = "fleetops-trial-"
_SWITCHES = (
    *("DynamicUser", "PrivateTmp", "PrivateDevices", "PrivateUsers", "PrivateIPC", "PrivateMounts"),
    *("ProtectClock", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs"),
    *("ProtectControlGroups", "ProtectHostname", "NoNewPrivileges", "RestrictRealtime"),
    *("RestrictSUIDSGID", "LockPersonality", "MemoryDenyWriteExecute", "MountAPIVFS"),
)
_VALUES = (
    *("Group", "SupplementaryGroups", "UMask", "ProtectSystem", "ProtectHome", "ProtectProc"),
    *("ProcSubset", "RestrictNamespaces", "RestrictAddressFamilies", "SystemCallFilter"),
    *("SystemCallArchitectures", "CapabilityBoundingSet", "AmbientCapabilities"),
    *("ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths"),
    *("TemporaryFileSystem", "BindPaths", "BindReadOnlyPaths", "DevicePolicy", "DeviceAllow"),
    *("MemoryMax", "TasksMax", "IPAddressAllow", "IPAddressDeny"),
)
# A directory that goes with the unit which made it must outlive the trial.
_DIRECTORIES = (
    *("RuntimeDirectory", "StateDirectory", "CacheDirectory", "LogsDirectory"),
    "ConfigurationDirectory",
)
_LIMITS = (
    *("LimitCPU", "LimitFSIZE", "LimitDATA", "LimitSTACK", "LimitCORE", "LimitRSS"),
    *("LimitNOFILE", "LimitAS", "LimitNPROC", "LimitMEMLOCK"),
)
# systemctl show calls these unprintable.
CREDENTIALS = ("LoadCredential", "LoadCredentialEncrypted", "SetCredential")
_UNSET = ("", "no", "none", "[not set]", "n/a", "default", "all", "auto")

PROPERTIES = (
    *("Id", "LoadState", "User", "Environment", "EnvironmentFiles", "UnsetEnvironment"),
    *_SWITCHES,
    *_VALUES,
    *_DIRECTORIES,
    *(f"{each}Mode" for each in _DIRECTORIES),
    *_LIMITS,
    *(f"{each}Soft" for each in _LIMITS),
)


class Sandbox(NamedTuple):
    """``properties`` as systemd-run takes them, ``environment`` as the next start has it."""

    properties: Tuple[str, ...]
    environment: Dict[str, str]
    unset: Tuple[str, ...]


def trial_properties(
    told: Mapping[str, Sequence[str]], written: Sequence[str] = ()
) -> Tuple[str, ...]:
    """What of a unit holds for a trial of it.

    ``told`` are all values of each property, ``written`` settings as its files say them.
    """
    first = {name: values[-1] for name, values in told.items() if values}
    found = [f"User={user_of(first, 'root')}"]
    for name in _SWITCHES:
        if first.get(name) == "yes":
            found.append(f"{name}=yes")
    for name in _VALUES:
        for value in told.get(name, ()):
            if value not in _UNSET and value != "infinity":
                found.append(f"{name}={value}")
    families = first.get("RestrictAddressFamilies", "")
    if families and not families.startswith("~") and "AF_INET" not in families.split():
        # A trial is asked on the loopback.
        found.append("RestrictAddressFamilies=AF_INET")
    if first.get("IPAddressDeny"):
        found.append("IPAddressAllow=localhost")
    for name in _DIRECTORIES:
        if first.get(name, "") not in _UNSET:
            found += [f"{name}={first[name]}", f"{name}Mode={first.get(name + 'Mode', '0755')}"]
            if name == "RuntimeDirectory":
                found.append("RuntimeDirectoryPreserve=yes")
    for name in _LIMITS:
        hard, soft = first.get(name, ""), first.get(f"{name}Soft", "")
        if re.match(r"^(\d+|infinity)$", hard) and re.match(r"^(\d+|infinity)$", soft):
            found.append(f"{name}={soft}:{hard}")
    return (*found, *written)


def trial_command(
    properties: Sequence[str],
    name: str,
    environment_file: str,
    scratch: str,
    directory: str,
    argv: Sequence[str],
    seconds: float,
) -> List[str]:
    """The words that run a trial as the unit ``name``; it ends by itself after ``seconds``."""
    own = [
        f"RuntimeMaxSec={int(seconds)}",
        "TimeoutStopSec=10",
        f"WorkingDirectory={directory}",
        f"EnvironmentFile={environment_file}",
        # Its configuration and its logs, wherever the sandbox hides them.
        f"BindPaths={scratch}",
    ]
    words = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", f"--unit={name}"]
    words += [f"--property={each}" for each in [*properties, *own]]
    # systemd would put variables in.
    return [*words, "--", *(word.replace("$", "$$") for word in argv)]


def read_repeated(text: str) -> Dict[str, List[str]]:
    """``Name=value`` lines, of which several may have one name."""
    found: Dict[str, List[str]] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            found.setdefault(name, []).append(value)
    return found
