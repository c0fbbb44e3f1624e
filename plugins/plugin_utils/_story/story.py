# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The story of a run, told from the results of its tasks: for a person, and for a report.

Pure: whoever watches a run (the callback C(story)) hands over what began and what ended, with the
time, and gets lines to show. Everything that is kept is in ``Story.events``, dictionaries with
``at`` (epoch seconds), ``kind`` and, where it is about one host, ``host``:

========== ===================================================================================
play       ``name``
plan       ``plan``, as the filter C(plan) returns it
versions   ``gunicorn``, ``python``, ``release``: what a host runs, when it is another
state      ``state``, one of STATES, and ``what``, a few words; ``down`` of a switch, seconds
looked     ``text`` of a look during a soak
verdict    ``gate``, ``verdict``, ``summary`` and ``reasons`` of a look
counters   ``balancer``, ``pid``, ``uptime`` and ``served`` (requests) of its process, ``servers``
           and ``totals`` (counters by name), and ``server``, as which the balancer knows the
           ``host``
log        ``verdict``, ``counts`` of a look at the log since the arbiter's start (``pid``,
           ``started``)
incident   an incident of log_check
said       ``text`` that the run showed
failure    ``task``, ``text``; ``unreachable``
record     ``run`` of the record of the fleet
========== ===================================================================================
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._check.text import headline
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.ramp import lowest_share
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.failure import why
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.stop_codes import (
    stop_of,
    who_stopped,
)

STATES = (
    "draining",
    "drained",
    "switching",
    "switched",
    "restoring",
    "serving",
    "soaking",
    "passed",
    "failed",
    "returned",
    "out",
)
OURS = "fleetops.gunicorn."
WAY_BACK = "the way back boots"
STOPPED = "STOPPED, since "
# What a host says that was stopped by another one (halt.yml).
NOT_MINE = "Another server stopped the run."
_SAID = ("ansible.builtin.debug", "ansible.builtin.assert", "debug", "assert")
# What Ansible says where nothing was said.
_NOTHING = ("All assertions passed", "All items completed")
_COUNTED = ("req_tot", "stot", "hrsp_5xx", "econ", "eresp", "wretr", "wredis", "rtime", "ttime")
_TEXT_LIMIT = 4000
# Of a fleet of hundreds, every server is counted at every look: beyond this many rows, of the
# looks so far every second one is forgotten.
_COUNTED_ROWS = 50_000


class Line(NamedTuple):
    """Something to show. ``live`` may be overwritten by the next one where there is a terminal."""

    host: str
    text: str
    tone: str = "plain"
    """``plain``, ``good``, ``warn`` or ``bad``."""
    live: bool = False


class Task(NamedTuple):
    """A task as the playbook has it; ``args`` are not templated."""

    name: str
    action: str
    args: Mapping[str, Any]
    check_mode: bool = False


