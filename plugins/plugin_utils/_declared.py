# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The declaration of every operator input, read once a process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).resolve().parents[2] / "roles" / "settings" / "meta" / "argument_specs.yml"
ENTRY = "validate"


@lru_cache(maxsize=1)
def declared() -> dict[str, Any]:
    """Each input's name with its declaration, as Ansible's own check of arguments takes it."""
    # Ten times as fast as the loader in Python, where PyYAML was built with it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = yaml.load(FILE.read_text(encoding="utf-8"), Loader=loader)
    options: dict[str, Any] = found["argument_specs"][ENTRY]["options"]
    return options
