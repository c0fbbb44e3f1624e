#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: release_prune
short_description: Remove old releases, and never one that somebody needs
version_added: 0.1.0
description:
  - Removes the releases below C(<home>/releases) that are older than the O(keep) newest, by the
    time in their C(release.json).
  - However old it is, a release stays if it is the active one (where the link C(<home>/venv)
    leads), the previous one (C(venv.previous) of M(fleetops.gunicorn.gunicorn_info)), one of
    O(protect), if a process runs from it or has a file of it open, or if a file system is mounted
    in it.
  - What M(fleetops.gunicorn.release) did not build is neither counted nor touched, that is, a
    virtualenv that was adopted, a directory without a valid C(release.json) of its own name, a
    symbolic link.
  - A release first loses its name, by one rename, and is then removed. What a crash leaves of it is
    no release any more, and is removed next time by this module or by
    M(fleetops.gunicorn.release).
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
options:
  home:
    description: Directory of the application, with C(venv) and C(releases) in it.
    type: path
    required: true
  keep:
    description:
      - How many releases stay, the newest ones. V(0) keeps all and removes nothing.
      - V(1) and less than V(0) are refused, since the active and the previous release stay anyway.
    type: int
    required: true
  protect:
    description: Ids of releases that stay, however old they are.
    type: list
    elements: str
    default: []
  coming:
    description:
      - Ids of releases that are yet to be activated, in this order. It then tells what would go
        after that. One that is not there yet counts as newer than all that are.
      - Only in check mode.
    type: list
    elements: str
    default: []
notes:
  - Run it as root, or as the user whom the releases belong to. Processes of other users can be
    seen by root alone.
  - Root removes nothing where somebody else could lead it elsewhere, as
    M(fleetops.gunicorn.release) builds nothing there. C(releases) must not be a symbolic link.
  - It waits at most 10 seconds for a build in that home to end.
seealso:
  - module: fleetops.gunicorn.release
  - module: fleetops.gunicorn.active_release
"""

EXAMPLES = r"""
- name: Keep the five newest releases
  fleetops.gunicorn.release_prune:
    home: /srv/app
    keep: 5

- name: See what would go once two more releases have been activated
  fleetops.gunicorn.release_prune:
    home: /srv/app
    keep: 5
    coming: [21.2.0-py3.6-5e6f7a8b, 23.0.0-py3.11-1a2b3c4d]
  check_mode: true
  register: later
"""

RETURN = r"""
removed:
  description: Ids of the releases that were removed, or would be, from new to old.
  returned: success
  type: list
  elements: str
  sample: [20.1.0-py3.6-0f1e2d3c]
kept:
  description:
    - Why each of the other releases stays, by its id. V(active), V(previous), V(protected), V(new)
      (one of the O(keep) newest), C(in use by process <pid>) or V(a file system is mounted in it).
    - With O(coming), V(active) and V(previous) are those after that.
  returned: success
  type: dict
  sample: {"23.0.0-py3.11-1a2b3c4d": "active", "21.2.0-py3.6-5e6f7a8b": "previous"}
leftovers:
  description: Directories of builds and removals that were interrupted, removed likewise.
  returned: success
  type: list
  elements: str
  sample: [.tmp-20.1.0-py3.6-0f1e2d3c-9a8b7c6d]
"""

import os
from contextlib import ExitStack
from typing import Any, Dict

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import AnsibleModule
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.build import os_errors
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.prune import (
    check_keep,
    choose,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.prune_state import (
    is_there,
    read_state,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.record import (
    is_build_name,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.store import (
    clear_stale,
    discard,
    locked,
)

# Nobody builds at the end of a run; whoever does all the same is not waited for.
LOCK_WAIT = 10.0

ARGUMENTS = {
    "home": {"type": "path", "required": True},
    "keep": {"type": "int", "required": True},
    "protect": {"type": "list", "elements": "str", "default": []},
    "coming": {"type": "list", "elements": "str", "default": []},
}


def prune(p: Dict[str, Any], check_mode: bool) -> Dict[str, Any]:
    home = p["home"].rstrip("/")
    releases = os.path.join(home, "releases")
    result: Dict[str, Any] = {"removed": [], "kept": {}, "leftovers": []}
    with ExitStack() as stack:
        stack.enter_context(os_errors("removing old releases"))
        if not is_there(releases):
            return result
        if not check_mode:
            stack.enter_context(locked(releases, timeout=LOCK_WAIT))
        state = read_state(home)
        if state is None:
            return result
        go, kept = choose(state, p["keep"], p["protect"], p["coming"])
        stale = sorted(filter(is_build_name, os.listdir(releases))) if p["keep"] else []
        if not check_mode:
            if stale:
                clear_stale(releases)
            for release in go:
                discard(releases, release)
    return dict(result, removed=go, kept=kept, leftovers=stale)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    p = module.params
    try:
        check_keep(p["keep"])
        if p["coming"] and not module.check_mode:
            raise FleetError("coming tells what would be, so it goes with check mode alone.")
        result = prune(p, module.check_mode)
    except FleetError as exc:
        module.fail_json(msg=str(exc))
    left = sorted(result["kept"])
    module.exit_json(
        changed=bool(result["removed"] or result["leftovers"]),
        diff={
            "before": {"releases": sorted(left + result["removed"])},
            "after": {"releases": left},
        },
        **result,
    )


if __name__ == "__main__":
    main()
