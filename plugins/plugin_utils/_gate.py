# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what was looked at to one verdict: may the rollout move on?

Verdicts, worst first: ``fail`` (roll back), ``error`` (could not look), ``inconclusive`` (looked,
but there is not enough to judge), ``pass``. Only ``pass`` moves on. ``error`` is never a ``pass``
and never by itself a reason to roll back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._budget import error_budget
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._few import few

ORDER = ("fail", "error", "inconclusive", "pass")
CONNECTION_ERRORS = ("econ", "eresp")
IN_SERVICE = ("UP", "no check")


class Finding(NamedTuple):
    """One reason, and the verdict that it leads to."""

    verdict: str
    reason: str


def judge(look: dict[str, Any]) -> dict[str, Any]:
    """Return ``{"verdict", "reasons", "summary", "stop"}`` for one look.

    ``stop`` says that the run must end at once, though nothing is known against this host.

    ``look`` holds the results of the modules that looked, each optional:
    ``health`` (http_health), ``process`` (gunicorn_info), ``log`` (log_check), ``balancers`` (list
    of haproxy_server_info) with ``baseline`` (the same when the watch began); and what they are
    judged by: ``generation`` (of active_release), ``log_quiet``, ``balancer_tolerance``,
    ``budget`` (of `error_budget`).
    """
    spent = _budget(look)
    findings = [*_health(look), *_process(look), *_log(look), *_balancers(look), *spent]
    verdict = min((finding.verdict for finding in findings), key=ORDER.index, default="pass")
    return {
        "verdict": verdict,
        "reasons": [finding.reason for finding in findings],
        "summary": _summary(look),
        "stop": bool(spent),
    }


def _could_not_look(result: dict[str, Any], key: str, what: str) -> Finding | None:
    """A module that worked returns ``key``; one that did not says why in ``msg``."""
    if key in result:
        return None
    return Finding("error", f"could not look at {what}: {result.get('msg', 'no result')}")


def _health(look: dict[str, Any]) -> Iterator[Finding]:
    health = look.get("health")
    if health is None or "msg" not in health:
        return
    if health.get("unreachable"):
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
        yield Finding("fail", f"{workers} of {needed} workers are alive")
    if not workers:
        yield Finding("fail", "no worker is alive")
    for kind in ("orphans", "unmanaged"):
        if process[kind]:
            pids = few(item["pid"] for item in process[kind])
            yield Finding("fail", f"{kind} gunicorn processes: pid {pids}")


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


def _silent(log: dict[str, Any]) -> bool:
    """Requests go on whoever serves them: only what the arbiter says makes a log heard."""
    return log["verdict"] == "no_data" or (log["verdict"] == "clean" and log.get("tells") == "")


def _balancers(look: dict[str, Any]) -> Iterator[Finding]:
    tolerance = look.get("balancer_tolerance", {})
    before = {_key(node, server): server for node, server in _servers(look.get("baseline"))}
    for result in look.get("balancers") or []:
        blind = _could_not_look(result, "servers", f"balancer {result.get('item', '')}".strip())
        if blind:
            yield blind
    for node, server in _servers(look.get("balancers")):
        where = f"{server['backend']}/{server['server']}" + (f" on {node}" if node else "")
        # What somebody else had taken out before, and what was left so.
        if server["status"] not in IN_SERVICE and not server.get("left_out"):
            yield Finding("fail", f"the balancer sees {where} as {server['status']}")
        risen = _risen(before.get(_key(node, server)), server)
        for name, count in risen.items():
            allowed = int(tolerance.get(name, 0))
            if count > allowed:
                what = name.replace("_", " ")
                yield Finding(
                    "fail",
                    f"{count} {what} at the balancer for {where}"
                    f" (gate_balancer_tolerance.{name} is {allowed})",
                )


def _budget(look: dict[str, Any]) -> list[Finding]:
    """Users suffer, and nobody can say whether from this host: no reason to go back."""
    if not look.get("budget") or not look.get("balancers"):
        return []
    spent = error_budget(look["balancers"], look["budget"])
    return [] if spent["within"] else [Finding("inconclusive", spent["text"])]


def _servers(results: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for result in results or []:
        for server in result.get("servers", []):
            yield str(result.get("item", "")), server


def _key(node: str, server: dict[str, Any]) -> tuple[str, str, str]:
    return node, server["backend"], server["server"]


def _risen(before: dict[str, Any] | None, now: dict[str, Any]) -> dict[str, int]:
    """How many connection errors and 5xx came since ``before``; a reload starts at zero again.

    Without an earlier look nothing is known to have risen.
    """
    if before is None:
        return {}

    def delta(*names: str) -> int:
        new = sum(int(now["counters"].get(name) or 0) for name in names)
        old = sum(int(before["counters"].get(name) or 0) for name in names)
        return new - old if new >= old else new

    return {
        "connection_errors": delta(*CONNECTION_ERRORS),
        "http_5xx": delta("hrsp_5xx"),
    }


def _summary(look: dict[str, Any]) -> str:
    """Say what was seen, in a few words."""
    words = []
    if look.get("balancers"):
        before = {_key(node, server): server for node, server in _servers(look.get("baseline"))}
        requests = 0
        for node, server in _servers(look["balancers"]):
            old = before.get(_key(node, server), {}).get("counters", {})
            new, base = int(server["counters"].get("stot") or 0), int(old.get("stot") or 0)
            requests += new - base if new >= base else new
        words.append(f"{requests} requests")
    log = look.get("log") or {}
    if "verdict" in log:
        words.append(f"log {log['verdict']}, {len(log.get('incidents', []))} incidents")
    process = look.get("process") or {}
    if process.get("arbiter"):
        words.append(f"arbiter {process['arbiter']['pid']}, {len(process['workers'])} workers")
    return ", ".join(words)
