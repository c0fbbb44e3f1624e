# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Versions as PEP 440 orders them, and the ranges that packages name.

The one place where versions are compared, for hosts and controller alike: the standard library
has nothing for it, and a host has no ``packaging``.
"""

import re
from typing import Any, NamedTuple, Optional, Tuple

_VERSION = re.compile(
    r"^\s*v?(?:(?P<epoch>[0-9]+)!)?(?P<release>[0-9]+(?:\.[0-9]+)*)"
    r"(?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_n>[0-9]*))?"
    r"(?:-(?P<post_bare>[0-9]+)|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_n>[0-9]*))?"
    r"(?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_n>[0-9]*))?"
    r"(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*$",
    re.IGNORECASE,
)
_PRE = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_CLAUSE = re.compile(r"^\s*(===|~=|==|!=|<=|>=|<|>)\s*(\S+)\s*$")
# Below and above whatever number stands there.
_LOW, _HIGH = (-1,), (1 << 62,)


class Version(NamedTuple):
    """The parts of a version, spelt in one way."""

    epoch: int
    # Without trailing zeros.
    release: Tuple[int, ...]
    pre: Optional[Tuple[str, int]]
    post: Optional[int]
    dev: Optional[int]
    local: Tuple[str, ...]

    @property
    def public(self) -> "Version":
        """Without its local part."""
        return self._replace(local=())


def parse(text: str) -> Optional[Version]:
    """The parts, or None for what is no version of PEP 440."""
    match = _VERSION.match(text)
    if not match:
        return None
    found = match.groupdict()
    pre = (found["pre"] or "").lower()
    post: Optional[int] = None
    if found["post_bare"] or found["post"]:
        post = int(found["post_bare"] or found["post_n"] or 0)
    return Version(
        epoch=int(found["epoch"] or 0),
        release=_plain(found["release"]),
        pre=(_PRE.get(pre, pre), int(found["pre_n"] or 0)) if pre else None,
        post=post,
        dev=int(found["dev_n"] or 0) if found["dev"] else None,
        local=tuple(re.split(r"[-_.]", (found["local"] or "").lower())) if found["local"] else (),
    )


def _plain(release: str) -> Tuple[int, ...]:
    numbers = [int(part) for part in release.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def numbers(text: str) -> Tuple[int, ...]:
    """The numbers with which a version begins, without trailing zeros: ``23.0.0rc1`` is 23.

    For what is a matter of a series (which gunicorn has a feature), not for which version it is.
    """
    match = re.match(r"\s*v?(?:[0-9]+!)?([0-9]+(?:\.[0-9]+)*)", text, re.IGNORECASE)
    return _plain(match.group(1)) if match else ()


def _order(version: Version) -> Tuple[Any, ...]:
    if version.pre is not None:
        pre: Tuple[Any, ...] = (ord(version.pre[0][0]), version.pre[1])
    elif version.post is None and version.dev is not None:
        pre = _LOW
    else:
        pre = _HIGH
    return (
        version.epoch,
        version.release,
        pre,
        _LOW if version.post is None else (version.post,),
        _HIGH if version.dev is None else (version.dev,),
        tuple((1, int(p), "") if p.isdigit() else (0, 0, p) for p in version.local),
    )


def key(text: str) -> Tuple[Any, ...]:
    """What sorts versions.

    A text that is no version (a distribution's ``20.0.1-0ubuntu1``) is taken by the numbers it
    begins with, and as a local version of them; one without numbers is below all.
    """
    found = parse(text)
    if found is None:
        rest = tuple(re.findall(r"[a-z]+|[0-9]+", text.lower()))
        begins = numbers(text)
        found = Version(0 if begins else -1, begins, None, None, None, rest)
    return _order(found)


def same(one: str, other: str) -> bool:
    """Whether two spellings name one version."""
    return key(one) == key(other)


def is_final(text: str) -> bool:
    """Whether it is a release (or a post-release), not one that comes before."""
    found = parse(text)
    return found is not None and found.pre is None and found.dev is None


def within(version: str, ranges: str) -> Optional[bool]:
    """Whether a version is in ranges such as ``>=3.7,<4``; None if they cannot be read.

    Pre-releases are not left out: what is asked is of a version that somebody wants or has.
    """
    asked = parse(version)
    verdict: Optional[bool] = True
    for clause in ranges.split(","):
        if not clause.strip():
            continue
        match = _CLAUSE.match(clause)
        holds = _holds(asked, match.group(1), match.group(2), version) if match and asked else None
        if holds is False:
            return False
        if holds is None:
            verdict = None
    return verdict


def _holds(asked: Version, operator: str, text: str, version: str) -> Optional[bool]:
    if operator == "===":
        return version.strip().lower() == text.lower()
    if text.endswith(".*"):
        wanted = parse(text[:-2])
        if wanted is None or operator not in ("==", "!="):
            return None
        length = len(text[:-2].rpartition("!")[2].split("."))
        begins = wanted.epoch == asked.epoch and _padded(wanted, length) == _padded(asked, length)
        return begins if operator == "==" else not begins
    wanted = parse(text)
    if wanted is None:
        return None
    # A local part counts only against one that was named.
    one = _order(asked if wanted.local else asked.public)
    other = _order(wanted)
    if operator == "~=":
        length = len(text.rpartition("!")[2].split("+")[0].split(".")) - 1
        parts = re.match(r"[0-9.]*[0-9]", text.rpartition("!")[2])
        length = len(parts.group(0).split(".")) - 1 if parts else length
        return one >= other and (
            wanted.epoch == asked.epoch and _padded(wanted, length) == _padded(asked, length)
        )
    if operator == "<":
        # 3.0rc1 is not meant by <3.0, unless a pre-release is named.
        before = wanted.pre is None and wanted.dev is None and asked.release == wanted.release
        early = asked.pre is not None or asked.dev is not None
        return one < other and not (before and early and asked.epoch == wanted.epoch)
    if operator == ">":
        plain = wanted.post is None and wanted.pre is None and wanted.dev is None
        after = plain and asked.post is not None and asked.release == wanted.release
        return one > other and not (after and asked.epoch == wanted.epoch)
    return {
        "==": one == other,
        "!=": one != other,
        "<=": one <= other,
        ">=": one >= other,
    }.get(operator)


def _padded(version: Version, length: int) -> Tuple[int, ...]:
    return (version.release + (0,) * length)[:length]
