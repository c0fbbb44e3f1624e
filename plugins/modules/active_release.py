#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: active_release
short_description: Make a release the one that gunicorn runs from, and prove it
version_added: 0.1.0
description:
  - Stops the program through its service manager, waits until no process of the old generation is
    left and its addresses are free, points C(<home>/venv) at the release, starts the program and
    proves the new generation.
  - Proved means that a new arbiter runs from the release with the wanted versions, has its workers,
    owns every address that the old one had, no orphan of the old one is left, O(url) answers, and
    all that stays so for O(stable_for).
  - A real directory at C(<home>/venv) is adopted, that is, moved to C(<home>/releases/<adopt_as>)
    as it is and replaced by the link, so that it can be activated again.
  - Until the link has been switched every failure starts the old program again. After that the new
    state is left as evidence; activate the previous release to go back. That works from any
    half-way state.
  - The other programs of O(programs) are stopped before it, the last first, and started after it
    in their order. Each is proved to run from the release, and to stay up for
    O(programs_stable_for). One that is a gunicorn is proved as O(program) is, but for O(url).
    Where the gunicorn runs from the release already, only those that do not are started.
  - All other programs of that manager are never touched, and it is never told to read its files
    again.
author:
  - The fleetops.gunicorn authors (@fleetops)
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying
      target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in
      C(check_mode)), when in diff mode.
    support: full
  platform:
    description: Target OS/families that can be operated against.
    platforms: linux
    support: full
extends_documentation_fragment:
  - fleetops.gunicorn.service_manager
  - fleetops.gunicorn.programs
