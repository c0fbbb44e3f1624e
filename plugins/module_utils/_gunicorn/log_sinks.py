# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a running gunicorn's words go: what it and its workers have open for writing.

Configuration may be code; what the kernel says of open files is what is. Files are read only if
nobody can write them who could not change the application anyway.
"""

import os
import re
from typing import Callable, Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    Process,
    Reader,
    read_inodes,
    shown,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.reader import (
    DATED,
    NUMBERED,
)

MAX_FILES = 16
MAX_FDS = 2048
MAX_WORKERS = 64
# Beyond this it would hold up every look; an operator may name it in gate_log_paths all the same.
MAX_SIZE = 4 << 30
OUTPUTS = {1: "standard output", 2: "standard error"}
_DELETED = " (deleted)"
# How a worker tells its arbiter that it is alive.
WORKER_TMP = re.compile(r"/wgunicorn-[^/]+$")
_PIPE = re.compile(r"^pipe:\[(\d+)\]$")
_SOCKET = re.compile(r"^socket:\[(\d+)\]$")


class Open(NamedTuple):
    """One descriptor that is open for writing."""

    number: int
    target: str
    append: bool
    # It cannot be read through the same descriptor.
    write_only: bool


class Sink(NamedTuple):
    """Where words may go. ``why`` says why it is not read; empty if it is."""

    kind: str
    path: str
    to: str
    of: str
    why: str


def read_open(reader: Reader, pid: int) -> List[Open]:
    """What the process has open for writing, as far as that may be a log."""
    found = []
    for name in sorted(reader.names(f"/proc/{pid}/fd"), key=_number)[:MAX_FDS]:
        target = reader.link(f"/proc/{pid}/fd/{name}") or ""
        number = _number(name)
        if not target.startswith("/") and number not in OUTPUTS:
            continue
        match = re.search(
            r"^flags:\s*([0-7]+)", reader.text(f"/proc/{pid}/fdinfo/{name}", 4096), re.M
        )
        flags = int(match.group(1), 8) if match else 0
        mode = flags & os.O_ACCMODE
        if mode != os.O_RDONLY:
            found.append(Open(number, target, bool(flags & os.O_APPEND), mode == os.O_WRONLY))
    return found


def _number(name: str) -> int:
    return int(name) if name.isdigit() else -1


def find_sinks(
    reader: Reader,
    arbiter: Process,
    workers: List[Process],
    tree: List[Process],
    supervisor_pid: int,
    uids: FrozenSet[int],
    access: str = "",
    tells: Callable[[str, Process], bool] = lambda _path, _worker: False,
    stream: Callable[[int], Tuple[str, str]] = lambda _number: ("", ""),
) -> List[Sink]:
    """Everything that this gunicorn writes to, the arbiter's first; at most `MAX_FILES` are read.

    ``access`` is its access log, which tells of requests only; ``uids`` may write what is believed;
    ``tells`` says whether a file holds lines that gunicorn wrote in this worker; ``stream`` is the
    service manager's word of its standard output and error, if they are sockets.
    """
    found: Dict[str, Sink] = {}
    outputs: Dict[str, List[int]] = {}
    mine = read_open(reader, arbiter.pid)
    for each in mine:
        if each.number in OUTPUTS and not _is_file(each.target):
            outputs.setdefault(each.target, []).append(each.number)
        _add_file(found, reader, each, "arbiter", arbiter.pid, uids, access)
    for worker in workers[:MAX_WORKERS]:
        for each in read_open(reader, worker.pid):
            # A file that a request writes, an upload or a report, is no log.
            if each.append:
                path = _add_file(found, reader, each, "worker", worker.pid, uids, access)
                # What the application keeps may hold what clients say: it is no log of gunicorn's.
                if path and not found[path].why and not tells(path, worker):
                    why = "only workers have it open, and nothing in it is gunicorn's"
                    found[path] = found[path]._replace(why=why)
    others = [
        _output(reader, target, numbers, arbiter, tree, supervisor_pid, stream)
        for target, numbers in outputs.items()
    ]
    return _bounded(found.values()) + others + _datagrams(reader, arbiter.pid)


def log_files(sinks: Iterable[Sink]) -> List[str]:
    return [sink.path for sink in sinks if sink.kind == "file" and not sink.why]


def reports(sinks: Iterable[Sink]) -> List[Dict[str, str]]:
    return [dict(sink._asdict()) for sink in sinks]


def _is_file(target: str) -> bool:
    return target.startswith("/") and not target.startswith(("/dev/", "/proc/", "/memfd:"))


def _add_file(
    found: Dict[str, Sink],
    reader: Reader,
    each: Open,
    of: str,
    pid: int,
    uids: FrozenSet[int],
    access: str,
) -> str:
    """Note a file under its name, which is returned; empty if it is none, or noted already."""
    target = each.target
    deleted = target.endswith(_DELETED)
    path = target[: -len(_DELETED)] if deleted else target
    # What is open for reading as well, and not appended to, is a database rather than a log.
    writes = each.append or each.write_only or each.number in OUTPUTS
    if not _is_file(target) or not writes or WORKER_TMP.search(path) or path in found:
        return ""
    if deleted and of == "worker":
        # An anonymous file of the application.
        return ""
    if deleted:
        why = "it was deleted, and goes on growing where nobody can read it"
    elif any(ord(char) < 32 for char in path):
        why = "its name is not printable"
    elif access and path == access:
        why = "it is the access log"
    else:
        why = reader.why_no_log(path, f"/proc/{pid}/fd/{each.number}", uids, MAX_SIZE)
    base = _before_rotation(path)
    if not why and base and not reader.why_no_log(base, "", uids, MAX_SIZE):
        # A log is read with what was rotated, and this name will still be there tomorrow.
        path = base
    if path in found:
        return ""
    shown_path = "".join(char if char.isprintable() else "?" for char in path)[:300]
    found[path] = Sink("file", path if not why else shown_path, "", of, why)
    return path


def _before_rotation(path: str) -> str:
    """What a rotated file was called; empty if it is none."""
    for pattern in (NUMBERED, DATED):
        match = pattern.search(path)
        if match:
            return path[: match.start()]
    return ""


def _bounded(sinks: Iterable[Sink]) -> List[Sink]:
    kept: List[Sink] = []
    read = 0
    for sink in sinks:
        if not sink.why:
            read += 1
            if read > MAX_FILES:
                sink = sink._replace(why=f"there are more than {MAX_FILES} of them")
        kept.append(sink)
    return kept[: 2 * MAX_FILES]


def _output(
    reader: Reader,
    target: str,
    numbers: List[int],
    arbiter: Process,
    tree: List[Process],
    supervisor_pid: int,
    stream: Callable[[int], Tuple[str, str]],
) -> Sink:
    names = " and ".join(OUTPUTS[number] for number in sorted(numbers))
    pipe, socket = _PIPE.match(target), _SOCKET.match(target)
    if pipe:
        if target in _targets(reader, supervisor_pid):
            return Sink("pipe", "", f"{names}: supervisord ({supervisor_pid})", "arbiter", "")
        for each in tree:
            if (
                each.pid != arbiter.pid
                and each.ppid != arbiter.pid
                and _reads(reader, each, target)
            ):
                words = " ".join(shown(each.cmdline))[:200]
                files = [one.target for one in read_open(reader, each.pid) if _is_file(one.target)]
                writes = f", which writes {', '.join(files[:3])}" if files else ""
                return Sink(
                    "pipe",
                    "",
                    f"{names}: process {each.pid} ({words}){writes}",
                    "arbiter",
                    "what that does with it is not known",
                )
        why = "who reads it is not known"
        return Sink("pipe", "", f"{names}: a pipe", "arbiter", why)
    if socket:
        name, unread = next((each for each in map(stream, numbers) if any(each)), ("", ""))
        if name or unread:
            return Sink("journal", name, f"{names}: the journal", "arbiter", unread)
        why = "what a socket leads to cannot be read here"
        return Sink("socket", "", f"{names}: a socket, perhaps the journal", "arbiter", why)
    return Sink("device", "", f"{names}: {target[:100]}", "arbiter", "it is no file")


def _targets(reader: Reader, pid: int) -> Set[str]:
    names = reader.names(f"/proc/{pid}/fd")[: 16 * MAX_FDS]
    return {reader.link(f"/proc/{pid}/fd/{name}") or "" for name in names}


def _reads(reader: Reader, process: Process, target: str) -> bool:
    """Has it the other end? Who only inherited ours has the same pipe open for writing."""
    for name in reader.names(f"/proc/{process.pid}/fd")[:MAX_FDS]:
        if reader.link(f"/proc/{process.pid}/fd/{name}") == target:
            text = reader.text(f"/proc/{process.pid}/fdinfo/{name}", 4096)
            match = re.search(r"^flags:\s*([0-7]+)", text, re.M)
            if match and int(match.group(1), 8) & os.O_ACCMODE == os.O_RDONLY:
                return True
    return False


def _datagrams(reader: Reader, pid: int) -> List[Sink]:
    """Sockets by which words leave without an answer: syslog, or counters."""
    inodes = read_inodes(reader, pid)
    if not inodes:
        return []
    why = "what a socket leads to cannot be read here"
    found = []
    for line in reader.text(f"/proc/{pid}/net/unix", 1 << 24).splitlines()[1:]:
        fields = line.split(None, 7)
        if len(fields) >= 7 and fields[4] == "0002" and _inode(fields[6]) in inodes:
            to = "a Unix datagram socket, perhaps syslog or the journal"
            found.append(Sink("socket", "", to, "arbiter", why))
    for name in ("udp", "udp6"):
        for line in reader.text(f"/proc/{pid}/net/{name}", 1 << 22).splitlines()[1:]:
            fields = line.split()
            if len(fields) >= 10 and _inode(fields[9]) in inodes:
                port = _hex(fields[2].rpartition(":")[2])
                what = {514: "syslog", 8125: "statsd"}.get(port or 0, "unknown")
                to = f"UDP port {port} ({what})" if port else "a UDP socket, perhaps syslog"
                found.append(Sink("socket", "", to, "arbiter", why))
    return list(dict.fromkeys(found))[:8]


def _inode(text: str) -> int:
    return int(text) if text.isdigit() else -1


def _hex(text: str) -> Optional[int]:
    try:
        return int(text, 16)
    except ValueError:
        return None
