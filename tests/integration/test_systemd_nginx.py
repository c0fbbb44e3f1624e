# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What most fleets are: two servers under systemd behind an nginx, upgraded under load.

All of it in one container whose process 1 is a real systemd: a unit for each server and one for
nginx, the controller beside them, and no network but the loopback.
"""

import contextlib
import json
import os
import subprocess
import sys

import pytest
from nginx_support import FORMAT, MAIN, NGINX, SITE, needs_nginx

from tests.integration.service_support import (
    BIN,
    NEW,
    OLD,
    ROOT,
    free_port,
    interpreters,
    new_python,
    old_python,
    unavailable,
    wait_for,
)
from tests.integration.systemd_support import SETTINGS, UnitFleet

pytestmark = needs_nginx
FIRST = "21.2.0"
OF_OLD_PYTHONS = ["pip==21.3.1", "importlib-metadata", "typing-extensions", "zipp"]
LOAD = """
import http.client, json, pathlib, sys, threading, time

stop, out, port = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
told = {"sent": 0, "lost": []}


def ask():
    while not stop.exists():
        told["sent"] += 1
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            connection.close()
            if answer.status != 200:
                told["lost"].append(answer.status)
        except (OSError, http.client.HTTPException) as exc:
            told["lost"].append(repr(exc))
        time.sleep(0.05)


threads = [threading.Thread(target=ask) for _ in range(2)]
for each in threads:
    each.start()
for each in threads:
    each.join(2000)
