# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One question and its answer over a runtime socket: always an answer or an error, in time."""

import errno
import os
import re
import socket
import stat
import time
from typing import Callable, NamedTuple, Sequence, Tuple, Union

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError

# A whole `show stat` of 5000 servers has 2 MB; what sends more is not HAProxy.
_LIMIT = 64 * 1024 * 1024


class Unreachable(FleetError):
    """No answer this time. During a reload it can pass; otherwise somebody must look."""


class NotStats(FleetError):
    """HAProxy answered, on a socket that is for something else. Asking again does not help."""


class Address(NamedTuple):
    family: int
    where: Union[str, Tuple[str, int]]
    text: str

    @property
    def local(self) -> bool:
        return self.family == socket.AF_UNIX


def parse_address(text: str) -> Address:
    """`/path`, `unix:///path` or `tcp://host:port`."""
    tcp = re.match(r"^tcp://(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/\s]+)):(\d{1,5})/?\Z", text)
    if tcp and 0 < int(tcp.group(3)) < 65536:
        return Address(socket.AF_INET, (tcp.group(1) or tcp.group(2), int(tcp.group(3))), text)
    path = text[len("unix://") :] if text.startswith("unix://") else text
    if path.startswith("/"):
        return Address(socket.AF_UNIX, path, text)
    raise FleetError(
        f"socket is {text!r}. Give the path of HAProxy's `stats socket` (/run/haproxy/admin.sock)"
        " or tcp://host:port."
    )


def ask(
    address: Address,
    commands: Sequence[str],
    timeout: float,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Send the commands in one connection and read until HAProxy closes it."""
    deadline = clock() + timeout
    request = "; ".join(commands)
    asked = (
        f"Asked HAProxy's socket {address.text}:"
        f" {request if len(request) < 80 else request[:77] + '...'}."
    )
    connected = False
    chunks = []
    try:
        with _connect(address, timeout) as link:
            connected = True
            link.settimeout(_left(deadline, clock))
            link.sendall(request.encode("ascii") + b"\n")
            size = 0
            while True:
                link.settimeout(_left(deadline, clock))
                chunk = link.recv(65536)
                if not chunk:
                    break
                chunks.append(chunk)
                size += len(chunk)
                if size > _LIMIT:
                    raise Unreachable(f"{asked} The answer never ends. Is this HAProxy?")
    except OSError as exc:
        if is_master(b"".join(chunks)):
            raise NotStats(
                f"{asked} This is the master's socket (`-S`), which knows the processes and no"
                " server. Set the path of a `stats socket` of HAProxy's configuration instead, such"
                " as /run/haproxy/admin.sock (`stats socket <path> level admin`)."
            ) from None
        raise Unreachable(f"{asked} {_explain(exc, address, connected, timeout)}") from None
    if not chunks:
        raise Unreachable(
            f"{asked} It closed the connection without an answer. Either this is not HAProxy, or"
            " HAProxy is just stopping: look at its log."
        )
    return b"".join(chunks).decode("utf-8", "replace")


def is_master(answer: bytes) -> bool:
    """Whether it comes from the master process: it lists `show proc`, which no worker knows, and
    leaves the connection open."""
    return b"  show proc " in answer or b"#<PID>" in answer


def _connect(address: Address, timeout: float) -> socket.socket:
    if not address.local:
        return socket.create_connection(address.where, timeout)  # type: ignore[arg-type]
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        link.settimeout(timeout)
        link.connect(address.where)
    except BaseException:
        link.close()
        raise
    return link


def _left(deadline: float, clock: Callable[[], float]) -> float:
    # A peer that sends one byte a second must not stretch the whole.
    left = deadline - clock()
    if left <= 0:
        raise socket.timeout()
    return left


def _explain(exc: OSError, address: Address, connected: bool, timeout: float) -> str:
    """What the system's word means here, and what to do next."""
    if exc.errno == errno.EAGAIN:
        return (
            "It is wedged: its queue of waiting connections is full and nobody accepts them. Is"
            " HAProxy stopped (SIGSTOP) or overloaded? Look at its process."
        )
    if isinstance(exc, socket.timeout) or exc.errno == errno.ETIMEDOUT:
        if connected or address.local:
            return (
                "It is wedged: it accepts connections and gave no complete answer within"
                f" {timeout:g} s. Is HAProxy stopped (SIGSTOP) or overloaded? Look at its process,"
                " or raise socket_timeout."
            )
        return f"Nothing accepted the connection within {timeout:g} s: look for a firewall."
    if isinstance(exc, socket.gaierror):
        return "That host name does not resolve."
    if exc.errno == errno.ENOENT:
        return (
            "There is no such socket. Is HAProxy running here, and does its configuration have"
            f" `stats socket {address.where} level admin`?"
        )
    if exc.errno in (errno.EACCES, errno.EPERM):
        return (
            f"The operating system denied access to it (uid {os.getuid()}). Become root, or join"
            " the group that owns the socket."
        )
    if exc.errno == errno.ECONNREFUSED:
        if address.local and not _is_socket(str(address.where)):
            return "That file is not a socket. Set the path of HAProxy's `stats socket`."
        return "Nobody listens there: refused. HAProxy is not running, or listens elsewhere."
    if exc.errno is None and "too long" in str(exc):
        return "The path is too long for a socket (107 bytes at most). Use a shorter one."
    found = exc.strerror or str(exc)
    return f"{found}. Is this HAProxy's `stats socket`, and is HAProxy running?"


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
