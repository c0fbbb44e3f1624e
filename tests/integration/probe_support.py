# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real HAProxy as somebody else's balancer: it asks a health page, and nobody talks to it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from balancer_support import App, Haproxy, Run, free_port

BACKEND = """
backend app
  balance roundrobin
  option httpchk GET /
  option http-server-close
  retries 0
  default-server check inter {inter}ms fastinter {inter}ms downinter {inter}ms fall 3 rise 2
{servers}
listen status
  bind 127.0.0.1:{status}
  stats enable
  stats uri /
"""


class IllApp(App):
    """Its page `/`, which the balancer asks, fails while the file is there (or while it is not)."""

    def __init__(self, name: str, file: Path, means: str = "ill") -> None:
        self.file = file
        self.means = means
        self.looks = True
        super().__init__(name)

    def check_fails(self) -> bool:
        return self.looks and self.file.exists() == (self.means == "ill")


class Bed:
    """web1 and web2 behind a HAProxy that nobody asks, and the modules on web1."""

    def __init__(self, root: Path, binary: str, inter: int = 200) -> None:
        self.root = root
        self.leases = root / "leases"
        self.web1, self.web2 = (IllApp(name, root / f"{name}.ill") for name in ("web1", "web2"))
        # How long HAProxy takes at most to believe it.
        self.settle = inter * 4 / 1000
        self.status_port = free_port()
        servers = "\n".join(
            f"  server {app.name} 127.0.0.1:{app.port}" for app in (self.web1, self.web2)
        )
        text = BACKEND.format(servers=servers, inter=inter, status=self.status_port)
        self.haproxy = Haproxy(binary, root, text)
        self.haproxy.wait_up("app/web1", "app/web2")

    def app(self, name: str) -> IllApp:
        return self.web1 if name == "web1" else self.web2

    def given(self, server: str, **more: Any) -> dict[str, Any]:
        app = self.app(server)
        return {
            "backends": ["app"],
            "server": server,
            "url": f"http://127.0.0.1:{app.port}/",
            "others": {
                each.name: f"http://127.0.0.1:{each.port}/" for each in (self.web1, self.web2)
            },
            "file": "" if "ill_command" in more else str(app.file),
            "ports": [f"127.0.0.1:{app.port}"],
            "settle": self.settle,
            "settle_back": self.settle,
            "lease_directory": str(self.leases),
            **more,
        }

    def begin(self, state: str = "drained", server: str = "web1", **more: Any) -> Run:
        limits = {"state": state, "drain_timeout": 20, "up_timeout": 10}
        return Run("probe_server", **{**limits, **self.given(server, **more)})

    def do(self, state: str = "drained", **more: Any) -> dict[str, Any]:
        result = self.begin(state, **more).result()
        assert not result.get("failed"), result.get("msg")
        return result

    def refused(self, state: str = "drained", **more: Any) -> str:
        result = self.begin(state, **more).result()
        assert result.get("failed"), result
        return str(result["msg"])

    def info(self, server: str = "web1", **more: Any) -> dict[str, Any]:
        result = Run("probe_server_info", **self.given(server, **more)).result()
        assert not result.get("failed"), result.get("msg")
        return result

    def watchers(self) -> list[int]:
        return [json.loads(file.read_text())["pid"] for file in self.leases.glob("*.json")]

    def story(self) -> str:
        log = self.leases / "lease.log"
        return log.read_text() if log.exists() else ""

    def end(self) -> None:
        for pid in self.watchers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for app in (self.web1, self.web2):
            app.let_go.set()
            with suppress(OSError):
                app.stop()
        self.haproxy.stop()


@contextmanager
def bed_of(root: Path, binary: str, inter: int = 200) -> Iterator[Bed]:
    made = Bed(root, binary, inter)
    try:
        yield made
    finally:
        made.end()