options:
  home:
    description:
      - Home directory of the application, which holds C(venv) and C(releases).
    type: path
    required: true
  program:
    description:
      - Name of the program in supervisord, V(name) or V(group:name), or the service of systemd,
        V(app.service) or V(app@1.service).
      - Its command must go through C(<home>/venv), itself or by a wrapper.
    type: str
    required: true
  release:
    description:
      - Id of a release below C(<home>/releases), or the absolute path of a virtualenv.
      - Without it the release that C(<home>/venv) holds now, for O(restart) or to have it running.
    type: str
  gunicorn:
    description:
      - Version of gunicorn that must run, for example V(23.0.0).
    type: str
  python:
    description:
      - Version of Python that must run. V(3.11) is any 3.11.
    type: str
  url:
    description:
      - Page of this host's gunicorn that must answer with a status below 500, for example
        V(http://127.0.0.1:8000/healthz) or V(unix:/run/app.sock:/healthz). Certificates are not
        verified.
      - Without it the new generation is watched for at least 2 seconds, since only time shows that
        its workers could import the application.
    type: str
  headers:
    description:
      - Headers for O(url), by name, such as C(Host).
    type: dict
    default: {}
  adopt_as:
    description:
      - Id under which a real directory at C(<home>/venv) becomes a release. Made from its content
        if not given.
    type: str
  restart:
    description:
      - Stop and start even if the wanted generation runs.
    type: bool
    default: false
  reason:
    description:
      - What the switch is for. V(upgrade) notes which release it replaces, so that
        C(venv.previous) of M(fleetops.gunicorn.gunicorn_info) tells the way back. V(rollback) does
        not, and neither does a switch to a release that the active one came after.
    type: str
    choices: [upgrade, rollback]
    default: upgrade
  advise:
    description:
      - Whether the message of a failure after the switch says how to go back. V(false) for a caller
        that goes back by itself, or says more.
    type: bool
    default: true
  kill_after:
    description:
      - Seconds after the order to stop at which workers that are left are sent SIGKILL, which ends
        their requests, as their arbiter does after its graceful timeout. Their arbiter then ends by
        itself. Workers whose arbiter is gone are included. Unset, nothing is killed.
      - Meant for the way back of a drained host after a failure. A worker that hangs while it
        imports the application would otherwise take gunicorn's whole graceful timeout.
    type: float
  stop_timeout:
    description:
      - Seconds for the old generation to end and free its addresses. Should exceed C(stopwaitsecs).
      - O(programs) have as long together, before it.
    type: float
    default: 60
  start_timeout:
    description:
      - Seconds for the new generation to be proved.
    type: float
    default: 60
  stable_for:
    description:
      - Seconds that the proof must hold, with the same arbiter, before it is believed.
    type: float
    default: 0.5
  programs_stable_for:
    description:
      - Seconds that each of O(programs) must run, without having been started anew, before it is
        believed. Its manager must call it running meanwhile, which supervisord does after
        C(startsecs) only.
    type: float
    default: 5
  programs_only:
    description:
      - Whether the gunicorn is left as it is, whatever that is, and only what is missing of
        O(programs) is started. For what a killed run has left; needs no O(release).
    type: bool
    default: false
  turn:
    description:
      - The turn of the run that holds the fleet's lock, from M(fleetops.gunicorn.fleet_lock).
      - It is written down on the host, and whoever comes with a lower one is refused from then on,
        also if he is at work already; he is refused before the stop and before the switch, and
        starts again what he has stopped.
      - V(0) is for work by hand.
    type: int
    default: 0
  turn_by:
    description:
      - Whose turn it is, for whoever is refused.
    type: str
    default: ""
  state_directory:
    description:
      - Where the host keeps the turn, and the lock that lets one process at a time change O(home).
      - Made with mode 0700 if it is not there. Refused if it is a symbolic link, if another user
        owns it, or if others get at it.
      - If empty, C(/var/lib/fleetops-gunicorn-host) for root, and for others a directory in
        O(home).
    type: path
    default: ""
notes:
  - Of two that run at the same time on one O(home) the second waits for the first, at most as long
    as that has for its stop and start.
  - Drain the host first. gunicorn resets connections when it stops.
  - Run it as root or as the user of the program.
seealso:
  - module: fleetops.gunicorn.gunicorn_info
"""

EXAMPLES = r"""
- name: Switch to the release
  fleetops.gunicorn.active_release:
    home: /srv/app
    program: app
    release: 23.0.0-py3.11-1a2b3c4d
    gunicorn: 23.0.0
    python: "3.11"
    url: http://127.0.0.1:8000/healthz
  register: switch

- name: Go back, whatever state it is in
  fleetops.gunicorn.active_release:
    home: /srv/app
    program: app
    release: "{{ switch.previous }}"
    url: http://127.0.0.1:8000/healthz
    kill_after: 5
"""

RETURN = r"""
release:
  description: Id of the release (its path, if it is not below C(<home>/releases)).
  returned: always, if it was found
  type: str
  sample: 23.0.0-py3.11-1a2b3c4d
previous:
  description: Release that was replaced; V(null) if none was.
  returned: always, if the release was found
  type: str
  sample: adopted-20.0.1-py3.6-5e6f7a8b
generation:
  description: The arbiter that runs now. Its values are V(null) in check mode if something would
    change.
  returned: success
  type: dict
  contains:
    pid: {description: Process id., type: int, returned: success, sample: 4711}
    started: {description: Start time in seconds since 1970., type: float, returned: success}
    start_ticks: {description: Field 22 of /proc/<pid>/stat., type: int, returned: success}
    logs:
      description:
        - Where the program's logs stood when the old generation had ended and the new one had not
          begun, for C(begin) of M(fleetops.gunicorn.log_check). Empty if nothing was switched.
      type: list
      elements: dict
      returned: success
      sample: [{path: /var/log/app/app.err.log, dev: 2049, inode: 1234, size: 56789}]
    programs:
      description: The process of each of O(programs) that runs now.
      type: list
      elements: dict
      returned: success
      sample: [{program: "worker:worker", pid: 4720, start_ticks: 123456}]
adopted:
  description: Release that the real directory has become; V(null) if there was nothing to adopt.
  returned: success
  type: str
timings:
  description: Seconds. V(null) for what did not happen.
  returned: success
  type: dict
  contains:
    stop_s:
      description: From the order to stop to the end of the arbiter.
      type: float
      returned: success
    free_s:
      description: From there until no process was left and the addresses were free.
      type: float
      returned: success
    switch_s: {description: Adopting and switching., type: float, returned: success}
    start_s:
      description: From the order to start to the first good answer.
      type: float
      returned: success
    down_s:
      description: From the order to stop to the first good answer.
      type: float
      returned: success
    total_s: {description: All of it., type: float, returned: success}
evidence:
  description: What was found when the new generation failed its proof.
  returned: failure after the switch
  type: dict
  contains:
    state:
      description: State, in the words of supervisord.
      type: str
      returned: success
      sample: BACKOFF
    pid: {description: Process that the manager started., type: int, returned: success}
    exitstatus: {description: How it last ended., type: int, returned: success}
    spawnerr: {description: Why it could not be started., type: str, returned: success}
    orphans:
      description: Workers left without an arbiter.
      type: list
      elements: int
      returned: success
    log:
      description: Last lines of its log since the start, at most 30, redacted.
      type: list
      elements: str
      returned: success
"""

import os
import time
from datetime import datetime, timezone
from typing import List, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.activate import (
    Activation,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.evidence import Evidence
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.files import Files
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.plan import Wanted
from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.restart import AFTERMATH
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.bounded_http import (
    Endpoint,
    get_status,
    parse_url,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.health import check_headers
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import (
    AnsibleModule,
    show_headers,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.managers import (
    SITE_OPTIONS,
    open_sites,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.host_turn import (
    TURN_OPTIONS,
    HostTurn,
)

OPTIONS = {
    "release": {"type": "str"},
    "gunicorn": {"type": "str"},
    "python": {"type": "str"},
    "url": {"type": "str"},
    "headers": {"type": "dict", "default": {}, "no_log": True},
    "adopt_as": {"type": "str"},
    "restart": {"type": "bool", "default": False},
    "reason": {"type": "str", "choices": ["upgrade", "rollback"], "default": "upgrade"},
    "advise": {"type": "bool", "default": True},
    "kill_after": {"type": "float"},
    "stop_timeout": {"type": "float", "default": 60},
    "start_timeout": {"type": "float", "default": 60},
    "stable_for": {"type": "float", "default": 0.5},
    "programs_stable_for": {"type": "float", "default": 5},
    "programs_only": {"type": "bool", "default": False},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(SITE_OPTIONS, **dict(OPTIONS, **TURN_OPTIONS)), supports_check_mode=True
    )
    params = module.params
    show_headers(module, params["headers"])

    def run(command: List[str]) -> Optional[str]:
        code, output, _error = module.run_command(command, handle_exceptions=False)
        return output if code == 0 else None

    def probe(where: Endpoint, timeout: float) -> Tuple[int, str]:
        return get_status(where, timeout, time.monotonic, headers)

    try:
        headers = check_headers(params["headers"])
        wanted = Wanted(
            release=params["release"] or None,
            gunicorn=params["gunicorn"] or None,
            python=params["python"] or None,
            url=parse_url(params["url"], "/") if params["url"] else None,
            adopt_as=params["adopt_as"] or None,
            restart=params["restart"],
            going_back=params["reason"] == "rollback",
            advise=params["advise"],
            kill_after=params["kill_after"],
            stop_timeout=params["stop_timeout"],
            start_timeout=params["start_timeout"],
            stable_for=params["stable_for"],
        )
        turn = HostTurn(params, time.monotonic, time.sleep, module.check_mode)
        patience = params["stop_timeout"] + params["start_timeout"] + AFTERMATH
        if params["programs"]:
            patience += params["stop_timeout"] + params["programs_stable_for"]
        with turn.alone(patience, f"release {params['release']}"):
            site, others = open_sites(params, run)
            activation = Activation(
                site=site,
                wanted=wanted,
                files=Files(),
                clock=time.monotonic,
                sleep=time.sleep,
                probe=probe,
                kill=os.kill,
                stamp=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                permit=turn.check,
                others=others,
                programs_stable_for=params["programs_stable_for"],
                programs_only=params["programs_only"],
            )
            result = activation.run(module.check_mode)
    except Evidence as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except FleetError as exc:
        module.fail_json(msg=str(exc))
    for text in activation.warnings:
        module.warn(text)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
