# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a run may go now: a stage bakes on every server before the next one begins on any.

The time of a server counts from the start of the gunicorn that runs there, as its own host tells
it, so a restart begins it anew. A server outside the run cannot be asked: what the record of the
fleet says of it must do. Everything here is pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from shlex import quote
from typing import Any, NamedTuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.stage_order import (
    minor,
    python_minor_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_record import (
    passed_with,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._few import MOST, few
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.bake import duration_words
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.versions import (
    version_key,
)

NOBODY = 0
# A note that a server has baked counts for as long as the bake, and at least for so long.
_NOTE = 3600.0
# Below this a moment is told to the second.
_SHORT = 120
_PROMOTE = '-e \'{"rollout_promote": true, "rollout_reason": "..."}\''


class Wish(NamedTuple):
    """What the operator asked for, and what is the same for every server."""

    stages: tuple[Mapping[str, Any], ...]
    """Of the run, in order: ``number``, ``gunicorn``, ``python``, ``bake`` in seconds."""
    now: float
    """Seconds since the epoch; for the words alone."""
    promote: bool = False
    wait: bool = False
    """Whether the run waits in place where a stage bakes (``rollout_wait``)."""


class Decision(NamedTuple):
    """How far the run may go.

    ``role``: ``free`` (to its end), ``promoted`` (the same, and somebody takes it on), ``wait``
    (the same, with a wait in place), ``stage`` (up to the stage ``horizon``), ``rest`` (up to
    there, and there is nothing to do), ``blind`` (it is time, and a server cannot be judged),
    ``ill``.
    """

    role: str
    horizon: int
    """The last stage that the run may reach now; 0 for all of them."""
    leg: int
    """The last stage before it whose bake is over; 0 if there is none."""
    text: str
    left: float = 0.0
    """Seconds that the servers of the run still bake."""
    hosts: tuple[str, ...] = ()
    """Those of the run that run the stage which is not over, or that is promoted."""
    stage: int = 0
    """The first stage whose bake is not over, if the run may not pass it yet; else 0."""


def place(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Where a server is: ``todo``, the stages that it has to do; ``runs``, the one that it runs.

    ``runs`` is 0 where it runs none of them as it is asked for.
    """
    todo = [int(step["stage"]) for step in steps if step["action"] != "skip"]
    first = min(todo, default=len(steps) + 1)
    runs = NOBODY
    for step in steps:
        there = _same(step["gunicorn"], step["python"], step["from_gunicorn"], step["from_python"])
        if step["stage"] < first and there:
            runs = int(step["stage"])
    return {"todo": todo, "runs": runs}


def rest_words(
    wish: Wish, hosts: Sequence[Mapping[str, Any]], outside: Sequence[Mapping[str, Any]]
) -> str:
    """The last words of a run that ended well before a stage that it might not begin."""
    here = decide(wish._replace(promote=False, wait=False), hosts, outside)
    return here.text or "The stage has baked meanwhile: run the same command again."


def must_be_judged(stages: Sequence[Mapping[str, Any]], todo: Sequence[int], runs: int) -> bool:
    """Whether what the server runs bakes, and another stage follows there."""
    return any(stage["number"] == runs and stage["bake"] for stage in stages) and bool(todo)


def decide(
    wish: Wish, hosts: Sequence[Mapping[str, Any]], outside: Sequence[Mapping[str, Any]]
) -> Decision:
    """Decide how far the run may go.

    A host of the run is ``{"host", "todo", "runs" (see `place`), "age": s or None, "gate":
    {"verdict", "reasons"}}``, one ``outside`` as `beyond` makes it.
    """
    leg, passed_over, taken = 0, "", list[str]()
    for stage in wish.stages[:-1]:
        number, bake = int(stage["number"]), float(stage["bake"])
        if not bake or not any(each > number for host in hosts for each in host["todo"]):
            continue
        found = _Bake(wish, stage, hosts, outside)
        if found.over:
            leg = number
        elif wish.promote:
            leg, passed_over = number, passed_over or f"promoted all the same: {found.why()}"
            taken += [str(host["host"]) for host in found.on_it]
        else:
            return found.decision(leg)
    role = "promoted" if passed_over else "free"
    return Decision(role, 0, leg, passed_over, hosts=tuple(dict.fromkeys(taken)))


class _Bake:
    """One stage, and where every server of the fleet is with regard to it."""

    def __init__(
        self,
        wish: Wish,
        stage: Mapping[str, Any],
        hosts: Sequence[Mapping[str, Any]],
        outside: Sequence[Mapping[str, Any]],
    ) -> None:
        self.wish, self.bake = wish, float(stage["bake"])
        self.number = number = int(stage["number"])
        self.name = f"stage {number} of {len(wish.stages)}"
        self.before = [host for host in hosts if any(each <= number for each in host["todo"])]
        self.on_it = [
            host
            for host in hosts
            if host["runs"] == number and host not in self.before and host["todo"]
        ]
        self.through = [host for host in hosts if host not in self.before + self.on_it]
        self.unseen = [each for each in outside if number not in each["through"]]
        self.ill = [host for host in self.on_it if _verdict(host) == "fail"]
        self.blind = [host for host in self.on_it if _verdict(host) not in ("fail", "pass")]
        self.young = [host for host in self.on_it if _age(host) < self.bake]
        self.left = max((self.bake - _age(host) for host in self.young), default=0.0)

    @property
    def over(self) -> bool:
        return not (self.before or self.unseen or self.ill or self.blind or self.young)

    def decision(self, leg: int) -> Decision:
        if self.ill:
            role, text = "ill", self._ill_words()
        elif self.blind and not (self.young or self.before):
            role, text = "blind", self._blind_words()
        elif self.wish.wait and not self.unseen:
            role, text = "wait", self.words()
        else:
            role, text = "stage" if self.before else "rest", self.words()
        names = tuple(str(host["host"]) for host in self.on_it)
        horizon = 0 if role == "wait" else self.number
        return Decision(role, horizon, leg, text, self.left, names, self.number)

    def words(self) -> str:
        """Until when, and what to do then."""
        then = self.number + 1
        command = "this run goes on then" if self.wish.wait else "run the same command then"
        if self.unseen:
            here = self.on_it + self.through
            on = f"{self.name} is on {_names(here)}" if here else f"{self.name} is the next"
            return (
                f"{on}; stage {then} begins on no server before every server of the fleet has run"
                f" it for {duration_words(self.bake)}, and {self._unseen_words()}: run the same"
                f" command without -l{self._when()}"
            )
        if self.before:
            return (
                f"{self.name} is for {_names(self.before)} now; stage {then} not before every"
                f" server has run it for {duration_words(self.bake)}: {command}"
            )
        where = f"{self.name} is on every server; stage {then} not before"
        return f"{where} {moment_words(self.wish.now, self.left)}: {command}{self._progress()}"

    def why(self) -> str:
        """What speaks against the next stage."""
        told = [*map(_against, [*self.ill, *self.blind])]
        if self.before:
            told.append(f"{_names(self.before)} does not run {self.name} yet")
        if self.young:
            told.append(self._progress().strip(" ()"))
        if self.unseen:
            told.append(self._unseen_words())
        return "; ".join(told[:MOST])

    def _when(self) -> str:
        return f" at {moment_words(self.wish.now, self.left)}" if self.left else ""

    def _progress(self) -> str:
        if not self.young:
            return ""
        last = min(self.young, key=_age)
        return (
            f" ({last['host']} has run it for {duration_words(math.floor(_age(last)))} of"
            f" {duration_words(self.bake)}: {duration_words(math.ceil(self.left))} more)"
        )

    def _unseen_words(self) -> str:
        told: dict[str, list[str]] = {}
        for each in self.unseen:
            told.setdefault(str(each["why"]), []).append(str(each["host"]))
        return "; ".join(f"{few(names)}, outside of this run, {why}" for why, names in told.items())

    def _ill_words(self) -> str:
        gunicorn = self.wish.stages[self.number - 1]["gunicorn"]
        names = ",".join(str(host["host"]) for host in self.ill[:MOST])
        told = [_against(host) for host in self.ill[:MOST]]
        more = len(self.ill) - len(told)
        told += [f"and {more} more"] if more else []
        return (
            f"{self.name} (gunicorn {gunicorn}) fell ill while it baked: {'; '.join(told)}."
            " Nothing was touched; what runs goes on. The way back: ansible-playbook rollback.yml"
            f" -l {quote(names)}. Or repair the cause and restart it, which begins its time anew,"
            f" or take it on you with {_PROMOTE}."
        )

    def _blind_words(self) -> str:
        return (
            f"{self.name} has baked its time, and cannot be judged:"
            f" {'; '.join(map(_against, self.blind[:MOST]))}. Nothing was touched. Mend what could"
            f" not be looked at and run the same command again, or take it on you with {_PROMOTE}."
        )


def hold(plan: Mapping[str, Any], horizon: int) -> dict[str, Any]:
    """The plan of a host with nothing to do beyond the stage ``horizon``; 0 changes nothing."""
    steps = [
        {**step, "action": "skip", "reason": f"waits until stage {horizon} has baked"}
        if horizon and step["stage"] > horizon and step["action"] != "skip"
        else step
        for step in plan["steps"]
    ]
    return {**plan, "steps": steps}


# -- servers outside the run -----------------------------------------------------------------------


def beyond(
    record: Any,
    fleet: Sequence[str],
    run: Sequence[str],
    wish: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """What is known of each server of the fleet outside the run: ``{"host", "through", "why"}``.

    ``through`` are the numbers of the stages that need not be waited for there: it is past them, or
    a run has lately seen that it had baked. ``wish`` has ``plan``,
    ``stages`` (see `Wish`) and ``asked``, when the record was read, by the clock of its host.
    """
    passed = passed_with(record, wish["plan"]) if wish["plan"] else {}
    notes = (record or {}).get("bakes") or {}
    found = []
    for host in fleet:
        if host in run:
            continue
        at = int((passed.get(host) or {}).get("stage") or 0)
        through = [stage["number"] for stage in wish["stages"] if stage["number"] < at]
        through += _noted(notes.get(host), wish["stages"], float(wish["asked"]))
        why = "has not been seen to bake" if at else "is not known to run it"
        found.append({"host": host, "through": sorted(set(through)), "why": why})
    return found


def _noted(
    note: Mapping[str, Any] | None, stages: Sequence[Mapping[str, Any]], asked: float
) -> list[int]:
    for stage in reversed(stages):
        python = stage["python"] or (note or {}).get("python", "")
        if note and _same(stage["gunicorn"], python, note["gunicorn"], note["python"]):
            lately = 0 <= asked - float(note["at"]) <= max(_NOTE, stage["bake"])
            own = [stage["number"]] if lately and 0 < stage["bake"] <= float(note["ran"]) else []
            return [each["number"] for each in stages if each["number"] < stage["number"]] + own
    return []


def worth_noting(wish: Wish, host: Mapping[str, Any]) -> bool:
    """Whether the server has baked the stage that it runs, for a run of which it is no part."""
    stage = wish.stages[host["runs"] - 1] if host["runs"] else {"bake": 0}
    return bool(
        stage["bake"] and host["todo"] and _verdict(host) == "pass" and _age(host) >= stage["bake"]
    )


# -- who promotes ----------------------------------------------------------------------------------


def second_person(record: Any, hosts: Iterable[str], me: str) -> str:
    """Why ``me`` may not promote what runs on the ``hosts``; empty for another person.

    Who ran it is what the record of the fleet noted then, a name that the controller told.
    """
    known = (record or {}).get("hosts") or {}
    took = {
        host: str(known[host]["by"])
        for host in hosts
        if (known.get(host) or {}).get("phase") == "passed" and known[host].get("by")
    }
    mine = [host for host, by in took.items() if by == me]
    if took and not mine:
        return ""
    why = f"{few(mine)} was taken by {me} too" if mine else "nobody has run it on record yet"
    return (
        f"rollout_second_person is true, and {me} may not promote: {why}. Nothing was touched. Let"
        " another person run the same command, or wait until it has baked."
    )


# -- words -----------------------------------------------------------------------------------------


def moment_words(now: float, left: float) -> str:
    """When so many seconds are over, never too early: ``16:40 UTC``, with a date if not today."""
    step = 1 if left < _SHORT else 60
    then = datetime.fromtimestamp(math.ceil((now + left) / step) * step, timezone.utc)
    today = datetime.fromtimestamp(now, timezone.utc).date() == then.date()
    form = ("%H:%M" if step == 60 else "%H:%M:%S") if today else "%Y-%m-%d %H:%M"
    return then.strftime(form + " UTC")


def _against(host: Mapping[str, Any]) -> str:
    reasons = "; ".join((host.get("gate") or {}).get("reasons") or ["it could not be judged"])
    return f"{host['host']}: {_verdict(host)}: {reasons}"


def _verdict(host: Mapping[str, Any]) -> str:
    return str((host.get("gate") or {}).get("verdict") or "error")


def _age(host: Mapping[str, Any]) -> float:
    return float(host.get("age") or 0)


def _names(hosts: Iterable[Mapping[str, Any]]) -> str:
    return few(host["host"] for host in hosts)


def _same(gunicorn: str, python: str, has_gunicorn: str, has_python: str) -> bool:
    wanted = minor(python_minor_of(python))
    return version_key(gunicorn) == version_key(has_gunicorn) and version_key(
        wanted
    ) == version_key(minor(has_python))
