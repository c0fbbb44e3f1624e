# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Would a gate hear the arbiter in the logs that it reads? Asked before anything is touched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST = 8


def blind(info: Mapping[str, Any], log: Mapping[str, Any], quiet: str, named: list[str]) -> str:
    """Return why a gate would be deaf, and what to set; empty if it would not.

    ``info`` is a result of module ``gunicorn_info``, ``log`` one of ``log_check`` for its arbiter,
    ``quiet`` and ``named`` are gate_log_quiet and gate_log_paths.
    """
    if quiet == "pass" or "tells" not in log:
        return ""
    tells = log["tells"]
    hides = info.get("log_level")
    if tells == "start" or (not hides and (tells == "line" or (tells == "lost" and _leads(info)))):
        return ""
    pid = info["arbiter"]["pid"]
    read = named or info.get("logs") or []
    words = [
        f"Asked the logs for arbiter {pid}, and none tells of it, neither of its start nor by a"
        f" line of its pid. Read: {_some(read)}."
        if tells != "line"
        else f"The logs tell of arbiter {pid}, but not of its start. Read: {_some(read)}."
    ]
    others = [_sink(sink) for sink in info.get("sinks") or [] if sink["why"]]
    if others:
        words.append(f"It writes elsewhere as well: {'; '.join(others[:MOST])}.")
    words.append(
        "After a switch the gate could not tell whether the new release is well (F-BLIND)."
    )
    if hides:
        words.append(
            f"{hides['where']} is {str(hides['value']).lower()}, which hides that gunicorn starts:"
            " set it to info, and restart the program one server after the other;"
        )
    else:
        place = "standard error (errorlog '-', level info) or to a file"
        if (info.get("program") or {}).get("manager") == "systemd":
            place = (
                "the journal (StandardError=journal or inherit, and this user in the group"
                " systemd-journal) or to a file (errorlog, level info; or"
                " StandardError=append:/path in the unit)"
            )
        words.append(
            f"Let gunicorn write its error log to {place} that this user may read and strangers may"
            " not write, or name the right file in gate_log_paths;"
        )
    words.append("or set gate_log_quiet to pass, and go without that proof.")
    return " ".join(words)


def _leads(info: Mapping[str, Any]) -> bool:
    """Whether the arbiter is known to write to what is read, though its start is gone."""
    program = info.get("program") or {}
    kept = any(program.get(f"{name}_logfile") for name in ("stdout", "stderr"))
    return any(
        sink["of"] == "arbiter"
        and not sink["why"]
        and (sink["kind"] == "file" or (kept and "standard error" in sink["to"]))
        for sink in info.get("sinks") or []
    )


def _sink(sink: Mapping[str, Any]) -> str:
    return f"{sink['path'] or sink['to']} ({sink['why']})"


def _some(paths: list[str]) -> str:
    shown = ", ".join(str(path) for path in paths[:MOST]) or "nothing"
    return shown + (f" and {len(paths) - MOST} more" if len(paths) > MOST else "")


def unread_sinks(info: Mapping[str, Any]) -> list[str]:
    """Return what deserves a look: files that take gunicorn's words and cannot be read."""
    return [
        f"gunicorn writes to {sink['path'] or 'the journal'}, which is not read: {sink['why']}"
        for sink in info.get("sinks") or []
        if (sink["kind"] == "file" or "standard error: the journal" in sink["to"])
        and sink["of"] == "arbiter"
        and sink["why"]
        and sink["why"] != "it is the access log"
    ]
