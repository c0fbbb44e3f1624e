# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests, errors and times of each server, counted from the access log: each line once, over any
rotation. Counting begins at the end of what is there when it is first asked for."""

import json
import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.access_log import (
    COMBINED,
    SUGGESTED,
    Counters,
    Reader,
    Sums,
    reader_of,
    zeros,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.config import (
    Config,
    Upstream,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.control import (
    Settings,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.nginx.processes import (
    place_of,
    resolved,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.check import (
    Segment,
    close,
    gather,
    remember,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.cursor import (
    Entry,
    Piece,
    Plan,
    entry_of,
    plan,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.reader import (
    LogFile,
    fingerprint,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.reader import (
    Reader as Bytes,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.directory import (
    StateDirectory,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.document import (
    Unbelievable,
    believe,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fencing import key_of

SCHEMA = 1
_LIMIT = 16 * 1024 * 1024
_CHUNK = 256 * 1024
# A line that is longer is nobody's.
_LONG = 64 * 1024


class Tally(NamedTuple):
    """Counters by upstream and `server` line (empty: the upstream itself), for each upstream why it
    cannot be counted, and what a person should know."""

    counts: Dict[Tuple[str, str], Counters]
    problems: Dict[str, str]
    notes: List[str]


class Counted:
    """The counters of one nginx, kept between looks."""

    def __init__(self, settings: Settings) -> None:
        self._outer = StateDirectory(settings.directory, private=True)
        # Its own lock: a long log must not hold up a drain.
        self._box = StateDirectory(os.path.join(settings.directory, "counted"), private=True)
        self._name = f"{key_of(os.path.realpath(settings.conf))}.counted"

    def count(self, config: Config) -> Tally:
        """Add what has been written since the last look."""
        readers: Dict[str, Reader] = {}
        problems: Dict[str, str] = {}
        for up in config.upstreams:
            problem = self._readers(config, up, readers)
            if problem:
                problems[up.name] = problem
        if not readers:
            return Tally({}, problems, [])
        try:
            with self._outer.opened(create=True), self._box.locked(create=True, timeout=10) as box:
                if box is None:
                    raise FleetError(f"{self._box.path} is gone")
                entries, counts = self._load(box.read(self._name, _LIMIT))
                old = {key: dict(row) for key, row in counts.items()}
                notes = self._add(config, readers, entries, counts)
                content = _dump(entries, counts)
                box.write(self._name, content, _LIMIT)
        except FleetError as exc:
            return Tally({}, {up.name: str(exc) for up in config.upstreams}, [])
        whole = _whole(config, problems, counts)
        _add_means(whole, old)
        return Tally(whole, problems, notes)

    def _readers(self, config: Config, up: Upstream, readers: Dict[str, Reader]) -> str:
        """Add what reads the logs of an upstream; returns why it cannot be counted."""
        if up.mode != "http":
            return "a `stream` has no requests"
        places = config.logs.get(up.name, ())
        if not places:
            return "no `proxy_pass` to it was found"
        chosen: Dict[str, Reader] = {}
        for logs in places:
            # One of them is enough, and two would count each request twice.
            problem = "no access_log has its requests"
            for path, form in logs:
                problem, read = _reader(config, path, form)
                if read:
                    chosen[path] = read
                    break
            if problem:
                return problem
        readers.update(chosen)
        return ""

    def _load(
        self, content: Optional[bytes]
    ) -> Tuple[Dict[str, Entry], Dict[Tuple[str, str], Counters]]:
        if content is None:
            return {}, {}
        try:
            return believe(content, SCHEMA, _parse)
        except Unbelievable:
            # Counters that fall tell everybody that they began anew.
            return {}, {}

    def _add(
        self,
        config: Config,
        readers: Dict[str, Reader],
        entries: Dict[str, Entry],
        counts: Dict[Tuple[str, str], Counters],
    ) -> List[str]:
        notes = []
        sums = Sums(counts, _where(config))
        for path, read in sorted(readers.items()):
            files, _closed = gather(path, entries.get(path))
            try:
                entries[path], lost = _read(files, entries.get(path), read, sums)
            finally:
                close(files)
            if lost:
                # Who goes by the counters must not take what is missing for quiet.
                counts.clear()
                notes.append(
                    f"part of {path} was lost before it was counted ({'; '.join(lost)}): its"
                    " counters begin at 0"
                )
        return notes


def _reader(config: Config, path: str, form: str) -> Tuple[str, Optional[Reader]]:
    """What reads a log; or why it cannot be counted."""
    if not os.path.isabs(path) or "$" in path:
        return f"its access_log {path} is no file of a fixed name", None
    if form.startswith("("):
        return f"its access_log {path} has {form[1:-1]}: it does not tell of each request", None
    words = config.formats.get(form) or ((COMBINED,) if form == "combined" else ())
    try:
        return "", reader_of(words)
    except FleetError as exc:
        return f"its access_log {path} cannot be counted: {exc}", None


def _read(
    files: List[LogFile], entry: Optional[Entry], read: Reader, sums: Sums
) -> Tuple[Entry, List[str]]:
    if entry and entry.places:
        chosen = plan(entry.places, entry.known, files, fingerprint)
    else:
        chosen = Plan([Piece(files[0], files[0].size)], [])
    lost = list(chosen.lost)
    segments: List[Segment] = []
    seen: Dict[str, int] = {}
    size = end = 0
    rest = b""
    for piece in chosen.pieces:
        file = piece.file
        segments.append(Segment(size, file, piece.start))
        source = Bytes(file, piece.start, None if file.compression else file.size)
        got = 0
        view = memoryview(bytearray(_CHUNK))
        while True:
            count = source.readinto(view)
            if not count:
                break
            got += count
            lines = (rest + bytes(view[:count])).split(b"\n")
            rest = lines.pop()
            if len(rest) > _LONG:
                rest = b""
            for line in lines:
                request = read(line.decode("utf-8", "replace").rstrip("\r"))
                if request:
                    sums.add(request)
        size += got
        if source.damaged:
            lost.append(f"{file.path} cannot be read to its end: {source.damaged}")
        if not file.compression:
            seen[file.path] = piece.start + got
    end = size - len(rest)
    return remember(files, segments, end, size, [], seen, {}, entry), lost


def _where(config: Config) -> Dict[str, Tuple[str, str]]:
    """Upstream and `server` line of an address as nginx logs it, and of both together."""
    found: Dict[str, Tuple[str, str]] = {}
    for up in config.upstreams:
        for line in up.lines:
            for name in _logged(line.entry.address, 443 if up.scheme == "https" else 80):
                found.setdefault(name, (up.name, line.entry.address))
                found[f"{up.name}\0{name}"] = (up.name, line.entry.address)
    return found


def _logged(address: str, port: int) -> List[str]:
    host, port, path = place_of(address, port)
    if path:
        return [f"unix:{path}"]
    return resolved(host, port)


def _whole(
    config: Config, problems: Dict[str, str], counts: Dict[Tuple[str, str], Counters]
) -> Dict[Tuple[str, str], Counters]:
    """Of each upstream that is counted, every server, also one that nobody came to."""
    found: Dict[Tuple[str, str], Counters] = {}
    for up in config.upstreams:
        if up.name in problems:
            continue
        for address in ["", *(line.entry.address for line in up.lines)]:
            found[(up.name, address)] = dict(
                zeros(bool(address)), **counts.get((up.name, address), {})
            )
    return found


def _add_means(
    counts: Dict[Tuple[str, str], Counters], before: Dict[Tuple[str, str], Counters]
) -> None:
    """The mean time in ms of what came since the look before, where something did, as `rtime`."""
    took: Dict[str, List[int]] = {}
    for (up, address), row in counts.items():
        old = before.get((up, address), {})
        came = row.get("rtime_count", 0) - old.get("rtime_count", 0)
        if address and came > 0:
            more = row["rtime_ms"] - old.get("rtime_ms", 0)
            row["rtime"] = more // came
            both = took.setdefault(up, [0, 0])
            took[up] = [both[0] + more, both[1] + came]
    for up, (more, came) in took.items():
        counts[(up, "")]["rtime"] = more // came


def _dump(entries: Dict[str, Entry], counts: Dict[Tuple[str, str], Counters]) -> bytes:
    data = {
        "schema": SCHEMA,
        "logs": {path: entry._asdict() for path, entry in entries.items()},
        "counts": [[up, address, row] for (up, address), row in sorted(counts.items())],
    }
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def _parse(
    found: Dict[str, Any],
) -> Tuple[Dict[str, Entry], Dict[Tuple[str, str], Counters]]:
    entries = {str(path): entry_of(entry) for path, entry in found["logs"].items()}
    counts = {
        (str(up), str(address)): {str(name): int(number) for name, number in row.items()}
        for up, address, row in found["counts"]
    }
    return entries, counts


def advice(problems: Dict[str, str], backends: List[str]) -> List[str]:
    """What is told of upstreams that cannot be counted, and how they could be."""
    return [
        f"upstream {name} is not counted: {problems[name]}. Errors and times at the balancer cannot"
        " be judged there, only health, processes and log of the application. To turn it on:"
        f" `{SUGGESTED}` in `http`, and `access_log /var/log/nginx/fleetops.log fleetops;` beside"
        " the other access_log"
        for name in backends
        if name in problems
    ]
