# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo's programs as units of the reader's own systemd (``systemctl --user``), without root.

The units are in the runtime directory: nothing of them survives a reboot, or is in anybody's home.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from demo.errors import DemoError

WELL = ("running", "degraded", "starting", "initializing")
OTHERWISE = "Or take MANAGER=supervisord, which needs nothing."


def runtime_directory() -> Path:
    """Where the user's systemd is to be found, as the collection looks for it."""
    return Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}")


def environment() -> dict[str, str]:
    return {**os.environ, "XDG_RUNTIME_DIR": str(runtime_directory())}


def problem(state: str, said: str, init: str, booted: bool, user: str) -> str | None:
    """Why no unit can be started here, or None. ``state``: what ``is-system-running`` answered.

    ``init``: the name of process 1; ``booted``: whether systemd has started this machine.
    """
    if state in WELL:
        return None
    if not booted:
        return (
            "MANAGER=systemd needs a machine that systemd has started, and process 1 here is "
            f"{init} (a container, perhaps). Run it on one that has. {OTHERWISE}"
        )
    found = said or state or "no answer"
    return (
        f"MANAGER=systemd needs the systemd of {user} (systemctl --user), which says: {found}. "
        f"`loginctl enable-linger {user}` starts it; log in anew, or set "
        f"XDG_RUNTIME_DIR=/run/user/{os.geteuid()}. {OTHERWISE}"
    )


def check() -> None:
    """Refuse, with what was found and what to do, where this user has no systemd."""
    if not shutil.which("systemctl"):
        raise DemoError(f"MANAGER=systemd needs systemctl, and it is not in PATH. {OTHERWISE}")
    asked = systemctl("is-system-running")
    try:
        init = Path("/proc/1/comm").read_text().strip()
    except OSError:
        init = "another"
    user = os.environ.get("USER") or f"user {os.geteuid()}"
    booted = Path("/run/systemd/system").is_dir()
    said = (asked.stderr.strip().splitlines() or [""])[-1]
    why = problem(asked.stdout.strip(), said, init, booted, user)
    if why:
        raise DemoError(why)


def systemctl(*words: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            ["systemctl", "--user", "--no-pager", *words],
            env=environment(), capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    except subprocess.TimeoutExpired as exc:
        raise DemoError(f"`systemctl --user {' '.join(words)}` had not ended after 120 s.") from exc


def do(*words: str) -> None:
    done = systemctl(*words)
    if done.returncode:
        raise DemoError(
            f"`systemctl --user {' '.join(words)}` ended with {done.returncode}:\n"
            f"{(done.stderr or done.stdout).strip()}"
        )


class Units:
    """The units of one fleet; ``key`` tells it from the fleets of other checkouts."""

    def __init__(self, key: str) -> None:
        self.prefix = f"fleetops-demo-{key}-"

    def name(self, host: str) -> str:
        return f"{self.prefix}{host}.service"

    def install(self, texts: Mapping[str, str]) -> None:
        """Write the units, by host, and make systemd read them."""
        place = runtime_directory() / "systemd" / "user"
        place.mkdir(parents=True, exist_ok=True)
        for host, text in texts.items():
            (place / self.name(host)).write_text(text)
        do("daemon-reload")

    def start(self, host: str) -> None:
        do("start", self.name(host))

    def restart(self, host: str) -> None:
        do("restart", self.name(host))

    def running(self, host: str) -> bool:
        return systemctl("is-active", self.name(host)).stdout.strip() == "active"

    def files(self) -> list[Path]:
        return sorted((runtime_directory() / "systemd" / "user").glob(f"{self.prefix}*.service"))

    def end(self, seconds: float = 50.0) -> int:
        """Stop and remove whatever units there are; returns how many.

        Nothing is asked of systemd where there are none, so this is for every fleet.
        """
        files = self.files()
        if not files:
            return 0
        names = [path.name for path in files]
        # One that is already gone, or a systemd that is: what is left is ended by pid.
        systemctl("stop", "--no-block", *names)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            states = systemctl("is-active", *names).stdout.split()
            if not set(states) & {"active", "activating", "deactivating", "reloading"}:
                break
            time.sleep(0.1)
        for path in files:
            path.unlink(missing_ok=True)
        systemctl("daemon-reload")
        systemctl("reset-failed", *names)
        return len(files)
