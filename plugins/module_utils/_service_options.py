# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What matters of gunicorn's own options, and the log files that follow from them. No I/O."""

import os
import shlex
from typing import Any, Dict, Iterable, List, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._processes import gunicorn_arguments

_OPTIONS = {
    "workers": ("-w", "--workers"),
    "graceful_timeout": ("", "--graceful-timeout"),
    "config": ("-c", "--config"),
    "errorlog": ("", "--error-logfile"),
    "logfile": ("", "--log-file"),
}


def split_words(text: Optional[str]) -> List[str]:
    try:
        return shlex.split(text or "")
    except ValueError:
        return (text or "").split()


def parse_options(arguments: Iterable[str]) -> Dict[str, str]:
    """The few settings that matter here, out of gunicorn's command line."""
    words = list(arguments)
    found: Dict[str, str] = {}
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else ""
        for name, (short, long) in _OPTIONS.items():
            if word == long or (short and word == short):
                found[name] = following
            elif word.startswith(long + "="):
                found[name] = word[len(long) + 1 :]
            elif short and word.startswith(short) and not word.startswith("--"):
                found[name] = word[len(short) :]
    return found


def gunicorn_options(
    cmdline: Iterable[str], environ: Dict[str, str], command: Optional[str]
) -> Dict[str, str]:
    """GUNICORN_CMD_ARGS, overruled by the command line (supervisord's, if that was rewritten)."""
    found = parse_options(split_words(environ.get("GUNICORN_CMD_ARGS")))
    arguments = gunicorn_arguments(cmdline) or tuple(split_words(command))
    found.update(parse_options(arguments))
    return found


def log_paths(program: Dict[str, Any], options: Dict[str, str], cwd: Optional[str]) -> List[str]:
    """Where the program's lines go: supervisord's files, and gunicorn's own error log."""
    paths = [program["stdout_logfile"]]
    if not program["redirect_stderr"]:
        paths.append(program["stderr_logfile"])
    own = options.get("errorlog") or options.get("logfile")
    if own and own != "-":
        paths.append(os.path.join(cwd or "/", own) if cwd or own.startswith("/") else None)
    found: List[str] = []
    for path in paths:
        if path and path.startswith("/") and not path.startswith("/dev/") and path not in found:
            found.append(path)
    return found
