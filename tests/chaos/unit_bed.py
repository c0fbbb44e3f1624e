# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet that most people have: units of a real systemd, behind nginx, logging to the journal.

systemd is process 1 of a container (tests/integration/systemd_support.py) that has this machine's
network, so that the traffic and whoever watches are outside; a run enters it (nsenter).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from demo import fleet as fleets
from demo import processes, pythons
from demo.fleet import BALANCER, FRONT_PORT, SERVERS
from demo.processes import Process
from demo.rotation import Seen
from tests.chaos.bed import CACHE, ROOT, Bed, wait_for
from tests.chaos.wrong import LeftOut, Wrong
from tests.integration.systemd_support import Host

UNITS = (*SERVERS, "front")
UNIT = """[Unit]
Description=The application of {name}
[Service]
Type=notify
ExecStart={app}/venv/bin/gunicorn --bind {server} --workers 2 --threads 16 app:app
WorkingDirectory={app}
Environment=DEMO_HOST={name}
Restart=on-failure
KillMode=mixed
TimeoutStopSec=40
"""
FRONT = """[Service]
ExecStart={nginx} -c {home}/nginx.conf -p {home}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
"""
# No server is tried after another: what a rollout loses, the clients see.
MAIN = """user root;
daemon off;
worker_processes 2;
pid {home}/nginx.pid;
error_log {home}/error.log notice;
events {{ worker_connections 512; }}
http {{
  client_body_temp_path {home}/temp/body;
  proxy_temp_path {home}/temp/proxy;
  fastcgi_temp_path {home}/temp/fastcgi;
  uwsgi_temp_path {home}/temp/uwsgi;
  scgi_temp_path {home}/temp/scgi;
  log_format fleetops '$time_iso8601 $proxy_host $status $upstream_addr $upstream_status'
    ' $upstream_connect_time $upstream_header_time $upstream_response_time "$request"';
  access_log {home}/access.log fleetops;
  proxy_next_upstream off;
  include sites/*;
}}
"""
SITE = """upstream app {{
  zone app 64k;
{servers}
}}
server {{
  listen {front};
  location / {{
    proxy_pass http://app;
    proxy_read_timeout 60s;
  }}
}}
"""
LOGGED = re.compile(r"^\S+ \S+ (?P<status>\d+) (?P<address>[\d.]+:\d+)", re.MULTILINE)
TITLE = "nginx: master process"


