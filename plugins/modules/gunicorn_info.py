#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: gunicorn_info
short_description: Tell what gunicorn really runs under a program of supervisord or systemd
version_added: 0.1.0
description:
  - Asks the service manager for the program, then the kernel for its processes and sockets, then
    the virtualenv's files for the versions. Nothing is assumed from the configuration alone.
  - The arbiter may be a child of the program's process (a wrapper), may have been started with
    C(python -m gunicorn) and may have rewritten its command line.
author:
  - The fleetops.gunicorn authors (@fleetops)
extends_documentation_fragment:
  - fleetops.gunicorn.reads
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
    type: str
    required: true
notes:
  - Run it as root or as the user of the program. What could not be read for want of rights is
    listed in RV(unread), and what depends on it is V(null) or empty.
  - supervisord's XML-RPC does not tell C(stopasgroup), and before version 4.0 no setting at all.
    They are taken from its configuration file if that can be found and read, and are V(null)
    otherwise.
seealso:
  - module: fleetops.gunicorn.active_release
"""

EXAMPLES = r"""
- name: Look at what runs
  fleetops.gunicorn.gunicorn_info:
    home: /srv/app
    program: app
  register: app

- name: Fail if a left-over of USR2 serves beside it
  ansible.builtin.assert:
    that: app.unmanaged | length == 0
