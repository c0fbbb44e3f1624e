# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One HTTP request that is never repeated: no proxy, no redirect, no retry."""

import socket
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Callable, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._health import Answer
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


def _connection(target: Target, timeout: float) -> HTTPConnection:
    if target.scheme == "unix":
        return _UnixConnection(target.socket, timeout)
    if target.scheme == "https":
        # The host asks itself, by an address that no certificate names.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return HTTPSConnection(target.host, target.port, timeout=timeout, context=context)
    return HTTPConnection(target.host, target.port, timeout=timeout)


def ask(target: Target, timeout: float, clock: Callable[[], float]) -> Answer:
    """Send one GET and return what came back; a failure is an answer too, never an exception."""
    start = clock()
    connection = _connection(target, timeout)
    try:
        headers = {"Connection": "close", "User-Agent": "fleetops.gunicorn"}
        connection.request("GET", target.path, headers=headers)
        response = connection.getresponse()
        body = response.read(BODY_LIMIT).decode("utf-8", "replace")
        return Answer(response.status, body, "", clock() - start)
    except (OSError, HTTPException) as exc:
        reason = str(exc) or type(exc).__name__
        return Answer(None, "", f"no answer ({reason})", clock() - start)
    finally:
        connection.close()