class Story:
    """Collects what happens; each method returns what there is to show."""

    def __init__(self, docs: str = "docs") -> None:
        self.docs = docs
        """Where the documentation is, as an operator can open it."""
        self.events: list[dict[str, Any]] = []
        self.plans: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, list[dict[str, str]]] = {}
        self.failures: dict[str, dict[str, Any]] = {}
        self.run: dict[str, Any] = {}
        self.checked: dict[str, Any] = {}
        """The report of a check, if this is one."""
        self.metrics = ("", "")
        """The name of the fleet, and the directory that its metrics go to; empty for nowhere."""
        self.rest = ""
        """Until when a stage bakes, for a run that ends there."""
        self.rollout = False
        """Whether this is a run that changes a fleet, or plans to."""
        self._stage = 0
        self._taken: list[str] = []
        self._incidents: set[tuple[Any, ...]] = set()
        self._generations: dict[str, dict[str, Any]] = {}
        self._rows = 0
        self._out_since: dict[str, float] = {}
        self._now: dict[str, str] = {}
        self.out_for: dict[str, list[float]] = {}

    def keep(self, at: float, kind: str, host: str = "", **more: Any) -> None:
        event = {"at": round(at, 3), "kind": kind, **more}
        if host:
            event["host"] = host
        self.events.append(event)

    # -- plays -------------------------------------------------------------------------------

    def play_began(self, at: float, name: str) -> str:
        """Returns its title."""
        self.keep(at, "play", name=name)
        self._taken = []
        number = name.removeprefix("Stage ")
        self._stage = int(number) if name.startswith("Stage ") and number.isdigit() else 0
        stages: list[dict[str, Any]] = next(iter(self.plans.values()), {}).get("stages", [])
        if not 0 < self._stage <= len(stages):
            return name
        stage = stages[self._stage - 1]
        python = f"Python {stage['python']}" if stage["python"] else "the Python in place"
        return f"Stage {self._stage} of {len(stages)}: gunicorn {stage['gunicorn']} on {python}"

    # -- tasks -------------------------------------------------------------------------------

    def began(self, at: float, host: str, task: Task) -> None:
        """A task begins on a host."""
        kind = task.action.removeprefix(OURS)
        if kind in ("fleet_lock", "fleet_record") and task.name.startswith(
            ("lock | ", "record | ")
        ):
            self.rollout = True
        if kind.endswith("_server") and not task.check_mode:
            wanted = str(task.args.get("state"))
            if wanted == "drained":
                self._state(at, host, "draining")
            elif self._now.get(host) != "soaking":
                self._state(at, host, "restoring")
        elif kind == "active_release":
            self._state(at, host, "switching")

    def ended(self, at: float, host: str, task: Task, result: Mapping[str, Any]) -> list[Line]:
        """A task ended well on a host."""
        kind = task.action.removeprefix(OURS)
        facts = result.get("ansible_facts") or {}
        if isinstance(facts.get("_rollout_plan"), Mapping):
            self.plans[host] = dict(facts["_rollout_plan"])
            self.keep(at, "plan", host, plan=self.plans[host])
            self.rollout = True
        if isinstance(facts.get("_check_report"), Mapping):
            self.checked = dict(facts["_check_report"])
        if "_rollout_rest" in facts:
            self.rest = str(facts["_rollout_rest"])
        if "_gate_soak_until" in facts:
            self._state(at, host, "soaking")
        if isinstance(facts.get("_gate_judged"), Mapping):
            self._judged(at, host, "soak", facts["_gate_judged"])
        if task.action in _SAID:
            return self._said(at, host, task, result)
        tell = getattr(self, f"_after_{_role_of(kind)}", None)
        tell = tell if task.action.startswith(OURS) else None
        return tell(at, host, task, result) if tell else []

    def failed(
        self,
        at: float,
        host: str,
        task: Task,
        result: Mapping[str, Any],
        unreachable: bool = False,
        ignored: bool = False,
    ) -> list[Line]:
        """A task failed on a host, or the host could not be reached."""
        for each in result.get("results") or []:
            self._looked(at, host, task, each)
        # What ends a run says all there is to say; it comes once more at the very end.
        ends = task.name.startswith(("repair | ", "repair_end | ", "halt | ")) and "msg" in result
        text = str(result["msg"]) if ends else why(task.name, result)
        self._boot_judged(at, host, task, result)
        if ignored:
            return [Line(host, f"(goes on) {text}", "warn")]
        failure = {"task": task.name, "text": text[:_TEXT_LIMIT], "unreachable": unreachable}
        self.failures[host] = {"at": at, **failure}
        self.keep(at, "failure", host, **{**failure, "text": _bounded(text)})
        word = "CANNOT BE REACHED" if unreachable else "FAILED"
        return [Line(host, f"{word}: {text.splitlines()[0] if ends else text}", "bad")]

    def stops(self, at: float, host: str, words: str) -> None:
        """Words with which a host will stop the run, told before it does."""
        text = _bounded(words)
        self.keep(at, "failure", host, task="", text=text, unreachable=False)

    def _said(self, at: float, host: str, task: Task, result: Mapping[str, Any]) -> list[Line]:
        told = result.get("msg")
        texts = [told] if isinstance(told, str) else list(told or [])
        texts = [str(text) for text in texts if text not in _NOTHING]
        looking = task.name.partition(" | ")[0].endswith("soak_look")
        for text in texts:
            self.keep(at, "looked" if looking else "said", host, text=_bounded(text))
        self._boot_judged(at, host, task, result)
        if looking:
            return [Line(host, f"soak, {text}", live=True) for text in texts]
        # A list is about the whole fleet, and is read as one.
        of_fleet = len(texts) > 1
        return [Line("" if of_fleet else host, "\n".join(texts))] if texts else []

    def _boot_judged(self, at: float, host: str, task: Task, result: Mapping[str, Any]) -> None:
        """The gate at boot says its verdict in words, ``boot: pass; ...``, before it goes on."""
        gate, colon, rest = str(result.get("msg", "")).partition(": ")
        verdict, _semicolon, words = rest.partition("; ")
        if colon and task.name.startswith("judge | "):
            passed = verdict == "pass"
            judged = {"summary": words if passed else "", "reasons": [] if passed else [words]}
            self._judged(at, host, gate, {"verdict": verdict, **judged})

    def _judged(self, at: float, host: str, gate: str, judged: Mapping[str, Any]) -> None:
        reasons = [_bounded(str(reason)) for reason in judged.get("reasons") or []]
        summary = _bounded(str(judged.get("summary") or ""))
        verdict = str(judged.get("verdict"))
        self.keep(at, "verdict", host, gate=gate, verdict=verdict, summary=summary, reasons=reasons)

    # -- what our modules return --------------------------------------------------------------

    def _items(self, result: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        return result.get("results") or [result]

    def _looked(self, at: float, host: str, task: Task, result: Mapping[str, Any]) -> None:
        """What any result tells of counters and incidents."""
        for incident in result.get("incidents") or []:
            key = tuple(incident.get(name) for name in ("event", "path", "offset", "first"))
            if key not in self._incidents:
                self._incidents.add(key)
                self.keep(at, "incident", host, **incident)

    def _after_balancer_look(
        self, at: float, host: str, task: Task, result: Mapping[str, Any]
    ) -> list[Line]:
        for item in self._items(result):
            if "backends" not in item:
                continue
            servers = _counted_servers(
                row for backend in item["backends"] for row in backend.get("servers", [])
            )
            totals = {row["backend"]: _counted(row["counters"]) for row in item.get("totals", [])}
            # A host may have another name there than in the inventory.
            asked = [str(row["server"]) for row in item.get("servers") or []]
            self._rows += len(servers) + len(totals)
            self.keep(
                at,
                "counters",
                host if asked else "",
                balancer=str(item.get("item", "")),
                **_process(item),
                servers=servers,
                totals=totals,
                **({"server": asked[0]} if asked else {}),
            )
        if self._rows > _COUNTED_ROWS:
            self._forget_every_second_look()
        return []

    def _forget_every_second_look(self) -> None:
        counted: Counter[str] = Counter()
        kept = []
        for event in self.events:
            if event["kind"] == "counters":
                counted[event["balancer"]] += 1
                if counted[event["balancer"]] % 2 == 0:
                    continue
            kept.append(event)
        self.events = kept
        self._rows //= 2

    def _after_balancer_order(
        self, at: float, host: str, task: Task, result: Mapping[str, Any]
    ) -> list[Line]:
        if task.check_mode:
            return []
        items = [item for item in self._items(result) if "waited" in item or "servers" in item]
        nodes = ", ".join(str(item.get("item", "the balancer")) for item in items)
        notes = [str(note) for item in items for note in item.get("notes") or []]
        for item in items:
            servers = _counted_servers(item.get("servers") or [])
            if servers:
                # Between two looks at everything: from here on, or until here, it got nothing.
                node = {"balancer": str(item.get("item", "")), **_process(item)}
                self.keep(at, "counters", **node, servers=servers, totals={})
        tone = "warn" if notes else "plain"
        told = [Line(host, f"note: {note}", "warn") for note in notes]
        share = lowest_share(server for item in items for server in item.get("servers") or [])
        if str(task.args.get("state")) == "ready" and self._now.get(host) == "soaking":
            return [Line(host, f"{share} % of its weight on {nodes}", tone), *told]
        if str(task.args.get("state")) == "drained":
            waited = max((float(item.get("waited") or 0) for item in items), default=0.0)
            cut = sum(int(item.get("sessions_cut") or 0) for item in items)
            text = f"out of rotation on {nodes}, drained in {waited:.1f} s"
            text += f", {cut} sessions cut" if cut else ""
            self._state(at, host, "drained", text)
        else:
            times = len(self.out_for.get(host, []))
            self._state(at, host, "serving")
            later = self.out_for.get(host, [])
            text = f"back in rotation on {nodes}"
            if len(later) > times:
                text += f" after {later[-1]:.1f} s"
            text += f", with {share} % of its weight" if share < 100 else ""
        return [Line(host, text, tone), *told]

    def _after_active_release(
        self, at: float, host: str, task: Task, result: Mapping[str, Any]
    ) -> list[Line]:
        after = (result.get("diff") or {}).get("after") or {}
        down = (result.get("timings") or {}).get("down_s")
        runs = f"runs gunicorn {after.get('gunicorn')} on Python {after.get('python')}"
        text = f"{runs} ({result.get('release')})"
        if down is not None:
            text += f", silent for {float(down):.1f} s"
        self._state(at, host, "switched", text, **({} if down is None else {"down": float(down)}))
        self._version(at, host, after)
        self._generations[host] = dict(result.get("generation") or {})
        return [Line(host, text)]

    def _after_gunicorn_info(
        self, at: float, host: str, task: Task, result: Mapping[str, Any]
    ) -> list[Line]:
        arbiter = result.get("arbiter") or {}
        if arbiter:
            release = (result.get("venv") or {}).get("release") or ""
            self._version(at, host, {**arbiter, "release": release})
            self._generations[host] = dict(arbiter)
        return []

    def _after_log_check(
        self, at: float, host: str, task: Task, result: Mapping[str, Any]
    ) -> list[Line]:
        self._looked(at, host, task, result)
        generation = self._generations.get(host, {})
        if "verdict" in result:
            self.keep(
                at,
                "log",
                host,
                verdict=str(result["verdict"]),
                counts=dict(result.get("counts") or {}),
                pid=generation.get("pid"),
                started=generation.get("started"),
            )
        return []

    def _after_server_info(
        self, at: float, host: str, task: Task, result: Mapping[str, Any]
    ) -> list[Line]:
        """Several answers at once, as the modules for each would have given them."""
        self._after_gunicorn_info(at, host, task, result.get("service") or {})
        self._after_log_check(at, host, task, result.get("log") or {})
        tried = result.get("trial") or {"failed": True}
        return [] if tried.get("failed") else [Line(host, WAY_BACK)]

    def _after_release(
        self, at: float, host: str, task: Task, result: Mapping[str, Any]
    ) -> list[Line]:
        took = sum(float(value or 0) for value in (result.get("timings") or {}).values())
        if str(task.args.get("state", "present")) == "checked":
            return [Line(host, WAY_BACK)]
        if "id" not in result:
            return []
        if not result.get("changed"):
            return [Line(host, f"{result['id']} is built")]
        if task.check_mode:
            return [Line(host, f"{result['id']} would be built")]
        checks = result.get("checks") or {}
        proved = ["imports"] if checks.get("boot") or checks.get("check_config") else []
        proved += ["boots"] if checks.get("boot") else []
        tried = " and ".join(proved) or "not tried"
        return [Line(host, f"built {result['id']} in {took:.0f} s, {tried}")]

    def _after_fleet_lock(
        self, at: float, host: str, task: Task, result: Mapping[str, Any]
    ) -> list[Line]:
        taken_over = result.get("taken_over")
        return [Line("", str(result.get("msg", "")), "warn")] if taken_over else []

    def _after_fleet_record(
        self, at: float, host: str, task: Task, result: Mapping[str, Any]
    ) -> list[Line]:
        record = result.get("record") or {}
        told = result.get("told") or {}
        name = told.get("event") if told.get("host") in (None, host) else None
        run = record.get("run")
        if task.args.get("event") in (None, "") or run is None or "asked" in task.name:
            return []
        if told.get("event") == "baked":
            # A note about a host; the record is still of the run before.
            return []
        if run.get("status") and name:
            self.run = dict(run)
            self.keep(at, "record", run=self.run)
        if name == "taken":
            self._taken.append(host)
            return [Line(host, f"taken {self._position(host)}".strip())]
        if name in ("passed", "failed", "returned", "out"):
            self._state(at, host, str(name), str(told.get("why", "")))
        if name == "passed":
            return [Line(host, f"passed {self._position(host)}".strip(), "good")]
        if name == "returned":
            return [Line(host, f"serves with {told.get('before', 'the release before')} again")]
        return []

    def _after_validate_settings(
        self, at: float, host: str, task: Task, result: Mapping[str, Any]
    ) -> list[Line]:
        told = result.get("metrics") or {}
        self.metrics = (str(told.get("fleet") or ""), str(told.get("directory") or ""))
        return []

    def _after_fleet_report(
        self, at: float, host: str, task: Task, result: Mapping[str, Any]
    ) -> list[Line]:
        name = result.get("name")
        return [Line("", f"report kept on {result['on']} too, as {name}")] if name else []

    # -- small things ------------------------------------------------------------------------

    def _position(self, host: str) -> str:
        """Where this host is in its stage; nothing outside of stages."""
        if not self._stage:
            return ""
        of_stage = [
            name
            for name, plan in self.plans.items()
            for step in plan["steps"]
            if step["stage"] == self._stage and step["action"] in ("upgrade", "finish")
        ]
        number = self._taken.index(host) + 1 if host in self._taken else len(self._taken)
        stages = len(self.plans[host]["stages"]) if host in self.plans else self._stage
        return f"(stage {self._stage} of {stages}, host {number} of {max(len(of_stage), number)})"

    def _state(self, at: float, host: str, state: str, what: str = "", **more: Any) -> None:
        if state == "draining":
            self._out_since.setdefault(host, at)
        elif state == "serving" and host in self._out_since:
            self.out_for.setdefault(host, []).append(at - self._out_since.pop(host))
        self._now[host] = state
        self.keep(at, "state", host, state=state, what=what, **more)

    def _version(self, at: float, host: str, found: Mapping[str, Any]) -> None:
        version = {name: str(found.get(name) or "") for name in ("gunicorn", "python", "release")}
        known = self.versions.setdefault(host, [])
        if not known or known[-1] != version:
            known.append(version)
            self.keep(at, "versions", host, **version)

    # -- the end -----------------------------------------------------------------------------

    def summary(self, failed: Iterable[str], lost: Iterable[str]) -> list[Line]:
        """The last words: every host in a line, then the host that stopped the run, and why; and
        last what kind of stop that is, and where it is explained."""
        lines = []
        for host in sorted(self.versions):
            stations = [f"{each['gunicorn']} on {each['python']}" for each in self.versions[host]]
            path = " -> ".join(name for name, _same in groupby(stations))
            out = self.out_for.get(host, [])
            text = f"gunicorn {path}"
            if out:
                text += f"; out of rotation {len(out)} x, {max(out):.1f} s at most"
            if host in self._out_since:
                text += "; LEFT OUT OF ROTATION, as far as this run knows"
            lines.append(Line(host, text, "bad" if host in self._out_since else "plain"))
        ill = {*failed, *lost}
        told = sorted(
            (failure["text"] == NOT_MINE, failure["at"], host)
            for host, failure in self.failures.items()
            if host in ill
        )
        lines += [
            Line(host, self.failures[host]["text"].splitlines()[0][:300], "bad")
            for _mine, _at, host in told[1:]
        ]
        lines += [Line(host, "failed", "bad") for host in sorted(ill - set(self.failures))]
        if self.checked and ill <= {host["host"] for host in self.checked["hosts"]}:
            # It stopped nothing, and what it found is on the screen already.
            lines = [_check_said(self.checked)]
        elif told:
            first = self.failures[told[0][2]]
            stop = stop_of(str(first["text"]), bool(first["unreachable"]))
            who = who_stopped(told[0][2], bool(first["unreachable"]), stop.code)
            lines.append(Line("", f"{STOPPED}{who}: {first['text']}", "bad"))
            lines.append(Line("", stop.words(self.docs), "bad"))
        elif not ill:
            lines.append(Line("", f"Done so far: {self.rest}" if self.rest else "Done.", "good"))
        return lines


def _role_of(module: str) -> str:
    """What a module is to the story: each kind of balancer has one that looks and one that acts."""
    if module.endswith("_server_info"):
        return "balancer_look"
    return "balancer_order" if module.endswith("_server") else module


def _check_said(report: Mapping[str, Any]) -> Line:
    tone = {"clean": "good", "dirty": "bad"}.get(report["verdict"], "warn")
    return Line("", headline(report), tone)


def _bounded(text: str) -> str:
    """What is kept. First without secrets: half of one might not be known as one any more."""
    return redact(text[: 4 * _TEXT_LIMIT])[:_TEXT_LIMIT]


def _process(item: Mapping[str, Any]) -> dict[str, Any]:
    node = item.get("node") or {}
    known = {"pid": node.get("pid"), "uptime": node.get("uptime"), "served": node.get("requests")}
    return {name: value for name, value in known.items() if name == "pid" or value is not None}


def _counted_servers(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By server; of one that is in several backends, what all of them counted."""
    servers: dict[str, dict[str, Any]] = {}
    for row in rows:
        counters = _counted(row.get("counters"))
        known = servers.setdefault(str(row["server"]), {"status": row.get("status")})
        if known["status"] in ("UP", "no check"):
            known["status"] = row.get("status")
        for name, value in counters.items():
            of_all = known.get(name, 0)
            known[name] = max(of_all, value) if name.endswith("time") else of_all + value
    return servers


def _counted(counters: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: counters[name] for name in _COUNTED if name in counters} if counters else {}
