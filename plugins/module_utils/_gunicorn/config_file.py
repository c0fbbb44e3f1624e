# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which settings a gunicorn configuration file sets, told from its text. Nothing is run.

The file is Python and may do anything; what is not plain to see is said to be unknown.
"""

import ast
import os
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence

from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.options import (
    parse_options,
    split_words,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import shown
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.trust import read_file

# The only ones whose values leave the host: any other may hold a secret.
SHOWN = (
    "worker_class",
    "proxy_protocol",
    # What a known problem depends on.
    "threads",
    "max_requests",
    "reuse_port",
    "preload_app",
    "control_socket_disable",
    "http_protocols",
)
MAX_NAMES = 200
CONFIG = "gunicorn.conf.py"
CONFIG_LIMIT = 1 << 18
# gunicorn takes defaults from these.
VARIABLES = ("FORWARDED_ALLOW_IPS", "SENDFILE", "WEB_CONCURRENCY")
_DEEPER = (ast.If, ast.Try, ast.With, ast.For, ast.While)


class Settings(NamedTuple):
    """What a file sets."""

    names: Dict[str, Any]
    """Value of a setting that is in `SHOWN` and plain to see, else None."""
    whole: bool
    """Whether nothing but these can be set: no star import, no code that could not be read."""


def read_settings(text: str) -> Settings:
    """The names that a file assigns or defines at its top level."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Settings({}, False)
    names: Dict[str, Any] = {}
    whole = _collect(body, names, True)
    kept = sorted(names)[:MAX_NAMES]
    return Settings({name: names[name] for name in kept}, whole and len(kept) == len(names))


def _collect(body: Iterable[ast.AST], names: Dict[str, Any], plain: bool) -> bool:
    whole = True
    for node in body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for name in _names(target):
                    is_name = isinstance(target, ast.Name)
                    names[name] = _value(name, node.value) if plain and is_name else None
        elif isinstance(node, ast.AugAssign):
            names.update((name, None) for name in _names(node.target))
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names[node.name] = None
        elif isinstance(node, ast.ImportFrom):
            whole = whole and not any(alias.name == "*" for alias in node.names)
        elif isinstance(node, _DEEPER):
            for field in ("body", "orelse", "finalbody"):
                whole = _collect(getattr(node, field, []), names, False) and whole
            for handler in getattr(node, "handlers", []):
                whole = _collect(handler.body, names, False) and whole
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            # globals().update(...), exec(...): anything.
            whole = whole and not _calls_doubtful(node.value)
    return whole


def _names(target: ast.AST) -> List[str]:
    return [node.id for node in ast.walk(target) if isinstance(node, ast.Name)]


def _value(name: str, node: Any) -> Any:
    if name not in SHOWN:
        return None
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    if isinstance(value, str):
        return value[:100]
    return value if isinstance(value, (bool, int)) else None


def _calls_doubtful(call: ast.Call) -> bool:
    found = {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}
    return bool(found & {"globals", "locals", "vars", "exec", "eval", "setattr"})


# --- of a gunicorn that runs ----------------------------------------------------------------------


def unseen(error: str) -> Dict[str, Any]:
    """Settings of which nothing is known, and why."""
    told: Dict[str, Any] = {"arguments": [], "environment_arguments": [], "environment": []}
    told.update(file="", names={}, whole=False, error=error)
    return told


def settings_seen(
    arguments: Sequence[str], environment: Mapping[str, str], directory: Optional[str]
) -> Dict[str, Any]:
    """What can be seen of gunicorn's settings without running anything."""
    more = split_words(environment.get("GUNICORN_CMD_ARGS"))
    named = dict(parse_options(more), **parse_options(arguments)).get("config", "")
    path = named[len("file:") :] if named.startswith("file:") else named or CONFIG
    path = os.path.join(directory or "/", path)
    found = Settings({}, True)
    if named.startswith("python:"):
        path, found = named, Settings({}, False)
    elif named or os.path.lexists(path):
        found = _read_config(path)
    else:
        path = ""
    return dict(
        unseen(""),
        arguments=shown(arguments),
        environment_arguments=shown(more),
        environment=[name for name in VARIABLES if name in environment],
        file=path,
        names=found.names,
        whole=found.whole,
    )


def _read_config(path: str) -> Settings:
    try:
        content = read_file(path, CONFIG_LIMIT)
    except OSError:
        content = None
    return read_settings(content.decode("utf-8", "replace")) if content else Settings({}, False)
