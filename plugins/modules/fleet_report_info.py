#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: fleet_report_info
short_description: Say which reports the host of the fleet's lock keeps, and fetch one
version_added: 1.0.0
description:
  - Names the reports that M(fleetops.gunicorn.fleet_report) has kept of a fleet's last runs.
  - With O(report) and O(to) it fetches one, and writes it on the controller as the run itself
    would have, as a page, as Markdown, as JUnit XML and as JSON.
  - What comes from the other host is bounded, and is believed neither for a path nor for anything
    that could not be shown as a report.
attributes:
  action:
    support: full
    description: The controller writes what was fetched.
  check_mode:
    support: full
    description: It reads on the host. On the controller it writes nothing.
  diff_mode:
    support: none
    description: It only reads.
  platform:
    support: full
    platforms: posix
    description: The state host.
extends_documentation_fragment:
  - fleetops.gunicorn.fleet
options:
  report:
    description: The name of the report to fetch, or V(newest). If empty, none is.
    type: str
    default: ""
  to:
    description:
      - The directory on the controller that it is written to, with O(report); relative to the
        working directory. Made with mode 0700 if it is not there.
      - A report that is there already is not written again.
    type: str
    default: ""
author:
  - The fleetops.gunicorn authors (@fleetops)
"""

EXAMPLES = r"""
- name: Fetch the report of the last run
  fleetops.gunicorn.fleet_report_info:
    fleet: web
    report: newest
    to: reports
  delegate_to: "{{ groups['lb'] | first }}"
  run_once: true
"""

RETURN = r"""
reports:
  description:
    - The reports that are kept, the newest first. Each has its C(name), C(playbook), C(result)
      (V(done) or V(stopped)), C(host) and C(code) of what stopped it, C(by), C(controller),
      C(began) and C(ended), in seconds since the epoch, and C(error).
    - Of one that is damaged only C(name) and C(error) are known.
  returned: success
  type: list
  elements: dict
name:
  description: The report that was fetched.
  returned: with O(report)
  type: str
file:
  description: Its page on the controller.
  returned: with O(report), without check mode
  type: str
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
    "report": {"type": "str", "default": ""},
    "to": {"type": "str", "default": ""},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    name = params["report"]
    try:
        kept = FleetReports(params["directory"], params["fleet"])
        reports = kept.listed()
        if not name:
            module.exit_json(changed=False, reports=reports)
        if name == "newest":
            if not reports:
                raise FleetError(
                    f"There is no report in {kept.path}. A run leaves one when it gives the fleet"
                    " back, if report_copies is not 0 and the callback fleetops.gunicorn.report or"
                    " fleetops.gunicorn.story hears it."
                )
            name = reports[0]["name"]
        content = kept.content(name)
    except FleetError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, reports=reports, name=name, content=content)


if __name__ == "__main__":
    main()
