# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which process of supervisord is meant, and what its settings are. No I/O.

supervisord tells some settings and its files the rest; what neither tells is unknown.
"""

import signal
from typing import Any, Dict, List, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.options import (
    whole_number,
)

# What a switch depends on, and may be unknown.
SETTINGS = ("stopsignal", "stopwaitsecs", "stopasgroup", "killasgroup", "startsecs")


def namespec(program: Dict[str, Any]) -> str:
    return "{group}:{name}".format(**program)


def choose_program(processes: List[Dict[str, Any]], wanted: str) -> Dict[str, Any]:
    """Find "name" or "group:name" among supervisord's processes."""
    known = [namespec(each) for each in processes]
    plain = [k.split(":")[1] if k.split(":")[0] == k.split(":")[1] else k for k in known]
    if ":" in wanted:
        found = [each for each, name in zip(processes, known) if name == wanted]
    else:
        found = [each for each in processes if each["name"] == wanted]
        found = found or [each for each in processes if each["group"] == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(namespec(each) for each in found)
        raise FleetError(
            f"Program {wanted!r} is several processes of supervisord: {names}."
            " Name one of them as group:name."
        )
    raise FleetError(
        f"supervisord has no program {wanted!r}. It has: {', '.join(sorted(plain)) or 'none'}."
        " Correct the name, or add the program to its configuration and run"
        " `supervisorctl update` yourself."
    )


def _flag(text: Optional[str]) -> Optional[bool]:
    return None if text is None else text.strip().lower() in ("1", "true", "yes", "on", "t", "y")


def _signal_name(value: Any) -> Optional[str]:
    if value is None:
        return None
    try:
        return signal.Signals(int(value)).name[len("SIG") :]
    except ValueError:
        return str(value).upper().replace("SIG", "", 1)


def describe_program(
    info: Dict[str, Any],
    config: Dict[str, Any],
    section: Dict[str, Optional[str]],
    user: Optional[str],
) -> Dict[str, Any]:
    """Merge what supervisord tells (state, most settings) with its file (the rest).

    XML-RPC tells neither stopasgroup nor, before 4.0, any setting at all. Without the file
    those stay None: unknown, not the default.
    """

    def setting(name: str, default: Optional[str] = None) -> Any:
        value = config.get(name, section.get(name, default if section else None))
        return None if value in ("none", "auto") else value

    def flag(name: str) -> Optional[bool]:
        if name in config:
            return bool(config[name])
        return _flag(section.get(name, "false" if section else None))

    stopasgroup = flag("stopasgroup")
    killasgroup = flag("killasgroup")
    if "killasgroup" not in config and "killasgroup" not in section:
        killasgroup = stopasgroup
    return {
        "name": str(info["name"]),
        "group": str(info["group"]),
        "state": str(info["statename"]),
        "pid": int(info["pid"]),
        "exitstatus": int(info.get("exitstatus") or 0),
        "spawnerr": str(info.get("spawnerr") or ""),
        "command": setting("command"),
        "directory": setting("directory"),
        "user": user,
        "stopsignal": _signal_name(setting("stopsignal", "TERM")),
        "stopwaitsecs": whole_number(setting("stopwaitsecs", "10")),
        "stopasgroup": stopasgroup,
        "killasgroup": killasgroup,
        "startsecs": whole_number(setting("startsecs", "1")),
        "stdout_logfile": str(info.get("stdout_logfile") or "") or None,
        "stderr_logfile": str(info.get("stderr_logfile") or "") or None,
        "redirect_stderr": flag("redirect_stderr"),
    }
