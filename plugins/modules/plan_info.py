#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: plan_info
short_description: Tell what an upgrade finds on a host, and what its releases will hold
version_added: 0.1.0
description:
  - Reads what the live virtualenv holds, with which settings its gunicorn runs, and for each stage
    which release that would be, whether it is there already, and which of its packages are known.
  - Nothing is written, built, downloaded or booted. An index is asked only with O(ask_index), and
    only where a package does not allow a stage.
author:
  - The fleetops.gunicorn authors (@fleetops)
extends_documentation_fragment:
  - fleetops.gunicorn.reads
  - fleetops.gunicorn.index
  - fleetops.gunicorn.packages
options:
  home:
    description: Directory of the application, with C(venv) and C(releases) in it.
    type: path
    required: true
  venv:
    description: The live virtualenv.
    type: path
    required: true
  stages:
    description: The stages that the host has yet to take.
    type: list
    elements: dict
    default: []
    suboptions:
      stage:
        description: Its number.
        type: int
        required: true
      gunicorn:
        description: One exact version.
        type: str
        required: true
      python:
        description: A version, or the absolute path of an interpreter.
        type: str
        required: true
      requirements:
        description: Content of a requirements file.
        type: str
        default: ""
      requirements_file:
        description: A requirements file on the host.
        type: str
        default: ""
      requirements_source:
        description: What to call the requirements.
        type: str
        default: ""
  ask_index:
    description:
      - Ask the index which version of a package that does not allow a stage is the first to allow
        it. An index that does not answer, or has no metadata apart from files, is no failure.
    type: bool
    default: false
  min_free_mb:
    description: MiB that must be free where releases are built.
    type: int
    default: 0
    version_added: 1.0.0
  like_pid:
    description: The live gunicorn arbiter; V(0) if there is none.
    type: int
    default: 0
seealso:
  - module: fleetops.gunicorn.release
"""

EXAMPLES = r"""
- name: See what the next stage would install
  fleetops.gunicorn.plan_info:
    home: /srv/app
    venv: /srv/app/venv
    like_pid: 4711
    stages:
      - {stage: 1, gunicorn: "23.0.0", python: "3.11"}
  register: found
"""

RETURN = r"""
packages:
  description: What the live virtualenv holds.
  returned: success
  type: dict
  sample: {"flask": "2.0.3", "gunicorn": "20.0.1"}
stages:
  description: What is known of the release of each stage, in their order.
  returned: success
  type: list
  elements: dict
  contains:
    stage: {description: Its number., type: int, returned: always}
    id: {description: Id of the release; empty with an error., type: str, returned: always}
    there: {description: Whether it is built already., type: bool, returned: always}
    python: {description: Full version of its Python., type: str, returned: always}
    source:
      description: V(requirements), or V(carried) over from the live virtualenv.
      type: str
      returned: always
    known:
      description:
        - V(all) if RV(stages[].packages) is all that it holds, since it is there or everything has
          a hash; V(pins) if others will come with them; V(nothing) with an error.
      type: str
      returned: always
    packages: {description: "Packages with their versions.", type: dict, returned: always}
    open:
      description: What the requirements name without one exact version. At most 200.
      type: list
      elements: str
      returned: always
    dropped:
      description: Pins carried over that the Python does not need.
      type: list
      elements: str
      returned: always
    may_move:
      description: Whether pins carried over may move within their major version.
      type: bool
      returned: always
    caps:
      description:
        - Packages whose metadata do not allow the stage, though another version of them may come.
      type: list
      elements: str
      returned: always
    problems:
      description: Why the release cannot be built, as far as that is certain.
      type: list
      elements: str
      returned: always
    error: {description: Why nothing is known., type: str, returned: always}
    stale:
      description:
        - What of the start (arguments, and variables as C(name=value)) names the directory of the
          Python that this stage replaces. At most 20, bounded, without what looks like a secret.
      type: list
      elements: str
      returned: always
    vital:
      description: Those of them without which gunicorn cannot start.
      type: list
      elements: str
      returned: always
settings:
  description: With which settings the live gunicorn runs, as far as they can be seen.
  returned: success
  type: dict
  contains:
    arguments:
      description: Its arguments, bounded, without what looks like a secret.
      type: list
      elements: str
      returned: always
    environment_arguments:
      description: Those of E(GUNICORN_CMD_ARGS), likewise.
      type: list
      elements: str
      returned: always
    environment:
      description: Which other variables it is that gunicorn takes defaults from.
      type: list
      elements: str
      returned: always
    file:
      description: Its configuration file; empty if there is none.
      type: str
      returned: always
    names:
      description:
        - What that file sets. The value is V(null) unless it is plain to see and needed to compare
          versions.
      type: dict
      returned: always
    whole:
      description: Whether that is all that decides; false if the file could not be read, or does
        more than to set names.
      type: bool
      returned: always
    error: {description: Why nothing is known., type: str, returned: always}
"""

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import AnsibleModule
from ansible_collections.fleetops.gunicorn.plugins.module_utils._questions.preview import (
    OPTIONS,
    ask,
)


def main() -> None:
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    try:
        module.exit_json(changed=False, **ask(module.params))
    except FleetError as exc:
        module.fail_json(msg=str(exc))


if __name__ == "__main__":
    main()
