#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: release
short_description: Build an immutable virtualenv beside the live one, and prove that it serves
version_added: 0.1.0
description:
  - Builds C(<home>/releases/<id>), a virtualenv with one version of gunicorn, from a
    requirements file or
    from what the live virtualenv holds.
  - It is built under a temporary name in C(<home>/releases), byte-compiled, import-tested and
    booted on a
    spare loopback port as the application's own user, and only then gets its name, by one
    rename. A killed
    build leaves nothing with a release's name; the next build removes what it left.
  - The id holds a hash of everything that decides the content; a release that is there is not
    built again.
    One that was changed after it was built, or whose C(release.json) is missing or unreadable,
    is moved
    aside and built again, unless it is the live one.
  - A release has no pip and belongs to whoever built it, so that nothing is installed into it
    later.
  - The live virtualenv, its service and its port are never touched.
attributes:
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying
      target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in
      check_mode), when in diff mode.
    support: full
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: linux
extends_documentation_fragment:
  - fleetops.gunicorn.index
  - fleetops.gunicorn.packages
options:
  state:
    description:
      - V(present) builds the release unless it is there.
      - V(checked) builds nothing; it proves that the virtualenv at O(path) serves, which may be
        a release or the
        live directory. This is how the way back is proved before anything is drained.
      - V(wheelhouse) builds nothing but the wheels, into O(path), unless that directory holds
        some.
    type: str
    choices: [present, checked, wheelhouse]
    default: present
  home:
    description:
      - Directory of the application, with C(venv) and C(releases) in it.
      - Root builds only where nobody else can exchange C(releases) or a directory on the way to it;
        a home of the application's user is refused, with the command that cures it.
    type: path
    required: true
  path:
    description:
      - With O(state=checked), the virtualenv to prove.
      - With O(state=wheelhouse), the directory to fill; its parent must exist.
    type: path
  gunicorn:
    description:
      - One exact version. It wins over any pin in the requirements; extras
        (C(gunicorn[gevent]==20.0.1)) are kept.
      - Required unless O(state=checked).
    type: str
  python:
    description:
      - A version such as V(3.11), found as M(fleetops.gunicorn.python_info) does, or the
        absolute path of an
        interpreter. That of a virtualenv stands for the Python it was made from.
      - Required unless O(state=checked).
    type: str
  requirements:
    description:
      - Content of a requirements file; empty is the same as none.
      - It may not include other files, nor name relative paths
        or editables. What an absolute path in it holds is a part of the id.
      - Its URLs may hold credentials, so Ansible shows it nowhere, nor anything that is equal to
        it. A comment in a file of one line keeps that line, where it occurs elsewhere, from being
        hidden.
      - Where it has hashes, every requirement needs one; it may pin several versions of gunicorn
        with their
        hashes, and the one of O(gunicorn) is taken.
    type: str
  requirements_file:
    description: A requirements file on the host; the files that it includes are read too.
    type: path
  requirements_source:
    description: What to call the requirements in messages and in the record.
    type: str
    default: ""
  carry_from:
    description:
      - Virtualenv whose packages are carried over when there are no requirements.
      - All pins are kept. For another Python, packages are left out which only others asked for
        and which they
        do not ask for there (backports such as dataclasses or importlib-metadata). If the rest
        cannot be installed there, pins of packages that others asked for may move within their
        major version,
        with a warning; those that nobody asked for (the application's own) never move.
      - A setuptools in it becomes C(setuptools<81), the last that has pkg_resources.
      - A release that was itself carried over hands on what it was carried over from.
    type: path
  trust:
    description:
      - Packages that are taken without proof.
      - Of a package that is carried over it is proved that what the index gives under its name and
        version is what runs, by the content of its files; one that differs is refused. For another
        Python it may be installed a second time for the Python in place, to be compared.
      - Of a package with compiled modules it is proved that it can be imported, if it can be in
        O(carry_from).
    type: list
    elements: str
    default: []
  like_pid:
    description:
      - The live gunicorn arbiter. The tests run with its user, environment, directory and
        arguments,
        the virtualenv replaced, and without its addresses, log files, pid file and worker count.
      - V(0) if the application does not run; then O(command) says how it would.
    type: int
    default: 0
  environment:
    description: Environment of O(command), beyond C(PATH), C(HOME), C(USER), C(LOGNAME) and
      C(LANG).
    type: dict
    default: {}
  boot_test:
    description:
      - How a release is tried, with the application's own environment, user and data.
      - V(boot) reads the configuration, imports the worker class, and boots the release on a spare
        loopback port. V(true) is the same.
      - V(import) imports the application with C(gunicorn --check-config) instead of the boot; what
        a worker does when it starts, or answers, is not seen. V(false) is the same.
      - V(none) imports gunicorn alone, and neither configuration nor application.
    type: str
    default: boot
  boot_environment:
    description:
      - Variables of every trial on top of the application's own, for example to point it at another
        database. What the configuration file sets in C(raw_env) wins over them.
      - A trial also has E(FLEETOPS_BOOT_TEST), by which an application can tell it.
    type: dict
    default: {}
  boot_believe:
    description:
      - With O(state=checked), seconds for which the boot that C(release.json) tells of, with the
        same arguments, directory, user and names of variables, is not repeated.
    type: float
    default: 0
  boot_timeout:
    description: Seconds until the booted gunicorn must answer.
    type: float
    default: 60
  boot_path:
    description: Path of the request. Any status below 500 is an answer.
    type: str
    default: /healthz
  boot_headers:
    description: Headers of the request, by name, such as C(Host).
    type: dict
    default: {}
  min_free_mb:
    description: MiB that must be free where releases are built.
    type: int
    default: 200
  built_by:
    description: Who builds, for the record.
    type: str
    default: ""
author:
  - The fleetops.gunicorn authors (@fleetops)
"""

EXAMPLES = r"""
- name: Build the next release from what the live virtualenv holds
  fleetops.gunicorn.release:
    home: /srv/app
    gunicorn: "23.0.0"
    python: "3.11"
    carry_from: /srv/app/venv
    like_pid: 4711
    boot_path: /healthz
  register: built

- name: Build from a requirements file on the controller, offline
  fleetops.gunicorn.release:
    home: /srv/app
    gunicorn: "23.0.0"
    python: "3.11"
    requirements: "{{ lookup('ansible.builtin.file', 'requirements.txt') }}"
    requirements_source: requirements.txt
    wheelhouse: /srv/wheels
    like_pid: 4711

- name: Prove the way back before anything is drained
  fleetops.gunicorn.release:
    state: checked
    home: /srv/app
    path: /srv/app/venv
    like_pid: 4711
"""

RETURN = r"""
id:
  description: Name of the release; null with O(state=checked) for a virtualenv that is none.
  type: str
  returned: when O(state) is not V(wheelhouse)
  sample: 23.0.0-py3.11-1a2b3c4d
path:
  description: Where it is, or in check mode would be. With O(state=wheelhouse), the directory.
  type: str
  returned: always
gunicorn:
  description: Its gunicorn.
  type: str
  returned: always
  sample: 23.0.0
python:
  description: The full version of its Python.
  type: str
  returned: always
  sample: 3.11.7
packages:
  description: What it holds; empty in check mode if it is not there.
  type: dict
  returned: when O(state) is not V(wheelhouse)
  sample: {"flask": "2.0.3", "gunicorn": "23.0.0"}
installer:
  description: What installed, or would install, the packages.
  type: str
  returned: with O(state=present)
  sample: uv
relaxed:
  description: Pins carried over that had to move, as C(old -> new).
  type: dict
  returned: with O(state=present)
dropped:
  description: Pins carried over that the new Python does not need.
  type: list
  elements: str
  returned: with O(state=present)
  sample: ["dataclasses==0.8"]
checks:
  description:
    - What was proved. V(import) and V(check_config) are booleans, V(boot) has C(status),
      C(seconds), C(path), C(uid) and C(start) (a hash of how it was started); null for what was not
      asked. What was booted is not asked for V(check_config). V(compiled) is how many packages with
      compiled modules could be imported.
  type: dict
  returned: when O(state) is not V(wheelhouse)
timings:
  description: Seconds that each step took.
  type: dict
  returned: with O(state=present)
"""

import os
import time
from typing import Any, Dict

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import User
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import (
    AnsibleModule,
    show_headers,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.find_python import (
    user_named,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.installer import Source
from ansible_collections.fleetops.gunicorn.plugins.module_utils._questions import (
    trial as trial_question,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.build import (
    build,
    build_wheelhouse,
    check,
    old_prefix,
    require_space,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.build_plan import (
    Order,
    plan,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.record import summary
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.store import (
    read_record,
    why_not_believed,
)

ARGUMENTS: Dict[str, Dict[str, Any]] = {
    **trial_question.OPTIONS,
    "state": {
        "type": "str",
        "choices": ["present", "checked", "wheelhouse"],
        "default": "present",
    },
    "gunicorn": {"type": "str"},
    "python": {"type": "str"},
    # The URLs in it may hold credentials.
    "requirements": {"type": "str", "no_log": True},
    "requirements_file": {"type": "path"},
    "requirements_source": {"type": "str", "default": ""},
    "carry_from": {"type": "path"},
    "carry_files": {"type": "list", "elements": "str", "default": []},
    "leave_files": {"type": "list", "elements": "str", "default": []},
    "trust": {"type": "list", "elements": "str", "default": []},
    "wheelhouse": {"type": "path"},
    "require_hashes": {"type": "bool", "default": False},
    "index_url": {"type": "str", "no_log": True},
    "extra_index_urls": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "installer": {"type": "str", "choices": ["auto", "uv", "pip"], "default": "auto"},
    "min_free_mb": {"type": "int", "default": 200},
    "built_by": {"type": "str", "default": ""},
}


def run_module(module: AnsibleModule) -> None:
    p = module.params
    if p["requirements"] and p["requirements_file"]:
        raise FleetError("requirements and requirements_file exclude each other")
    if p["state"] == "checked":
        module.exit_json(changed=False, **trial_question.ask(p))

    launch, trial = trial_question.read(p)
    user = user_named(p["user"]) if p["user"] else None
    if user is None and launch is not None:
        user = User(launch.uid, launch.gid, launch.groups)
    order = Order(
        home=p["home"],
        gunicorn=p["gunicorn"],
        python=p["python"],
        requirements=p["requirements"] or None,
        requirements_file=p["requirements_file"] or "",
        requirements_source=p["requirements_source"],
        carry_from=p["carry_from"] or "",
        source=Source(p["index_url"] or "", tuple(p["extra_index_urls"]), p["wheelhouse"] or ""),
        require_hashes=p["require_hashes"],
        installer=p["installer"],
        min_free_mb=p["min_free_mb"],
        built_by=p["built_by"],
        user=user,
        carry_files=tuple(p["carry_files"]),
        leave_files=tuple(p["leave_files"]),
        trust=tuple(p["trust"]),
    )
    wanted = plan(order)
    common = {"gunicorn": order.gunicorn, "python": wanted.interpreter.version}

    if p["state"] == "wheelhouse":
        missing = not os.path.isdir(p["path"]) or not os.listdir(p["path"])
        if missing and not module.check_mode:
            build_wheelhouse(wanted, p["path"])
        module.exit_json(changed=missing, path=p["path"], **common)

    believed = os.path.isdir(wanted.path) and not why_not_believed(wanted.path)
    before = read_record(wanted.path) if believed else None
    timings: Dict[str, float] = {}
    record, changed = before, before is None
    if before is None:
        require_space(wanted)
    if before is None and not module.check_mode:
        if trial.test == "boot" and launch is None:
            raise FleetError(
                "there is nothing to boot-test with: give like_pid (the live arbiter) or command, "
                "or set boot_test to import or none"
            )
        record, timings, warnings, changed = build(
            wanted,
            launch,
            old_prefix(p["home"], launch),
            trial,
            time.time,
        )
        for warning in warnings:
            module.warn(warning)
    checks = dict(record["checks"]) if record else {}
    unproved = trial.test == "boot" and launch is not None and not checks.get("boot")
    if before is not None and unproved:
        # It was built without; a release is never changed, so what is proved now is not recorded.
        checks = check(wanted.path, p["home"], launch, trial)["checks"]
    after = summary(record) if record else dict(common, id=wanted.identity)
    module.exit_json(
        changed=changed,
        id=wanted.identity,
        path=wanted.path,
        packages=dict(line.split("==", 1) for line in record["freeze"]) if record else {},
        installer=record["installer"] if record else wanted.installer,
        relaxed=record["relaxed"] if record else {},
        dropped=record["dropped"] if record else [],
        checks=checks,
        timings=timings,
        diff={"before": summary(before), "after": after},
        **common,
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[
            ("state", "present", ["gunicorn", "python"]),
            ("state", "wheelhouse", ["gunicorn", "python", "path"]),
            ("state", "checked", ["path"]),
        ],
        supports_check_mode=True,
    )
    module.no_log_values -= trial_question.shown(module.params)
    show_headers(module, module.params["boot_headers"])
    try:
        run_module(module)
    except FleetError as exc:
        module.fail_json(msg=str(exc))


if __name__ == "__main__":
    main()
