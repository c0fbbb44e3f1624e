# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which file of a virtualenv's site-packages belongs to which package, and which to none.

Only what a package lists is installed again; what somebody laid beside it by hand is not, and
an application may well live by it.
"""

import csv
import hashlib
import os
import posixpath
import re
import shutil
import stat
from fnmatch import fnmatchcase
from typing import AbstractSet, Callable, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.trust import read_file

# Lists of some hundred thousand files there are, with a hash for each.
LIMIT = 1 << 25
PTH_LIMIT = 1 << 16
MAX_FILES = 200000
MAX_NAMED = 12


class Owner(NamedTuple):
    """An installed distribution, and the files it lists."""

    name: str
    version: str
    # Relative to site-packages, inside of it; None if it has no list (Debian, distutils).
    files: Optional[Tuple[str, ...]]
    # What it takes at the top of site-packages if it has no list.
    tops: Tuple[str, ...] = ()


class Entry(NamedTuple):
    """A file or directory that no package owns."""

    path: str
    # What it does to the search path, if it is a .pth.
    leads_to: Tuple[str, ...] = ()


def _read(path: str, limit: int = LIMIT) -> Optional[str]:
    try:
        content = read_file(path, limit)
    except OSError:
        return None
    return None if content is None else content.decode("utf-8", "replace")


def inside(paths: Iterable[str], base: str = "") -> Tuple[str, ...]:
    """The paths that lie in site-packages, in one spelling."""
    found = []
    for path in paths:
        plain = posixpath.normpath(posixpath.join(base, path.replace(os.sep, "/")))
        if not plain.startswith(("../", "/")) and plain not in ("", ".", ".."):
            found.append(plain)
    return tuple(found)


def listed_in_record(text: str) -> List[str]:
    """The first column of a RECORD."""
    try:
        return [row[0] for row in csv.reader(text.splitlines()) if row and row[0]]
    except csv.Error:
        return []


def read_owner(site: str, entry: str, name: str, version: str) -> Owner:
    """What the distribution with this metadata directory (or file) owns."""
    info = os.path.join(site, entry)
    record = _read(os.path.join(info, "RECORD")) if entry.endswith(".dist-info") else None
    if record is not None:
        return Owner(name, version, inside(listed_in_record(record)))
    files = _read(os.path.join(info, "installed-files.txt"))
    if files is not None:
        return Owner(name, version, inside(files.splitlines(), entry))
    tops = (_read(os.path.join(info, "top_level.txt")) or "").split()
    return Owner(name, version, None, tuple(tops) or (name, re.sub("-", "_", name)))


def infos(site: str) -> List[str]:
    """The entries of site-packages that are metadata of a distribution."""
    return [n for n in sorted(os.listdir(site)) if n.endswith((".dist-info", ".egg-info"))]


# What venv, virtualenv, setuptools, an interrupted pip and the system leave there.
_TOOLS = ("distutils-precedence.pth", "_virtualenv.pth", "_virtualenv.py", "README.txt", "README")
_LEFT = re.compile(r"(^|/)([~-][^/]*|\.nfs[^/]*|\.DS_Store|\.[^/]*\.sw[po]|[^/]*~)$")
_CACHE = re.compile(r"^__pycache__$|^\..*cache.*$", re.IGNORECASE)


def _pth_lines(site: str, name: str) -> List[str]:
    lines = (_read(os.path.join(site, name), PTH_LIMIT) or "").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def leads_to(site: str, name: str, linked: AbstractSet[str]) -> Tuple[str, ...]:
    """What a .pth does: the directories it adds that are there, and whether it runs code.

    ``linked``: directories of editable installs, which are told of as such.
    """
    found = []
    for line in _pth_lines(site, name):
        if line.startswith(("import ", "import\t")):
            # easy_install wraps its list in two of these.
            if not (name == "easy-install.pth" and "sys.__plen" in line):
                found.append("code that it runs")
            continue
        path = os.path.normpath(os.path.join(site, line))
        if os.path.exists(path) and path not in linked and path != os.path.normpath(site):
            found.append(line[:200])
    return tuple(found)


def _ignored(path: str, names: AbstractSet[str]) -> bool:
    base = path.rpartition("/")[2]
    if path in _TOOLS or _LEFT.search(path):
        return True
    # Byte-code beside its source is nobody's; without a source it is a module.
    return base.endswith((".pyc", ".pyo")) and base[:-1] in names


def unowned(
    site: str, owners: Sequence[Owner], linked: AbstractSet[str] = frozenset()
) -> List[Entry]:
    """What no package owns; a directory that holds nothing else is named as one."""
    owned: Set[str] = set()
    whole: Set[str] = set()
    for owner in owners:
        owned.update(owner.files or ())
        whole.update(owner.tops)
    found: List[str] = []
    seen = 0
    for top, directories, files in os.walk(site):
        relative = os.path.relpath(top, site)
        prefix = "" if relative == "." else relative.replace(os.sep, "/") + "/"
        names = frozenset(files)
        kept = []
        for name in sorted(directories):
            path = prefix + name
            if _CACHE.match(name) or _LEFT.search(path):
                continue
            if not prefix and (name.endswith((".dist-info", ".egg-info")) or name in whole):
                continue
            if os.path.islink(os.path.join(top, name)):
                found += [] if path in owned else [path]
                continue
            kept.append(name)
        directories[:] = kept
        for name in files:
            path = prefix + name
            seen += 1
            if seen > MAX_FILES:
                raise FleetError(f"{site} holds more than {MAX_FILES} files; that is no virtualenv")
            if path in owned or _ignored(path, names):
                continue
            if not prefix and (
                name.endswith((".egg-info", ".egg-link")) or name.split(".")[0] in whole
            ):
                continue
            found.append(path)
    entries = []
    for path in _joined(found, owned):
        if path.endswith(".pth"):
            target = leads_to(site, path, linked) if "/" not in path else ()
            if "/" in path or target:
                entries.append(Entry(path, target))
        else:
            entries.append(Entry(path))
    return entries


def _joined(paths: Sequence[str], owned: AbstractSet[str]) -> List[str]:
    """Paths, those of one directory as the highest directory in which nothing is owned."""
    with_owned: Set[str] = set()
    for path in owned:
        parts = path.split("/")
        with_owned.update("/".join(parts[:n]) for n in range(1, len(parts)))
    told = set()
    for path in paths:
        parts = path.split("/")
        tops = ("/".join(parts[:n]) for n in range(1, len(parts)))
        told.add(next((top for top in tops if top not in with_owned), path))
    return sorted(told)


def split(
    entries: Sequence[Entry], carry: Sequence[str], leave: Sequence[str]
) -> Tuple[List[Entry], List[Entry], List[Entry]]:
    """(carried over, left behind, neither) by what the operator named; names or patterns."""

    def named(entry: Entry, patterns: Sequence[str]) -> bool:
        return any(fnmatchcase(entry.path, p.rstrip("/")) for p in patterns)

    carried = [e for e in entries if named(e, carry)]
    left = [e for e in entries if e not in carried and named(e, leave)]
    return carried, left, [e for e in entries if e not in carried and e not in left]


def told(entries: Sequence[Entry]) -> str:
    """Entries in one line."""
    texts = [
        e.path + (" (leads to {})".format(", ".join(e.leads_to[:3])) if e.leads_to else "")
        for e in entries[:MAX_NAMED]
    ]
    more = len(entries) - len(texts)
    return ", ".join(texts) + (f" and {more} more" if more > 0 else "")


# --- content ------------------------------------------------------------------------------------

# What building a package in its own directory writes there.
_BUILT = re.compile(r"^(build|dist|[^/]*\.egg-info|src/[^/]*\.egg-info)$")
_NO_SOURCE = re.compile(
    r"^(__pycache__|\.git|\.hg|\.svn|\.tox|\.nox|\.venv|\.eggs|\.(mypy|pytest|ruff)_cache)$"
)


def tree_sha256(path: str) -> str:
    """A hash of the source that a directory (or file) holds: names, kinds and content, no times.

    Without what version control and a build in it leave there.
    """
    return _sha256(path, _is_source)


def content_sha256(path: str) -> str:
    """The same of all that `copy_entry` copies."""
    return _sha256(path, lambda relative, name: not _CACHE.match(name))


def _is_source(relative: str, name: str) -> bool:
    if _NO_SOURCE.match(name) or _BUILT.match(relative):
        return False
    return not name.endswith((".pyc", ".pyo"))


# (path below the top, name) -> whether it counts
_Counts = Callable[[str, str], bool]


def _sha256(path: str, counts: _Counts) -> str:
    result = hashlib.sha256()
    count = 0
    for relative, full in _files(path, counts):
        count += 1
        if count > MAX_FILES:
            raise FleetError(f"{path} holds more than {MAX_FILES} files, which is no package")
        info = os.lstat(full)
        if stat.S_ISLNK(info.st_mode):
            text = "link " + os.readlink(full)
        elif stat.S_ISREG(info.st_mode):
            text = ("run " if info.st_mode & 0o100 else "") + file_sha256(full)
        else:
            continue
        result.update(f"{relative}\0{text}\0".encode("utf-8", "surrogateescape"))
    return result.hexdigest()


def _files(path: str, counts: _Counts) -> Iterable[Tuple[str, str]]:
    if os.path.islink(path) or not os.path.isdir(path):
        yield "", path
        return
    for top, directories, files in os.walk(path):
        relative = os.path.relpath(top, path)
        prefix = "" if relative == "." else relative.replace(os.sep, "/") + "/"
        links = [d for d in directories if os.path.islink(os.path.join(top, d))]
        directories[:] = sorted(d for d in directories if d not in links and counts(prefix + d, d))
        for name in sorted(files + links):
            if counts(prefix + name, name):
                yield prefix + name, os.path.join(top, name)


def file_sha256(path: str) -> str:
    """The hash of a file's content."""
    result = hashlib.sha256()
    # Not a link, nor a FIFO, that somebody puts there meanwhile.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise FleetError(f"{path} is no regular file")
        for block in iter(lambda: file.read(1 << 20), b""):
            result.update(block)
    return result.hexdigest()


