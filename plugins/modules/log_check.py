#!/usr/bin/python
# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: log_check
short_description: Judge what gunicorn has written to its logs
version_added: 0.1.0
description:
  - Reads logs of gunicorn, counts what went wrong and says whether that is tolerated.
  - Knows the wordings of gunicorn 20.0 to 27. Counts incidents, not lines. An error that was
    printed ten times by ten forked workers is one incident.
  - Lines belong to the generation of gunicorn that wrote them. With O(arbiter_pid), what an old
    arbiter wrote, or the stop of it, does not count.
  - Believes an event only where gunicorn begins a message, behind its own prefix, behind the head
    of another format, in JSON, and behind what syslog, journald, docker or Kubernetes add. What
    clients send proves nothing, whatever log it stands in; RV(doubtful) counts such texts.
  - With O(arbiter_pid) and O(since), what the log tells of processes of this generation that are
    alive is not believed.
  - Excerpts are bounded, and obvious secrets in them are replaced by V(***).
author:
  - The fleetops.gunicorn authors (@fleetops)
attributes:
  check_mode:
    support: full
    description: Reads and judges, but does not move O(cursor) on.
  diff_mode:
    support: none
    description: There is nothing to compare.
  platform:
    platforms: posix
    support: full
    description: Where the module runs.
extends_documentation_fragment:
  - fleetops.gunicorn.service_manager
options:
  paths:
    description:
      - Absolute paths of the logs. Rotated generations beside them are found by their names,
        C(app.log.1), C(app.log.2.gz), C(app.log-20261123) and the like, compressed or not.
      - A log that supervisord merges with C(redirect_stderr) is fine.
      - Exactly one of O(paths) and O(program) is needed.
    type: list
    elements: str
  program:
    description:
      - Name of a program of supervisord, V(app) or V(group:app), or service of systemd, V(app).
        The log files that it writes to are read; the journal is not.
    type: str
  home:
    description:
      - Directory of the application. With O(program), gunicorn's own C(errorlog) is read as well.
    type: str
  since:
    description:
      - Begin of the window, in seconds since 1970 or as ISO 8601, V(2026-11-23T03:00:00+00:00). A
        time without a zone is local time of the host.
      - Log lines have whole seconds, so the whole second of O(since) is inside.
    type: str
  until:
    description:
      - End of the window, like O(since).
    type: str
  arbiter_pid:
    description:
      - Judge only what this generation wrote, the one whose arbiter has this pid. With O(since),
        the time at which it started, an older process with the same pid is not mistaken for it.
    type: int
  begin:
    description:
      - Where the logs stood when the generation began, as the C(generation.logs) of
        M(fleetops.gunicorn.active_release) tells. What is before that place is never of this
        generation, whatever its lines say.
      - A log that is not among them, or whose place cannot be found any more, is judged by
        O(since) and O(arbiter_pid) alone.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Path of the log; for the reader, as a log is known by its inode.
        type: str
      dev:
        description: Device that the file is on.
        type: int
        required: true
      inode:
        description: Inode of the file.
        type: int
        required: true
      size:
        description: Bytes that it held.
        type: int
        required: true
  progress:
    description:
      - What an earlier look at the same window has returned as RV(progress). Then only what was
        written since is read, and the verdict is still of the whole window.
      - Progress of another window, or in a log where that place cannot be found again, is not used.
        All is read then.
    type: dict
    default: {}
  keep_progress:
    description:
      - Whether to return RV(progress).
    type: bool
    default: false
  cursor:
    description:
      - Absolute path of a file on the host that remembers how far the logs were read. Then every
        line is judged exactly once, across rotation, compression and C(copytruncate).
      - When the place cannot be found again, RV(verdict) is V(gap).
      - The first look reads the log as it is, limited by O(since).
    type: str
  tolerance:
    description:
      - How many incidents of an event are tolerated, by event. A count (V(3)), a rate (V(3/h), no
        more than 3 within any hour; also V(s), V(min) and V(d)) or V(unlimited).
      - The defaults are in docs/log-gate.md. V(reentrant) is 0.
    type: dict
    default: {}
  patterns:
    description:
      - Further events to look for.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the event, lower-case letters, digits and V(_).
        type: str
        required: true
      regex:
        description:
          - Regular expression of Python, matched within a line. One that holds at least four plain
            characters in a row outside of groups and alternatives is found much faster.
        type: str
        required: true
      severity:
        description:
          - How bad it is. Only for the report.
        type: str
        choices: [critical, error, warning, notice]
        default: error
      tolerance:
        description:
          - As in O(tolerance).
        type: str
        default: "0"
  max_excerpts:
    description:
      - How many incidents come with an excerpt, the worst first. At most 100 are returned.
    type: int
    default: 10
  gunicorn:
    description:
      - Version that is expected to run. When the log tells of another one, that is a reason for
        V(dirty).
    type: str
  pattern_timeout:
    description:
      - Seconds that all of O(patterns) may take together. Beyond that the module fails.
    type: float
    default: 30
