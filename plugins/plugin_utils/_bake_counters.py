# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users saw of a server while it baked, against what they saw of it before. Pure.

Once a stage is on every server there is nobody beside it to compare with: what is usual is its own
past at the same balancers, as far as the error budget of a run believes a past.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._budget import error_budget


def against_past(
    then: Mapping[str, Any], now: Mapping[str, Any], server: str, percent: float
) -> dict[str, Any]:
    """Judge what the balancers counted for the ``server`` between two looks (see `bake_look`).

    ``then`` is the one that was kept when it passed; ``percent`` is how many more of its requests
    may fail than was usual. Returns ``{"verdict": "pass|fail", "reasons": [text]}``: what nobody
    kept, or too little to tell, speaks against nobody.
    """
    before, after = _rows(then, server), _rows(now, server)
    if not before or not after:
        return {"verdict": "pass", "reasons": []}
    spent = error_budget(after, {"baseline": before, "errors": -1, "percent": percent})
    if spent["within"]:
        return {"verdict": "pass", "reasons": []}
    errors, requests = spent["errors"], spent["requests"]
    usual = round(errors - spent["excess"])
    return {
        "verdict": "fail",
        "reasons": [
            f"{errors} of {requests} requests to it failed at the balancers since it passed, where"
            f" {usual} would have been as before (rollout_error_budget_percent is {percent:g})"
        ],
    }


def _rows(look: Mapping[str, Any], server: str) -> list[dict[str, Any]]:
    """As results of haproxy_server_info for whole backends, each of this server alone."""
    return [
        {
            "item": balancer["item"],
            "node": balancer["node"],
            "totals": [
                {"backend": row["backend"], "counters": _counted(row["counters"])}
                for backend in balancer["backends"]
                for row in backend["servers"]
                if row["server"] == server
            ],
        }
        for balancer in look.get("balancers") or []
    ]


def _counted(counters: Mapping[str, Any]) -> dict[str, Any]:
    # A server in `mode tcp` has no answers, only connections.
    http = any(counters.get(name) for name in counters if name.startswith("hrsp_"))
    return {**counters, "req_tot": counters.get("stot")} if http else dict(counters)
