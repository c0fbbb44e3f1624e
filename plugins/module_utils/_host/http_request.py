# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One HTTP request that is never repeated: no proxy, no redirect, no retry."""

import socket
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Callable, Mapping, NamedTuple, Optional
from urllib.parse import urlsplit

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.health import (
    Answer,
    sent_host,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact

BODY_LIMIT = 64 * 1024


class Target(NamedTuple):
    """Whom to ask, and for what."""

    scheme: str
    """``http``, ``https`` or ``unix``."""
    host: str
    port: int
    socket: str
    path: str


def parse_url(url: str) -> Target:
    """Read ``http(s)://host:port/path`` or ``unix:/run/app.sock:/path``."""
    if url.startswith("unix:"):
        path, colon, rest = url[len("unix:") :].partition(":")
        if not path.startswith("/") or (colon and not rest.startswith("/")):
            raise FleetError(_bad_url(url))
        return Target("unix", "localhost", 0, path, rest or "/")
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise FleetError(_bad_url(url)) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FleetError(_bad_url(url))
    path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    default = 443 if parts.scheme == "https" else 80
    return Target(parts.scheme, parts.hostname, port or default, "", path)


def _bad_url(url: str) -> str:
    return (
        f"The URL is {redact(url)!r}: give http://host:port/path, https://host:port/path"
        " or unix:/path/of.sock:/path."
    )


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        HTTPConnection.__init__(self, "localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _TlsConnection(HTTPSConnection):
    """Tells the server the name that the Host header says, as a client of the site would."""

    def __init__(self, target: Target, timeout: float, name: str) -> None:
        self._trusting = trusting()
        HTTPSConnection.__init__(
            self, target.host, target.port, timeout=timeout, context=self._trusting
        )
        self._name = name

    def connect(self) -> None:
        HTTPConnection.connect(self)
        self.sock = self._trusting.wrap_socket(self.sock, server_hostname=self._name)


def trusting() -> ssl.SSLContext:
    """The host asks itself, by an address that no certificate names."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def host_name(host: str) -> str:
    """A Host header without its port."""
    return host if host.endswith("]") or ":" not in host else host.rpartition(":")[0]


def default_host(target: Target) -> str:
    """The Host that is sent if no header says another."""
    name = f"[{target.host}]" if ":" in target.host else target.host
    plain = target.port in (0, 443 if target.scheme == "https" else 80)
    return name if plain else f"{name}:{target.port}"


def _connection(target: Target, timeout: float, name: str) -> HTTPConnection:
    if target.scheme == "unix":
        return _UnixConnection(target.socket, timeout)
    if target.scheme == "https":
        return _TlsConnection(target, timeout, name)
    return HTTPConnection(target.host, target.port, timeout=timeout)


def ask(
    target: Target,
    timeout: float,
    clock: Callable[[], float],
    headers: Optional[Mapping[str, str]] = None,
    hint: bool = False,
) -> Answer:
    """Send one GET and return what came back; a failure is an answer too, never an exception.

    With ``hint``, one that no answer came to says whether the scheme is the wrong one.
    """
    start = clock()
    given = dict(headers or {})
    name = host_name(sent_host(given, target.host)).strip("[]")
    connection = _connection(target, timeout, name)
    try:
        ours = {"User-Agent": "fleetops.gunicorn", "Connection": "close"}
        known = {key.lower() for key in given}
        given.update((key, value) for key, value in ours.items() if key.lower() not in known)
        connection.request("GET", target.path, headers=given)
        response = connection.getresponse()
        body = response.read(BODY_LIMIT).decode("utf-8", "replace")
        location = redact(response.getheader("Location") or "")[:300]
        return Answer(response.status, body, "", clock() - start, location)
    except (OSError, HTTPException, ValueError) as exc:
        reason = str(exc) or type(exc).__name__
        other = _other_scheme(target, exc, timeout) if hint else ""
        return Answer(None, "", f"no answer ({reason}){other}", clock() - start)
    finally:
        connection.close()


def _other_scheme(target: Target, exc: Exception, timeout: float) -> str:
    """Does the server speak the other one of http and https?"""
    if target.scheme == "https":
        plain = isinstance(exc, ssl.SSLError) and _plain(target, timeout)
        return ": plain HTTP is spoken there, so write http:// in the URL" if plain else ""
    ended = isinstance(exc, (HTTPException, ConnectionResetError))
    if target.scheme != "http" or not ended:
        return ""
    try:
        sock = socket.create_connection((target.host, target.port), timeout)
        with sock, trusting().wrap_socket(sock, server_hostname=target.host):
            return ": TLS is spoken there, so write https:// in the URL"
    except (OSError, ValueError):
        return ""


def _plain(target: Target, timeout: float) -> bool:
    try:
        with socket.create_connection((target.host, target.port), timeout) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return sock.recv(5) == b"HTTP/"
    except OSError:
        return False
