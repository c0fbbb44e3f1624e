from __future__ import annotations

import contextlib
import socketserver
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host import (
    bounded_http,
    http_request,
)

from tests.integration.service_support import run_module


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/healthz")
        elif self.path == "/host":
            known = self.headers["Host"] == "www.example.org" and self.headers["X-Proto"] == "https"
            self.send_response(200 if known and len(self.headers.get_all("Host")) == 1 else 400)
        elif self.path == "/close":
            self.connection.close()
            return
        else:
            self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def address_string(self):
        return "client"

    def log_message(self, *args):
        pass


@pytest.fixture(params=["tcp", "unix"])
def target(request, tmp_path):
    class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
        daemon_threads = True

    class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    if request.param == "tcp":
        server = Server(("127.0.0.1", 0), Handler)
        base = f"http://127.0.0.1:{server.server_address[1]}"
    else:
        server = UnixServer(str(tmp_path / "s"), Handler)
        base = f"unix:{tmp_path / 's'}:"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield base
    server.shutdown()
    server.server_close()


def ask(url):
    return http_request.ask(http_request.parse_url(url), 5, lambda: 0.0)


def test_a_good_answer(target):
    answer = ask(target + "/healthz")
    assert (answer.status, answer.body) == (200, "ok")


HOST = {"host": "www.example.org", "X-Proto": "https"}


def test_a_host_of_ones_own_is_sent_once(target):
    url = target + "/host"
    assert ask(url).status == 400
    assert http_request.ask(http_request.parse_url(url), 5, lambda: 0.0, HOST).status == 200
    where = bounded_http.parse_url(url, "/")
    assert bounded_http.get_status(where, 5, time.monotonic)[0] == 400
    assert bounded_http.get_status(where, 5, time.monotonic, HOST)[0] == 200


def test_the_module_says_which_host_was_sent_and_no_secret(target):
    asked = {"url": target + "/host", "timeout": 0.1, "consecutive": 1}
    plain = run_module("http_health", asked)
    default = "localhost" if target.startswith("unix:") else target.rpartition("/")[2]
    assert f"(Host: {default})" in plain["msg"]
    assert "HTTP status 400" in plain["msg"]
    wrong = {"Host": "other.example.org", "Authorization": "Bearer s3cr3t", "X-Proto": "https"}
    said = run_module("http_health", {**asked, "headers": wrong})
    assert "(Host: other.example.org)" in said["msg"]
    assert "s3cr3t" not in str(said)
    assert not run_module("http_health", {**asked, "headers": HOST}).get("failed")


@pytest.fixture
def tls(tmp_path):
    """A server that speaks TLS, and names the one that it was asked for."""
    key, cert = str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-days", "1"]
        + ["-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    asked = []
    context.sni_callback = lambda _sock, name, _context: asked.append(name)

    class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
        daemon_threads = True

        def finish_request(self, request, client_address):
            with contextlib.suppress(OSError), context.wrap_socket(request, server_side=True) as s:
                super().finish_request(s, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


def test_a_server_that_speaks_tls(tls):
    address, asked = tls
    target = http_request.parse_url(f"https://{address}/host")
    assert http_request.ask(target, 5, lambda: 0.0, HOST).status == 200
    assert asked == ["www.example.org"]


def test_the_wrong_scheme_is_told(tls, target):
    def error(url):
        return http_request.ask(http_request.parse_url(url), 5, lambda: 0.0, None, True).error

    assert "TLS is spoken there, so write https://" in error(f"http://{tls[0]}/")
    if target.startswith("http:"):
        assert "plain HTTP is spoken there" in error(target.replace("http:", "https:") + "/")
        assert "spoken there" not in error(target + "/close")


def test_a_redirect_is_an_answer_of_its_own(target):
    assert ask(target + "/redirect").status == 302


def test_a_connection_that_ends_is_no_answer(target):
    assert ask(target + "/close").status is None


def test_nobody_there_is_no_answer(tmp_path):
    answer = ask(f"unix:{tmp_path}/absent:/")
    assert answer.status is None
    assert "no answer" in answer.error
