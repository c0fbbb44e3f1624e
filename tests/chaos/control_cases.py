# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The negative control: what is broken on purpose is seen. Without the drain requests are lost."""

from __future__ import annotations

import time

from demo import fleet as fleets
from tests.chaos.balancer_cases import WEB1, Slow, done
from tests.chaos.bed import EVERY, Bed
from tests.chaos.harness import case


@case("control", "without the drain requests are lost", on=EVERY)
def without_the_drain(bed: Bed) -> None:
    run = bed.run("upgrade.yml", *WEB1, load_balancer_drain=False)
    run.reaches("activate | Switch and prove")
    # As long as gunicorn waits at its end; who comes meanwhile is refused.
    slow = Slow(bed, 5)
    bed.ends(run, 0)
    slow.join(60)
    time.sleep(1)
    told = fleets.read_json(bed.fleet.root / "traffic.json") or {}
    bed.check(told.get("failed"), "no request was lost, and nobody would see one")
    done(bed, "web1")
