# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a canary bakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.bake import (
    Wish,
    bake_look,
    compare,
    decide,
    elsewhere,
    seconds_of,
)


def bake_decision(hosts: Any, wish: dict[str, Any]) -> dict[str, Any]:
    """Decide for the hosts of a run; ``wish`` is shaped like ``Wish``."""
    # Templates of ansible-core 2.16 make words of numbers.
    numbers = {"bake": float(wish["bake"]), "wave": int(wish["wave"])}
    return decide(Wish(**{**wish, **numbers}), hosts)._asdict()


INTERNAL: dict[str, Callable[..., Any]] = {
    "bake_compare": compare,
    "bake_decision": bake_decision,
    "bake_elsewhere": elsewhere,
    "bake_look": bake_look,
    "seconds": seconds_of,
}
