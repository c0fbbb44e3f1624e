# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One number from a Prometheus or a page of JSON; a server that answers in every wrong way."""

import http.server
import threading
import time

import pytest
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.metric import (
    MAX_ANSWER,
    Unanswered,
    ask,
    get_json,
    pick,
)

QUESTION = {
    "name": "errors",
    "who": "",
    "kind": "prometheus",
    "url": "http://prometheus/",
    "query": "errors",
    "path": "",
    "at": 0.0,
    "headers": {},
    "timeout": 5.0,
}


def vector(*values):
    return {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"value": [50.5, each]} for each in values]},
    }


def asked(answer, **more):
    def get(url, headers, timeout):
        if isinstance(answer, Exception):
            raise answer
        return vector("42") if "timestamp" in url else answer

    return ask(dict(QUESTION, **more), get, lambda: 7.0)


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        (vector("0.5"), "value", ""),
        (vector("NaN"), "value", ""),
        (vector(), "empty", "no series"),
        (vector("1", "2"), "several", "2 series"),
        ({"status": "error", "error": "parse error"}, "error", "parse error"),
        ({"status": "success", "data": {"resultType": "matrix", "result": []}}, "error", "matrix"),
        ({"status": "success"}, "error", "not one of Prometheus's"),
        ([], "error", "not one of Prometheus's"),
        ("x", "error", "not one of Prometheus's"),
        (None, "error", "not one of Prometheus's"),
        (Unanswered("HTTP 503"), "error", "HTTP 503"),
    ],
)
def test_prometheus(answer, state, words):
    told = asked(answer)
    assert told["state"] == state
    assert words in told["error"]


def test_a_value_is_of_the_moment_of_its_sample():
    told = asked(vector("0.5"))
    assert (told["value"], told["at"]) == ("0.5", 42.0)


@pytest.mark.parametrize(
    ("page", "state"),
    [
        ({"a": [{"b": 3}]}, "value"),
        ({"a": [{"b": "3"}]}, "value"),
        ({"a": [{"b": True}]}, "several"),
        ({"a": [{"b": None}]}, "empty"),
        ({"a": [{"b": {}}]}, "several"),
        ({"a": {}}, "empty"),
        ([], "empty"),
        ({"a": [{"b": "many"}]}, "several"),
    ],
)
def test_json(page, state):
    told = asked(page, kind="http_json", path="a.0.b")
    assert told["state"] == state
    if state == "value":
        assert (float(told["value"]), told["at"]) == (3.0, 7.0)


def test_a_path_names_members_and_elements():
    assert pick({"a": [1, 2]}, "a.1") == 2
    assert pick({"a": [1, 2]}, "a.2") is None
    assert pick({"a": [1, 2]}, "a.-1") is None


@pytest.fixture
def site():
    heard = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            heard.append((self.path, self.headers.get("Authorization")))
            if self.path == "/away":
                self.send_response(302)
                self.send_header("Location", "/ok")
                self.end_headers()
                return
            if self.path == "/head":
                try:
                    self.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
                    for _each in range(40):
                        self.wfile.write(b"x")
                        time.sleep(0.1)
                except OSError:
                    pass
                return
            if self.path == "/bad":
                self.wfile.write(b"nonsense\r\n\r\n")
                return
            status = int(self.path[1:]) if self.path[1:].isdigit() else 200
            self.send_response(status)
            self.end_headers()
            try:
                if self.path == "/ok":
                    self.wfile.write(b'{"a": 1}')
                elif self.path == "/long":
                    self.wfile.write(b" " * (MAX_ANSWER + 2))
                elif self.path == "/slow":
                    for _each in range(40):
                        self.wfile.write(b" ")
                        time.sleep(0.1)
                elif self.path == "/400":
                    self.wfile.write(b'{"status": "error", "error": "parse error"}')
                else:
                    self.wfile.write(b"<html>")
            except OSError:
                pass

        def log_message(self, *_args):
            pass

    class Server(http.server.HTTPServer):
        # Not ThreadingHTTPServer, which Python 3.6 does not have.
        allow_reuse_address = True

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", heard
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("/503", "HTTP 503"),
        ("/404", "HTTP 404"),
        ("/400", "HTTP 400: parse error"),
        ("/html", "not JSON"),
        ("/long", "longer than"),
        ("/slow", "no complete answer within"),
        ("/head", "no complete answer within"),
        ("/bad", "nonsense"),
        ("/away", "HTTP 302"),
    ],
)
def test_a_page_that_is_no_answer(site, page, words):
    url, heard = site
    begun = time.monotonic()
    with pytest.raises(Unanswered, match=words):
        get_json(url + page, {"Authorization": "Bearer x"}, 1.0)
    assert time.monotonic() - begun < 3
    # No redirect is followed.
    assert heard == [(page, "Bearer x")]


def test_a_page_that_is_one(site):
    assert get_json(site[0] + "/ok", {}, 5.0) == {"a": 1}


def test_nobody_listens():
    with pytest.raises(Unanswered, match="refused"):
        get_json("http://127.0.0.1:1/", {}, 1.0)
