# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read what a virtualenv holds from its files.

Not from ``pip freeze``: a venv made by uv has no pip, and a broken one can run nothing.
"""

import glob
import json
import os
import re
from email.parser import HeaderParser
from typing import Dict, List, NamedTuple, Set

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.trust import read_file
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.carried_pins import Dist
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.requirements import (
    canonical,
    redact,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.site_files import (
    Entry,
    Owner,
    infos,
    read_owner,
    unowned,
)

# The largest METADATA hold a long description.
LIMIT = 1 << 22


def _read(path: str) -> str:
    try:
        return (read_file(path, LIMIT) or b"").decode("utf-8", "replace")
    except OSError:
        return ""


def config(venv: str) -> Dict[str, str]:
    """pyvenv.cfg."""
    pairs = (line.partition("=") for line in _read(os.path.join(venv, "pyvenv.cfg")).splitlines())
    return {key.strip().lower(): value.strip() for key, dummy, value in pairs}


def site_packages(venv: str) -> List[str]:
    """The directories that hold packages, each once (lib64 is often a link to lib)."""
    found = glob.glob(os.path.join(glob.escape(venv), "lib*", "python*", "site-packages"))
    return sorted({os.path.realpath(path) for path in found})


def minor(venv: str) -> str:
    """ "3.11", from the directory that holds the packages; empty if there is none."""
    for path in site_packages(venv):
        match = re.search(r"/python([0-9]+\.[0-9]+)/site-packages$", path)
        if match:
            return match.group(1)
    return ""


def _origin(info: str) -> str:
    """Where a distribution came from, if not from an index."""
    text = _read(os.path.join(info, "direct_url.json"))
    if not text:
        return ""
    try:
        record = json.loads(text)
        url = redact(str(record["url"]))
    except (ValueError, KeyError, TypeError):
        return "an unreadable direct_url.json"
    if record.get("dir_info", {}).get("editable"):
        return "editable " + url
    vcs = record.get("vcs_info", {})
    return "{}+{}@{}".format(vcs.get("vcs"), url, vcs.get("commit_id")) if vcs else url


def _egg_requires(text: str) -> List[str]:
    """requires.txt of an egg-info: sections are extras or markers."""
    section, found = "", []
    for line in (raw.strip() for raw in text.splitlines()):
        if line.startswith("["):
            section = line[1:-1]
        elif line:
            extra, dummy, marker = section.partition(":")
            conditions = [f"extra == '{extra}'"] if extra else []
            conditions += [f"({marker})"] if marker else []
            found.append(line + (" ; " + " and ".join(conditions) if conditions else ""))
    return found


class _Metadata(NamedTuple):
    name: str
    version: str
    requires: List[str]
    requires_python: str


def _metadata_of(site: str, entry: str) -> _Metadata:
    """What the metadata of a distribution say, whichever of its shapes they have."""
    path = os.path.join(site, entry)
    metadata = os.path.join(path, "METADATA")
    if entry.endswith(".egg-info"):
        metadata = os.path.join(path, "PKG-INFO") if os.path.isdir(path) else path
    headers = HeaderParser().parsestr(_read(metadata))
    requires = [str(value) for value in headers.get_all("Requires-Dist") or []]
    if not requires:
        requires = _egg_requires(_read(os.path.join(path, "requires.txt")))
    return _Metadata(
        str(headers["Name"] or ""),
        str(headers["Version"] or ""),
        requires,
        str(headers["Requires-Python"] or ""),
    )


def read_dists(venv: str) -> List[Dist]:
    """Everything that is installed in a virtualenv."""
    found: Dict[str, Dist] = {}
    for site in site_packages(venv):
        for entry in sorted(os.listdir(site)):
            path = os.path.join(site, entry)
            if entry.endswith(".egg-link"):
                name = entry[: -len(".egg-link")]
                place = (_read(path).splitlines() or [""])[0]
                found[canonical(name)] = Dist(canonical(name), "0", (), "editable " + place)
                continue
            if not entry.endswith((".dist-info", ".egg-info")):
                continue
            told = _metadata_of(site, entry)
            origin = _origin(path) if entry.endswith(".dist-info") else ""
            if told.name and told.version:
                # An extra is never known to have been asked for: such a need is no edge.
                edges = tuple(r for r in told.requires if not re.search(r"\bextra\s*==", r))
                name = canonical(told.name)
                found.setdefault(
                    name, Dist(name, told.version, edges, origin, told.requires_python)
                )
    return [found[name] for name in sorted(found)]


class Site(NamedTuple):
    """A directory of packages: whose its files are, and what is nobody's."""

    path: str
    owners: List[Owner]
    unowned: List[Entry]


def read_sites(venv: str, wanted: bool = True) -> List[Site]:
    """Whose the files of a virtualenv are; ``wanted``: what is nobody's is looked for too."""
    sites = []
    for site in site_packages(venv):
        owners: List[Owner] = []
        linked: Set[str] = set()
        for entry in infos(site):
            told = _metadata_of(site, entry)
            if told.name and told.version:
                owners.append(read_owner(site, entry, canonical(told.name), told.version))
        for link in glob.glob(os.path.join(glob.escape(site), "*.egg-link")):
            place = (_read(link).splitlines() or [""])[0].strip()
            linked.add(os.path.normpath(os.path.join(site, place)))
        nobody = unowned(site, owners, linked) if wanted else []
        sites.append(Site(site, owners, nobody))
    return sites


def strip_credentials(venv: str) -> None:
    """Take credentials out of what an installer has noted of where packages came from.

    It takes out user and password itself, but not a token in a query.
    """
    for site in site_packages(venv):
        for path in glob.glob(os.path.join(glob.escape(site), "*.dist-info", "direct_url.json")):
            text = _read(path)
            clean = redact(text)
            if clean != text:
                # A new file: the old one may be a hard link to somebody's cache.
                os.unlink(path)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(clean)
                _forget_hash(path)


def _forget_hash(path: str) -> None:
    """RECORD has a hash of the file as it was; a file without one is as good."""
    record = os.path.join(os.path.dirname(path), "RECORD")
    name = "/".join(path.split("/")[-2:])
    lines = _read(record).splitlines()
    kept = [f"{name},," if line.startswith(name + ",") else line for line in lines]
    if kept != lines:
        os.unlink(record)
        with open(record, "w", encoding="utf-8") as file:
            file.write("\n".join(kept) + "\n")


def freeze(dists: List[Dist]) -> List[str]:
    """Like ``pip freeze``, with canonical names and everything in it."""
    return [f"{d.name}=={d.version}" for d in dists]


def check_carryable(venv: str) -> None:
    """Refuse a venv whose files do not say what its application runs on."""
    if not os.path.isdir(venv):
        raise FleetError(
            f"{venv} does not exist, so there is nothing to carry over. Give a requirements file "
            "(app_requirements), or the right app_home."
        )
    if not site_packages(venv):
        raise FleetError(
            f"{venv} is no virtualenv: it has no lib/pythonX.Y/site-packages. Give a requirements "
            "file (app_requirements), or the right app_home."
        )
    if config(venv).get("include-system-site-packages", "false").lower() == "true":
        raise FleetError(
            f"{venv} was made with --system-site-packages: part of what the application runs on is "
            "outside of it and cannot be carried over. Give a requirements file "
            "(app_requirements)."
        )
