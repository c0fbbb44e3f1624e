# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Judge HTTP answers: how many good ones in a row make a healthy server. Pure."""

import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError


class Answer(NamedTuple):
    """What came back for one request."""

    status: Optional[int]
    """None when there was no answer."""
    body: str
    error: str
    """Why there was no answer."""
    seconds: float
    location: str = ""
    """Where a redirect leads to."""


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
        return f"HTTP status {answer.status} instead of {wanted}{_what_of(answer)}"
    if expected.body and not re.search(expected.body, answer.body):
        return f"HTTP status {answer.status}, but the body does not match {expected.body!r}"
    return ""


def _what_of(answer: Answer) -> str:
    """What an answer that is not the wanted one mostly means."""
    if answer.status in (301, 302, 303, 307, 308):
        said = f", a redirect to {answer.location or 'nowhere'}"
        if answer.location.startswith("https://"):
            return (
                said + " (it wants https: send what the balancer says of it, such as"
                " gate_health_headers {X-Forwarded-Proto: https}, or name that status in"
                " gate_health_status)"
            )
        return said + " (it is not followed: ask the page itself)"
    if answer.status in (400, 421):
        return " (an application that checks names wants a Host that it knows: gate_health_headers)"
    return ""


# --- what is sent ---------------------------------------------------------------------------------

MAX_HEADERS = 32
MAX_VALUE = 4096
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HOST = re.compile(r"(?:[\w.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
# They are of the connection, and this one asks one question.
_OURS = ("connection", "content-length", "transfer-encoding", "expect", "upgrade", "te", "trailer")


def check_headers(given: Mapping[Any, Any], name: str = "headers") -> Dict[str, str]:
    """The headers of a request as text; FleetError for what is none, or would be two requests."""
    problems = header_problems(given, name)
    if problems:
        raise FleetError(" ".join(problems))
    return {str(key): str(value) for key, value in given.items()}


def header_problems(given: Any, name: str) -> List[str]:
    """What is wrong with headers; values are not quoted, they may be secrets."""
    if not isinstance(given, Mapping):
        return [f"{name} is a {type(given).__name__}: give headers by name, such as {{Host: x}}."]
    if len(given) > MAX_HEADERS:
        return [f"{name} has {len(given)} headers: give at most {MAX_HEADERS}."]
    problems = []
    seen = set()
    for key, value in given.items():
        words = str(key)
        short = repr(words[:40])
        if not isinstance(key, str) or not _NAME.fullmatch(words):
            problems.append(f"{name} has {short}, which is no name of a header.")
            continue
        if words.lower() in _OURS:
            problems.append(f"{name} has {short}, which is of the connection itself: leave it out.")
        if words.lower() in seen:
            problems.append(f"{name} has {short} twice, in another spelling.")
        seen.add(words.lower())
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            problems.append(f"{name}.{words} is a {type(value).__name__}: give a text.")
        elif not _sendable(str(value)):
            problems.append(
                f"{name}.{words} cannot be sent: at most {MAX_VALUE} characters of Latin-1, none of"
                " them a line break or another control character."
            )
        elif words.lower() == "host" and not _HOST.fullmatch(str(value)):
            problems.append(f"{name}.{words} is no host: give a name, with or without :port.")
    return problems


def _sendable(value: str) -> bool:
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return False
    control = any((ord(char) < 32 and char != "\t") or ord(char) == 127 for char in value)
    return len(value) <= MAX_VALUE and not control and value == value.strip()


def sent_host(headers: Mapping[str, str], default: str) -> str:
    """The Host that a request with these headers says."""
    return next((value for key, value in headers.items() if key.lower() == "host"), default)


# --- several answers ------------------------------------------------------------------------------


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
