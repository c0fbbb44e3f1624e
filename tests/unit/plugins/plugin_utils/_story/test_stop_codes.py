# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every way in which a run stops has a code, and no code says what another one means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.failure import failure_text
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.stop_codes import (
    OTHER,
    STOPS,
    stop_of,
)

ROOT = Path(__file__).resolve().parents[5]

STORY = {
    "host": "web1",
    "title": "stage 1 of 2 (gunicorn 21.2.0 on Python 3.6)",
    "failed": "soak | Judge the whole of it: soak: fail after 60 s; log dirty",
    "release": "21.2.0-py3.6-1a2b3c4d",
    "before": {"release": "20.0.1-py3.6-0a0b0c0d", "gunicorn": "20.0.1", "python": "3.6.15"},
    "went_back": True,
    "incidents": [{"event": "reentrant", "path": "/l", "offset": 7, "excerpt": "web1 was lost in"}],
}
SPENT = (
    "120 errors in 3000 requests at the balancers since the run began, where 3 would have been"
    " usual; rollout_error_budget is 100. Find out what users suffer from before you go on."
)
OUT_AFTER_ALL = (
    "web1 was not drained.\nlb1: the socket is wedged\nMAY STILL BE OUT OF ROTATION on lb1: wedged"
)
LEFT = (
    "drained | Say why it was not drained: web1 was not drained.\nlb1: 1 session\n"
    "Left out of rotation (load_balancer_on_timeout is fail) on: lb1."
)
SHORT = (
    "drained | Say why it was not drained: web1 was not drained.\nlb1: web1 was not"
    " drained on the balancer lb1: 0 others are UP\nBack in rotation on lb1."
)
LOST = (
    "stop_if_lost | x: The run stops before web2 is touched: web1 failed or cannot be reached."
    " Repair it, then run the same command again."
)
MARKED = "x is marked bad since 2026-11-23 03:00:00Z (web1, by ada): no reason given"
REFUSE = "refuse | Refuse a host or a plan that cannot be: "

