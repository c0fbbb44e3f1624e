# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask supervisord by XML-RPC, in bounded time."""

import base64
import socket
import time
import xmlrpc.client
from typing import Any, Dict, List, Optional
from xml.parsers.expat import ExpatError

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.bounded_http import (
    Clock,
    Endpoint,
    exchange,
    parse_answer,
    parse_url,
    request_bytes,
)

RPC_TIMEOUT = 10.0

# Faults of supervisord's XML-RPC that a caller can do something about.
UNKNOWN_METHOD, SHUTDOWN_STATE, BAD_NAME = 1, 6, 10
NO_FILE, NOT_EXECUTABLE, SPAWN_ERROR, ALREADY_STARTED, NOT_RUNNING = 20, 21, 50, 60, 70


class RpcFault(FleetError):
    """supervisord understood the call and refused it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Unreachable(FleetError):
    """No answer could be had."""


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
