# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two applications on the same servers behind the same HAProxy, each a fleet of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from demo import fleet as fleets
from demo import pythons
from demo.fleet import APP_PORT, BALANCER, SERVERS
from demo.rotation import Admin
from tests.chaos.bed import CACHE, MIDDLE, OLD, ROOT, Bed, wait_for
from tests.chaos.harness import case
from tests.chaos.operator_cases import HELD

API_PORT, API_FRONT = APP_PORT + 1, 8081


def home(bed: Bed, name: str) -> fleets.Host:
    """The second application on one server: the same name, and another place."""
    host = bed.fleet.hosts[name]
    return host._replace(home=host.home / "api")


def add(bed: Bed) -> None:
    """Put the second application beside the first: as another program and another backend."""
    start, environment = pythons.find().start, fleets.clean_environment()
    wheels = fleets.wheelhouse(CACHE, start, lambda _line: None)
    for name in SERVERS:
        second = home(bed, name)
        second.home.mkdir()
        fleets.install_app(second, start, wheels, environment)
        program = fleets.template(
            "app.conf", name=name, home=second.home, address=second.address, port=API_PORT
        )
        with (bed.fleet.hosts[name].home / "supervisord.conf").open("a") as file:
            file.write(program.replace("[program:app]", "[program:api]"))
    balancer = bed.fleet.hosts[BALANCER]
    with (balancer.home / "haproxy.cfg").open("a") as file:
        file.write(f"\nfrontend api-users\n    bind {balancer.address}:{API_FRONT}\n")
        file.write("    default_backend api\nbackend api\n    option httpchk GET /healthz\n")
        file.write("    default-server check inter 500ms fall 2 rise 2 weight 100\n")
        for name in SERVERS:
            file.write(f"    server {name} {bed.fleet.hosts[name].address}:{API_PORT}\n")


def of_the_second(bed: Bed) -> dict[str, Any]:
    """What an operator of the second application has in its inventory."""
    here = "{{ demo_root }}/{{ inventory_hostname }}"
    return {
        "app_home": f"{here}/api/app",
        "app_program": "api",
        "app_health_url": f"http://{{{{ demo_host.address }}}}:{API_PORT}/healthz",
        "load_balancer_backends": ["api"],
        "rollout_fleet": "api",
    }


def gunicorn_of(second: fleets.Host) -> str:
    code = "import gunicorn; print(gunicorn.__version__)"
    python = second.app_home / "venv/bin/python"
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def api_traffic(bed: Bed) -> tuple[subprocess.Popen[bytes], Path]:
    out = bed.fleet.root / "api-traffic"
    front = f"http://{bed.fleet.hosts[BALANCER].address}:{API_FRONT}"
    command = [sys.executable, str(ROOT / "demo/traffic.py"), front, "--out", str(out)]
    client = subprocess.Popen([*command, "--seconds", "900", "--rate", "20"])
    bed.at_the_end(lambda: client.poll() is None and client.kill())
    return client, out.with_suffix(".json")


@case(
    "fleets",
    "two runs on one application, one on another, an operator's MAINT, a reload: all at once",
    prepare=add,
)
def everything_at_once(bed: Bed) -> None:
    api = Admin(str(bed.fleet.admin_socket), "api")
    wait_for(
        "the second application", lambda: [each.up for each in api.look().values()] == [True, True]
    )
    client, told = api_traffic(bed)
    # Somebody has taken web1 of the first application out, for reasons of their own.
    bed.fleet.admin.ask("set server app/web1 state maint")

    # On the same server, under the same name, in two backends.
    second = bed.run("upgrade.yml", "-l", "web1", gate_soak=30, **of_the_second(bed))
    bed.ends(bed.run("upgrade.yml", "-l", "web1"), 2, says="not by a run of ours")
    bed.check(not bed.fleet.admin.look()["web1"].in_rotation, "the operator's MAINT was lifted")
    bed.fleet.admin.ask("set server app/web1 state ready")
    wait_for("app/web1 to be in rotation", lambda: bed.fleet.admin.look()["web1"].in_rotation)

    first = bed.run("upgrade.yml", "-l", "web1", gate_soak=15)
    lock = bed.fleet.hosts[BALANCER].home / "locks/app.lock"
    wait_for("the lock", lambda: lock.exists() or first.ended_within(0), 600)
    refused = bed.run("upgrade.yml", "-l", "web2")
    wait_for("app/web1 to be out", lambda: not bed.fleet.admin.look()["web1"].in_rotation, 240)
    bed.reload_balancer()
    bed.ends(refused, says=HELD)
    bed.ends(first, 0)
    bed.ends(second, 0)

    client.terminate()
    client.wait(60)
    sent = json.loads(told.read_text())
    bed.check(sent["sent"] > 200, f"the second application was asked {sent['sent']} times only")
    bed.check(not sent["failed"], f"the second application lost {sent['failed']}: {sent['errors']}")
    bed.undrained("web2")
    wanted = {"web1": MIDDLE, "web2": OLD}
    runs = {name: gunicorn_of(home(bed, name)) for name in SERVERS}
    bed.check(runs == wanted, f"of the second application: {runs}")
    here = api.look()
    bed.check(here["web1"].in_rotation and here["web2"].in_rotation, f"api: {here}")
    bed.expect(web1=MIDDLE, web2=OLD)
