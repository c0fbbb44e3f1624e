# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A unit that is started by its sockets, and clients that come all the time and never retry."""

import contextlib
import json
import os
import subprocess
import sys
import time

from tests.integration.service_support import APP, ROOT, module_command
from tests.integration.systemd_support import SETTINGS, UnitFleet

# Each worker writes down which gunicorn it is of.
NOTING = """
import os, time
import gunicorn
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "boots"), "a") as file:
    file.write("%f %s\\n" % (time.time(), gunicorn.__version__))
"""
CLIENTS = """
import http.client, json, pathlib, socket, sys, threading, time

stop, out, places = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:]
told = {"sent": 0, "lost": [], "slowest": 0}


class Unix(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(place):
    while not stop.exists():
        told["sent"] += 1
        begin = time.time()
        try:
            if place.startswith("/"):
                connection = Unix(place, 60)
            else:
                connection = http.client.HTTPConnection("127.0.0.1", int(place), timeout=60)
            connection.request("GET", "/healthz", headers={"Connection": "close"})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            if answer.status != 200:
                told["lost"].append(answer.status)
        except (OSError, http.client.HTTPException) as exc:
            told["lost"].append(repr(exc))
        told["slowest"] = max(told["slowest"], time.time() - begin)
        time.sleep(0.02)


threads = [threading.Thread(target=ask, args=(place,)) for place in places for _ in range(4)]
for each in threads:
    each.start()
for each in threads:
    each.join(600)
out.write_text(json.dumps(told))
"""

PLACES = {
    "activation": ("_activation.activate", "Activation"),
    "control": ("_activation.restart", "Control"),
    "link": ("_activation.files", "Link"),
    "manager": ("_service.systemd.driver", "SystemdManager"),
    "systemctl": ("_service.systemd.systemctl", "Systemctl"),
    "prover": ("_activation.proof", "Prover"),
}
AT = """
import importlib, subprocess
_base = "ansible_collections.fleetops.gunicorn.plugins.module_utils."
_owner = getattr(importlib.import_module(_base + "{module}"), "{owner}")
_step = getattr(_owner, "{name}")
def _and_then(*args, **more):
    found = _step(*args, **more)
    subprocess.call(["sh", "-c", "{shell}"])
    return found
setattr(_owner, "{name}", _and_then)
"""


class SocketFleet(UnitFleet):
    """``app.service``, whose listeners are those of ``app.socket``."""

    def __init__(self, host):
        super().__init__(host)
        (self.home / "wsgi.py").write_text(NOTING + APP)
        self.path = f"/run/app-{self.port}.sock"
        self.sockets = []

    def keep(self, lines="", name="app.socket", listen=None):
        """Write a socket; ``listen`` instead of the usual address."""
        listen = listen or f"ListenStream=127.0.0.1:{self.port}"
        self.write(f"/etc/systemd/system/{name}", f"[Socket]\n{listen}\n{lines}")
        self.sockets.append(name)
        return self

    # pylint: disable-next=too-many-arguments
    def serve(self, section="", more="", settings=SETTINGS, kind="notify", unit="app.service",
              command=""):  # fmt: skip
        """Start sockets and service, as gunicorn's own documentation has them."""
        if not self.sockets:
            self.keep()
        section = section or f"Requires={' '.join(self.sockets)}\n"
        command = command or f"{self.home}/venv/bin/gunicorn -w 2 wsgi:app"
        self.start(kind, settings, more, unit, command, section)
        # It may have been started without them, where it does not require them.
        self.host.systemctl("stop", self.unit)
        self.host.run("systemctl", "start", *self.sockets)
        self.host.run("systemctl", "start", self.unit)
        wait = f"for n in $(seq 600); do curl -sf {self.url} >/dev/null && exit; sleep .1; done"
        self.host.run("sh", "-c", f"{wait}; exit 1")
        return self

    def boots(self, since):
        """Which gunicorns' workers have imported the application since then."""
        lines = (self.home / "boots").read_text().split("\n")
        pairs = [line.split() for line in lines if line]
        return {version for at, version in pairs if float(at) > since}

    @contextlib.contextmanager
    def clients(self, *places):
        told = {"begin": time.time()}
        stop, out, script = (self.dir / name for name in ("stop", "told.json", "clients.py"))
        script.write_text(CLIENTS)
        for each in (stop, out):
            each.unlink(missing_ok=True)
        words = ["podman", "exec", self.host.name, sys.executable, script, stop, out]
        words += places or (self.port,)
        with subprocess.Popen([*map(str, words)]) as process:
            try:
                time.sleep(0.5)
                yield told
            finally:
                stop.touch()
                process.wait(90)
        told.update(json.loads(out.read_text()))

    def activate_and(self, point, shell, release, **more):
        """Switch, and do something right after a step of it; ``$PPID`` is who switches."""
        place, _dot, name = point.partition(".")
        module, owner = PLACES[place]
        code = AT.format(module=module, owner=owner, name=name, shell=shell)
        words = module_command("active_release", self.switch_options(release, **more))
        words[2] = code + words[2]
        return self.host.run(
            *words,
            variables=[f"PYTHONPATH={ROOT}/.collections", f"PATH={os.environ['PATH']}"],
            check=False,
        )

    def gates(self):
        """Units that let clients wait."""
        return self.host.systemctl(
            "list-units", "--all", "--plain", "--no-legend", "fleetops-gate*"
        )

    def close(self):
        for each in self.sockets:
            self.host.systemctl("stop", each)
        super().close()
        self.host.systemctl("reset-failed")
