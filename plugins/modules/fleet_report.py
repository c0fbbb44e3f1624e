#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: fleet_report
short_description: Keep the report of a run on the host of the fleet's lock
version_added: 1.0.0
description:
  - Keeps what the run has told so far, as a report, on the host on which all who work on the fleet
    agree, usually the first load balancer. It outlives a controller that forgets, as a container
    does.
  - The reports of a fleet are in C(<fleet>.reports) below O(directory), a directory of mode 0700
    with a file of mode 0600 for each run, of 2 MiB at most. One that would be larger loses its
    events first.
  - A run that tells more later replaces what it told before.
  - Without a callback of this collection nobody hears the run, and the task is skipped. See
    P(fleetops.gunicorn.report#callback).
  - What is kept is read by M(fleetops.gunicorn.fleet_report_info).
attributes:
  action:
    support: full
    description: The controller makes the report. Texts in it have lost what looks like a secret.
  check_mode:
    support: full
    description: Writes nothing.
  diff_mode:
    support: none
    description: A report is new, or longer than before.
  platform:
    support: full
    platforms: posix
    description: The state host.
extends_documentation_fragment:
  - fleetops.gunicorn.fleet
options:
  most:
    description: How many reports of the fleet are kept, the newest, with this one.
    type: int
    default: 10
  words:
    description: What stops the run; empty where nothing does.
    type: str
    default: ""
  failed_hosts:
    description: The hosts that have failed, or will.
    type: list
    elements: str
    default: []
  name:
    description: What the report is called. The controller gives it.
    type: str
    default: ""
  about:
    description: What a list of reports shows of it. The controller gives it.
    type: dict
    default: {}
  content:
    description: The report, packed. The controller gives it.
    type: str
    default: ""
author:
  - The fleetops.gunicorn authors (@fleetops)
"""

EXAMPLES = r"""
- name: Keep what is known so far
  fleetops.gunicorn.fleet_report:
    fleet: web
    most: 10
  delegate_to: "{{ groups['lb'] | first }}"
  run_once: true
"""

RETURN = r"""
name:
  description: What the report is called.
  returned: success
  type: str
  sample: 20261123T173928Z-upgrade-1a2b3c4d
'on':
  description: The host that keeps it, by its name in the inventory.
  returned: success
  type: str
path:
  description: The directory in which it is.
  returned: success
  type: str
  sample: /var/lib/fleetops-gunicorn/web.reports
forgotten:
  description: The reports that made room for it.
  returned: success
  type: list
  elements: str
"""

from typing import Any, Dict

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import AnsibleModule
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_reports import (
    FleetReports,
)

ARGUMENTS: Dict[str, Dict[str, Any]] = {
    "fleet": {"type": "str", "required": True},
    "directory": {"type": "path", "default": "/var/lib/fleetops-gunicorn"},
    "most": {"type": "int", "default": 10},
    "words": {"type": "str", "default": ""},
    "failed_hosts": {"type": "list", "elements": "str", "default": []},
    "name": {"type": "str", "default": ""},
    "about": {"type": "dict", "default": {}},
    # Not for the journal of the host, nor for a screen.
    "content": {"type": "str", "default": "", "no_log": True},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    try:
        reports = FleetReports(params["directory"], params["fleet"])
        forgotten = []
        if not module.check_mode:
            forgotten = reports.keep(
                params["name"], params["about"], params["content"], params["most"]
            )
    except FleetError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=True, name=params["name"], path=reports.path, forgotten=forgotten)


if __name__ == "__main__":
    main()
