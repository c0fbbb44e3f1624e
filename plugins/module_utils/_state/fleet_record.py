# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fleet has been through: the run at hand, where each host is, and which release is bad.

A record is a dictionary of this shape (times are seconds since the epoch)::

    {"schema": 1, "fleet": "app",
     "run": {"id", "kind", "owner", "controller", "reason", "plan", "overrides": [..],
             "status": "running|halted|done", "began", "updated", "host", "why"},
     "hosts": {"web1": {"phase", "release", "stage", "plan", "run", "by", "at", "why", "seen"}},
     "marks": {"23.0.0-py3.11-1a2b3c4d": {"mark": "good|bad", "host", "by", "at", "why"}},
     "bakes": {"web1": {"gunicorn", "python", "ran", "by", "at"}},
     "held": {"web1": {"until", "why", "by", "at"}},
     "once": {"once_before": {"plan", "host", "by", "at"}, "once_after": ..},
     "events": [the last EVENTS of them, as they were told]}

``seen`` is what the balancers had counted when the host passed, for the hosts that passed last.
``bakes`` are the hosts that somebody has seen to have baked what they run (``ran`` seconds); what
happens to a host takes its note away.

``held`` are the servers that somebody has taken out of rotation for work on them, and until when.
``once`` is what was done once for the whole fleet and a plan; a run without a plan (who goes back)
forgets it.

``tell`` is pure: a record and an event become the next record, or a refusal.

