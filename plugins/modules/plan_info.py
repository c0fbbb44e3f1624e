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
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying
      target.
    support: full
    details: Only reads.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in
      C(check_mode)), when in diff mode.
    support: none
    details: Changes nothing.
  platform:
    description: Target OS/families that can be operated against.
    platforms: linux
    support: full
extends_documentation_fragment:
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

import os
import re
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.config_file import (
    settings_seen,
    unseen,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import User
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import shown
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import AnsibleModule
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.find_python import (
    user_named,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.index import (
    end_fetcher,
    fetcher,
    first_within,
    indexes,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.installer import (
    Source,
    install_environment,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.venv import read_dists
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.version_caps import Cap
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.build import (
    launch_of,
    old_prefix,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.build_plan import (
    Capped,
    NoPython,
    Order,
    plan,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.expected import expected
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.install import (
    _pip_configuration,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.launch import (
    Launch,
    arguments_at,
    stale_words,
    vital_words,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.store import (
    read_record,
    why_not_believed,
)

# Words of a start that are told.
SHOWN = 20
# Seconds that the index is given for all of it.
PATIENCE = 8.0
MAX_LIFTED = 4

STAGE = {
    "stage": {"type": "int", "required": True},
    "gunicorn": {"type": "str", "required": True},
    "python": {"type": "str", "required": True},
    # The URLs in it may hold credentials.
    "requirements": {"type": "str", "default": "", "no_log": True},
    "requirements_file": {"type": "str", "default": ""},
    "requirements_source": {"type": "str", "default": ""},
}
ARGUMENTS = {
    "home": {"type": "path", "required": True},
    "venv": {"type": "path", "required": True},
    "stages": {"type": "list", "elements": "dict", "options": STAGE, "default": []},
    "require_hashes": {"type": "bool", "default": False},
    "carry_files": {"type": "list", "elements": "str", "default": []},
    "leave_files": {"type": "list", "elements": "str", "default": []},
    "wheelhouse": {"type": "path"},
    "ask_index": {"type": "bool", "default": False},
    "index_url": {"type": "str", "no_log": True},
    "extra_index_urls": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "installer": {"type": "str", "choices": ["auto", "uv", "pip"], "default": "auto"},
    "like_pid": {"type": "int", "default": 0},
    "command": {"type": "str", "default": ""},
    "unit": {"type": "str", "default": ""},
    "directory": {"type": "path"},
    "user": {"type": "str", "default": ""},
}


def minor_of(python: str) -> str:
    """ "3.11" of a version or an interpreter's path; empty if it does not say."""
    match = re.search(r"([0-9]+\.[0-9]+)(?:\.[0-9]+)*$", python)
    return match.group(1) if match else ""


def settings_of(launch: Optional[Launch]) -> Dict[str, Any]:
    """What can be seen of gunicorn's settings without running anything."""
    at = arguments_at(launch.argv) if launch else None
    if launch is None or at is None:
        return unseen("how gunicorn is started cannot be seen")
    return settings_seen(launch.argv[at:], launch.environment, launch.directory)


def stale_of(p: Dict[str, Any], launch: Optional[Launch], python: str) -> Dict[str, Any]:
    """What the service manager would still say of the old Python, once another is there."""
    told: Dict[str, Any] = {"stale": [], "vital": []}
    old = old_prefix(p["home"], launch)
    if launch is None or not old.minor or minor_of(python) in ("", old.minor):
        return told
    told["stale"] = shown(stale_words(launch, old)[:SHOWN])
    told["vital"] = shown(vital_words(launch, old)[:SHOWN])
    return told


def lifted(p: Dict[str, Any], found: Sequence[Cap]) -> str:
    """Which versions would allow the stage, if the index tells."""
    if p["wheelhouse"]:
        return ""
    source = Source(p["index_url"] or "", tuple(p["extra_index_urls"]), "")
    environment = install_environment(os.environ, source, _pip_configuration())
    authorities = environment.get("SSL_CERT_FILE", "")
    fetch, fetch_end = fetcher(PATIENCE, authorities), end_fetcher(PATIENCE, authorities)
    urls = indexes(environment)
    told = []
    deadline = time.monotonic() + PATIENCE
    for cap in found[:MAX_LIFTED]:
        left = deadline - time.monotonic()
        if left > 0:
            # Of a range of Pythons the versions' own metadata tell.
            python = cap.markers["python_full_version"] if cap.of == "gunicorn" else ""
            asked = (urls, cap.package, cap.version, cap.allows, fetch, fetch_end, python)
            told.append(first_within(left, *asked))
    texts = list(dict.fromkeys(text for text in told if text))
    return " By the index, {}.".format("; ".join(texts)) if texts else ""


def stage_of(
    p: Dict[str, Any], stage: Dict[str, Any], user: Optional[User], launch: Optional[Launch]
) -> Dict[str, Any]:
    order = Order(
        home=p["home"],
        gunicorn=stage["gunicorn"],
        python=stage["python"],
        requirements=stage["requirements"] or None,
        requirements_file=stage["requirements_file"],
        requirements_source=stage["requirements_source"],
        carry_from=p["venv"],
        source=Source("", (), p["wheelhouse"] or ""),
        require_hashes=p["require_hashes"],
        installer=p["installer"],
        min_free_mb=0,
        built_by="",
        user=user,
        carry_files=tuple(p["carry_files"]),
        leave_files=tuple(p["leave_files"]),
    )
    problems: List[str] = []
    try:
        wanted = plan(order)
        there = os.path.isdir(wanted.path) and not why_not_believed(wanted.path)
        told = expected(wanted, read_record(wanted.path) if there else None)
    except FleetError as exc:
        told = {"id": "", "there": False, "python": "", "source": "", "known": "nothing"}
        told.update(packages={}, open=[], dropped=[], may_move=False, caps=[], error=str(exc))
        # A Python that is not there may be provided.
        if not isinstance(exc, NoPython):
            more = lifted(p, exc.caps) if isinstance(exc, Capped) and p["ask_index"] else ""
            problems.append(f"stage {stage['stage']}: {exc}{more}")
            told["error"] = "it cannot be built, see the problem"
    told.update(stale_of(p, launch, told["python"] or stage["python"]))
    return dict(told, stage=stage["stage"], problems=problems)


def look(p: Dict[str, Any]) -> Tuple[Optional[Launch], str]:
    """How gunicorn is started, or why that cannot be seen: the plan does without."""
    try:
        return launch_of(
            p["like_pid"], p["command"], p["directory"] or "", p["user"], {}, p["unit"]
        ), ""
    except (FleetError, KeyError) as exc:
        return None, str(exc)


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    p = module.params
    try:
        launch, error = look(p)
        user = user_named(p["user"]) if p["user"] else None
        if user is None and launch is not None:
            user = User(launch.uid, launch.gid, launch.groups)
        settings = settings_of(launch)
        module.exit_json(
            changed=False,
            packages={dist.name: dist.version for dist in read_dists(p["venv"])},
            stages=[stage_of(p, stage, user, launch) for stage in p["stages"]],
            settings=dict(settings, error=error or settings["error"]),
        )
    except FleetError as exc:
        module.fail_json(msg=str(exc))


if __name__ == "__main__":
    main()
