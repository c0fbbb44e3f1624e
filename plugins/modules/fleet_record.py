#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: fleet_record
short_description: Remember what a fleet has been through
version_added: 0.1.0
description:
  - Keeps the record of a fleet, a small file on one host that all who work on the fleet agree on
    (the state host), usually the first load balancer. It outlives the run, the controller and the
    operator.
  - It holds the run at hand or the last one, where each host is (of the 10,000 that were told of
    last), and which releases are good or bad (of 500). It has 4 MiB at most; what would be larger
    loses reasons first, and then the hosts that no run has been to for longest.
  - What is history only stands beside it, and may be removed at any time. The last 500 events in
    C(<fleet>.events), one JSON object per line; and in C(<fleet>.looks.json) what the balancers
    had counted when the last eight hosts passed. A record of a version before, which held all of
    that itself at any size, is read and taken apart at the next event.
  - Without O(event) it only reads.
  - Events of one run are told in turn; several hosts may tell at once. The file is replaced as a
    whole.
  - A record that is empty, damaged, or of a newer version is refused; the error says where it is
    and how to move it away.
attributes:
  action:
    support: full
    description: The controller tells which run it is and who runs it.
  check_mode:
    support: full
    description: Refuses as the real run does, and writes nothing.
  diff_mode:
    support: full
    description: The status of the run, and the phase of the host.
  platform:
    support: full
    platforms: posix
    description: The state host.
extends_documentation_fragment:
  - fleetops.gunicorn.fleet
options:
  event:
    description:
      - What happened.
      - V(began) starts a run, whatever became of the one before.
      - V(taken) is told right before O(host) is drained. It is refused if the run was halted, or is
        not the one in the record.
      - V(passed) marks O(release) as good.
      - V(failed) and V(out) halt the run; V(out) says that the host could not be put back.
        V(failed) with O(blame) marks O(release) as bad, and with O(tolerate) may let the run go on.
      - V(returned) tells that O(host) serves with O(before) again, and marks that as good; with
        O(blame) it marks O(release) as bad.
      - V(halted) stops the run without a word on a host, V(ended) ends it.
      - V(baked) tells that O(host) was seen to have run O(gunicorn) on O(python) for O(ran) seconds
        with nothing against it. Whoever has looked may tell it, whichever run the record is of.
        What else happens to the host takes the note away.
      - V(once) tells that what is done once for the fleet was done on O(host), at O(point), for the
        plan of the run. A run that begins without a plan forgets it.
      - V(held) tells that somebody has taken O(host) out of rotation for work on it, for
        O(seconds), and V(freed) that it is back. No run needs to be in the record.
    type: str
    choices: [began, taken, passed, failed, returned, out, halted, ended, baked, once, held, freed]
  host:
    description: The host that it happened to.
    type: str
    default: ""
  release:
    description: The id of the release that it happened to.
    type: str
    default: ""
  before:
    description: The id of the release that serves again.
    type: str
    default: ""
  stage:
    description: The stage, from 1; 0 for none.
    type: int
    default: 0
  why:
    description: What there is to say of it; one line, at most 300 characters are kept.
    type: str
    default: ""
  blame:
    description: Whether it speaks against O(release).
    type: bool
    default: false
  point:
    description: What was done, for V(once).
    type: str
    choices: [once_before, once_after]
  seconds:
    description: For how long, for V(held).
    type: float
    default: 0
  tolerate:
    description:
      - With V(failed), how many hosts of the run may have failed, O(host) among them, without the
        run being halted. Whatever it says, the run is halted if no other host has passed O(stage)
        with its plan.
    type: int
    default: 0
  kind:
    description: What the run does, for V(began).
    type: str
    default: ""
  reason:
    description: What the run is for, for V(began).
    type: str
    default: ""
  plan:
    description: What names the plan of the run, for V(began).
    type: str
    default: ""
  overrides:
    description: The guards that the operator switched off, for V(began).
    type: list
    elements: str
    default: []
  gunicorn:
    description: The gunicorn that has baked, for V(baked).
    type: str
    default: ""
  python:
    description: Its Python, as C(3.11), for V(baked).
    type: str
    default: ""
  ran:
    description: For how many seconds it has run, for V(baked).
    type: float
    default: 0
  seen:
    description:
      - What the balancers had counted then, for V(passed). It is kept for the eight hosts that
        passed last, and not among the events. What has more than 256 KiB is not kept.
    type: dict
    default: {}
  about:
    description:
      - The hosts that the answer is about. RV(record) then holds these of the hosts only, and
        neither RV(record.marks), RV(record.bakes) nor RV(record.events), so that it does not grow
        with the fleet.
      - Without any it is the whole record.
    type: list
    elements: str
    default: []
  by:
    description: Who. If empty, the user who runs Ansible on the controller.
    type: str
    default: ""
  run:
    description: What tells this run from every other. If empty, made from the process that runs it.
    type: str
    default: ""
  controller:
    description: The controller's name. If empty, it is filled in.
    type: str
    default: ""
author:
  - The fleetops.gunicorn authors (@fleetops)
"""

EXAMPLES = r"""
- name: Read the record
  fleetops.gunicorn.fleet_record:
    fleet: web
  delegate_to: "{{ groups['lb'] | first }}"
  register: record

- name: Note that the host is about to be drained
  fleetops.gunicorn.fleet_record:
    fleet: web
    event: taken
    host: "{{ inventory_hostname }}"
    release: 23.0.0-py3.11-1a2b3c4d
    stage: 2
  delegate_to: "{{ groups['lb'] | first }}"
"""

RETURN = r"""
told:
  description: What was noted, C(event), C(host), C(why) and C(before), as the options say.
  returned: with O(event)
  type: dict