Run, hosts and marks are what is decided by, and the file. Events and ``seen`` are history: they
live in files of their own, and may be lost (see `_fleet_history`).
"""

import json
from shlex import quote
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    Opened,
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import (
    Unbelievable,
    believe,
    fields,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import (
    moment as calendar,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_history import (
    EVENTS,
    FleetHistory,
    without_looks,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_history import (
    LOOKS as SEEN,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_lock import check_fleet

SCHEMA = 1
HOSTS = 10000
MARKS = 500
OVERRIDES = 50
# Some 350 bytes a host: more than HOSTS of them, unless each has much to say.
RECORD_LIMIT = 4 * 1024 * 1024
# Versions before wrote it at any size. What is larger still was not written by them either.
FOUND_LIMIT = 256 * 1024 * 1024
# What is kept of a reason where not all of it can be.
_SHORT = 60

# event -> where the host is afterwards
PHASES = {
    "taken": "taken",
    "passed": "passed",
    "failed": "failed",
    "returned": "returned",
    "out": "out",
}
# Told of a host by whoever has looked at it, whether that is a run or not.
BAKED = "baked"
# Done once for the fleet and the plan of the run.
ONCE = "once"
ONCE_POINTS = ("once_before", "once_after")
# Out of rotation for work on it, and back: by no run that the record knows.
HELD, FREED = "held", "freed"
EVENT_NAMES = ("began", *PHASES, "halted", "ended", BAKED, ONCE, HELD, FREED)

Record = Dict[str, Any]


class Halted(FleetError):
    """The run was stopped: none of its hosts may be drained any more."""


def empty(fleet: str) -> Record:
    return {
        "schema": SCHEMA,
        "fleet": fleet,
        "run": None,
        "hosts": {},
        "marks": {},
        "bakes": {},
        "once": {},
        "held": {},
        "events": [],
    }


_RUN_KINDS: Dict[str, Tuple[type, ...]] = {
    "id": (str,),
    "kind": (str,),
    "owner": (str,),
    "controller": (str,),
    "reason": (str,),
    "plan": (str,),
    "overrides": (list,),
    "status": (str,),
    "began": (int, float),
    "updated": (int, float),
    "host": (str,),
    "why": (str,),
}
_HOST_KINDS: Dict[str, Tuple[type, ...]] = {
    "phase": (str,),
    "release": (str,),
    "stage": (int,),
    "plan": (str,),
    "run": (str,),
    "by": (str,),
    "at": (int, float),
    "why": (str,),
    "seen": (dict,),
}
_MARK_KINDS: Dict[str, Tuple[type, ...]] = {
    "mark": (str,),
    "host": (str,),
    "by": (str,),
    "at": (int, float),
    "why": (str,),
}
_BAKE_KINDS: Dict[str, Tuple[type, ...]] = {
    "gunicorn": (str,),
    "python": (str,),
    "ran": (int, float),
    "by": (str,),
    "at": (int, float),
}
_ONCE_KINDS: Dict[str, Tuple[type, ...]] = {
    "plan": (str,),
    "host": (str,),
    "by": (str,),
    "at": (int, float),
}
_HELD_KINDS: Dict[str, Tuple[type, ...]] = {
    "until": (int, float),
    "why": (str,),
    "by": (str,),
    "at": (int, float),
}


def parse(content: Optional[bytes], fleet: str) -> Record:
    """The record; an empty one if there is no file. Anything else than a whole one is an error."""
    if content is None:
        return empty(fleet)
    return believe(content, SCHEMA, lambda found: _read(found, fleet))


def _read(found: Dict[str, Any], fleet: str) -> Record:
    run = found["run"]
    return {
        "schema": SCHEMA,
        "fleet": fleet,
        "run": None if run is None else fields(run, _RUN_KINDS),
        "hosts": {
            str(k): fields(dict({"seen": {}}, **v), _HOST_KINDS) for k, v in found["hosts"].items()
        },
        "marks": {str(k): fields(v, _MARK_KINDS) for k, v in found["marks"].items()},
        # Versions before knew of none.
        "bakes": {str(k): fields(v, _BAKE_KINDS) for k, v in found.get("bakes", {}).items()},
        "once": {str(k): fields(v, _ONCE_KINDS) for k, v in found.get("once", {}).items()},
        "held": {str(k): fields(v, _HELD_KINDS) for k, v in found.get("held", {}).items()},
        "events": [dict(event) for event in found["events"]],
    }


def dump(record: Record) -> bytes:
    return json.dumps(record, sort_keys=True).encode() + b"\n"


def tell(record: Record, event: Dict[str, Any]) -> Record:
    """The record after the event; raises `Halted` where the run may not go on.

    ``event`` has the keys ``event`` (one of EVENT_NAMES), ``run`` (its id), ``by``, ``at``, and as
    the event needs ``controller``, ``kind``, ``plan``, ``reason``, ``overrides``, ``host``,
    ``release``, ``stage``, ``why``, ``blame`` (the release is bad), ``before`` (one that is good),
    ``seen`` (a dictionary), ``gunicorn``, ``python`` and ``ran`` (what has baked, how long),
    ``point`` (one of ONCE_POINTS), ``seconds`` (for how long it is held), ``tolerate`` (how many
    hosts of the run may have failed without it being halted).
    """
    after = dict(
        record,
        hosts=dict(record["hosts"]),
        marks=dict(record["marks"]),
        bakes=dict(record["bakes"]),
        once=dict(record["once"]),
        held=dict(record["held"]),
    )
    name = event["event"]
    if name == "began":
        after["run"] = _begun(event)
        if not after["run"]["plan"]:
            after["once"] = {}
    elif name == BAKED:
        after["bakes"][event["host"]] = {each: event[each] for each in _BAKE_KINDS}
    elif name == HELD:
        until = event["at"] + float(event["seconds"])
        note = {"until": until, **{key: event[key] for key in ("why", "by", "at")}}
        after["held"][event["host"]] = note
    elif name == FREED:
        after["held"].pop(event["host"], None)
    else:
        after["run"] = _go_on(record["run"], event, _tolerated(record, event))
    if name == ONCE:
        done = {"plan": after["run"]["plan"], **{key: event[key] for key in ("host", "by", "at")}}
        after["once"][event["point"]] = done
    if name in PHASES:
        after["hosts"][event["host"]] = _host(event, after["run"])
        after["bakes"].pop(event["host"], None)
    if name == "passed" and not _fell_in(after["run"], after["marks"].get(event["release"])):
        after["marks"][event["release"]] = _mark("good", event)
    if name in ("failed", "returned") and event.get("blame") and event.get("release"):
        after["marks"][event["release"]] = _mark("bad", event)
    if name == "returned" and event.get("before"):
        after["marks"][event["before"]] = _mark("good", dict(event, why="serves again"))
        after["hosts"][event["host"]]["release"] = event["before"]
    after["hosts"] = _seen_lately(_newest(after["hosts"], HOSTS))
    after["marks"] = _newest(after["marks"], MARKS)
    after["bakes"] = _newest(after["bakes"], HOSTS)
    after["held"] = _newest(after["held"], HOSTS)
    told = {
        key: value
        for key, value in event.items()
        if key != "seen" and value not in ("", [], None, False, 0)
    }
    after["events"] = (list(record["events"]) + [told])[-EVENTS:]
    return after


def _begun(event: Dict[str, Any]) -> Dict[str, Any]:
    return {
        "id": event["run"],
        "kind": event.get("kind", ""),
        "owner": event["by"],
        "controller": event.get("controller", ""),
        "reason": event.get("reason", ""),
        "plan": event.get("plan", ""),
        "overrides": list(event.get("overrides", []))[:OVERRIDES],
        "status": "running",
        "began": event["at"],
        "updated": event["at"],
        "host": "",
        "why": "",
    }


def _tolerated(record: Record, event: Dict[str, Any]) -> bool:
    """May the run go on though the host failed?

    Not before another one has passed the stage with this very plan: until then nothing speaks for
    what failed.
    """
    run, most = record["run"], int(event.get("tolerate") or 0)
    if event["event"] != "failed" or run is None or not run["plan"] or most < 1:
        return False
    failed = {
        name
        for name, host in record["hosts"].items()
        if host["run"] == run["id"] and host["phase"] in ("failed", "returned")
    }
    first = is_first(record, event["host"], run["plan"], event.get("stage") or 0)
    return not first and len(failed | {event["host"]}) <= most


def _go_on(run: Optional[Dict[str, Any]], event: Dict[str, Any], tolerated: bool) -> Dict[str, Any]:
    name = event["event"]
    if run is None or run["id"] != event["run"]:
        other = f"the last one is of {run['owner']}, {moment(run['began'])}" if run else "none is"
        raise Halted(
            f"This run is not in the record of the fleet ({other}). It must not go on. Start a new"
            " one."
        )
    if name == "taken" and run["status"] != "running":
        raise Halted(
            f"This run was {run['status']} at {moment(run['updated'])}"
            + (f" by {run['host']}" if run["host"] else "")
            + (f": {run['why']}" if run["why"] else "")
            + f". {event['host']} is not drained. Repair the cause and start a new run."
        )
    status = run["status"]
    if name in ("failed", "out", "halted") and not tolerated:
        status = "halted"
    elif name == "ended" and status == "running":
        status = "done"
    after = dict(run, status=status, updated=event["at"])
    if status == "halted" and run["status"] != "halted":
        after.update(host=event.get("host", ""), why=event.get("why", ""))
    return after


def _host(event: Dict[str, Any], run: Dict[str, Any]) -> Dict[str, Any]:
    return {
        "phase": PHASES[event["event"]],
        "release": event.get("release", ""),
        "stage": int(event.get("stage") or 0),
        "plan": run["plan"],
        "run": run["id"],
        "by": event["by"],
        "at": event["at"],
        "why": event.get("why", ""),
        "seen": event.get("seen") or {},
    }


def _seen_lately(hosts: Dict[str, Dict[str, Any]]) -> Dict[str, Dict[str, Any]]:
    having = [name for name, host in hosts.items() if host["seen"]]
    for name in sorted(having, key=lambda each: float(hosts[each]["at"]))[:-SEEN]:
        hosts[name] = dict(hosts[name], seen={})
    return hosts


def _mark(mark: str, event: Dict[str, Any]) -> Dict[str, Any]:
    keys = ("host", "by", "at", "why")
    return dict({key: event.get(key, "") for key in keys}, mark=mark)


def _fell_in(run: Dict[str, Any], mark: Optional[Dict[str, Any]]) -> bool:
    """Did this very run find it bad? Another host of the wave that passes is no second opinion."""
    return bool(mark and mark["mark"] == "bad" and mark["at"] >= run["began"])


def _newest(entries: Dict[str, Dict[str, Any]], limit: int) -> Dict[str, Dict[str, Any]]:
    if len(entries) <= limit:
        return entries
    kept = sorted(entries, key=lambda name: float(entries[name]["at"]))[-limit:]
    return {name: entries[name] for name in kept}


def moment(epoch: float) -> str:
    try:
        return calendar(epoch)
    except (OverflowError, OSError, ValueError):
        return "an unknown time"


def core(record: Record) -> Record:
    """What is decided by, without the history. It still has the shape that older versions read."""
    hosts = {name: dict(host, seen={}) for name, host in record["hosts"].items()}
    return dict(record, hosts=hosts, events=[])


def fit(record: Record, limit: int) -> bytes:
    """The file of a record, at most so large: what is needed least goes, then the oldest hosts.

    A host of the run at hand stays whatever happens: the next run must find what was begun.
    """
    content = dump(record)
    if len(content) <= limit:
        return content
    hosts = {n: dict(host, why=host["why"][:_SHORT]) for n, host in record["hosts"].items()}
    # Who misses a note looks once more.
    record = dict(record, bakes={})
    content = dump(dict(record, hosts=hosts))
    run = record["run"]["id"] if record["run"] else ""
    excess = len(content) - limit
    for name in sorted(hosts, key=lambda each: float(hosts[each]["at"])):
        if excess <= 0:
            break
        if hosts[name]["run"] != run:
            excess -= len(json.dumps({name: hosts.pop(name)}))
    content = dump(dict(record, hosts=hosts))
    if len(content) > limit:
        raise FleetError(
            f"The record of fleet {record['fleet']} was not written: it would have {len(content)}"
            f" bytes, of {limit} at most, for {len(hosts)} hosts and {len(record['marks'])}"
            " releases. Split the fleet (rollout_fleet), or shorten rollout_reason."
        )
    return content


def about(record: Record, hosts: Sequence[str]) -> Record:
    """What an answer needs that is about these hosts: it must not grow with the fleet."""
    if not hosts:
        return record
    known = record["hosts"]
    told = {name: dict(known[name], seen={}) for name in hosts if name in known}
    return dict(record, hosts=told, marks={}, bakes={}, events=[])


def passed_with(record: Any, plan: str) -> Dict[str, Dict[str, Any]]:
    """The hosts that passed with this very plan, as the record tells, and what it says of them."""
    told = (record or {}).get("hosts") or {}
    return {
        host: each
        for host, each in told.items()
        if each.get("phase") == "passed" and each.get("plan") == plan
    }


def is_first(record: Any, host: str, plan: str, stage: Any) -> bool:
    """Whether no other host has passed the stage with this very plan, as the record tells."""
    return not any(
        name != host and int(told.get("stage") or 0) >= int(stage)
        for name, told in passed_with(record, plan).items()
    )


class FleetRecord:
    """The record of one fleet in a directory of the state host.

    ``notes`` is what was wrong with its history, for a person.
    """

    def __init__(self, directory: StateDirectory, fleet: str, check_mode: bool) -> None:
        check_fleet(fleet)
        self._directory = directory
        self._fleet = fleet
        self._check_mode = check_mode
        self._name = f"{fleet}.record.json"
        self.notes: List[str] = []
        self._history = FleetHistory(fleet, self.notes)

    @property
    def path(self) -> str:
        return f"{self._directory.path}/{self._name}"

    def read(self) -> Record:
        with self._directory.opened() as box:
            return self._whole(box, self._read(box))

    def tell(self, event: Dict[str, Any]) -> Tuple[Record, Record]:
        """Returns the record before and after."""
        create = event["event"] in ("began", BAKED, HELD) and not self._check_mode
        with self._directory.locked(create=create) as box:
            found = self._read(box)
            before = self._whole(box, found)
            after = tell(before, event)
            if box and not self._check_mode:
                box.write(self._name, fit(core(after), RECORD_LIMIT), RECORD_LIMIT)
                # What a version before left in the record itself moves with it.
                self._history.add_events(box, found["events"] + after["events"][-1:])
                looks = _looks_of(found)
                if event.get("seen"):
                    looks[event["host"]] = {"at": event["at"], "seen": event["seen"]}
                self._history.add_looks(box, looks)
            return before, after

    def _whole(self, box: Optional[Opened], found: Record) -> Record:
        """With the history, wherever that is."""
        if box is None:
            return found
        hosts = dict(found["hosts"])
        for name, look in self._history.looks(box).items():
            if name in hosts and not hosts[name]["seen"] and hosts[name]["at"] == look["at"]:
                hosts[name] = dict(hosts[name], seen=look["seen"])
        events = (self._history.events(box) + found["events"])[-EVENTS:]
        return dict(found, hosts=hosts, events=events)

    def _read(self, box: Optional[Opened]) -> Record:
        try:
            content = box.read(self._name, FOUND_LIMIT) if box else None
            if content is not None and len(content) > RECORD_LIMIT:
                content = without_looks(content)
            return parse(content, self._fleet)
        except Unbelievable as exc:
            raise Unbelievable(
                f"The record of fleet {self._fleet} cannot be believed ({self.path}): {exc}. Which"
                " releases are bad cannot be told. Look at it, then move it away on that host:"
                f" mv {quote(self.path)} {quote(self.path + '.bad')}"
            ) from None


def _looks_of(record: Record) -> Dict[str, Dict[str, Any]]:
    return {
        name: {"at": host["at"], "seen": host["seen"]}
        for name, host in record["hosts"].items()
        if host["seen"]
    }


def marked_bad(record: Record, releases: List[str]) -> List[str]:
    """For each of the releases that is marked bad, a sentence that says who found it so."""
    texts = []
    for name in releases:
        mark = record["marks"].get(name)
        if mark and mark["mark"] == "bad":
            texts.append(
                f"{name} is marked bad since {moment(mark['at'])} ({mark['host']}, by"
                f" {mark['by']}): {mark['why'] or 'no reason given'}"
            )
    return texts
