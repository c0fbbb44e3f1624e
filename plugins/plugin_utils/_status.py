# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet as one table for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

HEADERS = ("host", "in rotation", "gunicorn", "python", "release", "since", "workers", "state")


def status_table(hosts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the lines of the table, one host each, from the facts that the roles left."""
    rows = [HEADERS, *(_row(host) for host in hosts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADERS))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _row(host: Mapping[str, Any]) -> tuple[str, ...]:
    info = host.get("_service_info") or {}
    rotation = _rotation((host.get("_load_balancer_result") or {}).get("results", []))
    name = str(host["inventory_hostname"])
    if "program" not in info:
        return (name, rotation, "?", "?", "?", "?", "?", str(info.get("msg") or "no answer")[:80])
    arbiter = info.get("arbiter") or {}
    since = arbiter.get("started")
    return (
        name,
        rotation,
        arbiter.get("gunicorn") or "-",
        arbiter.get("python") or "-",
        info["venv"].get("release") or f"({info['venv'].get('kind', '?')})",
        _time(since) if since is not None else "-",
        str(len(info.get("workers") or [])),
        str(info["program"].get("state")),
    )


def _rotation(results: Iterable[Mapping[str, Any]]) -> str:
    """``lb1 UP`` for one balancer and backend; what could not be asked is a question mark.

    A server that the balancer will put back by itself: ``lb1 DRAIN (back in 540 s)``.
    """
    words = []
    for result in results:
        servers = result.get("servers")
        if not servers:
            words.append(f"{result.get('item', '')} ?")
        lease = result.get("lease")
        back = f" (back in {lease['seconds_left']:.0f} s)" if lease else ""
        for server in servers or []:
            words.append(f"{result.get('item', '')} {server['status']}{back}")
    return ", ".join(words) or "?"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(float(seconds), timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
