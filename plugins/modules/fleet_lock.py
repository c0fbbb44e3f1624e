#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: fleet_lock
short_description: Let one rollout at a time work on a fleet
version_added: 0.1.0
description:
  - Takes, renews, frees or breaks the lock of a fleet, a small file on one host that all who work
    on the fleet agree on (the state host), usually the first load balancer.
  - Of several who ask at the same instant one gets the lock. The others hear at once, or after
    O(wait), who holds it, since when, why, and how long ago it gave its last sign of life.
  - If the holder ran on this controller and its process has ended, it is provably dead, and the
    lock is taken over without a question. A holder on another controller cannot be seen. If its
    last sign of life is older than O(stale_after), the error says that it is probably dead, and
    gives the command that breaks the lock.
  - What was broken or taken over, by whom, when and why stands in a history beside the lock,
    RV(history_file), one JSON object per line, of which the older half is dropped at 256 KiB.
  - A lock file that is empty, damaged, or of a newer version is refused, and can be broken.
attributes:
  action:
    support: full
    description: The controller tells who it is, and whether the holder's process is still there.
  check_mode:
    support: full
    description: Refuses as the real run does, at once, and says what would happen otherwise.
  diff_mode:
    support: full
    description: Who holds the lock.
  platform:
    support: full
    platforms: posix
    description: The state host. A controller without Linux's C(/proc) proves no holder dead.
extends_documentation_fragment:
  - fleetops.gunicorn.fleet
options:
  state:
    description:
      - V(held) takes the lock, or renews the sign of life of one that is held with O(token)
        already (no change). Whoever lost the lock to V(broken) or to being taken over is refused
        from then on.
      - V(asked) takes nothing and changes nothing, but waits and refuses as V(held) does. Whoever
        looks at a fleet to decide what to do there looks when nobody else is at work.
      - V(kept) renews what is held with O(token), and is an error for whoever holds nothing. A run
        that was stopped, and has freed the lock, must not go on.
      - V(free) gives back what is held with O(token). It is an error if another holds it.
      - V(broken) removes the lock, whoever holds it and whatever is in it. Needs O(reason).
    type: str
    choices: [held, asked, kept, free, broken]
    default: held
  reason:
    description: What the lock is held or broken for, in a few words that the next operator reads.
    type: str
    default: ""
  owner:
    description:
      - Who holds or breaks it.
      - If empty, the user who runs Ansible on the controller (with sudo, the one before).
    type: str
    default: ""
  token:
    description:
      - What tells this run from every other.
      - If empty, it is made from the process that runs the playbook, so that all tasks of one run
        have the same and no two runs do.
    type: str
    default: ""
  wait:
    description: How long to wait for a lock that another holds, in seconds.
    type: float
    default: 0
  stale_after:
    description: The age of the last sign of life beyond which a holder counts as probably dead.
    type: float
    default: 900
  break_command:
    description:
      - The command that an error gives for breaking the lock.
      - If empty, an C(ansible) command that calls this module with O(state=broken).
    type: str
    default: ""
  controller:
    description: The process that holds the lock. Filled in on the controller; not for playbooks.
    type: dict
    default: {}
    suboptions:
      hostname:
        description: The controller's name.
        type: str
        default: ""
      boot_id:
        description: What names this boot of it.
        type: str
        default: ""
      pid_namespace:
        description: What names its set of processes (a container has its own).
        type: str
        default: ""
      pid:
        description: The process.
        type: int
        default: 0
      start_ticks:
        description: When that started, in clock ticks since the boot.
        type: int
        default: 0
  take_over:
    description:
      - The token of a holder that was proven dead. Filled in on the controller; not for playbooks.
    type: str
    default: ""
  proof:
    description: How it was proven. Filled in on the controller; not for playbooks.
    type: str
    default: ""
author:
  - The fleetops.gunicorn authors (@fleetops)
"""

EXAMPLES = r"""
- name: Take the lock of the fleet
  fleetops.gunicorn.fleet_lock:
    fleet: web
    reason: upgrade to 23.0.0
    wait: 600
  delegate_to: "{{ groups['lb'] | first }}"

- name: Give it back
  fleetops.gunicorn.fleet_lock:
    fleet: web
    state: free
  delegate_to: "{{ groups['lb'] | first }}"

- name: Break what a controller left behind that is gone
  fleetops.gunicorn.fleet_lock:
    fleet: web
    state: broken
    reason: the laptop of alice is in repair
  delegate_to: lb1
"""

RETURN = r"""
msg:
  description: What was done, or in check mode would be, in a sentence; or why not.
  returned: always
  type: str
