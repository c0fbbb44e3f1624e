# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# It is an action: plugins/action/validate_settings.py does the work, on the controller.

DOCUMENTATION = r"""
module: validate_settings
short_description: Refuse a wrong input by the name of its variable
version_added: 0.3.0
description:
  - Checks every operator input of this collection for one host, against the declaration in
    C(roles/settings/meta/argument_specs.yml) and against what that cannot say.
  - Tells all that is wrong at once.
  - The role C(settings) calls it, at the begin of each playbook. Runs on the controller alone.
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It only reads.
  platform:
    support: full
    platforms: posix
    description: The controller.
options: {}
author:
  - The fleetops.gunicorn authors (@fleetops)
"""

EXAMPLES = r"""
- name: Refuse a bad value by its name
  ansible.builtin.include_role:
    name: fleetops.gunicorn.settings
    tasks_from: validate
    rolespec_validate: false
"""

RETURN = r"""
host:
  description:
    - How the load balancers are to be asked about this host, C(server), C(balancers),
      C(provider), C(reach), C(backends), C(min_available) and C(lease_directory).
  returned: success
  type: dict
metrics:
  description: Where the metrics of the run go, C(fleet) and C(directory).
  returned: success
  type: dict
judged_by:
  description:
    - By what a check and a plan judge the host, C(stages), C(requirements), C(log_quiet),
      C(log_paths), C(python_provider), C(force), C(stop_timeout), C(drain), C(min_available) and
      C(ramp).
  returned: success
  type: dict
argument_errors:
  description: What the declaration does not allow.
  returned: when there is any
  type: list
  elements: str
"""