"""

RETURN = r"""
program:
  description: The program as its service manager knows it. Settings that could not be found out are
    V(null).
  returned: success
  type: dict
  contains:
    manager: {description: Which manager that is., type: str, returned: success}
    name: {description: Name of the process or unit., type: str, returned: success, sample: app}
    group: {description: Name of its group., type: str, returned: success, sample: app}
    state:
      description: State, in the words of supervisord.
      type: str
      returned: success
      sample: RUNNING
    said: {description: The manager's own word for it., type: str, returned: success}
    pid:
      description: Process that the manager started, perhaps a wrapper; V(0) if none.
      type: int
      returned: success
    exitstatus: {description: How it last ended., type: int, returned: success, sample: 0}
    spawnerr: {description: Why the last start failed., type: str, returned: success, sample: ''}
    command:
      description: Command, without what looks like a secret.
      type: str
      returned: success
    directory: {description: Working directory., type: str, returned: success, sample: /srv/app}
    user: {description: User that it runs as., type: str, returned: success, sample: app}
    stopsignal: {description: Signal that stops it., type: str, returned: success, sample: TERM}
    stopwaitsecs:
      description: Seconds before it is killed.
      type: int
      returned: success
      sample: 40
    stopasgroup:
      description: Whether the whole process group gets the signal.
      type: bool
      returned: success
    killasgroup:
      description: Whether the whole process group is killed.
      type: bool
      returned: success
    startsecs:
      description: Seconds before supervisord calls it RUNNING.
      type: int
      returned: success
      sample: 7
    stdout_logfile: {description: Log of its standard output., type: str, returned: success}
    stderr_logfile: {description: Log of its standard error., type: str, returned: success}
    redirect_stderr: {description: Whether both go to the former., type: bool, returned: success}
arbiter:
  description: gunicorn's master process under the program; V(null) if there is none.
  returned: success
  type: dict
  contains:
    pid: {description: Process id., type: int, returned: success, sample: 4711}
    started:
      description: Start time in seconds since 1970.
      type: float
      returned: success
      sample: 1790000000.25
    start_ticks:
      description: Field 22 of /proc/<pid>/stat.
      type: int
      returned: success
      sample: 812345
    boot_id:
      description: Boot of the machine that RV(arbiter.start_ticks) counts from.
      type: str
      returned: success
    uid: {description: Effective user id., type: int, returned: success, sample: 1001}
    user: {description: Effective user., type: str, returned: success, sample: app}
    cwd: {description: Working directory., type: str, returned: success, sample: /srv/app}
    python:
      description: Full version of the interpreter that runs.
      type: str
      returned: success
      sample: 3.6.15
    python_executable:
      description: That interpreter.
      type: str
      returned: success
      sample: /usr/bin/python3.6
    gunicorn:
      description: Version in the virtualenv that it runs from.
      type: str
      returned: success
      sample: 20.0.1
    prefix:
      description: Real path of the virtualenv that it runs from; V(null) if that cannot be told,
        for example because it was started through a link that has been switched since.
      type: str
      returned: success
      sample: /srv/app/releases/23.0.0-py3.11-1a2b3c4d
    release:
      description: Id of the release at that path.
      type: str
      returned: success
      sample: 23.0.0-py3.11-1a2b3c4d
    workers_wanted:
      description: Number of workers asked for on the command line or in E(GUNICORN_CMD_ARGS);
        V(null) if in neither.
      type: int
      returned: success
      sample: 4
    cmdline:
      description: Command line, bounded, without what looks like a secret.
      type: list
      elements: str
      returned: success
workers:
  description: Its live workers.
  returned: success
  type: list
  elements: dict
  contains:
    pid: {description: Process id., type: int, returned: success}
    started: {description: Start time in seconds since 1970., type: float, returned: success}
age:
  description: Seconds that the arbiter has lived, by a clock that nobody can set; null without one.
  returned: success
  type: float
listeners:
  description: Addresses that the arbiter and its workers listen on, as gunicorn's bind writes them.
  returned: success
  type: list
  elements: str
  sample: ["127.0.0.1:8000", "unix:/run/app.sock"]
orphans:
  description: gunicorn processes of this home whose arbiter is gone. They may hold a port and
    answer with old code.
  returned: success
  type: list
  elements: dict
  contains:
    pid: {description: Process id., type: int, returned: success}
    ppid: {description: Its parent now., type: int, returned: success, sample: 1}
    listeners: {description: Addresses that it holds., type: list, elements: str, returned: success}
helpers:
  description: Children of the arbiter that serve no requests, such as a dirty arbiter (gunicorn 25)
    or what the configuration has forked.
  returned: success
  type: list
  elements: dict
  contains:
    pid: {description: Process id., type: int, returned: success}
    started: {description: Start time in seconds since 1970., type: float, returned: success}
    what: {description: V(dirty arbiter) or V(helper)., type: str, returned: success}
beside:
  description: Other programs that run from the same virtualenv, whoever looks after them, and are
    not among O(programs). They are not restarted when it is switched.
  returned: success
  type: list
  elements: dict
  contains:
    program:
      description: A program of this supervisord, of another manager, or a unit of systemd.
      type: str
      returned: success
      sample: api:api
    pid: {description: Its first process; V(0) if it does not run., type: int, returned: success}
    started: {description: Start time of that., type: float, returned: success}
    python: {description: Python that it runs on., type: str, returned: success, sample: 3.6.15}
    same_manager:
      description: Whether O(programs) may name it.
      type: bool
      returned: success
    gunicorn: {description: Whether it is a gunicorn., type: bool, returned: success}
    listeners:
      description: Addresses that its gunicorn holds.
      type: list
      elements: str
      returned: success
    command: {description: "Command line, bounded, without secrets.", type: str, returned: success}
loose:
  description:
    - Processes that run from the virtualenv or a release and that no service manager looks after,
      such as a daemon that was started by hand. They go on with what they run from when it is
      switched. Neither builds and trials of this collection nor what is younger than 10 seconds.
  returned: success
  type: list
  elements: dict
  contains:
    pid: {description: Process id., type: int, returned: success}
    user: {description: Whom it runs as., type: str, returned: success, sample: app}
    started: {description: Start time in seconds since 1970., type: float, returned: success}
    command: {description: "Command line, bounded, without secrets.", type: str, returned: success}
programs:
  description: Each of O(programs), in that order.
  returned: success
  type: list
  elements: dict
  contains:
    program: {description: Its name., type: str, returned: success, sample: worker:worker}
    state: {description: State as in RV(program)., type: str, returned: success, sample: RUNNING}
    said: {description: The service manager's own word for it., type: str, returned: success}
    pid:
      description: Its first process that runs from the home; V(0) if it does not run.
      type: int
      returned: success
    started: {description: Start time of that., type: float, returned: success}
    start_ticks: {description: Field 22 of /proc/<pid>/stat., type: int, returned: success}
    release:
      description: Release that it runs from; V(null) if that is none, or cannot be told.
      type: str
      returned: success
    gunicorn:
      description: Version, if it is a gunicorn.
      type: str
      returned: success
    listeners:
      description: Addresses that its gunicorn holds.
      type: list
      elements: str
      returned: success
    stop_timeout:
      description: Seconds after the order to stop at which its manager kills it.
      type: int
      returned: success
    command: {description: "Its command, without secrets.", type: str, returned: success}
    deviations:
      description: As RV(deviations).
      type: list
      elements: dict
      returned: success
    problems:
      description: Why a switch should not begin with it as it is.
      type: list
      elements: str
      returned: success
unmanaged:
  description: Arbiters of this home that nobody looks after, for example left by USR2.
  returned: success
  type: list
  elements: dict
  contains:
    pid: {description: Process id., type: int, returned: success}
    ppid: {description: Its parent now., type: int, returned: success, sample: 1}
    listeners:
      description: Addresses that it or its workers hold.
      type: list
      elements: str
      returned: success
    program:
      description: Always V(null); what another program owns is in RV(beside).
      type: str
      returned: success
venv:
  description: What stands at C(<home>/venv), read from its files.
  returned: success
  type: dict
  contains:
    path: {description: The path., type: str, returned: success, sample: /srv/app/venv}
    kind:
      description: V(symlink), V(directory), V(absent) or something that should not be there.
      type: str
      returned: success
    target: {description: Real path that the link leads to., type: str, returned: success}
    release: {description: Id of the release that it leads to., type: str, returned: success}
    previous:
      description: Release that was active before this one first was; V(null) if none was noted
        or it is gone.
      type: str
      returned: success
    earlier:
      description: What ran before it, and before that, the newest first, as far as it is still
        there; at most 20.
      type: list
      elements: dict
      returned: success
      contains:
        release: {description: Id of the release., type: str, returned: success}
        gunicorn: {description: Version of gunicorn., type: str, returned: success}
        python: {description: Version of Python., type: str, returned: success}
    adopt_as:
      description: Id that a real directory gets when it is adopted as a release.
      type: str
      returned: success
    python: {description: Version of Python., type: str, returned: success, sample: 3.6.15}
    gunicorn: {description: Version of gunicorn., type: str, returned: success, sample: 20.0.1}
deviations:
  description: Settings that make a switch slower or less safe.
  returned: success
  type: list
  elements: dict
  contains:
    setting: {description: Name of the setting., type: str, returned: success, sample: stopwaitsecs}
    value: {description: What it is., type: str, returned: success, sample: "10"}
    wanted: {description: What it should be., type: str, returned: success, sample: "35"}
    why: {description: What happens otherwise., type: str, returned: success}
refusals:
  description: Why M(fleetops.gunicorn.active_release) would refuse to switch this program.
  returned: success
  type: list
  elements: str
  sample: []
logs:
  description: Logs of the program, supervisord's files or the journal of the unit
    (V(journal:app.service)), gunicorn's own error log, and what else the running arbiter writes to,
    whoever configured it. At most 16 of the latter. Not the access log.
  returned: success
  type: list
  elements: str
  sample: [/var/log/app.err.log]
sinks:
  description: Where the words of the arbiter and its workers go, by what they have open to write;
    empty if no gunicorn runs.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(file), V(journal), V(pipe), V(socket) or V(device).
      type: str
      returned: success
    path:
      description: Path of a file, or V(journal:app.service).
      type: str
      returned: success
    to: {description: What else it leads to., type: str, returned: success}
    of: {description: V(arbiter) or V(worker)., type: str, returned: success, sample: arbiter}
    why:
      description: Why it is not read; empty if it is. A file that strangers could write, that was
        deleted, or that has more than 4 GiB is not.
      type: str
      returned: success
log_level:
  description: The level that hides gunicorn's start from its log; V(null) if none is known to.
  returned: success
  type: dict
  contains:
    value: {description: The level., type: str, returned: success, sample: WARNING}
    where:
      description: Where it is set.
      type: str
      returned: success
      sample: --log-level on the command line
settings:
  description: With which settings gunicorn runs, as far as they can be seen.
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
      description: As in RV(fleetops.gunicorn.plan_info#module:settings).
      type: dict
      returned: always
    whole:
      description: As in RV(fleetops.gunicorn.plan_info#module:settings).
      type: bool
      returned: always
    error:
      description: Why nothing is known.
      type: str
      returned: always
unread:
  description: Paths that this user may not read. At most 20.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import (
    AnsibleModule,
    runner,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._questions.service import (
    OPTIONS,
    ask,
)


def main() -> None:
    module = AnsibleModule(argument_spec=dict(OPTIONS), supports_check_mode=True)
    try:
        module.exit_json(changed=False, **ask(module.params, runner(module)))
    except FleetError as exc:
        module.fail_json(msg=str(exc))


if __name__ == "__main__":
    main()
