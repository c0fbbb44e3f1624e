# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What failed, where the host is now, and the evidence, on one screen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._visible import visible
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.ramp import lowest_share

MESSAGE_LIMIT = 2000
EVIDENCE = 3
EXCERPT_LINES = 12
# A module names its own options. An operator knows them by the variables of role settings.
_VARIABLES = {
    "rollout_": ("min_available",),
    "load_balancer_": ("drain_timeout", "on_timeout", "up_timeout", "lease_directory"),
    "service_": (
        "supervisor_url",
        "supervisor_username",
        "supervisor_password",
        "stop_timeout",
        "start_timeout",
    ),
    "release_": ("index_url", "extra_index_urls", "require_hashes", "boot_timeout", "min_free_mb"),
}
_VARIABLE_OF = {
    option: prefix + option for prefix, options in _VARIABLES.items() for option in options
}
_OPTION = re.compile(rf"(?<![\w/.-])(?:{'|'.join(_VARIABLE_OF)})(?!\w)")


def why(task: str, result: Mapping[str, Any]) -> str:
    """Return ``task: message``; for a loop the messages of the items that failed."""
    items = [
        item
        for item in result.get("results") or []
        if item.get("failed") or item.get("unreachable")
    ]
    messages = [_message(item) for item in items] or [_message(result)]
    return f"{task}: {'; '.join(messages)}"[:MESSAGE_LIMIT]


def _message(result: Mapping[str, Any]) -> str:
    where = f"{result['item']}: " if isinstance(result.get("item"), str) else ""
    told = visible(str(result.get("msg") or "failed without a message")).strip()
    # It may hold lines of an application: at the beginning of a line stand only ours.
    told = told.replace("\n", "\n  ")
    return where + _OPTION.sub(lambda option: _VARIABLE_OF[option[0]], told)


def failure_text(story: Mapping[str, Any], balancers: Iterable[Mapping[str, Any]] = ()) -> str:
    """Return the last words of a run that failed on a host.

    ``story`` has ``host``, ``title`` (what was being done), ``failed`` (from ``why``), ``release``
    (that was to be activated), ``before`` (``release``, ``gunicorn``, ``python``), ``went_back``,
    ``incidents`` (of log_check), when it could not be drained for the way back ``in_place``, and
    when the repair failed too ``repair`` (both from ``why``). ``balancers`` are the last results of
    haproxy_server or haproxy_server_info.
    """
    host, before = story["host"], story["before"]
    lines = []
    if story.get("repair"):
        lines += [
            f"{host} IS OUT OF SERVICE: it could not be put back after {story['title']} failed.",
            f"What failed while repairing: {story['repair']}",
            f"What failed first: {story['failed']}",
            f"The run stops. Repair {host} by hand, then run the same command again.",
        ]
    else:
        lines += [f"{host}: {story['title']} failed.", f"Why: {story['failed']}"]
        old = str(before["release"])
        if before["gunicorn"]:
            old += f" (gunicorn {before['gunicorn']} on Python {before['python']})"
        if story["went_back"]:
            lines.append(f"Now: {host} is on {old} as before, healthy and back in service.")
            if story.get("in_place"):
                lines.append(f"It went back under traffic, undrained: {story['in_place']}")
        else:
            lines.append(
                f"Now: {host} is still on {story['release']}, healthy and in service: nothing is"
                " known against it."
            )
            seen = [server for each in balancers for server in each.get("servers", [])]
            share = lowest_share(seen)
            if share < 100:
                lines.append(
                    f"It gets {share} % of its weight; the same command gives it the rest."
                )
        lines.append("The run stops; no further server was touched.")
    for incident in list(story.get("incidents") or [])[:EVIDENCE]:
        path = str(incident["path"]).replace("\n", "\\n")
        lines.append(f"Evidence: {incident['event']} in {path} at byte {incident['offset']}")
        excerpt = incident.get("excerpt") or []
        text = excerpt if isinstance(excerpt, str) else "\n".join(excerpt)
        lines += ["  | " + line for line in visible(text).split("\n")[:EXCERPT_LINES] if text]
    return "\n".join(lines)