record:
  description: The record, in check mode as it would be. Times are seconds since the epoch.
  returned: success
  type: dict
  contains:
    run:
      description:
        - The run at hand or the last one, or null.
        - Its C(id), C(kind), C(owner), C(controller), C(reason), C(plan), C(overrides), C(status)
          (V(running), V(halted) or V(done)), C(began), C(updated), and the C(host) that halted it
          with the reason, C(why).
      returned: always
      type: dict
    hosts:
      description:
        - Where each host is, by its name.
        - Its C(phase) (V(taken), V(passed), V(failed), V(returned) or V(out)), with C(release),
          C(stage), C(plan), C(run), C(by), C(at), C(why) and C(seen).
      returned: always
      type: dict
    marks:
      description: By release, its C(mark) (V(good) or V(bad)), with C(host), C(by), C(at), C(why).
      returned: always
      type: dict
    bakes:
      description:
        - By host that was seen to have baked, its C(gunicorn), C(python), C(ran), C(by) and C(at).
      returned: always
      type: dict
    held:
      description:
        - By host that is out of rotation for work on it, C(until) when, C(why), C(by) and C(at).
      returned: always
      type: dict
    once:
      description:
        - For C(once_before) and C(once_after), the C(plan) for which it was done last, the C(host)
          on which, C(by) and C(at).
      returned: always
      type: dict
    events:
      description: The last 500 events, the oldest first.
      returned: always
      type: list
      elements: dict
first:
  description:
    - Whether no other host has passed O(stage) with the plan of the run yet. V(false) if that has
      no plan.
  returned: success
  type: bool
now:
  description: When it was read, by the clock of its host.
  returned: success
  type: float
path:
  description: Where the record is.
  returned: always
  type: str
  sample: /var/lib/fleetops-gunicorn/web.record.json
halted:
  description: Whether it failed because this run may not go on.
  returned: failure
  type: bool
"""

import time
from typing import Any, Dict

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import AnsibleModule
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import plain
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_record import (
    BAKED,
    EVENT_NAMES,
    FREED,
    HELD,
    ONCE,
    ONCE_POINTS,
    PHASES,
    FleetRecord,
    Halted,
    Record,
    about,
    is_first,
)

_WORDS = (
    "host", "release", "before", "why", "kind", "reason", "plan", "by", "run", "controller",
    "gunicorn", "python",
)  # fmt: skip

ARGUMENTS: Dict[str, Dict[str, Any]] = {
    "fleet": {"type": "str", "required": True},
    "directory": {"type": "path", "default": "/var/lib/fleetops-gunicorn"},
    "event": {"type": "str", "choices": list(EVENT_NAMES)},
    "stage": {"type": "int", "default": 0},
    "blame": {"type": "bool", "default": False},
    "tolerate": {"type": "int", "default": 0},
    "ran": {"type": "float", "default": 0},
    "seconds": {"type": "float", "default": 0},
    "point": {"type": "str", "choices": list(ONCE_POINTS)},
    "overrides": {"type": "list", "elements": "str", "default": []},
    "seen": {"type": "dict", "default": {}},
    "about": {"type": "list", "elements": "str", "default": []},
}
ARGUMENTS.update({word: {"type": "str", "default": ""} for word in _WORDS})


def event_of(params: Dict[str, Any]) -> Dict[str, Any]:
    event: Dict[str, Any] = {word: plain(params[word]) for word in _WORDS}
    event.update(
        event=params["event"],
        stage=params["stage"],
        blame=params["blame"],
        tolerate=params["tolerate"],
        overrides=[plain(each) for each in params["overrides"]],
        seen=params["seen"],
        ran=params["ran"],
        point=params["point"],
        seconds=params["seconds"],
        at=round(time.time(), 3),
    )
    return event


def seen(record: Record, host: str) -> Dict[str, str]:
    run = record["run"]
    words = {"run": run["status"] if run else "none"}
    if host:
        words[host] = record["hosts"].get(host, {}).get("phase", "unknown")
    return words


def answer(record: Record, params: Dict[str, Any]) -> Dict[str, Any]:
    plan = record["run"]["plan"] if record["run"] else ""
    return {
        "record": about(record, params["about"]),
        "now": round(time.time(), 3),
        "first": bool(plan) and is_first(record, params["host"], plan, params["stage"]),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[
            *[("event", name, ["host"]) for name in (*PHASES, BAKED, HELD, FREED)],
            ("event", ONCE, ["host", "point"]),
        ],
        supports_check_mode=True,
    )
    params = module.params
    path = f"{params['directory'].rstrip('/')}/{params['fleet']}.record.json"
    try:
        kept = FleetRecord(
            StateDirectory(params["directory"], private=False), params["fleet"], module.check_mode
        )
        if params["event"] is None:
            module.exit_json(changed=False, path=path, **answer(kept.read(), params))
        if params["event"] in (*PHASES, BAKED) and not params["host"]:
            raise FleetError(f"event {params['event']} needs host: to which did it happen?")
        if not params["run"] or not params["by"]:
            raise FleetError("event needs run and by: which run tells it, and who runs it?")
        event = event_of(params)
        before, after = kept.tell(event)
    except FleetError as exc:
        module.fail_json(msg=str(exc), halted=isinstance(exc, Halted), path=path)
    for note in kept.notes:
        module.warn(note)
    module.exit_json(
        changed=True,
        path=path,
        told={name: event[name] for name in ("event", "host", "why", "before")},
        **answer(after, params),
        diff={"before": seen(before, params["host"]), "after": seen(after, params["host"])},
    )


if __name__ == "__main__":
    main()