def copy_entry(site: str, path: str, target: str) -> None:
    """Copy a file or directory of site-packages; links as links, whatever they lead to.

    By directories that are open already: who may write there cannot lead us elsewhere.
    """
    parent, name = posixpath.split(path)
    if parent:
        os.makedirs(os.path.join(target, parent), 0o755, exist_ok=True)
    handle = _open_below(site, parent)
    try:
        _copy(handle, name, os.path.join(target, path))
    finally:
        os.close(handle)


def _open_below(site: str, parent: str) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    handle = os.open(site, flags)
    for part in parent.split("/") if parent else ():
        try:
            below = os.open(part, flags | os.O_NOFOLLOW, dir_fd=handle)
        finally:
            os.close(handle)
        handle = below
    return handle


def _copy(parent: int, name: str, target: str) -> None:
    info = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(name, dir_fd=parent), target)
    elif stat.S_ISDIR(info.st_mode):
        os.mkdir(target, 0o755)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
        handle = os.open(name, flags, dir_fd=parent)
        try:
            for each in sorted(n for n in os.listdir(handle) if not _CACHE.match(n)):
                _copy(handle, each, os.path.join(target, each))
        finally:
            os.close(handle)
    elif stat.S_ISREG(info.st_mode):
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, dir_fd=parent), "rb") as source:
            with open(target, "xb") as copied:
                shutil.copyfileobj(source, copied)
            os.chmod(target, 0o755 if info.st_mode & 0o100 else 0o644)
