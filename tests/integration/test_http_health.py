from __future__ import annotations

import socketserver
import threading
from http.server import BaseHTTPRequestHandler

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils import _http


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/healthz")
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
    return _http.ask(_http.parse_url(url), 5, lambda: 0.0)


def test_a_good_answer(target):
    answer = ask(target + "/healthz")
    assert (answer.status, answer.body) == (200, "ok")


def test_a_redirect_is_an_answer_of_its_own(target):
    assert ask(target + "/redirect").status == 302


def test_a_connection_that_ends_is_no_answer(target):
    assert ask(target + "/close").status is None


def test_nobody_there_is_no_answer(tmp_path):
    answer = ask(f"unix:{tmp_path}/absent:/")
    assert answer.status is None
    assert "no answer" in answer.error
