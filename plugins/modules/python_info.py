#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: python_info
short_description: Find a Python that can make a release
version_added: 0.1.0
description:
  - Looks for a Python of a wanted version and runs each candidate to learn what it is.
  - Looks at O(extra_paths), C(PATH), C(/usr/local/bin), C(/usr/bin), C(/opt), pyenv
    (C($PYENV_ROOT), C(~/.pyenv),
    C(/root/.pyenv), C(/opt/pyenv)) and the Pythons that uv manages, in this order; of several
    patch
    versions in one place the newest is taken.
  - A Python counts only if it can make a virtualenv (Debian's, without its C(-venv) package,
    cannot unless
    uv is there), and, with O(user), if that user can run it (what lies under C(/root) he often
    cannot).
  - For the Python of a virtualenv the answer is the Python it was made from.
  - Changes nothing.
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying
      target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in
      check_mode), when in diff mode.
    support: none
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: linux
options:
  version:
    description: A version such as V(3.11) or V(3.11.7), or the absolute path of an interpreter.
    type: str
    required: true
  extra_paths:
    description: Directories (of interpreters, or with a C(bin) that has them) and interpreters
      to look at first.
    type: list
    elements: path
    default: []
  user:
    description:
      - Name of the user who will run the application.
      - Checked when the module runs as root; otherwise the module's own user is what counts.
    type: str
  like_pid:
    description: A live process of that user, in place of O(user); V(0) for none.
    type: int
    default: 0
author:
  - The fleetops.gunicorn authors (@fleetops)
"""

EXAMPLES = r"""
- name: Find Python 3.11
  fleetops.gunicorn.python_info:
    version: "3.11"
    user: www-data
  register: found

- name: Find the Python that the live virtualenv was made from
  fleetops.gunicorn.python_info:
    version: /srv/app/venv/bin/python
"""

RETURN = r"""
found:
  description: Whether a usable one was found.
  type: bool
  returned: always
executable:
  description: Path of the interpreter, links resolved, never one inside of a virtualenv; empty
    if none was found.
  type: str
  returned: always
  sample: /usr/bin/python3.11
version:
  description: Its full version; empty if none was found.
  type: str
  returned: always
  sample: 3.11.2
ensurepip:
  description: Whether it brings pip; without it only uv can install into its virtualenvs.
  type: bool
  returned: always
uv:
  description: Path of uv on this host; empty if there is none.
  type: str
  returned: always
uid:
  description: Who looked.
  type: int
  returned: always
searched:
  description: The directories that were looked at, as patterns.
  type: list
  elements: str
  returned: always
refused:
  description: What was there and would not do, with the reason.
  type: list
  elements: str
  returned: always
  sample: ["/usr/bin/python3: Python 3.11.2 has no venv module"]
message:
  description: The above as one sentence for an operator; empty if one was found.
  type: str
  returned: always
"""

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import AnsibleModule
from ansible_collections.fleetops.gunicorn.plugins.module_utils._questions.python import (
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
