# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet on paper: what the modules that a gate looks with would say of it."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.catalogue import (
    default_tolerances,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.verdict import (
    Seen,
    decide,
    tolerances,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate import soak as _soak
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.tolerance import (
    limits,
    relative_events,
)

SOAK, MOST, INTERVAL = 12, 60, 5.0
TOLERANCES = tolerances(default_tolerances(()), limits({}))
AUTO = {"http_5xx": "auto", "connection_errors": "auto"}


def log_verdict(counts: dict[str, int]) -> dict[str, Any]:
    """What log_check says of so many incidents, with the tolerances that the gate gives it."""
    seen = Seen(counts, {}, dict.fromkeys(counts, "now"), [], [], [], True)
    return decide(seen, TOLERANCES)._asdict()


class PaperFleet:
    """Servers behind one balancer. The first is the one whose gate it is, ``web1``."""

    def __init__(self, size: int = 2, gunicorn_beside: str = "21.2.0", **given: Any) -> None:
        self.gunicorn_beside = gunicorn_beside
        self.names = [f"web{n}" for n in range(1, size + 1)]
        self.counted = {name: {"stot": 0, "hrsp_5xx": 0, "econ": 0} for name in self.names}
        self.log: dict[str, int] = {}
        self.log_beside: dict[str, int] = {}
        self.log_past: dict[str, Any] = {}
        # Of `metrics.seen`.
        self.metrics: dict[str, Any] = {}
        self.healthy, self.workers, self.status, self.arbiter = True, 4, "UP", 100
        # Whether anything stands before it.
        self.balanced = True
        self.at = 0.0
        self.given = {
            "server": "web1",
            "soak": SOAK,
            "most": MOST,
            "beside": self.names[1:],
            "events": relative_events({}),
            "started": 1000.0,
            "tolerance": AUTO,
            "before": {"gunicorn": "21.2.0", "started": -1e6},
            **given,
        }
        self.state: Any = None

    def serve(self, name: str, requests: int, errors: int = 0, broken: int = 0) -> None:
        row = self.counted[name]
        row["stot"] += requests
        row["hrsp_5xx"] += errors
        row["econ"] += broken

    def results(self) -> list[dict[str, Any]]:
        rows = [
            {
                "backend": "app",
                "server": name,
                "status": self.status if name == "web1" else "UP",
                "counters": {**row, "hrsp_2xx": row["stot"] - row["hrsp_5xx"]},
            }
            for name, row in self.counted.items()
        ]
        if not self.balanced:
            return []
        node = {"name": "lb1", "pid": 1, "uptime": 1000 + self.at, "requests": 10**9}
        return [{"item": "lb1", "node": node, "servers": rows[:1], "backends": [{"servers": rows}]}]

    def begin(self) -> None:
        self.state = _soak.begin(self.results(), self.at, self.given)

    def seen(self) -> dict[str, Any]:
        """What is looked at, as the playbook hands it over."""
        arbiter = {"pid": self.arbiter, "start_ticks": 5, "workers_wanted": 4}
        odd = bool(_soak.odd_events({"counts": self.log}, self.given["events"]))
        return {
            "generation": {"pid": 100, "start_ticks": 5, "started": 1000.0},
            "metrics": self.metrics,
            "health": {"answers": 1} if self.healthy else {"msg": "status 500"},
            "process": {
                "program": {"state": "RUNNING"},
                "arbiter": arbiter,
                "workers": [{"pid": 200 + n} for n in range(self.workers)],
                "orphans": [],
                "unmanaged": [],
            },
            "log": {
                **log_verdict(self.log),
                "tells": "start",
                "incidents": [],
                "counts": dict(self.log),
                "at": 1000.0 + self.at,
            },
            "balancers": self.results(),
            "balanced": self.balanced,
            "log_past": self.log_past if odd else {},
            "log_beside": [
                {
                    "counts": dict(self.log_beside) if n == 1 else {},
                    "item": {"gunicorn": self.gunicorn_beside},
                }
                for n in range(1, len(self.given["beside"] or self.given.get("passed", [])) + 1)
            ]
            if odd
            else [],
        }

    def look(self, number: int) -> Any:
        """Take one look; the state is kept as Ansible keeps it."""
        self.at += INTERVAL
        kept = json.loads(json.dumps(self.state))
        self.state = _soak.look(kept, self.seen(), number, self.at)
        return self.state
