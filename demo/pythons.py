# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the Pythons of this machine and choose the two that the demo upgrades between."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from demo.errors import DemoError

OLDEST = (3, 6)
MODERN = (3, 11)
# Modules that gunicorn and a virtualenv cannot do without and that a lean build may lack.
PROBE = """
import json, platform, ssl, sys, venv, zlib
print(json.dumps({
    "version": platform.python_version(),
    "usable": platform.python_implementation() == "CPython"
    and sys.version_info.releaselevel == "final"
    and sys.prefix == sys.base_prefix,
}))
"""


class Python(NamedTuple):
    version: tuple[int, ...]
    executable: str

    @property
    def full(self) -> str:
        return ".".join(map(str, self.version))

    @property
    def short(self) -> str:
        return ".".join(map(str, self.version[:2]))


class Choice(NamedTuple):
    start: Python
    newer: Python

    @property
    def remark(self) -> str:
        """What the reader must know when this machine cannot show the whole way."""
        if self.start.version < MODERN:
            return ""
        same = "the Python stays" if self.start == self.newer else f"it ends on {self.newer.full}"
        return (
            f"no Python older than {MODERN[0]}.{MODERN[1]} was found here: "
            f"the fleet starts on {self.start.full} and {same}"
        )


def places(environment: Mapping[str, str]) -> Iterator[Path]:
    """Directories in which Pythons live: PATH, pyenv, uv's own, /usr/local, /opt."""
    home = Path(environment.get("HOME") or "/nonexistent")
    pyenvs = [Path(environment["PYENV_ROOT"])] if environment.get("PYENV_ROOT") else []
    for name in environment.get("PATH", "").split(os.pathsep):
        directory = Path(name)
        if directory.name == "shims":
            # pyenv's shims only answer for the versions switched on: look behind them.
            pyenvs.append(directory.parent)
        elif directory.is_absolute():
            yield directory
    for root in [*pyenvs, home / ".pyenv"]:
        yield from sorted(root.glob("versions/*/bin"))
    data = Path(environment.get("XDG_DATA_HOME") or home / ".local/share")
    yield from sorted(
        Path(environment.get("UV_PYTHON_INSTALL_DIR") or data / "uv/python").glob("*/bin")
    )
    yield Path("/usr/local/bin")
    yield from sorted(Path("/opt").glob("*/bin"))
    yield from sorted(Path("/opt/python").glob("*/bin"))


def executables(directories: Iterable[Path]) -> list[str]:
    """Each interpreter once, whatever it is called."""
    found: dict[str, None] = {}
    for directory in directories:
        names = [directory / "python3", *sorted(directory.glob("python3.[0-9]*"))]
        for path in names:
            real = os.path.realpath(path)
            if (
                not path.name.endswith("-config")
                and os.path.isfile(real)
                and os.access(real, os.X_OK)
            ):
                found[real] = None
    return list(found)


def probe(executable: str) -> Python | None:
    try:
        done = subprocess.run(
            [executable, "-I", "-c", PROBE], capture_output=True, text=True, timeout=30
        )
        answer = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    if not answer["usable"]:
        return None
    return Python(tuple(int(part) for part in answer["version"].split(".")), executable)


def best(pythons: Iterable[Python], like: Python) -> Python:
    """The newest patch release of the same minor version."""
    return max(python for python in pythons if python.short == like.short)


def choose(found: Iterable[Python]) -> Choice:
    """From the oldest usable one to the first modern one; without an old one, to the newest."""
    usable = sorted(python for python in found if python.version >= OLDEST)
    modern = [python for python in usable if python.version >= MODERN]
    if not modern:
        listed = ", ".join(python.full for python in usable) or "none"
        raise DemoError(
            "The demo needs a complete CPython (with venv, ssl and zlib) of version "
            f"{MODERN[0]}.{MODERN[1]} or newer. Usable ones found: {listed}."
        )
    start = best(usable, usable[0])
    return Choice(start, best(modern, modern[0]) if start.version < MODERN else modern[-1])


def find(environment: Mapping[str, str]) -> Choice:
    own = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(probe, {own: None, **dict.fromkeys(executables(places(environment)))})
    return choose(python for python in found if python is not None)
