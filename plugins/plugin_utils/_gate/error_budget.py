# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many errors users may see during a run before it is stopped: the circuit breaker.

Errors are what the balancers count for whole backends, whichever server it was and whether or not
one was left: answers of 500 and above, and retries and redispatches, which users feel as time
(in ``mode tcp`` broken connections instead of answers). What the fleet showed before the run, per
request, is no fault of the run and is left out, as far as it can be believed: a short past proves
little, and an outage is no normal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._counters import (
    CONTINUED,
    results_read,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.canary.exact_tests import (
    rate_limits,
    share_tail,
)

# A share of fewer requests than these says nothing.
SHARE_NEEDS = 100
# A past of fewer requests than these counts as if all the others had gone well.
BELIEVED_FROM = 10_000
# More errors than this are an outage that is still in the counters, and usual for nobody.
USUAL_AT_MOST = 0.05
# How often so many errors may come by chance at the usual rate, and are not acted upon.
CHANCE = 0.001


class Seen(NamedTuple):
    """Requests and errors of one backend on one balancer, since its process started."""

    requests: int
    errors: int

    def less(self, before: Seen) -> Seen:
        return Seen(self.requests - before.requests, self.errors - before.errors)


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
    percent; below 0 it is no limit. ``budget["earlier"]``, which may be absent, is an earlier look
    than ``baseline``: what came between the two is the freshest past, and a worse one before it is
    over. Balancers that could not be asked are left out here: other
    guards see to them. Returns a `Spent` as a dictionary.

    Where a balancer's process is another one, and it cannot be told whether it began to count at 0,
    the run must be within by either reading that is likely.
    """
    rows = list(_rows(results, budget["baseline"], _fresh(budget)))
    limits = float(budget["errors"]), float(budget["percent"])
    # Whoever took its counters over did so for all backends; so two readings of all are enough.
    spent = [_judged([row.read(way) for row in rows], *limits) for way in ("continued", "anew")]
    return next((each for each in spent if not each.within), spent[0])._asdict()


def budget_look(results: Any) -> list[dict[str, Any]]:
    """What `error_budget` needs of results of haproxy_server_info, to be kept."""
    return [
        {key: result[key] for key in ("item", "node", "totals") if key in result}
        for result in results or []
        if result.get("totals")
    ]


def _fresh(budget: Mapping[str, Any]) -> dict[tuple[str, str], Seen]:
    """What came right before the run, by balancer and backend."""
    earlier = {str(result.get("item", "")): result for result in budget.get("earlier") or []}
    found = {}
    for result in budget["baseline"] or []:
        node = str(result.get("item", ""))
        old = earlier.get(node, {})
        seen = {
            str(total["backend"]): _seen(total["counters"]) for total in old.get("totals") or []
        }
        readings = results_read(old, result)
        for total in result.get("totals") or []:
            name = str(total["backend"])
            if name in seen and readings[(name,)] == CONTINUED:
                found[node, name] = _seen(total["counters"]).less(seen[name])
    return found


class Row(NamedTuple):
    """One backend of one balancer: what it had counted, counts now, and how that may be meant."""

    before: Seen
    now: Seen
    ways: tuple[str, ...]
    fresh: Seen

    def read(self, way: str) -> tuple[Seen, Seen]:
        """What came in the run, and the past before it as far as it is believed."""
        anew = (way if way in self.ways else self.ways[0]) == "anew"
        return self.now if anew else self.now.less(self.before), _usual(self.before, self.fresh)


def _rows(results: Any, baseline: Any, fresh: Mapping[tuple[str, str], Seen]) -> Iterator[Row]:
    begun = {str(result.get("item", "")): result for result in baseline or []}
    for result in results or []:
        node = str(result.get("item", ""))
        old = begun.get(node, {})
        seen = {
            str(total["backend"]): _seen(total["counters"]) for total in old.get("totals") or []
        }
        readings = results_read(old, result)
        for total in result.get("totals") or []:
            name = str(total["backend"])
            # Of one that was not there nothing is known of what it was before.
            if name in seen:
                found = readings[(name,)]
                ways = ("continued",) * found.continued + ("anew",) * found.anew
                if not found.sure and found.likely == "continued":
                    ways = ("continued",)
                last = fresh.get((node, name), Seen(0, 0))
                yield Row(seen[name], _seen(total["counters"]), ways, last)


def _judged(rows: list[tuple[Seen, Seen]], count: float, percent: float) -> Spent:
    requests = sum(more.requests for more, _past in rows)
    errors = sum(more.errors for more, _past in rows)
    usual = sum(more.requests * past.errors / past.requests for more, past in rows)
    excess = max(errors - usual, 0.0)
    reasons = _reasons(excess, requests, count, percent)
    strata = [
        (more.errors + past.errors, more.requests / (more.requests + past.requests))
        for more, past in rows
    ]
    if reasons and share_tail(errors, strata) > CHANCE:
        reasons = []
    text = f"{errors} errors in {requests} requests at the balancers since the run began"
    if usual >= 0.5:
        text += f", where {usual:.0f} would have been usual"
    if reasons:
        text += f"; {' and '.join(reasons)}. Find out what users suffer from before you go on."
    return Spent(not reasons, text, requests, errors, round(excess, 1))


def _usual(past: Seen, fresh: Seen) -> Seen:
    """The past as far as it is believed."""
    requests = max(past.requests, BELIEVED_FROM)
    most = USUAL_AT_MOST
    if fresh.requests:
        # More than it can have been right before the run is over, whatever it was.
        most = min(most, rate_limits(fresh.errors, CHANCE)[1] / fresh.requests)
    return Seen(requests, min(past.errors, int(requests * most)))


def _reasons(excess: float, requests: int, count: float, percent: float) -> list[str]:
    reasons = []
    if 0 <= count < excess:
        reasons.append(f"rollout_error_budget is {count:g}")
    if percent >= 0 and requests >= SHARE_NEEDS and excess > requests * percent / 100:
        reasons.append(f"rollout_error_budget_percent is {percent:g}")
    return reasons


def _totals(result: Mapping[str, Any]) -> dict[str, Seen]:
    return {row["backend"]: _seen(row["counters"]) for row in result.get("totals") or []}


def _seen(counters: Mapping[str, Any]) -> Seen:
    def count(*names: str) -> int:
        return sum(int(counters.get(name) or 0) for name in names)

    in_http = counters.get("req_tot") is not None
    answers = count("hrsp_5xx") if in_http else count("econ", "eresp")
    return Seen(count("req_tot" if in_http else "stot"), answers + count("wretr", "wredis"))
