# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Speak HTTP over a TCP or Unix socket in bounded time: to a service manager and to gunicorn.

``http.client`` bounds each read, not the whole answer, so one that trickles could hang a rollout.
"""

import socket
import ssl
from typing import Callable, Dict, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact

Clock = Callable[[], float]

# More than a service manager tells of many programs, by far.
MAX_ANSWER = 8 * 1024 * 1024


class Endpoint(NamedTuple):
    """Where to send an HTTP request; ``unix`` is empty for TCP."""

    unix: str
    host: str
    port: int
    path: str
    tls: bool

    def __str__(self) -> str:
        if self.unix:
            return f"unix:{self.unix}"
        return "{}://{}:{}".format("https" if self.tls else "http", self.host, self.port)


def parse_url(url: str, path: str = "/RPC2") -> Endpoint:
    """``unix:///run/x.sock``, ``unix:/run/x.sock[:/path]``, ``http[s]://host[:port][/path]``."""
    if url.startswith("unix:"):
        rest = url[len("unix:") :]
        rest = rest[2:] if rest.startswith("//") else rest
        file, _sep, tail = rest.partition(":")
        if not file.startswith("/") or (tail and not tail.startswith("/")):
            raise FleetError(
                f"{redact(url)!r} is no URL of a Unix socket. Write unix:///run/supervisor.sock, or"
                " unix:/run/app.sock:/healthz for a page behind a socket."
            )
        return Endpoint(file, "localhost", 0, tail or path, False)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise FleetError(f"{redact(url)!r} is no usable URL: {exc}.") from exc
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise FleetError(
            f"{redact(url)!r} is no usable URL. Write unix:///run/supervisor.sock or"
            " http://127.0.0.1:9001; user and password do not belong in it."
        )
    tls = parts.scheme == "https"
    wanted = parts.path or path
    if parts.query:
        wanted = f"{wanted}?{parts.query}"
    return Endpoint("", parts.hostname, port or (443 if tls else 80), wanted, tls)


def exchange(where: Endpoint, request: bytes, timeout: float, clock: Clock) -> bytes:
    """Send a request and return everything up to the end of the answer; OSError on any trouble."""
    deadline = clock() + timeout
    if where.unix:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout)
            sock.connect(where.unix)
        except BaseException:
            sock.close()
            raise
    else:
        sock = socket.create_connection((where.host, where.port), timeout)
    try:
        if where.tls:
            # A gunicorn of this host: what matters is that it answers, not how it is called.
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            sock = context.wrap_socket(sock, server_hostname=where.host)
        sock.sendall(request)
        answer = b""
        while len(answer) < MAX_ANSWER:
            left = deadline - clock()
            if left <= 0:
                raise socket.timeout(f"no complete answer within {timeout:g} s")
            sock.settimeout(left)
            chunk = sock.recv(65536)
            if not chunk:
                break
            answer += chunk
            if complete(answer):
                break
        return answer
    finally:
        sock.close()


def complete(answer: bytes) -> bool:
    """Is this all of it? A server that keeps the connection open says how long the body is."""
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    for line in head.split(b"\r\n")[1:]:
        name, _sep, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return len(body) >= int(value)
    return False


def parse_answer(answer: bytes) -> Tuple[int, bytes]:
    """Return status (0 if this is not HTTP) and body."""
    head, _sep, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n")[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return 0, b""
    return int(words[1]), body


def request_bytes(
    method: str, where: Endpoint, body: bytes = b"", headers: Optional[Dict[str, str]] = None
) -> bytes:
    host = where.host if not where.port else f"{where.host}:{where.port}"
    ours = {
        "Host": host,
        "Connection": "close",
        "User-Agent": "fleetops.gunicorn",
        "Accept": "*/*",
    }
    given = headers or {}
    known = {name.lower() for name in given}
    lines = [f"{method} {where.path} HTTP/1.1"]
    lines += ["{}: {}".format(*item) for item in ours.items() if item[0].lower() not in known]
    lines += ["{}: {}".format(*item) for item in sorted(given.items())]
    if body:
        lines += ["Content-Type: text/xml", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines + ["", ""]).encode() + body


def get_status(
    where: Endpoint, timeout: float, clock: Clock, headers: Optional[Dict[str, str]] = None
) -> Tuple[int, str]:
    """GET a page: (status, "") or (0, why there is none)."""
    request = request_bytes("GET", where, headers=headers)
    try:
        status, _body = parse_answer(exchange(where, request, timeout, clock))
    except (OSError, ssl.SSLError) as exc:
        return 0, str(exc) or type(exc).__name__
    return status, "" if status else "the answer is not HTTP"
