# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Speak HTTP over a TCP or Unix socket in bounded time: to supervisord (XML-RPC) and to gunicorn.

``http.client`` bounds each read, not the whole answer, so one that trickles could hang a rollout.
"""

import base64
import socket
import ssl
import time
import xmlrpc.client
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact

Clock = Callable[[], float]

RPC_TIMEOUT = 10.0
# supervisord answers with a few kB per program; more than this is not supervisord.
MAX_ANSWER = 8 * 1024 * 1024

# Faults of supervisord's XML-RPC that a caller can do something about.
UNKNOWN_METHOD, SHUTDOWN_STATE, BAD_NAME = 1, 6, 10
NO_FILE, NOT_EXECUTABLE, SPAWN_ERROR, ALREADY_STARTED, NOT_RUNNING = 20, 21, 50, 60, 70


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


class RpcFault(FleetError):
    """supervisord understood the call and refused it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Unreachable(FleetError):
    """No answer could be had."""


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


class Supervisor:
    """The few calls of supervisord that a release switch needs; each ends within ``timeout``."""

    def __init__(
        self,
        url: str,
        username: Optional[str] = None,
        password: Optional[str] = None,
        timeout: float = RPC_TIMEOUT,
        clock: Clock = time.monotonic,
    ) -> None:
        self.where = parse_url(url)
        self.timeout = timeout
        self._clock = clock
        self._headers: Dict[str, str] = {}
        if username:
            token = base64.b64encode(("{}:{}".format(username, password or "")).encode())
            self._headers["Authorization"] = f"Basic {token.decode()}"

    def call(self, method: str, *params: Any) -> Any:
        body = xmlrpc.client.dumps(params, method).encode()
        request = request_bytes("POST", self.where, body, self._headers)
        try:
            status, answer = parse_answer(exchange(self.where, request, self.timeout, self._clock))
        except OSError as exc:
            raise Unreachable(explain(self.where, exc, self.timeout)) from exc
        if status == 401:
            other = " other than those given" if self._headers else ""
            raise Unreachable(
                f"supervisord at {self.where} wants a user name and a password{other}."
                " Set supervisor_username and supervisor_password."
            )
        if status != 200:
            said = f"HTTP status {status}" if status else "something else than HTTP"
            raise Unreachable(
                f"{self.where} answered {said} to an XML-RPC call: this is not supervisord,"
                " or its [rpcinterface:supervisor] section is missing."
            )
        try:
            values, _method = xmlrpc.client.loads(answer)
        except xmlrpc.client.Fault as fault:
            what = f"{method}({params[0]!r})" if params else method
            raise RpcFault(
                fault.faultCode,
                f"supervisord at {self.where} refused {what}: {fault.faultString}.",
            ) from fault
        except (ExpatError, xmlrpc.client.Error, ValueError, LookupError) as exc:
            raise Unreachable(f"{self.where} did not answer in XML-RPC ({exc}).") from exc
        return values[0] if values else None

    def pid(self) -> int:
        return int(self.call("supervisor.getPID"))

    def processes(self) -> List[Dict[str, Any]]:
        return list(self.call("supervisor.getAllProcessInfo"))

    def process(self, namespec: str) -> Dict[str, Any]:
        return dict(self.call("supervisor.getProcessInfo", namespec))

    def configs(self) -> List[Dict[str, Any]]:
        """The configuration of every program; empty from a supervisord older than 4.0."""
        try:
            return list(self.call("supervisor.getAllConfigInfo"))
        except RpcFault as fault:
            if fault.code == UNKNOWN_METHOD:
                return []
            raise

    def start(self, namespec: str) -> None:
        """Start it and return at once: supervisord's own wait lasts startsecs."""
        self.call("supervisor.startProcess", namespec, False)

    def stop(self, namespec: str) -> bool:
        """Ask for the stop and return at once; False if there was nothing to stop."""
        try:
            self.call("supervisor.stopProcess", namespec, False)
        except RpcFault as fault:
            if fault.code == NOT_RUNNING:
                return False
            raise
        return True

    def log_size(self, namespec: str, channel: str) -> int:
        try:
            return int(self.call(f"supervisor.tailProcess{channel}Log", namespec, 0, 1)[1])
        except FleetError:
            return 0

    def log_since(self, namespec: str, channel: str, offset: int, limit: int) -> str:
        """The end of the program's log, nothing from before ``offset``; "" if there is no log."""
        end = self.log_size(namespec, channel)
        begin = max(offset if offset <= end else 0, end - limit)
        if end <= begin:
            return ""
        try:
            return str(
                self.call(f"supervisor.readProcess{channel}Log", namespec, begin, end - begin)
            )
        except FleetError:
            return ""


def explain(where: Endpoint, exc: OSError, timeout: float) -> str:
    asked = f"supervisord was asked at {where}"
    if isinstance(exc, socket.timeout):
        return (
            f"{asked} and gave no complete answer within {timeout:g} s: it hangs, or the machine"
            " is overloaded. Look at its own log."
        )
    if isinstance(exc, FileNotFoundError):
        return (
            f"{asked}, but there is no such socket. Is supervisord running, and is this the file="
            " of its [unix_http_server]? Set supervisor_url."
        )
    if isinstance(exc, ConnectionRefusedError):
        stale = " (the socket is a left-over)" if where.unix else ""
        return (
            f"{asked}, but nobody listens there{stale}. Start supervisord, or set supervisor_url."
        )
    if isinstance(exc, PermissionError):
        return (
            f"{asked}, but this user may not connect. Become root, or the owner that chown= and"
            " chmod= of its [unix_http_server] name."
        )
    return f"{asked}: {exc}."
