# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carry what a live virtualenv holds over to another one, perhaps of another Python.

The rule, in the order in which it is applied:

1. every pin of the live venv is kept;
2. for another Python, what only other packages asked for, and no longer ask for there,
   is left out (backports such as dataclasses or importlib-metadata), and so are the few
   backports that must not be installed beside the standard library that has them;
3. if that set cannot be installed there, the pins that stand in the way may move up within
   their major version, if others asked for the package; what the application itself asked
   for never moves. What moved is recorded in the release.
"""

import re
from typing import AbstractSet, Dict, Iterable, List, Mapping, NamedTuple, Sequence, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.pep440 import within
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.requirements import (
    canonical,
    version_tuple,
)

# Installing tools are not part of what an application runs on; Debian's pkg-resources
# is no package at all but an old fault of its pip.
_NEVER = ("pip", "wheel", "distribute", "pkg-resources", "gunicorn", "setuptools")

# Name -> the first Python that has it in its standard library. Only those that break or
# cannot be installed there: a harmless backport may stay.
_IN_STDLIB: Dict[str, Tuple[int, int]] = {
    "aiocontextvars": (3, 7),
    "backports-zoneinfo": (3, 9),
    "contextvars": (3, 7),
    "dataclasses": (3, 7),
    "enum34": (3, 4),
    "futures": (3, 2),
    "typing": (3, 5),
}


class Dist(NamedTuple):
    """One installed distribution."""

    name: str
    version: str
    requires: Tuple[str, ...] = ()
    # Where it came from if not from an index: "editable /srv/x", "git+https://...", "file:///x".
    origin: str = ""
    # Its range of Pythons, as it is declared.
    requires_python: str = ""


class Carried(NamedTuple):
    """What goes over."""

    pins: Tuple[Tuple[str, str], ...]
    direct: Tuple[str, ...]
    dropped: Tuple[str, ...]
    setuptools: bool


_TOKEN = re.compile(
    r"\s*(?:(?P<paren>[()])|(?P<string>'[^']*'|\"[^\"]*\")"
    r"|(?P<op><=|>=|===|==|~=|!=|<|>|\bnot\s+in\b|\bin\b)|(?P<word>[A-Za-z_.]+))"
)
_VERSIONS = ("python_version", "python_full_version", "implementation_version")

_PIN = re.compile(
    r"^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*([^;]*?)\s*(?:;\s*(.*?))?\s*$"
)
_EXACT = re.compile(r"^={2,3}\s*([^\s,*]+)$")
MAX_OPEN = 200


class _Unknown(Exception):
    """A marker that this evaluator does not know: the caller assumes that it holds."""


def _compare(left: str, op: str, right: str, versions: bool) -> bool:
    if op == "in":
        return left in right
    if op == "not in":
        return left not in right
    if not versions:
        if op in ("==", "==="):
            return left == right
        if op == "!=":
            return left != right
        raise _Unknown(op)
    holds = within(left, op + right)
    if holds is None:
        raise _Unknown(right)
    return holds


class _Parser:
    """PEP 508 markers: ``or`` of ``and`` of comparisons, with parentheses."""

    def __init__(self, text: str, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.tokens: List[Tuple[str, str]] = []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if not match:
                raise _Unknown(text)
            kind = str(match.lastgroup)
            self.tokens.append((kind, re.sub(r"\s+", " ", match.group(kind))))
            position = match.end()
        self.at = 0

    def peek(self) -> Tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def take(self) -> Tuple[str, str]:
        token = self.peek()
        self.at += 1
        return token

    def either(self) -> bool:
        value = self.both()
        while self.peek() == ("word", "or"):
            self.take()
            # Not short-circuited: the right side must be read in any case.
            right = self.both()
            value = value or right
        return value

    def both(self) -> bool:
        value = self.one()
        while self.peek() == ("word", "and"):
            self.take()
            right = self.one()
            value = value and right
        return value

    def one(self) -> bool:
        if self.peek() == ("paren", "("):
            self.take()
            value = self.either()
            if self.take() != ("paren", ")"):
                raise _Unknown("unbalanced")
            return value
        (left, versions), (kind, op), (right, also) = self.value(), self.take(), self.value()
        if kind != "op":
            raise _Unknown(op)
        return _compare(left, op, right, versions or also)

    def value(self) -> Tuple[str, bool]:
        kind, text = self.take()
        if kind == "string":
            return text[1:-1], False
        if kind == "word" and text in self.environment:
            return self.environment[text], text in _VERSIONS
        raise _Unknown(text)


def marker_holds(marker: str, environment: Mapping[str, str]) -> bool:
    """Whether an environment marker holds; one that cannot be read is taken to hold."""
    try:
        parser = _Parser(marker, environment)
        value = parser.either()
        return value if parser.peek()[0] == "end" else True
    except _Unknown:
        return True


def _needs(dist: Dist, environment: Mapping[str, str]) -> Set[str]:
    """The names that a distribution asks for in an environment, its extras apart."""
    names = set()
    for requirement in dist.requires:
        head, dummy, marker = requirement.partition(";")
        match = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", head)
        if match and (not marker.strip() or marker_holds(marker, environment)):
            names.add(canonical(match.group(1)))
    return names


def not_from_an_index(dists: Sequence[Dist], source: str) -> str:
    """Why a venv cannot be carried over for what is in it; empty if it can."""
    strange = sorted(
        f"{d.name} ({d.origin})" for d in dists if d.origin and canonical(d.name) not in _NEVER
    )
    if not strange:
        return ""
    return (
        "{}: what this venv holds cannot be carried over, because an index does not have it: "
        "{}. Give the stage (or app_requirements) a requirements file that says where these "
        "come from.".format(source, ", ".join(strange[:8]))
    )


def carry(
    dists: Sequence[Dist],
    here: Mapping[str, str],
    there: Mapping[str, str],
    source: str,
) -> Carried:
    """Decide what of a live venv (``here``: its markers) goes to the Python ``there``."""
    why = not_from_an_index(dists, source)
    if why:
        raise FleetError(why)
    by_name = {canonical(d.name): d for d in dists}
    wanted_here = {name: _needs(d, dict(here, extra="")) for name, d in by_name.items()}
    asked_for: Set[str] = set().union(*wanted_here.values()) if wanted_here else set()
    kept = [name for name in by_name if name not in _NEVER]
    direct = {name for name in kept if name not in asked_for}
    python = version_tuple(there["python_version"])
    if version_tuple(here["python_version"]) == python:
        reached = set(kept)
    else:
        reached = set()
        # gunicorn too is a root: what it asks for there stays as it is here.
        todo = sorted(direct) + ["gunicorn"]
        while todo:
            name = todo.pop()
            if name in reached or python >= _IN_STDLIB.get(name, (99, 0)):
                continue
            reached.add(name)
            if name in by_name:
                todo.extend(_needs(by_name[name], dict(there, extra="")))
        # Packages that ask for each other in a ring have no root: keep them.
        for name in kept:
            if name in reached or python >= _IN_STDLIB.get(name, (99, 0)):
                continue
            owners = [o for o, needs in wanted_here.items() if name in needs and o != name]
            if owners and all(_leads_back(name, o, wanted_here) for o in owners):
                reached.add(name)
    return Carried(
        pins=tuple(sorted((n, by_name[n].version) for n in kept if n in reached)),
        direct=tuple(sorted(direct & reached)),
        dropped=tuple(f"{n}=={by_name[n].version}" for n in sorted(kept) if n not in reached),
        setuptools="setuptools" in by_name,
    )


def _leads_back(start: str, goal: str, needs: Mapping[str, Set[str]]) -> bool:
    """Whether ``start`` asks, by way of others, for ``goal``."""
    seen: Set[str] = set()
    todo = [start]
    while todo:
        for name in needs.get(todo.pop(), set()) - seen:
            if name == goal:
                return True
            seen.add(name)
            todo.append(name)
    return False


def exact_text(carried: Carried) -> str:
    """The requirements of the first try: every pin as it is."""
    return "".join(f"{name}=={version}\n" for name, version in carried.pins)


def relaxed_text(carried: Carried, free: AbstractSet[str]) -> str:
    """The requirements of a further try: what is free may move up within its major version."""
    lines = []
    for name, version in carried.pins:
        major = re.match(r"[0-9]+", version)
        if name in free and major:
            plain = version.split("+")[0]
            lines.append(f"{name}>={plain},<{int(major.group(0)) + 1}\n")
        else:
            lines.append(f"{name}=={version}\n")
    return "".join(lines)


def moved(carried: Carried, installed: Mapping[str, str]) -> Dict[str, str]:
    """Which pins moved in the end: name -> "2.0.1 -> 2.1.5"."""
    return {
        name: f"{version} -> {installed[name]}"
        for name, version in carried.pins
        if name in installed and installed[name] != version
    }


def pins_of(lines: Iterable[str], markers: Mapping[str, str]) -> Tuple[Dict[str, str], List[str]]:
    """(exact pins, names without one) of requirements lines, in an environment."""
    pins: Dict[str, str] = {}
    open_: List[str] = []
    for line in lines:
        match = _PIN.match(re.sub(r"\s--[a-z].*$", "", line))
        if line.startswith("-") or not match:
            continue
        name, wanted, marker = canonical(match.group(1)), match.group(2), match.group(3) or ""
        if marker and not marker_holds(marker, dict(markers, extra="")):
            continue
        exact = _EXACT.match(wanted)
        if exact:
            pins[name] = exact.group(1)
        else:
            open_.append(name)
    return pins, sorted(set(open_))[:MAX_OPEN]