SAID = [
    (
        "F-SOME",
        "2 of 40 servers failed, went back and serve as before (rollout_max_failures is 2). Every"
        " other server passed. What failed: hook | Stop: Hook x (after_soak) failed on web1: y.",
    ),
    (
        "F-WINDOW",
        "window | Stop outside of rollout_window: The run pauses before web2 is touched:"
        " rollout_window is closed now (Sat 2026-11-28 20:00:00 UTC): frozen from x until y.",
    ),
    (
        "F-HELD",
        "not_held | Refuse a server: web1 was taken out of rotation by ann at 3, until 4: x",
    ),
    ("F-HELD", "take_out | Refuse what could not be undone: One server at a time is taken out"),
    ("F-STAYS", "web1 was not put back: judge | Let only a pass through: boot: fail; status 500."),
    ("F-HOOK", "hook | Stop: Hook warm (before_drain) failed on web1: it ended with 3: cold"),
    (
        "F-HOOK",
        "web1: stage 1 of 2 failed.\nWhy: hook | Stop: Hook warm (after_soak) failed on web1: x\n"
        "Now: web1 is on 20.0.1-py3.6 as before, healthy and back in service.",
    ),
    ("F-OUT", failure_text({**STORY, "repair": "activate | Switch: spawn error"})),
    ("F-OUT", "drained | Say why it was not drained: " + OUT_AFTER_ALL),
    ("F-OUT", LEFT),
    ("F-GATE", failure_text(STORY)),
    (
        "F-GATE",
        failure_text({**STORY, "failed": "web1 may still be out of rotation on lb2, which"}),
    ),
    ("F-GATE", failure_text({**STORY, "in_place": SHORT})),
    ("F-GATE", failure_text({**STORY, "failed": f"soak: fail; log dirty; {SPENT}"})),
    ("F-BUDGET", f"guard | Stop if users suffer: The run stops before web2 is touched: {SPENT}"),
    (
        "F-BUDGET",
        failure_text({**STORY, "failed": f"soak: inconclusive; {SPENT}"} | {"went_back": False}),
    ),
    ("F-BLIND", failure_text({**STORY, "went_back": False})),
    ("F-LOST", LOST),
    ("F-LOST", "lost | End the run: web1 was lost in stage 1 of 2. It cannot be reached: no route"),
    ("F-LOST", REFUSE + "cannot be reached: Failed to connect to the host via ssh"),
    ("F-LOST", "info | Stop if the host was lost: web1 cannot be reached: no route"),
    ("F-DRAIN", SHORT),
    ("F-LOCK", "lock | {{ words }}: The lock of fleet app is held by ada on deploy1."),
    ("F-LOCK", "lock | {{ words }}: This run does not hold the lock of fleet app (lb1:/x)."),
    ("F-LOCK", "lock | Take the lock: /var/lib/fleetops-gunicorn cannot be made: /var/lib is not"),
    ("F-RECORD", "record | {{ words }}: The record of fleet app cannot be believed (/x): empty."),
    ("F-RECORD", "record | Note it: This run was halted at 3. web2 is not drained. Repair it."),
    ("F-BAD", f"refuse_bad | Refuse a release that failed before: {MARKED}. If the cause is gone"),
    (
        "F-ILL",
        "stage_bake | Stop where a stage fell ill: stage 1 of 2 (gunicorn 21.2.0) fell ill while it"
        " baked: web1: fail: log dirty. Nothing was touched; what runs goes on.",
    ),
    ("F-ILL", "stage_wait_see | Stop: web1 fell ill while it baked: no gunicorn runs; EXITED"),
    ("F-BAKE", "stage_bake | Stop: stage 1 of 2 has baked its time, and cannot be judged: web1"),
    ("F-BAKE", "stage_bake | Let another person promote: rollout_second_person is true, and ada"),
    ("F-BAKE", "bake | Let nobody follow: Plan 1 is not baked (rollout_bake is 2 h); web2 may not"),
    (
        "F-PYTHON",
        "refuse | Refuse a Python that is not there and that nothing provides: Stage 2: none",
    ),
    (
        "F-PYTHON",
        REFUSE + "stage 2: gunicorn 23.0.0 needs Python 3.7 or newer, and the stage would",
    ),
    ("F-INPUT", REFUSE + "rollout_stages[0] has the unknown key 'pyhton': allowed are gunicorn."),
    ("F-INPUT", REFUSE + "rollout_stages[1] goes down from gunicorn 23.0.0 to 21.2.0: put the"),
    ("F-INPUT", REFUSE + "rollout_to is '22.0.0': no stage has that gunicorn"),
    (
        "F-INPUT",
        "refuse | Refuse what cannot be done at the balancers: rollout_min_available is 2, which",
    ),
    ("F-INPUT", "Validating arguments against arg spec 'validate' - Every operator input: x"),
    ("F-BACK", "way_back | Refuse to go back to nowhere: web1 runs x, and nothing says"),
    ("F-BACK", "prove | Boot it on a spare port: boot test: gunicorn 20.0.1 ended"),
    ("F-BUILD", "refuse | Refuse what is known to be impossible to build: stage 2: app caps it"),
    ("F-BACK", "refuse | Refuse where what runs now does not boot again: it ends"),
    ("F-BAD", f"refuse | Refuse a release that failed before: {MARKED}. If the cause is gone"),
    ("F-BUILD", "build | Build the release and try it: boot test: gunicorn 21.2.0 ended"),
    (
        "F-BUILD",
        "trials_hooked | Stop: build | Build the release and try it: boot test: gunicorn ended",
    ),
    ("F-BACK", "trials_hooked | Stop: prove | Boot it on a spare port: boot test: gunicorn ended"),
    ("F-BALANCER", "info | Read every balancer: lb1: nobody listens on /run/x"),
    ("F-BALANCER", "info | Read every balancer: lb1: nginx.conf cannot be read"),
    ("F-DRAIN", "drained | Say why it was not drained: web1 was not drained.\nlb1: no"),
    (
        "F-BALANCER",
        "refuse | Refuse what cannot be done at the balancers: The socket of lb1 is for users",
    ),
    (
        "F-SERVER",
        "refuse | Refuse a log in which a new arbiter would not be heard: Asked the logs for"
        " arbiter 20, and none tells of it. After a switch the gate could not tell (F-BLIND).",
    ),
    ("F-SERVER", REFUSE + "Asked what runs as program app, and found no gunicorn: the service"),
    ("F-SERVER", "refuse | Prove that it is healthy before anything is touched: status 500"),
    ("F-OPEN", "conclude | Compare it: web1 should be through every stage, and runs gunicorn 2"),
    ("F-OTHER", "status | Write it for a program: Destination directory /x does not exist"),
]


