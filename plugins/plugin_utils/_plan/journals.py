# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the gates will read, of hosts whose log is no file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.journal_names import (
    SYSTEM,
    USER,
)


def logs_read(host: Mapping[str, Any], info: Mapping[str, Any]) -> list[str]:
    """Return the logs of a host in words, if a journal is among them; nothing for files alone.

    ``host`` are its variables, ``info`` a result of module ``gunicorn_info``.
    """
    named = host.get("gate_log_paths")
    found = named if isinstance(named, list) and named else info.get("logs")
    logs = [str(each) for each in found] if isinstance(found, list) else []
    return [spoken(each) for each in logs] if any(map(_is_journal, logs)) else []


def spoken(log: str) -> str:
    """``journal:app.service`` -> ``the journal of app.service``; a path stays as it is."""
    return f"the journal of {log.partition(':')[2]}" if _is_journal(log) else log


def _is_journal(log: str) -> bool:
    return log.startswith((SYSTEM, USER))
