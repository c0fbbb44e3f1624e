# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many errors users may see during a run before it is stopped: the circuit breaker.

Errors are what the balancers count for whole backends, whichever server it was and whether or not
one was left: answers of 500 and above, and retries and redispatches, which users feel as time
(in ``mode tcp`` broken connections instead of answers). What the fleet showed before the run, per
request, is no fault of the run and is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

# A share of fewer requests than these says nothing.
SHARE_NEEDS = 100


class Seen(NamedTuple):
    """Requests and errors of one backend on one balancer, since its process started."""

    requests: int
    errors: int


class Spent(NamedTuple):
    """What became of the budget; ``excess`` is errors beyond what was usual before."""

    within: bool
    text: str
    requests: int
    errors: int
    excess: float


def error_budget(results: Iterable[Mapping[str, Any]], budget: Mapping[str, Any]) -> dict[str, Any]:
    """Judge what the balancers count now against what they counted when the run began.

    ``results`` and ``budget["baseline"]`` are results of haproxy_server_info, one per balancer.
    ``budget["errors"]`` is a count, ``budget["percent"]`` a share of the requests of the run in
    percent; below 0 it is no limit. Balancers that could not be asked are left out here: other
    guards see to them. Returns a `Spent` as a dictionary.
    """
    baseline = {(node, pid, name): seen for node, pid, name, seen in _read(budget["baseline"])}
    names = {(node, name) for node, _pid, name in baseline}
    requests = errors = 0
    usual = 0.0
    for node, pid, name, now in _read(results):
        before = baseline.get((node, pid, name))
        if before is None and (node, name) not in names:
            # Nothing is known of what it was before.
            continue
        # After a reload the counters start from 0, and all they show is of the run.
        since = before or Seen(0, 0)
        more = Seen(now.requests - since.requests, now.errors - since.errors)
        if min(more) < 0:
            more = now
        requests += more.requests
        errors += more.errors
        history = before or _same(baseline, node, name)
        usual += more.requests * history.errors / max(history.requests, 1)
    excess = max(errors - usual, 0.0)
    reasons = _reasons(excess, requests, float(budget["errors"]), float(budget["percent"]))
    text = f"{errors} errors in {requests} requests at the balancers since the run began"
    if usual >= 0.5:
        text += f", where {usual:.0f} would have been usual"
    if reasons:
        text += f"; {' and '.join(reasons)}. Find out what users suffer from before you go on."
    return Spent(not reasons, text, requests, errors, round(excess, 1))._asdict()


def _reasons(excess: float, requests: int, count: float, percent: float) -> list[str]:
    reasons = []
    if 0 <= count < excess:
        reasons.append(f"rollout_error_budget is {count:g}")
    if percent >= 0 and requests >= SHARE_NEEDS and excess > requests * percent / 100:
        reasons.append(f"rollout_error_budget_percent is {percent:g}")
    return reasons


def _read(results: Any) -> list[tuple[str, int, str, Seen]]:
    found = []
    for result in results or []:
        pid = int((result.get("node") or {}).get("pid") or 0)
        for total in result.get("totals") or []:
            node = str(result.get("item", ""))
            found.append((node, pid, str(total["backend"]), _seen(total["counters"])))
    return found


def _seen(counters: Mapping[str, Any]) -> Seen:
    def count(*names: str) -> int:
        return sum(int(counters.get(name) or 0) for name in names)

    in_http = counters.get("req_tot") is not None
    answers = count("hrsp_5xx") if in_http else count("econ", "eresp")
    return Seen(count("req_tot" if in_http else "stot"), answers + count("wretr", "wredis"))


def _same(baseline: Mapping[tuple[str, int, str], Seen], node: str, name: str) -> Seen:
    return next(seen for (n, _pid, b), seen in baseline.items() if (n, b) == (node, name))
