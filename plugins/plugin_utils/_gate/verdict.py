# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what was looked at to one verdict: may the rollout move on?

Verdicts, worst first: ``fail`` (roll back), ``error`` (could not look), ``inconclusive`` (looked,
but there is not enough to judge), ``pass``. Only ``pass`` moves on. ``error`` is never a ``pass``
and never by itself a reason to roll back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._counters import (
    ANEW,
    CONTINUED,
    Reading,
    results_read,
    since,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._few import few
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.error_budget import (
    error_budget,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.metrics import judge_metrics
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.tolerance import AUTO, is_auto

ORDER = ("fail", "error", "inconclusive", "pass")
CONNECTION_ERRORS = ("econ", "eresp")
IN_SERVICE = ("UP", "no check")
COUNTED = {"connection_errors": CONNECTION_ERRORS, "http_5xx": ("hrsp_5xx",)}
LOOKED_AT = ("health", "process", "log", "balancers")


# What a reason is about, where whoever looks again and again has to know.
WORKERS, STATUS, BUDGET, METRIC, WAITS = "workers", "status", "budget", "metric", "metric waits"
# May be over in a moment, such as a worker that is being replaced.
PASSING = (WORKERS, STATUS, METRIC)


class Finding(NamedTuple):
    """One reason, and the verdict that it leads to; ``kind``: what it is about, or nothing."""

    verdict: str
    reason: str
    kind: str = ""


def judge(look: dict[str, Any]) -> dict[str, Any]:
    """Return ``{"verdict", "reasons", "summary", "stop"}`` for one look.

    ``stop`` says that the run must end at once, though nothing is known against this host.

    ``look`` holds the results of the modules that looked, each optional:
    ``health`` (http_health), ``process`` (gunicorn_info), ``log`` (log_check), ``balancers`` (list
    of haproxy_server_info) with ``baseline`` (the same when the watch began) and ``balanced``
    (whether there is any balancer); and what they are judged by: ``generation`` (of
    active_release), ``log_quiet``, ``balancer_tolerance``, ``budget`` (of `error_budget`). What is
    absent, or None, was not asked for. What was asked for and brought no answer is an ``error``,
    and so is a look at nothing.
    """
    found = findings(look)
    return {
        "verdict": worst(found),
        "reasons": [finding.reason for finding in found],
        "summary": summary(look),
        "stop": bool(_budget(look)),
    }


def findings(look: dict[str, Any]) -> list[Finding]:
    """All that one look has against the host."""
    found = [*_health(look), *_process(look), *_log(look), *_balancers(look), *_budget(look)]
    found += _metrics(look)
    if all(look.get(part) is None for part in LOOKED_AT):
        found.append(Finding("error", "nothing was looked at"))
    return found


def worst(found: Iterable[Finding]) -> str:
    """The verdict of all of them together."""
    return min((finding.verdict for finding in found), key=ORDER.index, default="pass")


def _could_not_look(result: dict[str, Any], key: str, what: str) -> Finding | None:
    """A module that worked returns ``key``; one that did not says why in ``msg``."""
    if key in result:
        return None
    return Finding("error", f"could not look at {what}: {result.get('msg', 'no result')}")


def _health(look: dict[str, Any]) -> Iterator[Finding]:
    health = look.get("health")
    if health is None:
        return
    # The module always says how often it asked; a task that was skipped does not.
    if "msg" not in health or health.get("skipped"):
        if "answers" not in health or health.get("skipped"):
            yield Finding("error", "the application was not asked for its health")
    elif health.get("unreachable"):
        yield Finding("error", f"could not ask the application: {health['msg']}")
    else:
        yield Finding("fail", str(health["msg"]))


def _process(look: dict[str, Any]) -> Iterator[Finding]:
    process = look.get("process")
    if process is None:
        return
    blind = _could_not_look(process, "arbiter", "the processes")
    if blind:
        yield blind
        return
    state = process["program"]["state"]
    if state not in ("RUNNING", "STARTING"):
        yield Finding("fail", f"the service manager says {state}")
    arbiter = process["arbiter"]
    if not arbiter:
        yield Finding("fail", "no gunicorn arbiter is running")
        return
    wanted = look["generation"]
    if not wanted["pid"]:
        yield Finding("fail", f"no gunicorn ran at first, now there is pid {arbiter['pid']}")
    elif (arbiter["pid"], arbiter["start_ticks"]) != (wanted["pid"], wanted["start_ticks"]):
        yield Finding(
            "fail",
            f"the arbiter was restarted: pid {wanted['pid']} is now pid {arbiter['pid']}",
        )
    workers, needed = len(process["workers"]), arbiter.get("workers_wanted")
    if needed and workers < needed:
        yield Finding("fail", f"{workers} of {needed} workers are alive", WORKERS)
    if not workers:
        yield Finding("fail", "no worker is alive", WORKERS)
    yield from _programs(process, wanted.get("programs") or [])
    for kind in ("orphans", "unmanaged"):
        if process[kind]:
            pids = few(item["pid"] for item in process[kind])
            yield Finding("fail", f"{kind} gunicorn processes: pid {pids}")


def _programs(process: Mapping[str, Any], wanted: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """What is switched with the gunicorn; ``wanted`` are those that the switch has started."""
    started = {each["program"]: each for each in wanted}
    active = process["arbiter"].get("release")
    for each in process.get("programs") or []:
        name, before = f"program {each['program']}", started.get(each["program"])
        if each["state"] not in ("RUNNING", "STARTING"):
            yield Finding("fail", f"{name}: the service manager says {each['said']}")
        elif before and (each["pid"], each["start_ticks"]) != (
            before["pid"],
            before["start_ticks"],
        ):
            yield Finding(
                "fail", f"{name} was restarted: pid {before['pid']} is now pid {each['pid']}"
            )
        elif each["release"] and each["release"] != (active or each["release"]):
            yield Finding(
                "fail",
                f"{name} runs from release {each['release']}, not from the one of the gunicorn:"
                " restart it",
            )


def _log(look: dict[str, Any]) -> Iterator[Finding]:
    log = look.get("log")
    if log is None:
        return
    blind = _could_not_look(log, "verdict", "the log")
    if blind:
        yield blind
        return
    reasons = "; ".join(log["reasons"]) or "no reason given"
    if log["verdict"] == "dirty":
        yield Finding("fail", f"log dirty: {reasons}")
    elif log["verdict"] == "gap":
        # Nothing is known against the release, and nothing can be known for it.
        yield Finding("inconclusive", f"part of the log is lost: {reasons}")
    elif log["verdict"] == "inconclusive":
        # Neither time nor place nor a pid tells whose it is: no reason to go back, nor to move on.
        yield Finding("inconclusive", f"the log cannot be judged: {reasons}")
    elif look.get("log_quiet", "fail") == "fail" and _silent(log):
        if log["verdict"] != "no_data":
            reasons = "what is in it, requests perhaps, is not the arbiter's"
        yield Finding(
            "inconclusive",
            f"the log says nothing of the new generation ({reasons}): check gate_log_paths,"
            " or set gate_log_quiet to pass if the log level hides gunicorn's start",
        )
    elif log["verdict"] not in ("clean", "no_data"):
        yield Finding("error", f"the log was judged {str(log['verdict'])[:40]!r}: {reasons}")


def _silent(log: dict[str, Any]) -> bool:
    """Requests go on whoever serves them: only what the arbiter says makes a log heard."""
    return log["verdict"] == "no_data" or (log["verdict"] == "clean" and log.get("tells") == "")


def _balancers(look: dict[str, Any]) -> Iterator[Finding]:
    results = look.get("balancers")
    if results is not None and not results and look.get("balanced", True):
        yield Finding("error", "could not look at the balancers: none was asked")
    for result in results or []:
        blind = _could_not_look(result, "servers", f"balancer {result.get('item', '')}".strip())
        if blind:
            yield blind
    for rise in _rises(look):
        node, server = rise.node, rise.server
        where = f"{server['backend']}/{server['server']}" + (f" on {node}" if node else "")
        # What somebody else had taken out before, and what was left so.
        if server["status"] not in IN_SERVICE and not server.get("left_out"):
            # "UP 1/3": its checks begin to fail, or have only begun to pass.
            kind = STATUS if server["status"].startswith("UP ") else ""
            yield Finding("fail", f"the balancer sees {where} as {server['status']}", kind)
        if rise.before is None:
            if look.get("baseline"):
                yield Finding("error", f"nothing is known of {where} from when the watch began")
            continue
        yield from _counted(rise, where, look.get("balancer_tolerance", {}))


def _counted(rise: Rise, where: str, tolerance: Mapping[str, Any]) -> Iterator[Finding]:
    for name, counters in COUNTED.items():
        if is_auto(tolerance.get(name, AUTO)):
            continue
        allowed = int(tolerance[name])
        counts = sorted({rise.count(way, *counters) for way in rise.reading.ways()})
        what = name.replace("_", " ")
        limit = f"(gate_balancer_tolerance.{name} is {allowed})"
        if counts[0] > allowed:
            yield Finding("fail", f"{counts[0]} {what} at the balancer for {where} {limit}")
        elif counts[-1] > allowed:
            yield Finding(
                "error",
                f"the balancer's process is another one, and whether it began to count at 0 cannot"
                f" be told: {counts[0]} or {counts[-1]} {what} for {where} {limit}",
            )


class Rise(NamedTuple):
    """One row of a server now, and when the watch began."""

    node: str
    server: dict[str, Any]
    before: dict[str, Any] | None
    reading: Reading

    def count(self, continued: bool, *names: str) -> int:
        old = (self.before or {}).get("counters", {})
        return since(old, self.server["counters"], continued, *names)


def _rises(look: dict[str, Any]) -> Iterator[Rise]:
    begun = {str(result.get("item", "")): result for result in look.get("baseline") or []}
    for result in look.get("balancers") or []:
        node = str(result.get("item", ""))
        baseline = begun.get(node, {})
        rows = {_key(row): row for row in baseline.get("servers", [])}
        readings = results_read(baseline, result) if "servers" in result else {}
        for server in result.get("servers", []):
            key = _key(server)
            yield Rise(node, server, rows.get(key), readings.get(key, CONTINUED))


def carried(baseline: Any, last: Any, now: Any) -> list[dict[str, Any]]:
    """The baseline for a look at ``now``; ``last`` is the look before, if there was one.

    A balancer that began to count at 0 since then has forgotten what had risen until ``last``. So
    that it is not lost, it is taken off what ``now`` is compared with.
    """
    before = {str(result.get("item", "")): result for result in last or []}
    after = {str(result.get("item", "")): result for result in now or []}
    found = []
    for result in baseline or []:
        node = str(result.get("item", ""))
        old, new = before.get(node, {}), after.get(node, {})
        rows = {_key(row): row["counters"] for row in old.get("servers") or []}
        mine = {_key(row) for row in new.get("servers") or []}
        readings = results_read(old, new)
        if mine and mine <= set(rows) and all(readings[key] == ANEW for key in mine):
            servers = [
                {**row, "counters": _less(row["counters"], rows.get(_key(row), {}))}
                for row in result.get("servers") or []
            ]
            result = {"item": result.get("item", ""), "node": new.get("node"), "servers": servers}
        found.append(result)
    return found


def last_seen(last: Any, now: Any) -> list[dict[str, Any]]:
    """Of each balancer the look at which it last answered."""
    told = [*(last or []), *(result for result in now or [] if "servers" in result)]
    return list({str(result.get("item", "")): result for result in told}.values())


def _less(base: Mapping[str, Any], last: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(base.get(name) or 0) - int(count or 0) for name, count in last.items()}


def _key(server: Mapping[str, Any]) -> tuple[str, str]:
    return str(server["backend"]), str(server["server"])


def _budget(look: dict[str, Any]) -> list[Finding]:
    """Users suffer, and nobody can say whether from this host: no reason to go back."""
    if not look.get("budget") or not look.get("balancers"):
        return []
    spent = error_budget(look["balancers"], look["budget"])
    return [] if spent["within"] else [Finding("inconclusive", spent["text"], BUDGET)]


def _metrics(look: dict[str, Any]) -> Iterator[Finding]:
    asked = look.get("metrics")
    if not asked:
        return
    started = float(look["generation"].get("started") or 0)
    for said in judge_metrics(asked["metrics"], asked["told"], started):
        yield Finding(said.verdict, said.reason, METRIC if said.verdict == "fail" else WAITS)


def summary(look: dict[str, Any]) -> str:
    """Say what was seen, in a few words."""
    words = []
    if look.get("balancers"):
        requests = sum(
            rise.count(rise.reading.likely == "continued", "stot") for rise in _rises(look)
        )
        words.append(f"{requests} requests")
    log = look.get("log") or {}
    if "verdict" in log:
        words.append(f"log {log['verdict']}, {len(log.get('incidents', []))} incidents")
    process = look.get("process") or {}
    if process.get("arbiter"):
        words.append(f"arbiter {process['arbiter']['pid']}, {len(process['workers'])} workers")
    return ", ".join(words)