@pytest.mark.parametrize(("code", "words"), SAID)
def test_last_words_have_their_code(code, words):
    assert stop_of(words).code == code


def test_every_code_is_tried_above():
    assert {code for code, _words in SAID} == {stop.code for stop in (*STOPS, OTHER)}


@pytest.mark.parametrize(
    ("code", "task"),
    [("F-LOST", "look | Ask what runs"), ("F-BALANCER", "lock | {{ word }}"),
     ("F-BALANCER", "info | Read every balancer")],
)  # fmt: skip
def test_who_cannot_be_reached_is_told_by_the_task(code, task):
    assert stop_of(f"{task}: Failed to connect to the host via ssh", unreachable=True).code == code


def test_what_a_log_says_in_the_evidence_is_no_code():
    story = {**STORY, "incidents": [{**STORY["incidents"][0], "excerpt": "x IS OUT OF SERVICE: y"}]}
    assert stop_of(failure_text(story)).code == "F-GATE"


def test_a_stop_is_said_plainly():
    for stop in (*STOPS, OTHER):
        assert re.fullmatch(r"F-[A-Z]+", stop.code)
        assert not stop.means.endswith(".") and stop.do.endswith(".")
        assert len(stop.means) <= 90 and len(stop.do) <= 90
    assert len({stop.code for stop in STOPS}) == len(STOPS)


# -- the messages of the roles -----------------------------------------------------------------

# They never are the last words of an upgrade or a rollback: a check ends with its own headline, and
# what fails in a turn is told by `repair | ` with where the host is.
NEVER_LAST = {"tell | Tell the verdict"}
IN_A_TURN = re.compile(r"(?:beside|judge|soak|soak_look|switch) \| |repair \| (?:Stop|Prove)")


def tasks(found: Any) -> Iterator[dict[str, Any]]:
    for each in found if isinstance(found, list) else []:
        yield each
        for part in ("block", "rescue", "always"):
            yield from tasks(each.get(part))


def fixed() -> Iterator[tuple[str, str]]:
    """Every text that a role fails with, as the story tells it."""
    texts = {}
    for file in ROOT.glob("roles/*/vars/main.yml"):
        texts.update(yaml.safe_load(file.read_text()))
    for file in sorted(ROOT.glob("roles/*/tasks/**/*.yml")):
        for each in tasks(yaml.safe_load(file.read_text())):
            told = each.get("ansible.builtin.fail", {}).get("msg")
            told = told or each.get("ansible.builtin.assert", {}).get("fail_msg")
            if told is None or each["name"] in NEVER_LAST or IN_A_TURN.match(each["name"]):
                continue
            told = re.sub(r"{{ (_\w+) }}", lambda m: str(texts.get(m[1], m[0])), told)
            yield each["name"], told


@pytest.mark.parametrize(("name", "told"), [pytest.param(*each, id=each[0]) for each in fixed()])
def test_every_fixed_message_of_a_role_has_a_code(name, told):
    if name.startswith(("repair | ", "repair_end | ", "halt | ")):
        # Told without the name of the task; put together by failure.py, or what failed before it.
        assert "failure_text" in told or "rollout_halt_why" in told
        return
    assert stop_of(f"{name}: {told}") is not OTHER, "a new message? Give it a code in stop_codes.py"


def test_what_our_modules_fail_with_has_a_code():
    """They put their words together themselves; then it is the task that tells."""
    ours = re.compile(r"fleetops\.gunicorn\.\w+$")
    without = set()
    for file in sorted(ROOT.glob("roles/*/tasks/**/*.yml")):
        for each in tasks(yaml.safe_load(file.read_text())):
            name = str(each.get("name"))
            if any(ours.match(key) for key in each) and stop_of(f"{name}: x") is OTHER:
                without.add(name)
    # In a turn, or where nothing can stop: of a gate, a status, a check, and the pruning.
    assert without == {
        "ask | Ask the application, the processes and the log",
        "keep_report | Keep the report of the run",
        "normal | Read what its log told before the drain",
        "normal | Read what others tell over the same time",
        "prune | Remove old releases",
        "repair | Prove that it serves",
        "report | Fetch it from the host of the lock",
        "status | Ask which reports are kept",
        "status | Ask who works on the fleet",
        "status | Read the record of the fleet",
    }
