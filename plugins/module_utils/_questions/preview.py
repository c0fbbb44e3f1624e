# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the releases of the stages will hold, and what speaks against them."""

import os
import re
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.config_file import (
    settings_seen,
    unseen,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.commands import User
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import shown
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.find_python import (
    user_named,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.index import (
    end_fetcher,
    fetcher,
    first_within,
    indexes,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.installer import (
    Source,
    install_environment,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.venv import read_dists
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.version_caps import Cap
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.build import (
    launch_of,
    old_prefix,
    require_space,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.build_plan import (
    Capped,
    NoPython,
    Order,
    plan,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.expected import expected
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.install import (
    _pip_configuration,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.launch import (
    Launch,
    arguments_at,
    stale_words,
    vital_words,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.store import (
    read_record,
    why_not_believed,
)

# Words of a start that are told.
SHOWN = 20
# Seconds that the index is given for all of it.
PATIENCE = 8.0
MAX_LIFTED = 4

STAGE = {
    "stage": {"type": "int", "required": True},
    "gunicorn": {"type": "str", "required": True},
    "python": {"type": "str", "required": True},
    # The URLs in it may hold credentials.
    "requirements": {"type": "str", "default": "", "no_log": True},
    "requirements_file": {"type": "str", "default": ""},
    "requirements_source": {"type": "str", "default": ""},
}
OPTIONS: Dict[str, Dict[str, Any]] = {
    "home": {"type": "path", "required": True},
    "venv": {"type": "path", "required": True},
    "stages": {"type": "list", "elements": "dict", "options": STAGE, "default": []},
    "require_hashes": {"type": "bool", "default": False},
    "carry_files": {"type": "list", "elements": "str", "default": []},
    "leave_files": {"type": "list", "elements": "str", "default": []},
    "wheelhouse": {"type": "path"},
    "ask_index": {"type": "bool", "default": False},
    "index_url": {"type": "str", "no_log": True},
    "extra_index_urls": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "installer": {"type": "str", "choices": ["auto", "uv", "pip"], "default": "auto"},
    "min_free_mb": {"type": "int", "default": 0},
    "like_pid": {"type": "int", "default": 0},
    "command": {"type": "str", "default": ""},
    "unit": {"type": "str", "default": ""},
    "directory": {"type": "path"},
    "user": {"type": "str", "default": ""},
}


def minor_of(python: str) -> str:
    """ "3.11" of a version or an interpreter's path; empty if it does not say."""
    match = re.search(r"([0-9]+\.[0-9]+)(?:\.[0-9]+)*$", python)
    return match.group(1) if match else ""


def settings_of(launch: Optional[Launch]) -> Dict[str, Any]:
    """What can be seen of gunicorn's settings without running anything."""
    at = arguments_at(launch.argv) if launch else None
    if launch is None or at is None:
        return unseen("how gunicorn is started cannot be seen")
    return settings_seen(launch.argv[at:], launch.environment, launch.directory)


def stale_of(p: Dict[str, Any], launch: Optional[Launch], python: str) -> Dict[str, Any]:
    """What the service manager would still say of the old Python, once another is there."""
    told: Dict[str, Any] = {"stale": [], "vital": []}
    old = old_prefix(p["home"], launch)
    if launch is None or not old.minor or minor_of(python) in ("", old.minor):
        return told
    told["stale"] = shown(stale_words(launch, old)[:SHOWN])
    told["vital"] = shown(vital_words(launch, old)[:SHOWN])
    return told


def lifted(p: Dict[str, Any], found: Sequence[Cap]) -> str:
    """Which versions would allow the stage, if the index tells."""
    if p["wheelhouse"]:
        return ""
    source = Source(p["index_url"] or "", tuple(p["extra_index_urls"]), "")
    environment = install_environment(os.environ, source, _pip_configuration())
    authorities = environment.get("SSL_CERT_FILE", "")
    fetch, fetch_end = fetcher(PATIENCE, authorities), end_fetcher(PATIENCE, authorities)
    urls = indexes(environment)
    told = []
    deadline = time.monotonic() + PATIENCE
    for cap in found[:MAX_LIFTED]:
        left = deadline - time.monotonic()
        if left > 0:
            # Of a range of Pythons the versions' own metadata tell.
            python = cap.markers["python_full_version"] if cap.of == "gunicorn" else ""
            asked = (urls, cap.package, cap.version, cap.allows, fetch, fetch_end, python)
            told.append(first_within(left, *asked))
    texts = list(dict.fromkeys(text for text in told if text))
    return " By the index, {}.".format("; ".join(texts)) if texts else ""


def stage_of(
    p: Dict[str, Any], stage: Dict[str, Any], user: Optional[User], launch: Optional[Launch]
) -> Dict[str, Any]:
    order = Order(
        home=p["home"],
        gunicorn=stage["gunicorn"],
        python=stage["python"],
        requirements=stage["requirements"] or None,
        requirements_file=stage["requirements_file"],
        requirements_source=stage["requirements_source"],
        carry_from=p["venv"],
        source=Source("", (), p["wheelhouse"] or ""),
        require_hashes=p["require_hashes"],
        installer=p["installer"],
        min_free_mb=p["min_free_mb"],
        built_by="",
        user=user,
        carry_files=tuple(p["carry_files"]),
        leave_files=tuple(p["leave_files"]),
    )
    problems: List[str] = []
    try:
        wanted = plan(order)
        there = os.path.isdir(wanted.path) and not why_not_believed(wanted.path)
        if not there:
            require_space(wanted)
        told = expected(wanted, read_record(wanted.path) if there else None)
    except FleetError as exc:
        told = {"id": "", "there": False, "python": "", "source": "", "known": "nothing"}
        told.update(packages={}, open=[], dropped=[], may_move=False, caps=[], error=str(exc))
        # A Python that is not there may be provided.
        if not isinstance(exc, NoPython):
            more = lifted(p, exc.caps) if isinstance(exc, Capped) and p["ask_index"] else ""
            problems.append(f"stage {stage['stage']}: {exc}{more}")
            told["error"] = "it cannot be built, see the problem"
    told.update(stale_of(p, launch, told["python"] or stage["python"]))
    return dict(told, stage=stage["stage"], problems=problems)


def look(p: Dict[str, Any]) -> Tuple[Optional[Launch], str]:
    """How gunicorn is started, or why that cannot be seen: the plan does without."""
    try:
        return launch_of(
            p["like_pid"], p["command"], p["directory"] or "", p["user"], {}, p["unit"]
        ), ""
    except (FleetError, KeyError) as exc:
        return None, str(exc)


def ask(p: Dict[str, Any]) -> Dict[str, Any]:
    """Return what module ``plan_info`` does."""
    launch, error = look(p)
    user = user_named(p["user"]) if p["user"] else None
    if user is None and launch is not None:
        user = User(launch.uid, launch.gid, launch.groups)
    settings = settings_of(launch)
    return {
        "packages": {dist.name: dist.version for dist in read_dists(p["venv"])},
        "stages": [stage_of(p, stage, user, launch) for stage in p["stages"]],
        "settings": dict(settings, error=error or settings["error"]),
    }
