# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The source archive of a version: found, fetched and read, never unpacked or run."""

import io
import os
import tarfile
import zipfile
import zlib
from functools import partial
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.index import (
    Fetch,
    read_files,
    version_of,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.pep440 import same
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.provenance import (
    Archive,
    sha256_of,
)

ENDS = (".tar.gz", ".zip", ".tar.bz2")
# What is read of one, packed and unpacked: a small archive can hold a lot of nothing.
LIMIT = 1 << 27
LIMIT_OF_ALL = 1 << 29
MAX_MEMBERS = 100000

# url -> content
Download = Callable[[str, int], bytes]


def read_archive(name: str, content: bytes) -> Archive:
    """The files of an archive by their base names; ValueError if it cannot be read."""
    found: Dict[str, List[Tuple[str, str]]] = {}
    left = LIMIT_OF_ALL
    try:
        for count, (path, size, read) in enumerate(_members(name, content)):
            left -= size
            if left < 0 or count > MAX_MEMBERS:
                raise ValueError("it holds too much")
            found.setdefault(path.rpartition("/")[2], []).append((path, sha256_of(path, read())))
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as exc:
        raise ValueError("it cannot be read") from exc
    return found


def _members(name: str, content: bytes) -> Iterable[Tuple[str, int, Callable[[], bytes]]]:
    if name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for info in packed.infolist():
                if not info.filename.endswith("/"):
                    yield info.filename, info.file_size, partial(packed.read, info)
        return
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as archive:
        for member in archive:
            if member.isfile():
                yield member.name, member.size, partial(_read, archive, member)


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file is not None else b""


def find_in(house: str, project: str, version: str) -> Optional[Archive]:
    """The source archive in a wheelhouse; None if there is none."""
    for name in sorted(os.listdir(house)):
        if name.endswith(ENDS) and same(version_of(name, project) or "0.dev0", version):
            path = os.path.join(house, name)
            if os.path.getsize(path) <= LIMIT:
                with open(path, "rb") as file:
                    return read_archive(name, file.read())
    return None


def find_at(
    urls: Sequence[str], project: str, version: str, fetch: Fetch, download: Download
) -> Optional[Archive]:
    """The source archive that an index has; None if none has one, or none can be asked."""
    for url in urls:
        page = f"{url}/{project}/"
        try:
            kind, content = fetch(page)
            for file in read_files(kind, content, project, page):
                if file.url.endswith(ENDS) and same(file.version, version):
                    return read_archive(file.url, download(file.url, LIMIT))
        except (OSError, ValueError, UnicodeError, RecursionError):
            continue
    return None
