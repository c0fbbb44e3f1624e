# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import socket
import threading
import time
import xmlrpc.client

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.bounded_http import (
    complete,
    get_status,
    parse_answer,
    parse_url,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.supervisord.rpc import (
    RpcFault,
    Supervisor,
    Unreachable,
)


@pytest.mark.parametrize(
    "url, unix, host, port, path",
    [
        ("unix:///run/s.sock", "/run/s.sock", "localhost", 0, "/RPC2"),
        ("unix:/run/s.sock", "/run/s.sock", "localhost", 0, "/RPC2"),
        ("unix:/run/a.sock:/healthz?x=1", "/run/a.sock", "localhost", 0, "/healthz?x=1"),
        ("http://127.0.0.1:9001", "", "127.0.0.1", 9001, "/RPC2"),
        ("http://[::1]:9001/x?y=z", "", "::1", 9001, "/x?y=z"),
        ("https://localhost", "", "localhost", 443, "/RPC2"),
    ],
)
def test_urls(url, unix, host, port, path):
    found = parse_url(url)
    assert (found.unix, found.host, found.port, found.path) == (unix, host, port, path)


@pytest.mark.parametrize(
    "url", ["", "s.sock", "unix:s.sock", "unix:/a.sock:b", "ftp://x", "http://", "http://x:y",
            "http://user:word@host"]
)  # fmt: skip
def test_bad_urls_are_refused_without_a_traceback(url):
    with pytest.raises(FleetError, match="no usable URL|no URL of a Unix socket"):
        parse_url(url)


def test_a_body_is_complete_when_its_length_says_so():
    assert not complete(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab")
    assert complete(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc")
    assert not complete(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n")
    assert not complete(b"HTTP/1.1 200 OK\r\n\r\nunknown length: until the end")


def test_answers():
    assert parse_answer(b"HTTP/1.0 204 No\r\nA: b\r\n\r\n") == (204, b"")
    assert parse_answer(b"SSH-2.0-x\r\n") == (0, b"")
    assert parse_answer(b"") == (0, b"")


class Server:
    """Answers one connection at a time with fixed chunks, each after a pause."""

    def __init__(self, chunks, pause=0.0):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(5)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.requests = []
        self._chunks, self._pause = chunks, pause
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _address = self.socket.accept()
            except OSError:
                return
            with connection:
                try:
                    self.requests.append(connection.recv(65536))
                    for chunk in self._chunks:
                        connection.sendall(chunk)
                        time.sleep(self._pause)
                except OSError:
                    pass


@pytest.fixture
def serve():
    servers = []

    def start(chunks, pause=0.0):
        servers.append(Server(chunks, pause))
        return servers[-1]

    yield start
    for server in servers:
        server.socket.close()


def rpc(value):
    body = xmlrpc.client.dumps((value,), methodresponse=True).encode()
    return b"HTTP/1.0 200 OK\r\n\r\n" + body


def fault(code):
    body = xmlrpc.client.dumps(xmlrpc.client.Fault(code, "WHY"), methodresponse=True).encode()
    return b"HTTP/1.0 200 OK\r\n\r\n" + body


def test_a_call_sends_its_parameters_and_credentials(serve):
    server = serve([rpc({"pid": 7})])
    found = Supervisor(server.url, "op", "word").process("a:b")
    assert found == {"pid": 7}
    assert b"Authorization: Basic b3A6d29yZA==\r\n" in server.requests[0]
    assert b"<string>a:b</string>" in server.requests[0]


def test_a_server_that_trickles_cannot_hold_a_call(serve):
    """Each read would be in time; the whole is not."""
    server = serve([b"HTTP/1.0 200 OK\r\n\r\n"] + [b"."] * 200, pause=0.05)
    with pytest.raises(Unreachable, match="no complete answer within 0.5 s"):
        Supervisor(server.url, timeout=0.5).pid()


@pytest.mark.parametrize(
    "answer, text",
    [
        (b"HTTP/1.0 401 No\r\n\r\n", "wants a user name and a password. Set"),
        (b"HTTP/1.0 404 No\r\n\r\n", "HTTP status 404 .* not supervisord"),
        (b"HTTP/1.0 200 OK\r\n\r\n<html>", "did not answer in XML-RPC"),
        (b"hello\r\n\r\n", "something else than HTTP"),
        (b"", "something else than HTTP"),
    ],
)
def test_what_is_wrong_with_an_answer_is_said(serve, answer, text):
    with pytest.raises(Unreachable, match=text):
        Supervisor(serve([answer]).url).pid()


def test_faults_keep_their_code(serve):
    with pytest.raises(RpcFault, match="refused supervisor.getProcessInfo.'a:b'.: WHY") as caught:
        Supervisor(serve([fault(10)]).url).process("a:b")
    assert caught.value.code == 10


def test_an_old_supervisord_tells_no_configuration(serve):
    assert Supervisor(serve([fault(1)]).url).configs() == []
    with pytest.raises(RpcFault):
        Supervisor(serve([fault(6)]).url).configs()


def test_stopping_what_is_stopped_is_no_error(serve):
    assert Supervisor(serve([fault(70)]).url).stop("a:b") is False
    assert Supervisor(serve([rpc(True)]).url).stop("a:b") is True


def test_a_start_does_not_wait_for_startsecs(serve):
    server = serve([rpc(True)])
    Supervisor(server.url).start("a:b")
    assert b"<boolean>0</boolean>" in server.requests[0]


def test_a_page_is_asked_for_by_its_status(serve):
    server = serve([b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"], pause=3)
    where = parse_url(server.url + "/healthz")
    assert get_status(where, 5, time.monotonic) == (503, "")
    assert server.requests[0].startswith(b"GET /healthz HTTP/1.1\r\n")
    server.socket.close()
    where = parse_url("http://127.0.0.1:1/")
    status, why = get_status(where, 5, time.monotonic)
    assert status == 0 and "refused" in why
