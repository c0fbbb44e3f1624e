# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a line of nginx' access log tells of upstreams, by its `log_format`. No I/O.

Users write what is between the fields: a value is only believed where the format itself says where
it ends.
"""

import re
from typing import Callable, Dict, List, NamedTuple, Optional, Pattern, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

COMBINED = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent'
    ' "$http_referer" "$http_user_agent"'
)
NEEDED = ("upstream_addr", "upstream_status", "upstream_response_time")
SUGGESTED = (
    "log_format fleetops '$time_iso8601 $proxy_host $status $upstream_addr $upstream_status"
    ' $upstream_connect_time $upstream_header_time $upstream_response_time "$request"\';'
)
# Milliseconds up to which answers are counted together.
STEPS = (10, 30, 100, 300, 1000, 3000, 10000)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_BETWEEN = r"(?:, | : )"
_TIME = r"(?:\d+(?:\.\d+)?|-)"
_ONE = {
    "upstream_addr": r"(?:\[[0-9A-Fa-f:.]+\](?::\d+)?|unix:[^\s,\"]+|[^\s,\"\[\]:]+(?::\d+)?)",
    "upstream_status": r"(?:\d{3}|-)",
    "upstream_response_time": _TIME,
    "upstream_header_time": _TIME,
    "upstream_connect_time": _TIME,
}
_KNOWN = dict(
    {name: f"{one}(?:{_BETWEEN}{one})*" for name, one in _ONE.items()},
    status=r"\d{3}",
    proxy_host=r"[^\s\"]*",
)
Counters = Dict[str, int]


class Attempt(NamedTuple):
    """One server that was tried for a request. ``connected`` and ``answered``: None if the format
    does not say."""

    address: str
    status: int
    seconds: Optional[float]
    connected: Optional[bool]
    answered: Optional[bool]


class Request(NamedTuple):
    """One line. ``upstream``: empty if the format does not say."""

    status: int
    upstream: str
    attempts: Tuple[Attempt, ...]


Reader = Callable[[str], Optional[Request]]


def reader_of(words: Sequence[str]) -> Reader:
    """What reads a line of that `log_format`; an error says what is missing in it."""
    escape = [word for word in words if word.startswith("escape=")]
    text = "".join(word for word in words if not word.startswith("escape="))
    if "escape=none" in escape:
        raise FleetError("its log_format has escape=none: users could write any line into it")
    pattern, found = _pattern(text)
    missing = [f"${name}" for name in NEEDED if name not in found]
    if missing:
        raise FleetError(f"its log_format lacks {', '.join(missing)}")
    return lambda line: _request(pattern, line)


def _pattern(text: str) -> Tuple[Pattern[str], List[str]]:
    parts: List[str] = []
    found: List[str] = []
    at = 0
    for variable in _VARIABLE.finditer(text):
        parts.append(re.escape(text[at : variable.start()]))
        at = variable.end()
        name = variable.group(1) or variable.group(2)
        if name in _KNOWN and name not in found:
            parts.append(f"(?P<{name}>{_KNOWN[name]})")
            found.append(name)
            continue
        if name in _KNOWN:
            parts.append(_KNOWN[name])
        elif at >= len(text):
            parts.append(".*")
        elif text[at] == "$":
            raise FleetError("its log_format has two variables with nothing between them")
        else:
            parts.append(f"[^{re.escape(text[at])}]*")
    parts.append(re.escape(text[at:]))
    return re.compile("".join(parts)), found


def _request(pattern: Pattern[str], line: str) -> Optional[Request]:
    match = pattern.fullmatch(line)
    if not match:
        return None
    said = match.groupdict()
    parts = {name: re.split(_BETWEEN, said[name]) for name in _ONE if said.get(name)}
    addresses = parts["upstream_addr"]
    if addresses == ["-"]:
        return None
    count = len(addresses)
    if any(len(parts[name]) != count for name in ("upstream_status", "upstream_response_time")):
        return None
    attempts = tuple(
        Attempt(
            address,
            int(parts["upstream_status"][i]) if parts["upstream_status"][i] != "-" else 0,
            _number(parts["upstream_response_time"][i]),
            _was(parts.get("upstream_connect_time"), i),
            _was(parts.get("upstream_header_time"), i),
        )
        for i, address in enumerate(addresses)
    )
    status = int(said["status"]) if said.get("status") else attempts[-1].status
    return Request(status, said.get("proxy_host") or "", attempts)


def _number(text: str) -> Optional[float]:
    return None if text == "-" else float(text)


def _was(times: Optional[List[str]], place: int) -> Optional[bool]:
    return None if times is None or place >= len(times) else times[place] != "-"


# -- adding up -----------------------------------------------------------------------------------


class Sums:
    """Counters by upstream and address; of the upstream itself by an empty address."""

    def __init__(self, known: Dict[Tuple[str, str], Counters], where: Dict[str, Tuple[str, str]]):
        """``where``: upstream and `server` line of an address as nginx logs it."""
        self.counts = known
        self._where = where
        self._names = {up for up, _address in where.values()}

    def add(self, request: Request) -> None:
        upstreams = []
        for attempt in request.attempts:
            up, line = self._place(request, attempt.address)
            if up and up not in upstreams:
                upstreams.append(up)
            if line:
                self._attempt(self._row(up, line), attempt)
        for up in upstreams:
            row = self._row(up, "")
            _more(row, "req_tot", "stot", _class(request.status))
            row["wretr"] = row.get("wretr", 0) + len(request.attempts) - 1

    def _place(self, request: Request, address: str) -> Tuple[str, str]:
        up, line = self._where.get(f"{request.upstream}\0{address}", ("", ""))
        if not line:
            up, line = self._where.get(address, ("", ""))
        if not line and address in self._names:
            # nginx writes the upstream's name where no server of it was left to try.
            return address, ""
        if request.upstream and request.upstream not in (up, ""):
            return (request.upstream, "") if request.upstream in self._names else ("", "")
        return up, line

    def _row(self, up: str, line: str) -> Counters:
        if (up, line) not in self.counts:
            self.counts[(up, line)] = {}
        return self.counts[(up, line)]

    def _attempt(self, row: Counters, attempt: Attempt) -> None:
        _more(row, "stot", "req_tot")
        if attempt.connected is False:
            _more(row, "econ")
        elif attempt.answered is False:
            _more(row, "eresp")
        elif attempt.status:
            _more(row, _class(attempt.status))
        if attempt.seconds is None or attempt.connected is False:
            return
        took = int(round(attempt.seconds * 1000))
        row["rtime_ms"] = row.get("rtime_ms", 0) + took
        _more(row, "rtime_count", *(f"rtime_le_{step}" for step in STEPS if took <= step))


def zeros(timed: bool) -> Counters:
    """What is counted of a server (`timed`) or of an upstream, before anything came."""
    names = ["stot", "req_tot"] + [f"hrsp_{digit}xx" for digit in range(1, 6)] + ["hrsp_other"]
    if timed:
        names += ["econ", "eresp", "rtime_ms", "rtime_count"]
        names += [f"rtime_le_{step}" for step in STEPS]
    else:
        names.append("wretr")
    return dict.fromkeys(names, 0)


def _class(status: int) -> str:
    return f"hrsp_{status // 100}xx" if 100 <= status < 600 else "hrsp_other"


def _more(row: Counters, *names: str) -> None:
    for name in names:
        row[name] = row.get(name, 0) + 1
