# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What matters of gunicorn's own options, and the log files that follow from them. No I/O."""

import os
import shlex
from typing import Any, Dict, Iterable, List, Mapping, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    gunicorn_arguments,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.journal_names import unit_of

_OPTIONS = {
    "workers": ("-w", "--workers"),
    "graceful_timeout": ("--graceful-timeout",),
    "config": ("-c", "--config"),
    "errorlog": ("--error-logfile", "--log-file"),
    "accesslog": ("--access-logfile",),
    "control": ("--control-socket",),
    "loglevel": ("--log-level",),
    "logconfig": ("--log-config",),
    "logconfig_json": ("--log-config-json",),
}


def split_words(text: Optional[str]) -> List[str]:
    try:
        return shlex.split(text or "")
    except ValueError:
        return (text or "").split()


def whole_number(value: Any) -> Optional[int]:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def graceful_timeout(options: Mapping[str, str]) -> int:
    """Seconds that requests have at a stop; gunicorn's own default where it is not told."""
    told = whole_number(options.get("graceful_timeout"))
    return 30 if told is None else told


def parse_options(arguments: Iterable[str]) -> Dict[str, str]:
    """The few settings that matter here, out of gunicorn's command line."""
    words = list(arguments)
    found: Dict[str, str] = {}
    for word, following in zip(words, words[1:] + [""]):
        for name, spellings in _OPTIONS.items():
            for spelling in spellings:
                value = _value(word, following, spelling)
                if value:
                    # As gunicorn does it: the last one counts.
                    found[name] = value
    return found


def _value(word: str, following: str, spelling: str) -> str:
    if word == spelling:
        return following
    if spelling.startswith("--"):
        return word[len(spelling) + 1 :] if word.startswith(spelling + "=") else ""
    attached = word.startswith(spelling) and not word.startswith("--")
    return word[len(spelling) :] if attached else ""


def gunicorn_options(
    cmdline: Iterable[str], environ: Dict[str, str], command: Optional[str]
) -> Dict[str, str]:
    """GUNICORN_CMD_ARGS, overruled by the command line (supervisord's, if that was rewritten)."""
    found = parse_options(split_words(environ.get("GUNICORN_CMD_ARGS")))
    arguments = gunicorn_arguments(cmdline) or tuple(split_words(command))
    found.update(parse_options(arguments))
    return found


def is_control(address: str, options: Dict[str, str]) -> bool:
    """Is it gunicorn's control socket (25.1 and later)? Nobody is served there, and no other
    release need have one."""
    if not address.startswith("unix:"):
        return False
    named = options.get("control")
    return address.endswith(".ctl") or bool(named and address.endswith(named.lstrip("./")))


def option_name(name: str) -> str:
    """How it is spelled on the command line."""
    return _OPTIONS[name][-1] if name == "config" else _OPTIONS[name][0]


def log_paths(
    program: Dict[str, Any],
    options: Dict[str, str],
    cwd: Optional[str],
    opened: Iterable[str] = (),
) -> List[str]:
    """Where the program's lines go: the service manager's logs, gunicorn's own, and those it has
    open."""
    paths = [program["stdout_logfile"]]
    if not program["redirect_stderr"]:
        paths.append(program["stderr_logfile"])
    own = options.get("errorlog")
    if own and own != "-":
        paths.append(os.path.join(cwd or "/", own) if cwd or own.startswith("/") else None)
    paths += opened
    found: List[str] = []
    for path in paths:
        named = path and (path.startswith("/") or unit_of(path))
        if path and named and not path.startswith("/dev/") and path not in found:
            found.append(path)
    return found