class UnitBed(Bed):
    """systemd and nginx, in a container of their own."""

    kind_inputs: Mapping[str, Any] = {
        "service_manager": "systemd",
        "load_balancer_provider": "nginx",
    }
    at_home = "nginx"
    forgets = False

    def __init__(self, _root: Path) -> None:
        self.nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        if not self.nginx:
            raise LeftOut("nginx is not installed")
        try:
            self.host = Host(network="host")
        except pytest.skip.Exception as exc:
            raise LeftOut(str(exc)) from None
        self.host_init = self.host.pid
        enter = f"nsenter --target={self.host_init} --mount --pid --ipc --uts --root -- "
        self.through = (*enter.split(), "env", f"--chdir={ROOT}")
        super().__init__(self.host.dir)

    # -- before and after a case -----------------------------------------------------------------

    def set_up(self) -> None:
        fleets.check_machine(self.fleet.root)
        fleets.check_ports(self.fleet)
        choice = pythons.find()
        wheels = fleets.wheelhouse(CACHE, choice.start, lambda _line: None)
        fleets.make_socket_directory(self.fleet.sockets)
        for name in SERVERS:
            host = self.fleet.hosts[name]
            host.home.mkdir(parents=True)
            fleets.install_app(host, choice.start, wheels, fleets.clean_environment())
        self._balancer_files()
        self.write_units()
        fleets.write_json(self.fleet.state, fleets.describe(self.fleet, choice))
        self.start()

    def _balancer_files(self) -> None:
        home = self.fleet.hosts[BALANCER].home
        for name in ("temp", "sites"):
            (home / name).mkdir(parents=True)
        (home / "nginx.conf").write_text(MAIN.format(home=home))
        # Of 100, so that a ramp can give a server 1 % of it.
        lines = "\n".join(f"  server {self.fleet.server(name)} weight=100;" for name in SERVERS)
        front = f"{self.fleet.hosts[BALANCER].address}:{FRONT_PORT}"
        self.site.write_text(SITE.format(servers=lines, front=front))
        self.site_before = self.site.read_text()

    def write_units(self) -> None:
        """The units as they are before anybody edits them."""
        for name in SERVERS:
            app, server = self.fleet.hosts[name].app_home, self.fleet.server(name)
            self.write_unit(name, UNIT.format(name=name, app=app, server=server))
        home = self.fleet.hosts[BALANCER].home
        self.write_unit("front", FRONT.format(nginx=self.nginx, home=home))
        self.host.systemctl("daemon-reload")

    def write_unit(self, name: str, text: str) -> None:
        """Without a daemon-reload."""
        self.host.write(f"/etc/systemd/system/{name}.service", text)

    def unit_text(self, name: str) -> str:
        return str(self.host.run("cat", f"/etc/systemd/system/{name}.service").stdout)

    def kind_inventory(self) -> list[Path]:
        hosts = {
            name: {"app_program": name, "load_balancer_server": self.fleet.server(name)}
            for name in SERVERS
        }
        conf = str(self.fleet.hosts[BALANCER].home / "nginx.conf")
        everybody = {"load_balancer_nginx_conf": conf}
        path = self.fleet.root.parent / "units.json"
        groups = {"web": {"hosts": hosts}}
        path.write_text(json.dumps({"all": {"vars": everybody, "children": groups}}))
        return [path]

    def stop(self) -> None:
        for run in self.runs:
            run.kill()
        # It would start again what is killed.
        for words in (("kill", "--signal=KILL"), ("stop",), ("reset-failed",)):
            self.host.systemctl(*words, *(f"{name}.service" for name in UNITS))
        super().stop()

    def rewind(self) -> None:
        super().rewind()
        self.write_units()

    def close(self) -> None:
        self.stop()
        self.host.close()

    # -- the hosts -------------------------------------------------------------------------------

    def home(self, name: str) -> Path:
        return self.inside(super().home(name))

    def start_host(self, name: str) -> None:
        self.host.systemctl("start", "front" if name == BALANCER else name)

    def kill_host(self, name: str) -> None:
        unit = "front" if name == BALANCER else name
        # In one go: systemd starts it again 100 ms after its death.
        kill = f"systemctl kill --signal=KILL {unit}; systemctl stop {unit}"
        self.host.run("sh", "-c", f"{kill}; systemctl reset-failed {unit}", check=False)

    def arbiter(self, name: str) -> int:
        return self.host_pid(super().arbiter(name))

    def host_pid(self, pid: int) -> int:
        """How this machine numbers a process of the container."""
        for place in Path("/proc").iterdir():
            with suppress(OSError, ValueError, StopIteration):
                lines = (place / "status").read_text().splitlines()
                numbers = next(line for line in lines if line.startswith("NSpid:")).split()[1:]
                here = os.readlink(place / "ns/pid") == os.readlink(
                    f"/proc/{self.host_init}/ns/pid"
                )
                if here and int(numbers[-1]) == pid:
                    return int(place.name)
        raise Wrong(f"the container has no process {pid}")

    # -- the balancer ----------------------------------------------------------------------------

    @property
    def site(self) -> Path:
        """The file that has the servers; what the container has mounted there is seen too."""
        return self.inside(self.fleet.hosts[BALANCER].home / "sites/app")

    def inside(self, path: Path) -> Path:
        """A path of the container, seen from here."""
        return Path(f"/proc/{self.host_init}/root{path}")

    def mount(self, place: Path, options: str) -> None:
        where = str(place).removeprefix(f"/proc/{self.host_init}/root")
        words = ("-t", "tmpfs", "-o", f"mode=755,{options}", "tmpfs", where)
        done = self.host.run("mount", *words, check=False)
        if done.returncode:
            raise LeftOut(f"nothing can be mounted in the container: {done.stderr.strip()}")
        self.at_the_end(lambda: self.host.run("umount", "-l", where, check=False))

    def masters(self) -> list[Process]:
        home = str(self.fleet.hosts[BALANCER].home)
        return [
            each
            for _kind, each in self.processes()
            if each.argv[0].startswith(TITLE) and home in " ".join(each.argv)
        ]

    def workers(self) -> set[int]:
        """Those that serve, and not those that shut down."""
        found = set()
        masters = {each.pid for each in self.masters()}
        for place in Path("/proc").iterdir():
            with suppress(OSError, ValueError, IndexError):
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                title = (place / "cmdline").read_bytes().decode().strip("\0 ")
                if parent in masters and title == "nginx: worker process":
                    found.add(int(place.name))
        return found

    def balancer_pid(self) -> int:
        return min(self.workers(), default=0)

    def reload_balancer(self) -> None:
        before = self.workers()
        self.host.run("systemctl", "reload", "front")
        wait_for(
            "nginx has other workers", lambda: len(w := self.workers()) == 2 and not w & before
        )

    def balancer_gone(self, seconds: float = 0.0) -> None:
        self.host.run("systemctl", "stop", "front")
        time.sleep(seconds)
        self.host.run("systemctl", "start", "front")
        wait_for("nginx is back", self.balancer_pid)

    def look(self) -> dict[str, Seen]:
        """Taken out is who is `down` in the file; up is who listens; what is in flight the kernel
        knows. Not what nginx runs: see serving()."""
        text = self.site.read_text()
        table = Path("/proc/net/tcp").read_text()
        found = {}
        for name in SERVERS:
            address = self.fleet.server(name)
            line = re.search(rf"^\s*server {re.escape(address)}\b([^;]*);", text, re.MULTILINE)
            ip, port = address.split(":")
            here = processes.hex_address(ip, int(port))
            rows = [row.split()[1:4] for row in table.splitlines()[1:]]
            found[name] = Seen(
                up=any(row[0] == here and row[2] == "0A" for row in rows),
                admin=int(not line or " down" in line.group(1)),
                sessions=sum(row[1] == here and row[2] == "01" for row in rows),
            )
        return found

    def lost_by_server(self) -> dict[str, int]:
        names = {self.fleet.server(name): name for name in SERVERS}
        lost: dict[str, int] = {}
        for log in sorted(self.fleet.hosts[BALANCER].home.glob("access.log*")):
            for found in LOGGED.finditer(log.read_text(errors="replace")):
                if found["status"] != "200":
                    name = names.get(found["address"], found["address"])
                    lost[name] = lost.get(name, 0) + 1
        return lost

    def left_overs(self) -> list[Path]:
        found = super().left_overs()
        if "fleetops.gunicorn" in self.site.read_text():
            found.append(Path("comment in sites/app"))
        units = self.host.systemctl("list-units", "--all", "--plain", "--no-legend", "fleetops*")
        return found + [Path(f"unit {line.split()[0]}") for line in units.splitlines() if line]
