#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


DOCUMENTATION = r"""
module: host_turn
short_description: Keep older runs from changing a host, and wait for what they still do there
version_added: 0.2.0
description:
  - A run whose controller was killed, or whose lock was broken, may still have a module at work on
    a host. This tells the host that a newer run has taken the lock of the fleet. What the older one
    still does is refused at its next step, and is waited for.
  - Without O(turn) it only waits.
  - Changes nothing that users are served by.
attributes:
  check_mode:
    support: full
    description: Refuses as the real run does. Writes nothing and does not wait.
  diff_mode:
    support: none
    description: Nothing is shown.
  platform:
    support: full
    platforms: posix
    description: The host that serves.
options:
  home:
    description: Home directory of the application, as for M(fleetops.gunicorn.active_release).
    type: path
    required: true
  turn:
    description:
      - The turn of the run, from M(fleetops.gunicorn.fleet_lock). It is an error if a newer run has
        been here.
    type: int
    default: 0
  turn_by:
    description: Whose turn it is, for whoever is refused.
    type: str
    default: ""
  wait:
    description: How long to wait for what is at work there, in seconds.
    type: float
    default: 150
  state_directory:
    description: As for M(fleetops.gunicorn.active_release).
    type: path
    default: ""
author:
  - The fleetops.gunicorn authors (@fleetops)
seealso:
  - module: fleetops.gunicorn.active_release
  - module: fleetops.gunicorn.fleet_lock
"""

EXAMPLES = r"""
- name: Let no older run change the host any more
  fleetops.gunicorn.host_turn:
    home: /srv/app
    turn: "{{ lock.holder.turn }}"
    turn_by: "{{ lock.holder.owner }}"
"""

RETURN = r"""
waited:
  description: For how long something was at work, in seconds.
  returned: success
  type: float
"""

import time

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import AnsibleModule
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.host_turn import (
    TURN_OPTIONS,
    HostTurn,
)

OPTIONS = {
    "home": {"type": "path", "required": True},
    "wait": {"type": "float", "default": 150},
}


def main() -> None:
    module = AnsibleModule(argument_spec=dict(OPTIONS, **TURN_OPTIONS), supports_check_mode=True)
    params = module.params
    try:
        turn = HostTurn(params, time.monotonic, time.sleep, module.check_mode)
        with turn.alone(params["wait"], "a new run") as waited:
            pass
    except FleetError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, waited=waited)


if __name__ == "__main__":
    main()
