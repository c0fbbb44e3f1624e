# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How balancers are asked once for a whole fleet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._balancers import asked_of
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._fleet_questions import (
    fleet_questions,
)


def _questions(checked: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``checked`` is of each host what validate_settings returned, if it came to that."""
    return fleet_questions(each["host"] for each in checked if each.get("host"))


INTERNAL: dict[str, Callable[..., Any]] = {
    "asked_of": asked_of,
    "fleet_questions": _questions,
}
