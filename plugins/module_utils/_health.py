# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judge HTTP answers: how many good ones in a row make a healthy server. Pure."""

import re
from typing import Callable, List, NamedTuple, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError


class Answer(NamedTuple):
    """What came back for one request."""

    status: Optional[int]
    """None when there was no answer."""
    body: str
    error: str
    """Why there was no answer."""
    seconds: float


class Expectation(NamedTuple):
    """What makes a server healthy."""

    statuses: List[int]
    body: str
    """Regular expression that the body must contain; empty for any body."""
    consecutive: int


class Health(NamedTuple):
    """What was found; ``last`` says what was wrong with the last answer."""

    healthy: bool
    answers: int
    streak: int
    last: str
    seconds: float


def check_expectation(statuses: List[int], body: str, consecutive: int) -> Expectation:
    """Refuse an expectation that no answer could meet."""
    if not statuses:
        raise FleetError("status is empty: give at least one HTTP status, such as 200.")
    if consecutive < 1:
        raise FleetError(f"consecutive is {consecutive}: give 1 or more.")
    try:
        re.compile(body)
    except re.error as exc:
        raise FleetError(
            f"body is {body!r}, which is no regular expression ({exc}): correct it."
        ) from None
    return Expectation(statuses, body, consecutive)


def why_bad(answer: Answer, expected: Expectation) -> str:
    """Say what is wrong with an answer; empty when it is good. Never quotes the body."""
    if answer.status is None:
        return answer.error
    if answer.status not in expected.statuses:
        wanted = " or ".join(str(status) for status in expected.statuses)
        return f"HTTP status {answer.status} instead of {wanted}"
    if expected.body and not re.search(expected.body, answer.body):
        return f"HTTP status {answer.status}, but the body does not match {expected.body!r}"
    return ""


def watch(
    ask: Callable[[], Answer],
    expected: Expectation,
    timeout: float,
    interval: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Health:
    """Ask until enough good answers came in a row, or ``timeout`` seconds have passed.

    One bad answer starts the count anew. There is always at least one attempt.
    """
    start = clock()
    streak = answers = 0
    while True:
        answer = ask()
        answers += 1
        bad = why_bad(answer, expected)
        streak = 0 if bad else streak + 1
        if streak >= expected.consecutive:
            return Health(True, answers, streak, "", clock() - start)
        if clock() - start >= timeout:
            last = bad or f"only {streak} good answers in a row"
            return Health(False, answers, streak, last, clock() - start)
        # Good answers are counted quickly: each of them is time out of rotation.
        sleep(interval if bad else min(interval, 0.05))
