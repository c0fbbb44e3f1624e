# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real nginx before real servers, all on loopback, with files and processes of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
from balancer_support import App, Run, free_port, until

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
if not NGINX and os.environ.get("CI") == "true":
    raise RuntimeError("No nginx: install it (apt-get install nginx-light).")
needs_nginx = pytest.mark.skipif(not NGINX, reason="no nginx here: apt-get install nginx-light")

FORMAT = (
    "log_format fleetops '$time_iso8601 $proxy_host $status $upstream_addr $upstream_status"
    ' $upstream_connect_time $upstream_header_time $upstream_response_time "$request"\';'
)
MAIN = """
{user}
daemon off;
worker_processes 2;
pid {root}/nginx.pid;
error_log {root}/error.log notice;
events {{ worker_connections 512; }}
http {{
  client_body_temp_path {root}/temp/body;
  proxy_temp_path {root}/temp/proxy;
  fastcgi_temp_path {root}/temp/fastcgi;
  uwsgi_temp_path {root}/temp/uwsgi;
  scgi_temp_path {root}/temp/scgi;
  {format}
  access_log {root}/access.log {log};
  include sites/*;
}}
"""
SITE = """# {name}: nobody's business
upstream {name} {{
  {top}
{servers}
}}
server {{
  listen 127.0.0.1:{port};
  location / {{
    proxy_pass http://{name};
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $http_connection;
    proxy_read_timeout 60s;
    {location}
  }}
}}
"""


class Nginx:
    """An nginx that reads `sites/*`, links to files in `available`, as Debian does it."""

    def __init__(self, root: Path, log: str = "fleetops") -> None:
        self.root = root
        for name in ("temp", "sites", "available"):
            (root / name).mkdir()
        self.conf = root / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        self.conf.write_text(MAIN.format(root=root, user=user, format=FORMAT, log=log))
        self.ports: dict[str, int] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def site(
        self, name: str, *servers: str, top: str = "", location: str = "", write: bool = True
    ) -> Path:
        """An upstream and a server that passes to it. Returns the real file."""
        port = self.ports.setdefault(name, free_port())
        text = SITE.format(
            name=name,
            top=top,
            servers="\n".join(f"  server {each};" for each in servers),
            port=port,
            location=location,
        )
        path = self.root / "available" / name
        if write:
            path.write_text(text)
        link = self.root / "sites" / name
        if not link.exists():
            link.symlink_to(path)
        return path

    def start(self) -> Nginx:
        assert NGINX
        self.process = subprocess.Popen(
            [NGINX, "-c", str(self.conf), "-p", str(self.root)], start_new_session=True
        )

        def answers() -> bool:
            assert self.process and self.process.poll() is None, self.errors()
            with suppress(OSError):
                for port in self.ports.values():
                    socket.create_connection(("127.0.0.1", port), 1).close()
                return len(self.workers()) == 2
            return False

        until(answers, "nginx starts")
        return self

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)

    def errors(self) -> str:
        path = self.root / "error.log"
        return path.read_text() if path.exists() else ""

    def workers(self) -> set[int]:
        """Those that serve."""
        assert self.process
        found = set()
        for name in Path("/proc").iterdir():
            with suppress(OSError, ValueError, IndexError):
                parent = int((name / "stat").read_text().rpartition(")")[2].split()[1])
                title = (name / "cmdline").read_bytes().decode().strip("\0 ")
                if parent == self.process.pid and title == "nginx: worker process":
                    found.add(int(name.name))
        return found

    def reload(self) -> None:
        assert self.process
        before = self.workers()
        os.kill(self.process.pid, signal.SIGHUP)

        def renewed() -> bool:
            now = self.workers()
            return len(now) == 2 and not now & before

        until(renewed, "nginx reloads")

    def reach(self, leases: Path) -> dict[str, Any]:
        return {
            "conf": str(self.conf),
            "probe": "/",
            "probe_timeout": 2,
            "reload_timeout": 10,
            "lease_directory": str(leases),
        }


@contextmanager
def apps(*names: str) -> Iterator[list[App]]:
    found = [App(name) for name in names]
    try:
        yield found
    finally:
        for app in found:
            app.let_go.set()
            with suppress(OSError):
                app.stop()


class Bed:
    """nginx, web1 and web2 behind upstream `app`, and the modules."""

    def __init__(self, root: Path, servers: list[App]) -> None:
        self.web1, self.web2 = servers
        self.leases = root / "leases"
        self.nginx = Nginx(root)
        self.at1, self.at2 = (f"127.0.0.1:{each.port}" for each in servers)

    def begin(self, state: str = "drained", **more: Any) -> Run:
        args: dict[str, Any] = {
            "backends": ["app"],
            "server": self.at1,
            "state": state,
            "drain_timeout": 20,
            "up_timeout": 10,
            **self.nginx.reach(self.leases),
            **more,
        }
        return Run("nginx_server", **args)

    def do(self, state: str = "drained", **more: Any) -> dict[str, Any]:
        result = self.begin(state, **more).result()
        assert not result.get("failed"), result.get("msg")
        return result

    def refused(self, state: str = "drained", **more: Any) -> str:
        result = self.begin(state, **more).result()
        assert result.get("failed"), result
        return str(result["msg"])

    def info(self, **more: Any) -> dict[str, Any]:
        args = {"backends": ["app"], "server": self.at1, **self.nginx.reach(self.leases), **more}
        result = Run("nginx_server_info", **args).result()
        assert not result.get("failed"), result.get("msg")
        return result

    def status(self, **more: Any) -> str:
        return str(self.info(**more)["servers"][0]["status"])


class Load:
    """Requests without a retry, one after the other in some threads; what went wrong is kept."""

    def __init__(
        self, port: int, keep: bool = False, path: str = "/work", threads: int = 4, rest: float = 0
    ) -> None:
        self.sent = 0
        self.lost: list[str] = []
        self.by: dict[str, int] = {}
        self._port, self._path, self._keep, self._rest = port, path, keep, rest
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, daemon=True) for _turn in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        link: HTTPConnection | None = None
        while not self._over.is_set():
            fresh = link is None
            link = link or HTTPConnection("127.0.0.1", self._port, timeout=30)
            try:
                link.request("GET", self._path)
                answer = link.getresponse()
                body = answer.read().decode()
                text = "" if answer.status == 200 else f"{answer.status} {body[:80]}"
                closing = answer.getheader("Connection", "") == "close"
            except (OSError, HTTPException) as exc:
                text, body, closing = repr(exc), "", True
                if not fresh and isinstance(exc, (HTTPException, ConnectionError)):
                    # nginx closed an idle connection: every client has to be ready for that.
                    link.close()
                    link = None
                    continue
            with self._lock:
                self.sent += 1
                self.by[body] = self.by.get(body, 0) + 1
                if text:
                    self.lost.append(f"{time.time():.3f} {text}")
            if closing or not self._keep:
                link.close()
                link = None
            time.sleep(self._rest or 0.002)

    def end(self) -> Load:
        self._over.set()
        for thread in self._threads:
            thread.join(40)
        return self

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *args: object) -> None:
        self.end()
