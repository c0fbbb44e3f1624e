# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways in which a run stops: a code for each, by which docs/operations.md has its entry.

A code is told from the last words of a run. They begin with the name of the task that failed,
apart from what is said at the end of a host's turn (by the tasks ``repair_end``, ``halt``).
"""

from __future__ import annotations

import re
from typing import NamedTuple

PAGE = "operations.md"


class Stop(NamedTuple):
    """One way to stop."""

    code: str
    pattern: str
    """Looked for in the last words; of all stops the first that fits counts."""
    means: str
    do: str

    @property
    def anchor(self) -> str:
        """Where its entry is."""
        return f"{PAGE}#{self.code.lower()}"

    def words(self, docs: str = "docs") -> str:
        """What it is, and where under ``docs`` (a directory or an address) it is explained."""
        return f"{self.code}: {self.means}. What now: {docs}/{self.anchor}"


def _tasks(*beginnings: str) -> str:
    """A pattern for the last words of tasks whose names begin so."""
    return r"\A(?:" + "|".join(re.escape(beginning) for beginning in beginnings) + ")"


# Tasks of the role load_balancer.
BALANCER_TASKS = r"\A(?:drained|ready|info|fleet) \| "

# Also the order of docs/operations.md. What is said at the end of a turn holds the words of
# whatever failed in it, so that comes first; and a message says more than the task that said it.
STOPS = (
    Stop(
        "F-OUT",
        r"\A\S+ IS OUT OF SERVICE:"
        r"|\A(?!.*^Now: ).*(?:MAY STILL BE OUT OF ROTATION on|may still be out of rotation on"
        r"|^(?:  )?Left out of rotation )",
        "a server is out of rotation, and could not be put back",
        "Repair what the message names, then run the same command again.",
    ),
    Stop(
        "F-SOME",
        r"\A[^\n]* servers failed, went back and serve as before \(rollout_max_failures is ",
        "some servers failed and went back, as many as rollout_max_failures allows",
        "Read the evidence, repair the cause; the same release then needs -e rollout_force=true.",
    ),
    Stop(
        "F-WINDOW",
        _tasks("window | "),
        "rollout_window does not allow to begin the next server now; nothing is wrong",
        "Run the same command again when it is open.",
    ),
    Stop(
        "F-HELD",
        _tasks("not_held | ", "take_out | ", "put_in | "),
        "a server is out for work on it, or cannot be taken out for that",
        "Do what the message says; ready.yml puts back what is out.",
    ),
    Stop(
        "F-STAYS",
        r"\A\S+ was not put back: ",
        "a server is not well, and ready.yml did not put it back",
        "Repair what the message names, then run ready.yml again.",
    ),
    Stop(
        "F-HOOK",
        _tasks("hook | ")
        + r"|^(?:Why: )?[^\n]*\bHook [^\n]* \((?:once_)?(?:before|after)\w*\) failed on ",
        "one of the operator's own hooks failed, and on_failure is stop",
        "Repair the hook or what it found, then run the same command again.",
    ),
    Stop(
        "F-GATE",
        r"^Now: \S+ is on [^\n]* as before, healthy and back in service\.$",
        "the new release failed on a server, which went back and serves as before",
        "Read the evidence, repair the cause; the same release then needs -e rollout_force=true.",
    ),
    Stop(
        "F-BUDGET",
        _tasks("guard | Stop if users suffer")
        + r"|requests at the balancers since the run began[^\n]*rollout_error_budget",
        "users see more errors than before the run, whichever server they come from",
        "Find out what they suffer from. If it is the new release, roll back.",
    ),
    Stop(
        "F-BLIND",
        r"^Now: \S+ is still on [^\n]*, healthy and in service:",
        "a gate could not judge; nothing is known against the new release, which serves",
        "Mend what could not be read, then run the same command again.",
    ),
    Stop(
        "F-LOST",
        _tasks("lost | ")
        + r"|\bfailed or cannot be\s+reached\b|\Arefuse \| [^:]*: cannot be reached: "
        r"|\| Stop if the host was lost: ",
        "a server failed or could not be reached any more",
        "Repair it or its connection, then run the same command again.",
    ),
    Stop(
        "F-DRAIN",
        BALANCER_TASKS + r".*\bwas not drained\b",
        "a server could not be taken out of rotation, and serves",
        "See which of the reasons it was, mend that, then run the same command again.",
    ),
    Stop(
        "F-LOCK",
        _tasks("lock | ", "unlock | ", "claim | ", "begin | Refuse what is known no more")
        + r"|\b[Tt]he lock of fleet |^The lock that this run held|\bA newer run works on ",
        "somebody else works on the fleet, or the lock cannot be had",
        "Wait for them, talk to them, or mend what the message says about the lock.",
    ),
    Stop(
        "F-RECORD",
        _tasks("record | ") + r"|\bThe record of fleet ",
        "the record of the fleet cannot be read or written, or does not let this run go on",
        "Do what the message says, then run the same command again.",
    ),
    Stop(
        "F-BAD",
        _tasks("refuse_bad | ", "refuse | Refuse a release that failed before"),
        "the release failed a gate, or was rolled back, on some server of the fleet",
        "Repair the cause, then say -e rollout_force=true.",
    ),
    Stop(
        "F-ILL",
        r"\A(?:stage_bake|stage_wait_see) \| [^\n]*\bfell ill while it baked\b",
        "a stage fell ill while it baked; the next one was begun on no server",
        "Go back as the message says, or repair the cause.",
    ),
    Stop(
        "F-BAKE",
        _tasks("bake | ", "bake_canary | ", "stage_bake", "stage_wait"),
        "what must bake has not run long enough, is not well, or was promoted by its own hand",
        "Wait as long as it says, or mend what speaks against it.",
    ),
    Stop(
        "F-PYTHON",
        _tasks(
            "refuse | Refuse a Python that is not there",
            "provide | ",
            "provide_uv | ",
            "provide_apt | ",
            "python | ",
        )
        + r"|gunicorn \S+ needs Python ",
        "a stage has no Python that fits",
        "Install it, let release_python_provider do it, or change the stage.",
    ),
    Stop(
        "F-INPUT",
        _tasks(
            "validate | ",
            "Validating arguments ",
            "Refuse what is no time",
            "no_balancer | ",
            "requirements | Refuse a file that is not there",
        )
        + r"|\A(?:refuse|balancers) \| [^\n]*\brollout_(?:stages|to|min_available|ramp)\b"
        r"|\bis undefined\b",
        "a value, a file or the inventory is wrong",
        "Correct what the message names, then run the same command again.",
    ),
    Stop(
        "F-BACK",
        _tasks("way_back | ", "prove | ", "refuse | Refuse where what runs now does not boot"),
        "there is no way back, or it does not boot",
        "Repair the release that runs now, or name another one to go back to.",
    ),
    Stop(
        "F-BUILD",
        _tasks(
            "refuse | Refuse what is known to be impossible",
            "build | ",
            "requirements | ",
            "wheelhouse | ",
            "trials_hooked | ",
        ),
        "a release could not be built, or does not boot",
        "Read the end of its log in the message, repair the cause, run the same command again.",
    ),
    Stop(
        "F-BALANCER",
        BALANCER_TASKS + "|" + _tasks("balancers | ", "refuse | Refuse what cannot be done at the"),
        "a balancer cannot be asked, or does not know the server",
        "Mend its connection, its socket or the names, then run the same command again.",
    ),
    Stop(
        "F-SERVER",
        _tasks("refuse | ", "metrics | ", "activate | ", "look | "),
        "a server is not fit for an upgrade as it is",
        "Mend what the message names, then run the same command again.",
    ),
    Stop(
        "F-OPEN",
        _tasks("conclude | "),
        "a server is not on the last stage at the end of the run",
        "Run the same command again.",
    ),
)

OTHER = Stop(
    "F-OTHER",
    "",
    "a task failed for a reason that has no entry of its own",
    "Read the message; `ansible-playbook status.yml` says where the fleet is.",
)

BY_CODE = {stop.code: stop for stop in (*STOPS, OTHER)}
_PATTERNS = tuple((re.compile(stop.pattern, re.DOTALL | re.MULTILINE), stop.code) for stop in STOPS)
_TOLD_AGAIN = "trials_hooked | Stop: "
# Tasks that are done at a balancer's host: where that one cannot be reached, Ansible says it of
# the server in whose name it was.
_AT_BALANCERS = re.compile(
    BALANCER_TASKS + "|" + _tasks("lock | ", "unlock | ", "record | ", "balancers | ")
)


def who_stopped(host: str, unreachable: bool, code: str) -> str:
    """Who stopped a run and how; a balancer is asked in the name of a server."""
    if not unreachable:
        return f"{host} failed"
    return f"{f'a balancer of {host}' if code == 'F-BALANCER' else host} could not be reached"


def stop_of(words: str, unreachable: bool = False) -> Stop:
    """Which way to stop the last words of a run tell of."""
    # What failed between two hooks is told again after them.
    if words.startswith(_TOLD_AGAIN) and not unreachable:
        first = stop_of(words[len(_TOLD_AGAIN) :])
        if first is not BY_CODE[OTHER.code]:
            return first
    if unreachable:
        return BY_CODE["F-BALANCER" if _AT_BALANCERS.match(words) else "F-LOST"]
    code = next((code for pattern, code in _PATTERNS if pattern.search(words)), "")
    return BY_CODE[code or OTHER.code]
