# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""For how long a server is out of rotation, part by part, beside a bare restart in the same run.

Upgrades the demo's fleet under its traffic and reads the times from the run's report.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
REPORTS = ROOT / ".cache" / "reports"
RESTART = re.compile(r"no answer for ([\d.]+) s; ([\d.]+) s until")
ORDER = ("draining", "drained", "switching", "switched", "restoring", "serving")


class Turn(NamedTuple):
    """One server in one stage; all in seconds."""

    host: str
    drain: float
    """From the first word to the balancers until nobody is connected; users are served meanwhile,
    and new ones elsewhere."""
    switch: float
    silent: float
    """Of the switch, for how long nobody answered on its address."""
    gate: float
    restore: float
    between: float
    """What Ansible needs between them."""

    def out(self) -> float:
        return self.drain + self.switch + self.gate + self.restore + self.between


def turns(events: Iterable[Mapping[str, Any]]) -> list[Turn]:
    """Read the turns from the events of a report."""
    seen: dict[str, dict[str, float]] = {}
    found = []
    for event in events:
        if event["kind"] != "state" or event["state"] not in ORDER:
            continue
        at = seen.setdefault(event["host"], {})
        at[event["state"]] = event["at"]
        if event["state"] == "switched":
            at["silent"] = event["down"]
        if event["state"] == "serving":
            found.append(_turn(event["host"], seen.pop(event["host"])))
    return found


def _turn(host: str, at: Mapping[str, float]) -> Turn:
    drain, switch, gate, restore = (
        at[last] - at[first]
        for first, last in (
            ("draining", "drained"),
            ("switching", "switched"),
            ("switched", "restoring"),
            ("restoring", "serving"),
        )
    )
    between = at["serving"] - at["draining"] - drain - switch - gate - restore
    return Turn(host, drain, switch, at["silent"], gate, restore, between)


def main() -> None:
    before = set(REPORTS.glob("*-upgrade.json"))
    done = subprocess.run(
        [sys.executable, "-m", "demo", "run"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    new = sorted(set(REPORTS.glob("*-upgrade.json")) - before)
    if done.returncode or not new:
        raise SystemExit(
            f"the demo ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}"
        )
    print(
        "| turn | drain | switch | of it silent | boot gate | restore | between | out of rotation |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for turn in turns(json.loads(new[-1].read_text())["events"]):
        parts = [turn.drain, turn.switch, turn.silent, turn.gate, turn.restore, turn.between]
        print(
            f"| {turn.host} | " + " | ".join(f"{each:.1f}" for each in [*parts, turn.out()]) + " |"
        )
    restart = RESTART.search(done.stdout)
    gone, until = restart.groups() if restart else ("?", "?")
    print(f"\nA bare restart in the same run: no answer for {gone} s, {until} s until it returned.")


if __name__ == "__main__":
    main()