holder:
  description:
    - Who holds the lock now (in check mode, would hold it); none (null) if it is free.
    - On failure, who holds it instead.
  returned: always
  type: dict
  contains:
    fleet:
      description: The fleet.
      returned: always
      type: str
    token:
      description: The holder's token.
      returned: always
      type: str
    owner:
      description: Who.
      returned: always
      type: str
    reason:
      description: What for.
      returned: always
      type: str
    since:
      description: When it was taken, as seconds since the epoch.
      returned: always
      type: float
    heartbeat:
      description: The last sign of life, as seconds since the epoch.
      returned: always
      type: float
    heartbeat_age:
      description: How long ago that is, in seconds, whatever became of the clock meanwhile.
      returned: always
      type: float
    turn:
      description:
        - Higher each time that the lock is taken, and the same for as long as it is held; V(0) in
          check mode. It stands in C(<fleet>.turn) beside the lock.
        - What changes a host or a balancer is given it, and refuses where a newer one has been.
      returned: always
      type: int
    controller:
      description: The holder's process, shaped like O(controller).
      returned: always
      type: dict
taken_over:
  description: The dead holder that it was taken over from, shaped like RV(holder), or null.
  returned: success
  type: dict
broken:
  description: Whether a lock was broken.
  returned: success
  type: bool
held_by_other:
  description: Whether it failed because another holds the lock.
  returned: failure
  type: bool
probably_dead:
  description: Whether that one's last sign of life is older than O(stale_after).
  returned: failure
  type: bool
history_file:
  description: Where it is told what was broken and taken over.
  returned: always
  type: str
  sample: /var/lib/fleetops-gunicorn/web.history
"""

import time
from typing import Any, Dict, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.machine import (
    boot_id,
    boottime,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import AnsibleModule
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_lock import (
    Controller,
    FleetLock,
    Held,
    Holder,
    Now,
    Outcome,
    Wish,
    as_data,
)

ARGUMENTS = {
    "fleet": {"type": "str", "required": True},
    "state": {
        "type": "str",
        "choices": ["held", "asked", "kept", "free", "broken"],
        "default": "held",
    },
    "directory": {"type": "path", "default": "/var/lib/fleetops-gunicorn"},
    "reason": {"type": "str", "default": ""},
    "owner": {"type": "str", "default": ""},
    # It tells runs apart and opens nothing.
    "token": {"type": "str", "default": "", "no_log": False},
    "wait": {"type": "float", "default": 0},
    "stale_after": {"type": "float", "default": 900},
    "break_command": {"type": "str", "default": ""},
    "controller": {
        "type": "dict",
        "default": {},
        "options": {
            "hostname": {"type": "str", "default": ""},
            "boot_id": {"type": "str", "default": ""},
            "pid_namespace": {"type": "str", "default": ""},
            "pid": {"type": "int", "default": 0},
            "start_ticks": {"type": "int", "default": 0},
        },
    },
    "take_over": {"type": "str", "default": ""},
    "proof": {"type": "str", "default": ""},
}


def lock_of(module: AnsibleModule) -> FleetLock:
    params = module.params
    controller = {"hostname": "", "boot_id": "", "pid_namespace": "", "pid": 0, "start_ticks": 0}
    controller.update(params["controller"])
    if params["wait"] < 0 or params["stale_after"] < 0:
        raise FleetError("wait and stale_after are seconds and cannot be below 0.")
    wish = Wish(
        fleet=params["fleet"],
        token=params["token"],
        owner=params["owner"],
        reason=params["reason"],
        controller=Controller(**controller),  # type: ignore[arg-type]
        stale_after=params["stale_after"],
        break_command=params["break_command"] or "call this module with state=broken and a reason.",
        take_over=params["take_over"],
        proof=params["proof"],
    )
    return FleetLock(
        StateDirectory(params["directory"], private=False),
        wish,
        lambda: Now(time.time(), boot_id(), boottime()),
        time.sleep,
        module.check_mode or params["state"] == "asked",
    )


def seen(outcome: Outcome, fleet: str) -> Dict[str, Any]:
    def word(holder: Optional[Holder]) -> Dict[str, str]:
        return {fleet: f"held by {holder.owner}: {holder.reason}" if holder else "free"}

    before = {fleet: "broken"} if outcome.broken and not outcome.before else word(outcome.before)
    return {"before": before, "after": word(outcome.after)}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    history = f"{params['directory'].rstrip('/')}/{params['fleet']}.history"
    try:
        lock = lock_of(module)
        if params["state"] == "held":
            outcome = lock.held(params["wait"])
        elif params["state"] == "asked":
            outcome = lock.asked(0 if module.check_mode else params["wait"])
        else:
            change = {"kept": lock.kept, "free": lock.free, "broken": lock.broken}
            outcome = change[params["state"]]()
    except Held as exc:
        module.fail_json(
            msg=str(exc),
            held_by_other=True,
            probably_dead=exc.probably_dead,
            holder=as_data(exc.holder, lock.now()),
            history_file=history,
        )
    except FleetError as exc:
        module.fail_json(
            msg=str(exc),
            held_by_other=False,
            probably_dead=False,
            holder=None,
            history_file=history,
        )
    if outcome.taken_over and params["state"] != "asked":
        module.warn(outcome.text)
    module.exit_json(
        changed=outcome.changed and params["state"] != "asked",
        msg=outcome.text,
        holder=as_data(outcome.after, lock.now()),
        taken_over=as_data(outcome.taken_over, lock.now()),
        broken=outcome.broken,
        history_file=history,
        diff=seen(outcome, params["fleet"]),
    )


if __name__ == "__main__":
    main()
