# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a gunicorn configuration file sets a few names to, for use on the host. Nothing is run.

Unlike `_gunicorn_config` this knows the environment that the running process was started with.
"""

import ast
from typing import Any, Dict, Iterable, Mapping

from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.config_file import (
    _collect,
    _names,
)


class Unknown:
    """A value that is set by code which is not run here."""


UNKNOWN = Unknown()


def read_values(text: str, names: Iterable[str], environ: Mapping[str, str]) -> Dict[str, Any]:
    """What a file sets these names to; `UNKNOWN` where only running it could tell.

    Plain values, and the environment that the running process was started with.
    """
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    assigned: Dict[str, Any] = {}
    _collect(body, assigned, True)
    plain: Dict[str, Any] = {}
    for node in body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    plain[target.id] = _evaluate(node.value, plain, environ)
                else:
                    plain.update((name, UNKNOWN) for name in _names(target))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if node.value is not None:
                plain[node.target.id] = _evaluate(node.value, plain, environ)
        elif not isinstance(node, (ast.Import, ast.ImportFrom, ast.Expr)):
            # What code sets further down is not plain any more.
            deeper: Dict[str, Any] = {}
            _collect([node], deeper, False)
            plain.update((name, UNKNOWN) for name in deeper)
    return {name: plain.get(name, UNKNOWN) for name in names if name in assigned}


def _evaluate(node: Any, known: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        pass
    if isinstance(node, ast.Name):
        return known.get(node.id, UNKNOWN)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [_evaluate(each, known, environ) for each in (node.left, node.right)]
        return "".join(parts) if all(isinstance(part, str) for part in parts) else UNKNOWN
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        for each in node.values:
            value = _evaluate(each, known, environ)
            if value is UNKNOWN or value:
                return value
        return value
    lookup = _looked_up(node)
    if lookup is None:
        return UNKNOWN
    name, default = lookup
    if name in environ:
        return environ[name]
    return None if default is None else _evaluate(default, known, environ)


def _looked_up(node: Any) -> Any:
    """Variable and default of ``os.environ.get``, ``os.getenv`` or ``os.environ[...]``."""
    found = None
    if isinstance(node, ast.Call) and not node.keywords and 1 <= len(node.args) <= 2:
        if _dotted(node.func) in ("os.environ.get", "environ.get", "os.getenv", "getenv"):
            found = (node.args[0], node.args[1] if len(node.args) == 2 else None)
    elif isinstance(node, ast.Subscript) and _dotted(node.value) in ("os.environ", "environ"):
        # Python 3.8 and earlier have it in an Index.
        found = (getattr(node.slice, "value", node.slice), None)
        if isinstance(node.slice, ast.Constant if hasattr(ast, "Constant") else ()):
            found = (node.slice, None)
    if found is None:
        return None
    try:
        name = ast.literal_eval(found[0])
    except (ValueError, TypeError, SyntaxError):
        name = found[0] if isinstance(found[0], str) else None
    return (name, found[1]) if isinstance(name, str) else None


def _dotted(node: Any) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
