# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one server said, against what is asked of it: its plan, and why it could not be upgraded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.unread_logs import blind
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.document import (
    problems_of,
    stale_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.steps import (
    plan_arbiter,
    unfinished,
)


def server_plan(look: Mapping[str, Any], host: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that a plan knows of one server.

    ``look`` is what module ``server_info`` returned, also where the server was not reached.
    ``asked`` has the inputs ``stages``, ``to``, ``allow_downgrade``, ``program``, ``boot_test``,
    and the ``record`` of the fleet. In the answer are ``service``, ``plan``, ``problems``,
    ``found`` (a result of ``plan_info``), ``prune``, ``pythons``, ``health``, ``log`` and
    ``trial`` (of what runs now).
    """
    # A module that could not run at all has failed as a whole.
    info: Mapping[str, Any] = look.get("service") or look
    live = (info.get("venv") or {}).get("release") or ""
    plan = plan_arbiter(
        asked["stages"],
        asked["to"],
        asked["allow_downgrade"],
        info.get("arbiter"),
        unfinished(asked["record"], host, live),
        info.get("settings"),
    )
    problems = problems_of(info, plan, asked["program"])
    found = {} if problems else look.get("preview") or {}
    problems = problems or stale_of(found, asked["boot_test"])
    return {
        "service": dict(info),
        "plan": plan,
        "problems": problems,
        "found": found,
        "prune": {} if problems else look.get("prune") or {},
        "pythons": look.get("pythons") or [],
        "health": look.get("health") or {},
        "log": look.get("log") or {},
        "trial": look.get("trial") or {},
    }


# How what gunicorn writes comes to where it can be read, by the service manager.
CURES = {
    "supervisord": "Set stderr_logfile of the program, or gunicorn's errorlog,",
    "systemd": (
        "Let it write to the journal (StandardError=journal) and this user read that (group"
        " systemd-journal), or set gunicorn's errorlog, or StandardError=append:/path in the unit,"
    ),
}


def deaf_or_ill(seen: Mapping[str, Any], quiet: str, named: list[str]) -> str:
    """Return why a server is not fit for an upgrade as it runs; empty if it is.

    ``seen`` is what `server_plan` returned; ``quiet`` and ``named`` are gate_log_quiet and
    gate_log_paths.
    """
    service = seen["service"]
    if seen["health"].get("failed"):
        return str(seen["health"]["msg"])
    if not (named or service.get("logs")):
        unread = [
            f"It writes to {sink['path'] or sink['to']}: {sink['why']}."
            for sink in service.get("sinks") or []
            if sink["of"] == "arbiter" and sink["why"]
        ]
        cure = CURES.get(service["program"].get("manager") or "", CURES["supervisord"])
        return " ".join(
            [
                f"Asked where gunicorn {service['arbiter']['pid']} logs, and it is to nothing that"
                " may be read: the gate would hear nothing (F-BLIND).",
                *unread,
                f"{cure} or name the file in gate_log_paths.",
            ]
        )
    if seen["log"].get("failed"):
        return str(seen["log"]["msg"])
    return blind(service, seen["log"], quiet, named)


def missing_pythons(seen: Mapping[str, Any], provider: str) -> str:
    """Return which stages have no Python that anything provides; empty if all have."""
    return " ".join(
        f"Stage {each['stage']}: {each.get('msg') or each['message']}"
        for each in seen["pythons"]
        if each.get("failed") or (provider == "none" and not each["found"])
    )


def to_build(seen: Mapping[str, Any], check_mode: bool) -> list[dict[str, Any]]:
    """Return the steps whose releases are to be built; in check mode those of an absent Python."""
    steps = [step for step in seen["plan"]["steps"] if step["action"] == "upgrade"]
    if not check_mode:
        return steps
    absent = {each["stage"] for each in seen["pythons"] if not each.get("found")}
    return [step for step in steps if step["stage"] in absent]


def foreseen_releases(seen: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return ``{stage: {id, python, packages}}`` of the releases, as far as they are foreseen."""
    return {
        str(each["stage"]): {key: each[key] for key in ("id", "python", "packages")}
        for each in seen["found"].get("stages") or []
    }
