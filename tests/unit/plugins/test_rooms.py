# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may import whom: rooms on floors, and no arrow up.

A room is a directory of plugins/module_utils or plugins/plugin_utils, or a file that lies beside
them. docs/architecture.md shows the same tables.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = "ansible_collections.fleetops.gunicorn.plugins."

# From the ground up. A room imports from floors below its own, never from its own or one above.
FLOORS = {
    "module_utils": (
        "_errors _redact _visible",
        "_module _host _state",
        "_logs _packages _balancer",
        "_gunicorn _balancer/haproxy _balancer/nginx _balancer/probe",
        "_service/manager",
        "_service/supervisord _service/systemd _service/site",
        "_service/programs _service/managers",
        "_release _activation",
        "_questions",
    ),
    "plugin_utils": (
        "_few _times _clock _counters _hooks _controller _declared _fleet_questions _balancers"
        " _probe_inputs",
        "_known_problems _gate/canary _held",
        "_gate",
        "_check",
        "_plan",
        "_story",
        "_report _settings _status",
        "_internal",
    ),
}


class Arrow(NamedTuple):
    """One import: which file of which room names which room."""

    room: str
    file: str
    other: str


def floors(kind: str) -> dict[str, int]:
    """The floor of each room, from 0."""
    return {room: floor for floor, rooms in enumerate(FLOORS[kind]) for room in rooms.split()}


def room_of(parts: Iterable[str], rooms: Iterable[str]) -> str:
    """The innermost room of a path below ``module_utils`` or ``plugin_utils``."""
    path = "/".join(parts) + "/"
    found = [room for room in rooms if path.startswith(room + "/")]
    return max(found, key=len, default="")


def imported(tree: ast.AST) -> Iterator[str]:
    """Whole names of what a file of ours imports from ours: modules, or names in them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{each.name}" for each in node.names)


@cache
def names_of(path: Path) -> tuple[str, ...]:
    """What a file imports; each is read once."""
    return tuple(imported(ast.parse(path.read_text())))


def arrows(kind: str) -> set[Arrow]:
    """Every import between two rooms."""
    base, rooms = ROOT / "plugins" / kind, floors(kind)
    found = set()
    for path in sorted(base.rglob("*.py")):
        where = path.relative_to(base)
        room = room_of(where.with_suffix("").parts, rooms)
        for name in names_of(path):
            if name.startswith(f"{PLUGINS}{kind}."):
                other = room_of(name[len(f"{PLUGINS}{kind}.") :].split("."), rooms)
                found.add(Arrow(room, str(where), other))
    return {arrow for arrow in found if arrow.room != arrow.other}


@pytest.mark.parametrize("kind", FLOORS)
def test_every_file_has_a_room(kind: str) -> None:
    base, rooms = ROOT / "plugins" / kind, floors(kind)
    files = [path.relative_to(base).with_suffix("") for path in base.rglob("*.py")]
    homeless = [
        str(each) for each in files if each.name != "__init__" and not room_of(each.parts, rooms)
    ]
    assert not homeless, "put it into a room, or its room into FLOORS"
    assert {room_of(each.parts, rooms) for each in files} - {""} == set(rooms)


@pytest.mark.parametrize("kind", FLOORS)
def test_no_arrow_points_up(kind: str) -> None:
    floor = floors(kind)
    up = sorted(
        f"{arrow.file} imports from {arrow.other}, which is not below {arrow.room}"
        for arrow in arrows(kind)
        if floor[arrow.room] <= floor[arrow.other]
    )
    assert not up, "move what is needed down, or who needs it up"


def test_what_runs_on_hosts_knows_nothing_of_the_controller() -> None:
    for path in sorted((ROOT / "plugins/module_utils").rglob("*.py")):
        names = names_of(path)
        assert not [name for name in names if name.startswith(PLUGINS + "plugin_utils")], path


def test_rooms_have_empty_inits() -> None:
    """Whoever imports one file of a room gets no other: a module carries little to its host."""
    for kind in FLOORS:
        folders = {path.parent for path in (ROOT / "plugins" / kind).rglob("*.py")}
        for folder in folders - {ROOT / "plugins" / kind}:
            for each in (folder, *folder.parents):
                if each == ROOT / "plugins" / kind:
                    break
                assert (each / "__init__.py").read_bytes() == b""


@pytest.mark.parametrize("kind", FLOORS)
def test_the_documentation_shows_the_same_floors(kind: str) -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    table = text.partition(f"| room of {kind} |")[2].partition("\n\n")[0]
    shown = [re.findall(r"`(_[\w/]+)`", line.split("|")[1]) for line in table.splitlines()[2:]]
    assert [room for line in shown for room in line] == " ".join(FLOORS[kind]).split()