out.write_text(json.dumps(told))
"""


class Place:
    """The container, its two servers, and nginx before them."""

    kind = UnitFleet
    # What the units have more.
    more = ""

    def __init__(self, host):
        self.host = host
        self.servers = {name: self.kind(host) for name in ("web1", "web2")}
        self.front = free_port()
        for name, server in self.servers.items():
            server.directory_venv(OLD, old_python())
            self.serve(name, server)
        self.wheels = host.dir / "wheels"
        self._download()
        self._nginx()
        for server in self.servers.values():
            wait_for(server.get)
        wait_for(self.answers)

    def serve(self, name, server):
        server.start(settings=SETTINGS, more=self.more, unit=f"{name}.service")

    def address(self, server):
        """Where nginx finds it, and where its health is asked."""
        return f"127.0.0.1:{server.port}", server.url

    def _download(self):
        """There is no index in the container: exactly what a build will ask for."""
        venv = self.servers["web1"].home / "venv"
        done = subprocess.run(
            [BIN / "uv", "pip", "freeze", "--quiet", "--python", venv / "bin/python"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        kept = [line for line in done.stdout.splitlines() if not line.startswith("gunicorn==")]
        for python, gunicorn in ((old_python(), FIRST), (new_python(), NEW)):
            wanted = [f"gunicorn=={gunicorn}", *kept]
            # pip asks its own Python what an old one needs.
            wanted += OF_OLD_PYTHONS if int(python.split(".")[1]) < 8 else []
            done = subprocess.run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:",
                 "--python-version", python, "--dest", self.wheels, *wanted],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                unavailable(f"cannot download {wanted}: {done.stderr[-500:]}")

    def _nginx(self):
        root = self.host.dir / "nginx"
        for name in ("temp", "sites"):
            (root / name).mkdir(parents=True)
        self.conf = root / "nginx.conf"
        self.conf.write_text(
            MAIN.format(root=root, user="user root;", format=FORMAT, log="fleetops")
        )
        self.site = root / "sites/app"
        lines = [f"  server {self.address(server)[0]};" for server in self.servers.values()]
        self.site.write_text(
            SITE.format(name="app", top="", servers="\n".join(lines), port=self.front, location="")
        )
        self.host.write(
            "/etc/systemd/system/front.service",
            f"[Service]\nExecStart={NGINX} -c {self.conf} -p {root}\n",
        )
        self.host.run("systemctl", "daemon-reload")
        self.host.run("systemctl", "start", "front.service")

    def answers(self):
        code = f"import urllib.request as u; u.urlopen('http://127.0.0.1:{self.front}/', timeout=9)"
        return self.host.run(sys.executable, "-c", code, check=False).returncode == 0

    def playbook(self, name, *words, **inputs):
        hosts = {
            name: {
                "app_home": str(server.home),
                "app_program": name,
                "app_health_url": self.address(server)[1],
                "load_balancer_server": self.address(server)[0],
            }
            for name, server in self.servers.items()
        }
        everybody = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "service_manager": "systemd",
            "load_balancer_provider": "nginx",
            "load_balancer_nginx_conf": str(self.conf),
            "load_balancer_lease_directory": "/run/leases",
            "rollout_lock_directory": "/run/locks",
            "rollout_stages": [
                {"gunicorn": FIRST},
                {"gunicorn": NEW, "python": interpreters()[new_python()]},
            ],
            "release_wheelhouse": str(self.wheels),
            "service_start_timeout": 60,
            "gate_soak": 2,
            "gate_interval": 1,
        }
        groups = {"lb": {"hosts": {"lb1": {}}}, "web": {"hosts": hosts}}
        inventory = self.host.dir / "fleet.json"
        inventory.write_text(json.dumps({"all": {"vars": everybody, "children": groups}}))
        done = self.host.run(
            "env", f"--chdir={ROOT}", BIN / "ansible-playbook", "-i", inventory, f"{name}.yml",
            *words, "-e", json.dumps(inputs),
            variables=[f"PATH={os.environ['PATH']}", "ANSIBLE_NOCOLOR=1", "HOME=/tmp",
                       "FLEETOPS_REPORT_DIRECTORY="],
            check=False, timeout=1500,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    @contextlib.contextmanager
    def load(self):
        told = {}
        stop, out, script = (self.host.dir / name for name in ("stop", "load.json", "load.py"))
        script.write_text(LOAD)
        for path in (stop, out):
            path.unlink(missing_ok=True)
        words = [sys.executable, script, stop, out, self.front]
        with subprocess.Popen(["podman", "exec", self.host.name, *map(str, words)]) as process:
            try:
                yield told
            finally:
                stop.touch()
                process.wait(60)
        told.update(json.loads(out.read_text()))

    def versions(self):
        return [server.get()["gunicorn"] for server in self.servers.values()]

    def close(self):
        self.host.systemctl("stop", "front.service")
        for server in self.servers.values():
            server.close()


@pytest.fixture(scope="module")
def place(host):
    place = Place(host)
    yield place
    place.close()


def test_a_plan_changes_nothing(place):
    before = place.site.read_text()
    code, said = place.playbook("upgrade", "--check")
    assert code == 0, said[-6000:]
    assert place.site.read_text() == before and place.versions() == [OLD, OLD]


def test_a_gate_that_fails_sends_the_server_back(place):
    ours = {"name": "ours", "regex": "Listening at", "severity": "critical", "tolerance": 0}
    with place.load() as load:
        code, said = place.playbook("upgrade", gate_log_patterns=[ours], rollout_to=FIRST)
    assert code != 0 and "back in service" in " ".join(said.split()), said[-6000:]
    assert load["lost"] == [] and load["sent"] > 100
    assert place.versions() == [OLD, OLD]


def test_both_stages_lose_no_request(place):
    with place.load() as load:
        code, said = place.playbook("upgrade", rollout_force=True)
    assert code == 0, said[-6000:]
    assert load["lost"] == [] and load["sent"] > 100
    assert place.versions() == [NEW, NEW]
    units = {place.host.show(f"{name}.service", "ActiveState") for name in place.servers}
    assert units == {"active"}
    # Once more there is nothing to do.
    arbiters = [server.pid() for server in place.servers.values()]
    code, said = place.playbook("upgrade", rollout_force=True)
    assert code == 0, said[-3000:]
    assert arbiters == [server.pid() for server in place.servers.values()]


def test_status_and_check_and_the_way_back(place):
    for name in ("status", "check"):
        code, said = place.playbook(name)
        assert code == 0, said[-6000:]
    with place.load() as load:
        code, said = place.playbook("rollback", "-l", "web1")
    assert code == 0, said[-6000:]
    assert load["lost"] == []
    assert place.versions() == [FIRST, NEW]
