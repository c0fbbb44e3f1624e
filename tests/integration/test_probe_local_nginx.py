# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A nginx on the server itself, through which a balancer of somebody else's comes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from balancer_support import App, Haproxy, Run, binaries, free_port, until
from nginx_support import NGINX, Load, needs_nginx

pytestmark = [needs_nginx, pytest.mark.skipif(not binaries(), reason="no HAProxy here")]
CONF = """
{user}
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {root}/body;
  proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi;
  scgi_temp_path {root}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location = /lb {{
      if (-f {root}/maintenance) {{ return 503; }}
      proxy_pass http://127.0.0.1:{app}/;
    }}
    location / {{ proxy_pass http://127.0.0.1:{app}; }}
  }}
}}
"""
BACKEND = """
backend app
  option httpchk GET /lb
  option http-server-close
  {retries}
  default-server check inter 300ms fastinter 300ms downinter 300ms fall 3 rise 2
  server web1 127.0.0.1:{one}
  server web2 127.0.0.1:{two}
"""
AGAIN = "retries 3\n  option redispatch 1\n  retry-on conn-failure"


class Local:
    """A nginx that goes into the background, before an application."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root / name
        self.root.mkdir()
        self.app = App(name)
        self.port = free_port()
        self.conf = self.root / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        words = {"root": self.root, "port": self.port, "app": self.app.port, "user": user}
        self.conf.write_text(CONF.format(**words))
        self.start = [str(NGINX), "-c", str(self.conf)]
        subprocess.run(self.start, check=True)

    def pid(self) -> int:
        with suppress(OSError, ValueError):
            return int((self.root / "nginx.pid").read_text())
        return 0

    def end(self) -> None:
        if self.pid():
            os.kill(self.pid(), signal.SIGTERM)
            until(lambda: not self.pid(), "nginx ends")
        self.app.stop()


class Bed:
    def __init__(self, root: Path, retries: str) -> None:
        self.web1, self.web2 = Local(root, "web1"), Local(root, "web2")
        self.leases = root / "leases"
        servers = {"one": self.web1.port, "two": self.web2.port}
        text = BACKEND.format(retries=retries, **servers)
        self.haproxy = Haproxy(binaries()[0], root, text)
        self.haproxy.wait_up("app/web1", "app/web2")

    def do(self, state: str, **way: Any) -> dict[str, Any]:
        result = Run(
            "probe_server",
            backends=["app"],
            server="web1",
            state=state,
            url=f"http://127.0.0.1:{self.web1.port}/lb",
            others={"web2": f"http://127.0.0.1:{self.web2.port}/lb"},
            ports=[f"127.0.0.1:{self.web1.port}"],
            settle=1.5,
            settle_back=1.5,
            lease_directory=str(self.leases),
            **way,
        ).result()
        assert not result.get("failed"), result.get("msg")
        return result

    def upgrade(self, **way: Any) -> tuple[dict[str, Any], Load]:
        with Load(self.haproxy.port) as load:
            time.sleep(0.5)
            out = self.do("drained", **way)
            self.web1.app.stop()
            time.sleep(0.5)
            self.web1.app.start()
            self.do("ready", **way)
            time.sleep(0.5)
        assert load.sent > 100 and load.by["web1"] > 10
        return out, load

    def by_stopping(self) -> dict[str, Any]:
        return {
            "ill_command": [*self.web1.start, "-s", "quit"],
            "well_command": self.web1.start,
            "state_command": ["test", "-e", str(self.web1.root / "nginx.pid")],
        }

    def end(self) -> None:
        self.haproxy.stop()
        for each in (self.web1, self.web2):
            each.end()


@pytest.fixture
def bed(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bed]:
    made = Bed(tmp_path, getattr(request, "param", "retries 0"))
    try:
        yield made
    finally:
        made.end()


def test_a_page_that_nginx_makes_fail_loses_nothing(bed: Bed) -> None:
    out, load = bed.upgrade(file=str(bed.web1.root / "maintenance"))
    assert load.lost == []
    assert out["notes"] == []


@pytest.mark.parametrize("bed", [AGAIN], indirect=True, ids=["tries another server"])
def test_a_nginx_that_is_stopped_loses_nothing_where_the_balancer_tries_again(bed: Bed) -> None:
    before = bed.web1.pid()
    out, load = bed.upgrade(**bed.by_stopping())
    assert load.lost == []
    assert "nobody listens on 127.0.0.1" in " ".join(out["notes"])
    assert bed.web1.pid() not in (0, before)


def test_a_nginx_that_is_stopped_loses_requests_where_it_does_not(bed: Bed) -> None:
    """The negative control, and what the plan says of it."""
    _out, load = bed.upgrade(**bed.by_stopping())
    assert load.lost
