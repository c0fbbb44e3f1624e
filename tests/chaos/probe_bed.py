# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet behind a balancer that only asks a health page: HAProxy, and nobody talks to it."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo import fleet as fleets
from demo import processes
from demo.fleet import BALANCER, SERVERS
from demo.rotation import Seen
from tests.chaos.bed import Bed

# HAProxy believes after two checks, 500 ms apart, which are late on a busy machine.
SETTLE = 3.0


class ProbeBed(Bed):
    """supervisord; a server looks ill to the balancer while a file is there."""

    kind_inputs: Mapping[str, Any] = {
        "load_balancer_provider": "probe",
        "load_balancer_probe_settle": SETTLE,
        "load_balancer_probe_settle_back": SETTLE,
    }

    def set_up(self) -> None:
        super().set_up()
        config = self.fleet.hosts[BALANCER].home / "haproxy.cfg"
        config.write_text(config.read_text().replace("GET /healthz", "GET /lb"))
        # Its supervisord starts it again.
        processes.end(self.of_host(BALANCER, "haproxy"), signal.SIGKILL, 10.0)
        fleets.wait_until_serving(self.fleet)

    def kind_inventory(self) -> list[Path]:
        hosts = {
            name: {
                "load_balancer_probe_url": f"http://{self.fleet.server(name)}/lb",
                "load_balancer_probe_file": str(self.ill_file(name)),
                "load_balancer_probe_ports": [self.fleet.server(name)],
            }
            for name in SERVERS
        }
        path = self.fleet.root.parent / "probe.json"
        path.write_text(json.dumps({"web": {"hosts": hosts}}))
        return [path]

    def ill_file(self, name: str) -> Path:
        return self.home(name) / "maintenance"

    def look(self) -> dict[str, Seen]:
        """Taken out is who is made ill; HAProxy's own word is that it is down."""
        return {
            name: seen._replace(admin=int(self.ill_file(name).exists()))
            for name, seen in super().look().items()
        }

    def left_overs(self) -> list[Path]:
        root = self.fleet.root
        made = [path.relative_to(root) for path in root.glob("web?/app/maintenance*")]
        return super().left_overs() + made
