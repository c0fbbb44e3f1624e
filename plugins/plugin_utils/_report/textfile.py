# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file for node_exporter's textfile collector: whole or as it was, for everybody to read."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_textfile(directory: Path, name: str, text: str) -> Path:
    """Replace ``<name>.prom`` as a whole; the directory must be there, it is node_exporter's."""
    # The collector reads what ends with .prom, and nothing else.
    unfinished = directory / f".{name}.{os.getpid()}.new"
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            # It runs as a user of its own, whatever the umask is.
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(unfinished, directory / f"{name}.prom")
    finally:
        with suppress(FileNotFoundError):
            os.unlink(unfinished)
    return directory / f"{name}.prom"
