# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which packages do not allow a stage, by the metadata of what is installed.

Known before anything is resolved, and by its true name: a resolver tells of a conflict among
pins, and not that a package of the application does not want this gunicorn.
"""

import re
from typing import AbstractSet, Dict, List, Mapping, NamedTuple, Sequence

from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.carried_pins import (
    Dist,
    marker_holds,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.pep440 import within
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.requirements import (
    canonical,
)

_REQUIRES = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*\(?([^;@()]*)\)?\s*$")
MAX_CAPS = 20


class Cap(NamedTuple):
    """A package that does not allow what a stage wants."""

    package: str
    version: str
    # "gunicorn" or "python".
    of: str
    # As it is declared.
    ranges: str
    wanted: str
    # Whether the stage cannot be built with this version of the package.
    firm: bool
    markers: Mapping[str, str] = {}

    def __str__(self) -> str:
        what = "gunicorn" if self.of == "gunicorn" else "Python "
        return f"{self.package} {self.version} wants {what}{self.ranges}"

    def allows(self, requires: Sequence[str], requires_python: str) -> bool:
        """Whether another version of the package, with these metadata, has no such cap."""
        if self.of == "gunicorn":
            ranges = ranges_for(requires, "gunicorn", self.markers)
        else:
            ranges = re.sub(r"\s+", "", requires_python)
        return within(self.wanted, ranges) is not False


def ranges_for(requires: Sequence[str], name: str, markers: Mapping[str, str]) -> str:
    """The ranges that requirements name for a package in an environment; empty if any will do."""
    found = []
    for requirement in requires:
        head, _semicolon, marker = requirement.partition(";")
        match = _REQUIRES.match(head)
        if not match or canonical(match.group(1)) != name:
            continue
        if not marker.strip() or marker_holds(marker, dict(markers, extra="")):
            found.append(re.sub(r"\s+", "", match.group(2)))
    return ",".join(dict.fromkeys(r for r in found if r))


def caps(
    dists: Sequence[Dist],
    pins: Mapping[str, str],
    movable: AbstractSet[str],
    gunicorn: str,
    markers: Mapping[str, str],
    strict: bool,
) -> List[Cap]:
    """Who does not allow the stage, of what is installed and will be installed again.

    ``pins``: what the release will hold, name -> version; metadata are known of the version that
    is installed only. ``movable``: packages whose pins may move, so that another version may do.
    ``strict``: the installer heeds the upper end of a range of Pythons (pip does, uv does not).
    """
    found = []
    python = markers["python_full_version"]
    for dist in dists:
        if pins.get(dist.name) != dist.version or dist.name == "gunicorn":
            continue
        stays = dist.name not in movable
        ranges = ranges_for(dist.requires, "gunicorn", markers)
        if ranges and within(gunicorn, ranges) is False:
            found.append(Cap(dist.name, dist.version, "gunicorn", ranges, gunicorn, stays, markers))
        ranges = re.sub(r"\s+", "", dist.requires_python)
        if ranges and within(python, ranges) is False:
            firm = stays and (strict or within(python, _floors(ranges)) is False)
            found.append(Cap(dist.name, dist.version, "python", ranges, python, firm, markers))
    return found[:MAX_CAPS]


def _floors(ranges: str) -> str:
    """The clauses that name an oldest version."""
    return ",".join(c for c in ranges.split(",") if c.startswith((">", "=", "~")))


def refusal(found: Sequence[Cap], source: str) -> str:
    """What the operator is told of those with which the stage cannot be built; empty if none."""
    firm = [cap for cap in found if cap.firm]
    if not firm:
        return ""
    by_wanted: Dict[str, List[Cap]] = {}
    for cap in firm:
        what = "gunicorn " if cap.of == "gunicorn" else "Python "
        by_wanted.setdefault(what + cap.wanted, []).append(cap)
    parts = [
        "{} is not allowed by what the application runs on: {}".format(
            wanted, ", ".join(map(str, those))
        )
        for wanted, those in by_wanted.items()
    ]
    names = ", ".join(dict.fromkeys(cap.package for cap in firm))
    return (
        f"{source}: {'; '.join(parts)}. Give the stage a requirements file with a version of "
        f"{names} that allows it, or change the stage."
    )
