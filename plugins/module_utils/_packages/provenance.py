# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an installed package is what an index gives under its name and version.

An old pip does not note that a package came from a directory, and an index may have a namesake of
it; somebody may have changed a package in place. Only what is installed can tell: its files are
compared, by content, with those that came from the index.

What is no part of the comparison, because it differs between two honest installations:
metadata and lists (``*.dist-info``, ``*.egg-info``, ``*-nspkg.pth``), byte-code, scripts (they lie
outside of site-packages), line ends of Python source (Python reads them alike), what a compiler
reads, and what it made or noted (``__config__.py``): of a compiled file nothing counts, unless a
package has no other; then its name does, without the tag of the Python. Everything else counts,
data as well: a certificate added to a bundle is lost like a line of code.

The wheel and the source archive of one version are not always made of the same source. What was
installed from the other one is proved by that archive, file by file.
"""

import hashlib
import os
import re
import stat
from typing import Dict, Iterable, Mapping, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.site_files import Owner

_COMPILED = re.compile(r"\.(so|pyd|dylib|dll|a|o|lib|exe)(\.[0-9.]+)?$")
_IGNORED = re.compile(
    r"(^|/)__pycache__/|\.py[co]$|^[^/]+\.(dist-info|egg-info)(/|$)|^[^/]+\.(libs|dylibs)/"
    r"|^[^/]+-nspkg\.pth$|(^|/)__config__\.py$|\.(h|hh|hpp|c|cc|cpp|cxx|f|pxd|pxi|pyx)$"
)
_LARGEST = 1 << 28
_LARGEST_OF_ALL = 1 << 32
MAX_NAMED = 8


class Difference(NamedTuple):
    """A package that is not what the index gives."""

    name: str
    version: str
    changed: Tuple[str, ...]
    only_live: Tuple[str, ...]
    only_index: Tuple[str, ...]

    def __str__(self) -> str:
        parts = [
            f"{_named(files)} {verb}"
            for files, verb in (
                (self.changed, "differ" if len(self.changed) > 1 else "differs"),
                (self.only_live, "only in what runs"),
                (self.only_index, "only in the index's"),
            )
            if files
        ]
        return f"{self.name} {self.version} ({'; '.join(parts)})"


def _named(files: Sequence[str]) -> str:
    more = len(files) - MAX_NAMED
    return ", ".join(files[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _content_sha256(path: str, left: int) -> Tuple[str, int]:
    """(the hash of a file's content, its size); of one that is too large the size must do."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode) or info.st_size > min(_LARGEST, left):
            return f"no file, or a large one: {info.st_size}", 0
        content = file.read(_LARGEST)
    return sha256_of(path, content), len(content)


def sha256_of(path: str, content: bytes) -> str:
    """The hash of a content; of Python source without regard to line ends."""
    if path.endswith((".py", ".pyi")):
        content = content.replace(b"\r\n", b"\n")
    return hashlib.sha256(content).hexdigest()


def stem(path: str) -> str:
    """A compiled file without the tag of the Python it was made for."""
    top, _slash, name = path.rpartition("/")
    return f"{top}/{name.split('.')[0]}" if top else name.split(".")[0]


def contents(site: str, files: Iterable[str]) -> Dict[str, str]:
    """What counts of a package's files: path -> hash of the content. What is gone is left out."""
    found: Dict[str, str] = {}
    compiled: Dict[str, str] = {}
    # Who may write there must not keep us for ever.
    left = _LARGEST_OF_ALL
    for path in files:
        if _IGNORED.search(path):
            continue
        full = os.path.join(site, path)
        if _COMPILED.search(path):
            if os.path.exists(full):
                compiled[stem(path)] = "compiled"
            continue
        try:
            found[path], size = _content_sha256(full, left)
            left -= size
        except OSError:
            continue
    return found or compiled


def digest(held: Mapping[str, str]) -> str:
    """One hash of `contents`."""
    text = "".join(f"{path}\0{held[path]}\0" for path in sorted(held))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def files_of(owner: Owner, other: Optional[Owner], site: str) -> Optional[Tuple[str, ...]]:
    """The files of a package; of one without a list, those that its twin lists.

    None if it has no list and nothing of it is there: then there is no code to compare.
    """
    if owner.files is not None:
        return owner.files
    if other is None or other.files is None:
        return None
    files = other.files
    there = any(os.path.exists(os.path.join(site, f)) for f in files if not _IGNORED.search(f))
    return files if there else None


def compare(
    live: Tuple[str, Owner], index: Tuple[str, Owner]
) -> Tuple[Optional[Difference], Dict[str, str]]:
    """(how what runs differs from what the index gave, or None; `contents` of what runs)."""
    (site, mine), (other_site, other) = live, index
    files = files_of(mine, other, site)
    if files is None:
        return None, {}
    held = contents(site, files)
    given = contents(other_site, other.files or ())
    changed = tuple(p for p in sorted(held.keys() & given.keys()) if held[p] != given[p])
    only_live = tuple(sorted(held.keys() - given.keys()))
    only_index = tuple(sorted(given.keys() - held.keys()))
    if not (changed or only_live or only_index):
        return None, held
    return Difference(mine.name, mine.version, changed, only_live, only_index), held


# base name -> [(path in the archive, hash)]
Archive = Mapping[str, Sequence[Tuple[str, str]]]


def by_archive(found: Difference, held: Mapping[str, str], archive: Archive) -> Difference:
    """What of a difference the source archive of that version does not explain.

    A file of what runs is explained if the archive has it, wherever in it. Then it also does not
    matter what the wheel has besides.
    """

    def there(path: str) -> bool:
        name = path.rpartition("/")[2]
        return any(
            value == held[path] and (full == path or full.endswith("/" + path))
            for full, value in archive.get(name, ())
        )

    changed = tuple(path for path in found.changed if not there(path))
    only_live = tuple(path for path in found.only_live if not there(path))
    rest = found.only_index if changed or only_live else ()
    return found._replace(changed=changed, only_live=only_live, only_index=rest)


def refusal(
    source: str, place: str, differences: Sequence[Difference], unseen: Mapping[str, str]
) -> str:
    """What the operator is told. ``unseen``: packages that could not be compared, and why."""
    names = [d.name for d in differences] + sorted(unseen)
    text = ""
    if differences:
        text += (
            f"what {source} holds is not what {place} gives under the same name and version: "
            + "; ".join(str(d) for d in differences[:6])
            + (f"; and {len(differences) - 6} more" if len(differences) > 6 else "")
            + ". Either it is a package of the application's own and that is a stranger's of the "
            "same name, or it was changed in place; the release would hold the other code. "
        )
    if unseen:
        text += (
            f"it cannot be proved that {place} gives what {source} holds of "
            + "; ".join(f"{name} ({unseen[name]})" for name in sorted(unseen)[:6])
            + ". "
        )
    return (
        text + "Give a requirements file (app_requirements) that says where this comes from, or a "
        "wheelhouse (release_wheelhouse) that holds it. Only if the other code is right: "
        f"release_trust: [{', '.join(names[:12])}]"
    )
