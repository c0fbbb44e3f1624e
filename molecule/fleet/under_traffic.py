# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a command as an operator would, while traffic goes through the balancer.

    python under_traffic.py URL FILES COMMAND...

Writes FILES.log (what the command said) and demo/traffic.py's FILES-traffic.json and .jsonl, and
prints {"rc": the command's exit code, "traffic": the client's summary}. Its own exit code tells
only whether the traffic was what it should be: steady from before the command to after it.
TRAFFIC holds further options of demo/traffic.py, OPERATOR the name of whoever runs the command.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


def summary(files: str) -> dict[str, Any]:
    try:
        return json.loads(Path(f"{files}-traffic.json").read_text())
    except FileNotFoundError:
        return {"sent": 0}


def wait_for_answers(client: subprocess.Popen[str], files: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while summary(files)["sent"] < 10:
        if client.poll() is not None:
            sys.exit(f"The client ended at once: {client.communicate()[0]}")
        if time.monotonic() > deadline:
            sys.exit(f"The client has sent nothing in {PATIENCE:.0f} s.")
        time.sleep(0.1)


def main(url: str, files: str, command: list[str]) -> None:
    Path(files).parent.mkdir(parents=True, exist_ok=True)
    Path(f"{files}-traffic.json").unlink(missing_ok=True)
    client = subprocess.Popen(
        [sys.executable, ROOT / "demo" / "traffic.py", url, f"--out={files}-traffic"]
        + shlex.split(os.environ.get("TRAFFIC", "")),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for_answers(client, files)
        with open(f"{files}.log", "w") as log:
            # Nothing of molecule's own configuration may help or hinder an operator's command.
            own = {name: os.environ[name] for name in ("HOME", "PATH")}
            if os.environ.get("OPERATOR"):
                # By one of these a controller knows who runs it.
                own |= dict.fromkeys(("LOGNAME", "SUDO_USER"), os.environ["OPERATOR"])
            done = subprocess.run(
                command,
                cwd=ROOT,
                env={**own, "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if client.poll() is not None:
            sys.exit(f"The client ended before the command did: {client.communicate()[0]}")
    finally:
        client.terminate()
        client.wait(PATIENCE)
    print(json.dumps({"rc": done.returncode, "traffic": summary(files)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
