# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kill -9 an upgrade at one task boundary after the other, and run it once more.

    python -m tests.chaos.kills [--points 50]

Each case has a fresh demo fleet on gunicorn 20.0.1 under traffic that never retries. A two-stage
`upgrade.yml` is killed with all its processes when it begins its n-th task; then the fleet must
serve, and one plain run of the same command must converge. A line for each case; exit code 1 if
one of them went wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from demo import fleet as fleets
from demo.fleet import Fleet

ROOT = Path(__file__).resolve().parents[2]
TASK = re.compile(r"^(?:PLAY|TASK) \[(.+?)\] \**$")
COMMAND = [str(Path(sys.executable).parent / "ansible-playbook"), "upgrade.yml"]
# Watching is not what is tested here.
COMMAND += ["-e", json.dumps({"gate_soak": 1, "gate_interval": 1})]
NETWORK = "127.77.0"
RATE = 30.0


class Case(NamedTuple):
    """How one kill ended."""

    number: int
    where: str
    out: str
    sent: int
    failed: int
    wrong: list[str]


def start(fleet: Fleet) -> subprocess.Popen[str]:
    environment = {**os.environ, "DEMO_ROOT": str(fleet.root), "ANSIBLE_NOCOLOR": "1"}
    return subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def tasks(run: subprocess.Popen[str]) -> Iterator[str]:
    """The plays and tasks of a run as it begins them; the rest of what it says passes by."""
    assert run.stdout is not None
    for line in run.stdout:
        found = TASK.match(line.rstrip())
        if found:
            yield found.group(1)


def first_drain(names: list[str]) -> int:
    """Before it, nothing of the fleet is changed."""
    return next(i for i, name in enumerate(names) if "Ask every balancer whether" in name)


@contextmanager
def under_traffic(fleet: Fleet) -> Iterator[dict[str, int]]:
    """A fresh fleet; afterwards what the client has to say is in what was yielded."""
    fleets.up(fleet, lambda _line: None)
    client = fleets.start_traffic(fleet, 900, RATE)
    said: dict[str, int] = {}
    try:
        fleets.wait_for_traffic(fleet)
        yield said
        summary = fleets.stop_traffic(client, fleet)
        said.update(sent=summary["sent"], failed=summary["failed"])
    finally:
        if client.poll() is None:
            client.kill()
        fleets.down(fleet, lambda _line: None)


def out_of_rotation(fleet: Fleet) -> list[str]:
    return [name for name, seen in fleet.admin.look().items() if not seen.in_rotation]


def left_overs(fleet: Fleet) -> list[str]:
    """What no finished run may leave behind."""
    patterns = ["lb1/locks/*.lock", "lb1/leases/*.json", "web?/app/.venv*"]
    patterns += ["web?/app/releases/.build-*/*"]
    return [
        str(path.relative_to(fleet.root)) for each in patterns for path in fleet.root.glob(each)
    ]


def kill_at(fleet: Fleet, number: int) -> Case:
    wrong = []
    with under_traffic(fleet) as said:
        run = start(fleet)
        where = "the end"
        for count, where in enumerate(tasks(run)):  # noqa: B007 (the last one is wanted)
            if count == number:
                break
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        time.sleep(1)
        out = out_of_rotation(fleet)
        if len(out) > 1:
            wrong.append(f"all out of rotation: {out}")
        again = start(fleet)
        text = again.communicate(timeout=600)[0]
        if again.returncode:
            wrong.append(f"the second run ended with {again.returncode}: {text[-600:]}")
        for name in fleets.SERVERS:
            version = fleets.version(fleet, name) or {}
            if version.get("gunicorn") != "23.0.0":
                wrong.append(f"{name} runs {version.get('gunicorn')}")
        if out_of_rotation(fleet):
            wrong.append(f"left out of rotation: {out_of_rotation(fleet)}")
        if left_overs(fleet):
            wrong.append(f"left behind: {left_overs(fleet)}")
    if said["failed"]:
        wrong.append(f"{said['failed']} requests lost")
    return Case(number, where, ", ".join(out) or "-", said["sent"], said["failed"], wrong)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--points", type=int, default=50, help="how many kills, evenly spread")
    wanted = parser.parse_args()
    # Whoever ends this ends the fleet as well.
    signal.signal(signal.SIGTERM, lambda *_about: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
        fleet = Fleet(Path(directory).resolve(), NETWORK, ROOT / ".demo" / "cache")
        with under_traffic(fleet):
            run = start(fleet)
            names = list(tasks(run))
            if run.wait():
                print("The run without a kill failed: make demo shows why.")
                return 1
        begin = first_drain(names)
        points = sorted(
            {begin + round(i * (len(names) - 1 - begin) / max(wanted.points - 1, 1))
             for i in range(wanted.points)}
        )  # fmt: skip
        print(f"{len(names)} boundaries, {len(points)} of them from the first drain on:")
        print(f"{'case':>5}  {'sent':>5} {'failed':>6}  {'out then':9} result  killed at")
        cases = []
        for number in points:
            case = kill_at(fleet, number)
            cases.append(case)
            row = (number, case.sent, case.failed, case.out, "WRONG" if case.wrong else "ok")
            print("{:>5}  {:>5} {:>6}  {:9} {:6}  {}".format(*row, case.where))
            for text in case.wrong:
                print(f"       {text}", flush=True)
            sys.stdout.flush()
    sent, failed = sum(case.sent for case in cases), sum(case.failed for case in cases)
    bad = sum(bool(case.wrong) for case in cases)
    print(f"{len(cases)} kills, {bad} wrong; {sent} requests sent, {failed} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
