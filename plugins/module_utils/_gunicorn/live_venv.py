# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands at ``<home>/venv`` and what any virtualenv holds, read from files; and its history.

A `Reader` does the reading, so that the same code sees a machine of paper. Nothing is run.
"""

import hashlib
import json
import os
import re
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import Reader
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.pep440 import same
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact

MAX_EARLIER = 20


class Venv(NamedTuple):
    """What stands at ``<home>/venv``."""

    path: str
    kind: str
    target: Optional[str]
    release: Optional[str]
    python: Optional[str]
    gunicorn: Optional[str]
    changed: Optional[float]
    # The release that was active before this one first was; None if it is gone or was never noted.
    previous: Optional[str] = None


# --- what a virtualenv holds ----------------------------------------------------------------------


def site_packages(reader: Reader, prefix: str) -> List[str]:
    found = []
    for lib in ("lib", "lib64"):
        # lib64 is a link to lib in most virtualenvs.
        if lib == "lib64" and reader.kind(f"{prefix}/{lib}") == "symlink":
            continue
        for name in reader.names(f"{prefix}/{lib}"):
            if re.match(r"^(python|pypy)\d", name):
                found.append(f"{prefix}/{lib}/{name}/site-packages")
    return found


def gunicorn_version(reader: Reader, prefix: str) -> Optional[str]:
    """Out of the code itself; the metadata beside it may be a left-over of an interrupted pip."""
    for site in site_packages(reader, prefix):
        text = reader.text(f"{site}/gunicorn/__init__.py", 1 << 16)
        match = re.search(r"^version_info\s*=\s*\(([^)]*)\)", text, re.M)
        if match:
            parts = [part.strip().strip("'\"") for part in match.group(1).split(",")]
            return ".".join(part for part in parts if part)
        for name in reader.names(site):
            match = re.match(r"^gunicorn-([^-]+)\.(?:dist|egg)-info$", name)
            if match:
                return match.group(1)
    return None


def python_version(reader: Reader, prefix: str) -> Optional[str]:
    """Out of pyvenv.cfg: ``version`` (venv) or ``version_info`` (virtualenv, uv)."""
    text = reader.text(f"{prefix}/pyvenv.cfg", 1 << 16)
    match = re.search(r"^version(?:_info)?\s*=\s*(\d+\.\d+(?:\.\d+)?)", text, re.M)
    return match.group(1) if match else None


def version_matches(found: Optional[str], wanted: Optional[str]) -> bool:
    """ "3.11" is any 3.11.x; a version that could not be read matches nothing but "any".

    23.0.0rc1 is no 23.0.0, however its code spells it: only numbers may follow.
    """
    if not wanted:
        return True
    if found is None:
        return False
    rest = found[len(wanted) :] if found.startswith(wanted + ".") else None
    return same(found, wanted) or bool(rest and re.match(r"^(\.[0-9]+)+$", rest))


def freeze(reader: Reader, prefix: str) -> List[str]:
    """What ``pip freeze`` would say, read from the metadata files."""
    found = {}
    for site in site_packages(reader, prefix):
        for name in reader.names(site):
            if not name.endswith(".dist-info"):
                continue
            head = reader.text(f"{site}/{name}/METADATA", 1 << 16).split("\n\n")[0]
            fields = dict(re.findall(r"^(Name|Version):[ \t]*(\S+)", head, re.M))
            if len(fields) < 2 or fields["Name"].lower() in ("pip", "setuptools", "wheel"):
                continue
            line = "{Name}=={Version}".format(**fields)
            origin = _direct_url(reader.text(f"{site}/{name}/direct_url.json", 1 << 16))
            if origin:
                line = f"{fields['Name']} @ {redact(origin)}"
            found[fields["Name"].lower()] = line
    return [found[name] for name in sorted(found)]


def _direct_url(text: str) -> Optional[str]:
    try:
        data = json.loads(text)
        url = str(data["url"])
        vcs = data.get("vcs_info")
        return "{}+{}@{}".format(vcs["vcs"], url, vcs["commit_id"]) if vcs else url
    except (ValueError, LookupError, TypeError):
        return None


# --- which one is active, and was before ----------------------------------------------------------


def release_path(home: str, release: str) -> str:
    return release if release.startswith("/") else f"{home}/releases/{release}"


def release_id(reader: Reader, home: str, prefix: Optional[str]) -> Optional[str]:
    """The id of the release that stands at ``prefix``."""
    if not prefix:
        return None
    real = reader.real(prefix)
    if os.path.dirname(real) == os.path.join(reader.real(home), "releases"):
        return os.path.basename(real)
    try:
        found = json.loads(reader.text(f"{real}/release.json")).get("id")
    except (ValueError, AttributeError):
        return None
    return str(found) if found else None


def read_venv(reader: Reader, home: str) -> Venv:
    path = f"{home}/venv"
    kind = reader.kind(path)
    if kind not in ("symlink", "directory"):
        return Venv(path, "absent" if kind == "absent" else kind, None, None, None, None, None)
    target = reader.real(path) if kind == "symlink" else None
    prefix = target or path
    release = release_id(reader, home, prefix) if kind == "symlink" else None
    before = read_history(reader, home).get(release or "")
    present = before and reader.kind(release_path(home, before)) == "directory"
    return Venv(
        path,
        kind,
        target,
        release,
        python_version(reader, prefix),
        gunicorn_version(reader, prefix),
        reader.changed(path),
        before if present else None,
    )


def read_earlier(reader: Reader, home: str, release: Optional[str]) -> List[Dict[str, Any]]:
    """What ran before a release, and before that, the newest first, as far as it is still there."""
    history = read_history(reader, home)
    found: List[Dict[str, Any]] = []
    passed = {release}
    before = history.get(release or "")
    while before and before not in passed and len(found) < MAX_EARLIER:
        passed.add(before)
        path = release_path(home, before)
        if reader.kind(path) == "directory":
            found.append(
                {
                    "release": before,
                    "gunicorn": gunicorn_version(reader, path),
                    "python": python_version(reader, path),
                }
            )
        before = history.get(before)
    return found


def history_path(home: str) -> str:
    return f"{home}/releases/.history.json"


def read_history(reader: Reader, home: str) -> Dict[str, str]:
    """{release: the one that was active before it}; what is no such thing counts as empty."""
    try:
        found = json.loads(reader.text(history_path(home)))
        return {str(after): str(before) for after, before in found.items()}
    except (ValueError, AttributeError):
        return {}


def add_history(history: Dict[str, str], before: Optional[str], after: str) -> Dict[str, str]:
    """Note that ``after`` followed ``before``. Going back is no step forward and adds nothing."""
    if not before or before == after:
        return history
    earlier = before
    passed = set()
    while earlier in history and earlier not in passed:
        passed.add(earlier)
        earlier = history[earlier]
        if earlier == after:
            return history
    return dict(history, **{after: before})


# --- one that someone else built ------------------------------------------------------------------


def name_adopted(gunicorn: Optional[str], python: Optional[str], lines: Iterable[str]) -> str:
    """A name for a virtualenv that someone else built; the same for the same content."""
    digest = hashlib.sha256("\n".join([python or "", *lines]).encode()).hexdigest()[:8]
    short = ".".join((python or "unknown").split(".")[:2])
    return "adopted-{}-py{}-{}".format(gunicorn or "unknown", short, digest)


def adoption_record(reader: Reader, path: str, release: str, built_at: str) -> Dict[str, Any]:
    """release.json for a virtualenv that someone else built; says only what the files say."""
    lines = freeze(reader, path)
    python = python_version(reader, path)
    uv = "uv = " in reader.text(f"{path}/pyvenv.cfg", 1 << 16)
    return {
        "schema": 1,
        "id": release,
        "stage": {
            "gunicorn": gunicorn_version(reader, path),
            "python": ".".join((python or "").split(".")[:2]) or None,
        },
        "python_executable": reader.real(f"{path}/bin/python"),
        "python_version": python,
        "gunicorn": gunicorn_version(reader, path),
        "freeze": lines,
        "inputs_sha256": None,
        "requirements_source": "adopted",
        "installer": "uv" if uv else "pip",
        "built_at": built_at,
        "built_by": "adopted",
        "adopted": True,
        "checks": {},
    }
