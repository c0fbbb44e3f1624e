# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which unit of systemd is meant, and what its properties say. No I/O."""

import math
import re
import signal
from typing import Dict, List, Mapping, Optional, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.options import (
    whole_number,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.manager import Program
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.systemd.show import seconds

Properties = Mapping[str, str]

_UNIT_NAME = re.compile(r"^[A-Za-z0-9:_.\\@-]{1,255}$")
_SUFFIX = re.compile(r"\.(service|socket|target|timer|path|slice|scope|mount|device|swap)$")
_ARGV = re.compile(r"argv\[\]=(.*?) ; ignore_errors=")
_CGROUP = re.compile(r"^\d+:(?:name=systemd)?:(.*)$", re.M)
# What systemd calls it where ExecStart itself could not be done.
_EXEC_FAILED = {200: "CHDIR", 203: "EXEC", 216: "GROUP", 217: "USER", 226: "NAMESPACE"}
_KILLED = ("2", "3")
_FILES = ("file", "append", "truncate")


def unit_name(wanted: str) -> str:
    """``app``, ``app@1`` or a whole name -> the name of a service."""
    match = _SUFFIX.search(wanted)
    if not _UNIT_NAME.match(wanted) or (match and match.group(1) != "service"):
        raise FleetError(
            f"{wanted!r} is no service of systemd. Write app.service, or app@1.service for an"
            " instance of a template."
        )
    if re.search(r"@(\.service)?$", wanted):
        raise FleetError(
            f"{wanted!r} is a template, which cannot run. Name an instance of it, app@1.service."
        )
    return wanted if match else wanted + ".service"


def state_of(properties: Properties) -> str:
    """The unit's state in the words of `Manager`."""
    active, sub = properties.get("ActiveState", ""), properties.get("SubState", "")
    if sub == "auto-restart":
        return "BACKOFF"
    if active in ("active", "reloading", "refreshing"):
        return "RUNNING"
    if active == "activating":
        return "STARTING"
    if active in ("deactivating", "maintenance"):
        return "STOPPING"
    # A job that waits for a unit that does not run is one that starts it.
    if properties.get("Job", "0") not in ("", "0"):
        return "STARTING"
    return "FATAL" if active == "failed" else "STOPPED"


def said_of(properties: Properties) -> str:
    """The state in systemd's own words."""
    return "{} ({})".format(properties.get("ActiveState", ""), properties.get("SubState", ""))


def how_it_ended(properties: Properties) -> str:
    """Why a unit does not run, as far as systemd says; empty if it says nothing."""
    if properties.get("ActiveState") not in ("failed", "inactive") and (
        properties.get("SubState") != "auto-restart"
    ):
        return ""
    # One that was never started has not been asked for its conditions.
    unasked = properties.get("ConditionTimestampMonotonic", "0") == "0"
    if not unasked and "no" in (properties.get("ConditionResult"), properties.get("AssertResult")):
        return "A Condition…= or Assert…= of the unit does not hold, so systemd did not start it."
    result = properties.get("Result", "")
    if result in ("", "success"):
        return ""
    if result == "start-limit-hit":
        return "It was started too often in too short a time (start-limit-hit)."
    status = whole_number(properties.get("ExecMainStatus")) or 0
    if properties.get("ExecMainCode") in _KILLED:
        return f"It was killed by signal {status} ({result})."
    if status in _EXEC_FAILED:
        return f"systemd could not execute its command ({status}/{_EXEC_FAILED[status]})."
    return f"systemd calls the result {result}."


def command_of(properties: Properties) -> Optional[str]:
    """The words of ExecStart; systemd shows them without quotes."""
    found = _ARGV.findall(properties.get("ExecStart", ""))
    return found[-1] if found else None


def directory_of(properties: Properties, home: str) -> str:
    """Where it is started; ``home`` is that of its user."""
    told = properties.get("WorkingDirectory", "").lstrip("!-")
    return home if told == "~" else told or "/"


def user_of(properties: Properties, default: str) -> str:
    """Whom it runs as; a dynamic user has the name of the unit."""
    if properties.get("User"):
        return properties["User"]
    if properties.get("DynamicUser") == "yes":
        return re.split(r"[@.]", properties["Id"])[0]
    return default


def signal_name(value: Optional[str]) -> Optional[str]:
    """``15`` or ``SIGTERM`` -> ``TERM``."""
    number = whole_number(value)
    if number is None:
        return value.replace("SIG", "", 1) if value else None
    try:
        return signal.Signals(number).name[len("SIG") :]
    except ValueError:
        return str(value)


def into_journal(properties: Properties, name: str) -> bool:
    """Does systemd connect ``StandardOutput`` or ``StandardError`` to the journal?"""
    value = properties.get(name, "")
    if value == "inherit" and name == "StandardError":
        value = properties.get("StandardOutput", "")
    # "syslog" has been another word for it since systemd 246; "kmsg" is the kernel's log.
    return value in ("journal", "journal+console", "syslog", "syslog+console")


def why_no_journal(properties: Properties) -> str:
    """Why the journal of a unit would not have its words; empty if it has."""
    if properties.get("StandardError", "").partition(":")[0] in _FILES:
        return "standard error goes to a file, and that is where gunicorn tells of itself"
    namespace = properties.get("LogNamespace", "")
    if namespace:
        return f"LogNamespace={namespace} of the unit: that part of the journal is not read"
    most, level = (whole_number(properties.get(name)) for name in ("LogLevelMax", "SyslogLevel"))
    if most is not None and 0 <= most < (6 if level is None else level & 7):
        return "LogLevelMax= of the unit keeps what gunicorn writes out of the journal"
    return ""


def log_paths(
    properties: Properties,
    opened: Mapping[str, Optional[str]],
    written: Mapping[str, str],
    journal: str = "",
) -> Tuple[Optional[str], Optional[str]]:
    """The logs of standard output and error; ``journal``: the name of the unit's, if it is read.

    systemd tells ``append`` without the path, so ``opened`` is what a running process has open and
    ``written`` what the unit's files say; both by the name of the setting.
    """
    found: Dict[str, Optional[str]] = {}
    for name in ("StandardOutput", "StandardError"):
        kind, _colon, path = properties.get(name, "").partition(":")
        if kind in _FILES:
            found[name] = path or opened.get(name) or _written(written.get(name, ""), properties)
        elif into_journal(properties, name):
            found[name] = journal or None
    error = found.get("StandardError")
    if properties.get("StandardError") == "inherit":
        error = found.get("StandardOutput")
    return found.get("StandardOutput"), error


def _written(text: str, properties: Properties) -> Optional[str]:
    path = text.partition(":")[2]
    name = properties.get("Id", "")
    bare = name.rpartition(".")[0] or name
    prefix, _at, instance = bare.partition("@")
    known = {"n": name, "N": bare, "p": prefix, "i": instance, "%": "%"}
    pieces = re.split(r"%(.)", path)
    if not path.startswith("/") or any(letter not in known for letter in pieces[1::2]):
        return None
    return "".join(known[each] if at % 2 else each for at, each in enumerate(pieces))


def written_settings(text: str, names: Tuple[str, ...]) -> Dict[str, str]:
    """What ``systemctl cat`` shows of settings of [Service]; as systemd, the last one counts."""
    found: Dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        name, equals, value = line.partition("=")
        if equals and section == "[Service]" and name.strip() in names:
            found[name.strip()] = value.strip()
    return found


def written_list(text: str, names: Tuple[str, ...]) -> List[str]:
    """``Name=value`` of settings of [Service] that may be said several times; empty begins anew."""
    found: Dict[str, List[str]] = {}
    section = ""
    for line in text.splitlines():
        line = line.strip()
        section = line if line.startswith("[") else section
        name, equals, value = (part.strip() for part in line.partition("="))
        if equals and section == "[Service]" and name in names:
            found[name] = [*found.get(name, []), value] if value else []
    return [f"{name}={value}" for name in names for value in found.get(name, [])]


def describe_unit(
    properties: Properties,
    pid: int,
    user: str,
    home: str,
    logs: Tuple[Optional[str], Optional[str]],
) -> Program:
    """The unit as `Manager` tells a program."""
    patience = seconds(properties.get("TimeoutStopUSec") or "infinity")
    mode = properties.get("KillMode")
    return {
        "manager": "systemd",
        "name": properties["Id"],
        "group": "",
        "state": state_of(properties),
        "said": said_of(properties),
        "pid": pid,
        "exitstatus": whole_number(properties.get("ExecMainStatus")) or 0,
        "spawnerr": how_it_ended(properties),
        "command": command_of(properties),
        "directory": directory_of(properties, home),
        "user": user,
        "stopsignal": signal_name(properties.get("KillSignal")),
        "stopwaitsecs": None if patience is None else int(math.ceil(patience)),
        "stopasgroup": mode == "control-group",
        "killasgroup": mode in ("control-group", "mixed"),
        "startsecs": None,
        "stdout_logfile": logs[0],
        "stderr_logfile": logs[1],
        "redirect_stderr": properties.get("StandardError") == "inherit",
    }


def unit_of_cgroup(text: str, names: Set[str]) -> Optional[str]:
    """Which of these units a process belongs to, by its ``/proc/<pid>/cgroup``."""
    for path in _CGROUP.findall(text):
        for part in reversed(path.split("/")):
            if part in names:
                return str(part)
    return None


def services(text: str) -> List[Dict[str, str]]:
    """What ``systemctl show`` tells of several units: a block each."""
    blocks = []
    for block in text.split("\n\n"):
        pairs = (line.partition("=") for line in block.splitlines())
        found = {name: value for name, equals, value in pairs if equals}
        if found.get("Id"):
            blocks.append(found)
    return blocks