notes:
  - Nothing is changed on the host but the file of O(cursor).
"""

EXAMPLES = r"""
- name: Judge what the new generation has written
  fleetops.gunicorn.log_check:
    paths: [/var/log/app/app.err.log]
    arbiter_pid: "{{ activation.generation.pid }}"
    since: "{{ activation.generation.started }}"

- name: Ask what last night would have said
  fleetops.gunicorn.log_check:
    paths: [/var/log/app/app.err.log]
    since: 2026-11-22T22:00:00+00:00
    until: 2026-11-23T06:00:00+00:00

- name: Judge every line once
  fleetops.gunicorn.log_check:
    program: app
    cursor: /var/lib/fleetops/app.cursor
    tolerance:
      worker_timeout: 10/h
    patterns:
      - name: database_gone
        regex: "OperationalError.*server closed the connection"
        tolerance: 2/h
"""

RETURN = r"""
verdict:
  description:
    - V(clean), V(dirty) (more than is tolerated), V(gap) (part of the log was lost to us),
      V(inconclusive) (more than is tolerated, but neither time nor place nor a pid tells whether it
      was this generation) or V(no_data) (nothing was written in the window, or nothing that is
      understood).
  returned: always
  type: str
  sample: dirty
reasons:
  description: Why. For V(clean), what was tolerated.
  returned: always
  type: list
  elements: str
  sample: ["1 reentrant (tolerated: 0), first at 2026-11-23T03:02:15Z in /var/log/app.log, byte 9"]
incidents:
  description: What happened, the worst first, at most 20 per event and 100 in all.
  returned: always
  type: list
  elements: dict
  contains:
    event:
      description: Which event of the catalogue, or the name of a pattern.
      type: str
    severity:
      description: V(critical), V(error), V(warning) or V(notice).
      type: str
    count_lines:
      description: How many lines tell of it.
      type: int
    first:
      description: When it was first written, ISO 8601 in UTC, or null.
      type: str
    last:
      description: When it was last written.
      type: str
    arbiter_pid:
      description: The generation, or null.
      type: int
    worker_pid:
      description: The worker, or null.
      type: int
    signal:
      description: The signal, V(SIGKILL), or null.
      type: str
    path:
      description: File that it begins in.
      type: str
    offset:
      description: Byte in that file (of the uncompressed content); -1 if it began before this look.
      type: int
    excerpt:
      description: The lines that matter, bounded, without obvious secrets.
      type: str
counts:
  description: Incidents by event.
  returned: always
  type: dict
  sample: {reentrant: 1, worker_killed: 8}
unsure:
  description:
    - How many of RV(counts) neither time nor place nor a pid tells to be of the window.
  returned: always
  type: dict
  sample: {}
oldest:
  description:
    - When the first line that was read was written, as seconds since 1970. Of several logs, of the
      one that begins last. None (null) where no line tells.
  returned: always
  type: float
  sample: 1764295200.0
at:
  description: When this look was taken, by the clock of the host, as seconds since 1970.
  returned: always
  type: float
  sample: 1764298800.5
doubtful:
  description:
    - Texts of events that stand where a client's or an application's words may stand. They are not
      counted and change no verdict.
  returned: always
  type: int
  sample: 0
progress:
  description:
    - For O(progress) of the next look. It holds no text of the log but excerpts as in
      RV(incidents[].excerpt).
    - Empty if it would be above 256 KiB, or if the log ends within a block of several lines. Then
      the next look reads all.
  returned: if O(keep_progress)
  type: dict
tells:
  description:
    - Whether a log tells of the arbiter O(arbiter_pid) itself, V(start) (that it started), V(line)
      (a line by its pid) or V(lost) (the begin was rotated away, so nobody knows). Empty if none
      does, however much of requests and of the application is in it.
  returned: with O(arbiter_pid)
  type: str
  sample: start
scanned:
  description: What was read by this look.
  returned: always
  type: dict
  contains:
    bytes:
      description: Bytes read.
      type: int
    lines:
      description: Lines read, or null for a log of more than 16 MiB, where nobody counts them.
      type: int
    files:
      description: Files read, the oldest first.
      type: list
      elements: str
"""
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._module import (
    AnsibleModule,
    runner,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._questions.log import (
    EITHER,
    OPTIONS,
    ask,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(OPTIONS),
        mutually_exclusive=EITHER,
        required_one_of=EITHER,
        supports_check_mode=True,
    )
    try:
        result = ask(module.params, runner(module), not module.check_mode)
    except FleetError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
