# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Choose the two Pythons of this machine that the demo upgrades between.

They are looked for by the collection's own finder, so that the upgrade finds what the demo found;
and the tests find them here.
"""

import os
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from demo.errors import DemoError

sys.path.append(str(Path(__file__).resolve().parent.parent / ".collections"))

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host import trust
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages import find_python

MINORS = range(6, 15)
MODERN = (3, 11)


class Python(NamedTuple):
    version: tuple[int, ...]
    executable: str
    # How a stage asks for it: by version, or by path when only this process knows the place.
    stage: str

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


def nobody_else_can_change(path: Path) -> bool:
    """Whether root may rely on a path; an upgrade asks the same."""
    return trust.doubt(str(path)) is None


def choose(found: Iterable[Python]) -> Choice:
    """From the oldest one to the first modern one; without an old one, to the newest."""
    usable = sorted(found)
    modern = [python for python in usable if python.version >= MODERN]
    if not modern:
        listed = ", ".join(python.full for python in usable) or "none"
        raise DemoError(
            f"The demo needs a Python {MODERN[0]}.{MODERN[1]} or newer that can make a virtualenv. "
            f"Found: {listed}."
        )
    start = usable[0]
    return Choice(start, modern[0] if start.version < MODERN else modern[-1])


def look(wanted: str) -> Python | None:
    """The Python of a version, such as ``3.11``, or of a path, as an upgrade would find it."""
    uv = str(Path(sys.executable).parent / "uv")
    it = find_python.find_python(wanted, [], None, uv).interpreter
    if it is None or it.implementation != "CPython" or not it.version.replace(".", "").isdigit():
        return None
    named = wanted if os.path.isabs(wanted) else it.minor
    return Python(tuple(map(int, it.version.split("."))), it.executable, named)


def every() -> list[Python]:
    """One Python of each minor version that is here, the oldest first."""
    with ThreadPoolExecutor(4) as pool:
        return [python for python in pool.map(look, [f"3.{n}" for n in MINORS]) if python]


def find() -> Choice:
    """Look for each minor version, and at the Python that this runs on."""
    found = every()
    own = None if sys.version_info[:2] in {p.version[:2] for p in found} else look(sys.executable)
    return choose([*found, own] if own else found)
