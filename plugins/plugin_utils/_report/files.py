# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The four files of a report in its directory: whole or not there, for their owner only."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.page import page
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.text import junit, markdown

# The data comes first, and its name is the claim; the page comes last: where it is, all are.
KINDS = ("json", "md", "junit.xml", "html")
_NAME = re.compile(r"^(\d{8}T\d{6}Z-[\w-]{1,64})\.(?:html|json|md|junit\.xml)$")


def write(data: Mapping[str, Any], directory: Path, keep: int, name: str = "") -> Path:
    """Write the report, forget the oldest beyond ``keep`` (0: none), return the page's path.

    ``name``: what its files are called; empty for `base_name`.
    """
    texts = {
        "json": json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "md": markdown(data),
        "junit.xml": junit(data),
        "html": page(data),
    }
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = name or base_name(data["began"], data["playbook"])
    base = _write_claim(directory, name, texts["json"])
    for kind in KINDS[1:]:
        if not _write(directory, f"{base}.{kind}", texts[kind]):
            raise FileExistsError(f"{directory}/{base}.{kind} is there already")
    _forget(directory, keep)
    return directory / f"{base}.html"


def base_name(began: float, playbook: str) -> str:
    """What the files of a report are called, unless another run began in the same second."""
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(began))
    return name + "-" + (re.sub(r"[^\w-]+", "_", str(playbook), flags=re.ASCII)[:40] or "run")


def _write_claim(directory: Path, name: str, text: str) -> str:
    """Two runs may begin in the same second: each has a name of its own."""
    for number in range(1, 1000):
        base = name if number == 1 else f"{name}-{number}"
        if _write(directory, f"{base}.json", text):
            return base
    raise FileExistsError(f"{directory}/{name}.json and 998 more are there")


def _write(directory: Path, name: str, text: str) -> bool:
    """Write a file that is not there yet; False if it is, or if somebody else is at it."""
    unfinished = directory / f".{name}.new"
    try:
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            # Whatever the umask is.
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # Asked while nobody else can be writing it.
        if (directory / name).exists():
            return False
        os.rename(unfinished, directory / name)
        return True
    finally:
        with suppress(FileNotFoundError):
            os.unlink(unfinished)


def _forget(directory: Path, keep: int) -> None:
    """Delete the oldest reports; nothing else that lies there."""
    if keep <= 0:
        return
    names = [name for name in os.listdir(directory) if _NAME.match(name)]
    bases = sorted({match.group(1) for name in names if (match := _NAME.match(name))})
    for base in bases[:-keep]:
        for kind in reversed(KINDS):
            with suppress(OSError):
                os.unlink(directory / f"{base}.{kind}")
