# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A report on its way to the host of the fleet's lock, and back. Pure.

What comes back was in the hands of another host: it is a report only if it can be shown as one, and
every text in it is made fit to be shown once more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_reports import (
    CONTENT_LIMIT,
    UNPACKED_LIMIT,
    pack,
    unpack,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._visible import visible_all
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.data import SCHEMA
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.files import base_name
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.page import page
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._report.text import junit, markdown

Data = Mapping[str, Any]
# What a report can do without, in this order.
_LEFT_OUT: tuple[tuple[str, Any], ...] = (("events", []), ("balancers", {}), ("looks", []))


def name_of(data: Data, run: str) -> str:
    """The name of a run's report; ``run`` tells the run from every other."""
    return f"{base_name(data['began'], data['playbook'])}-{run[:8]}"


def about(data: Data) -> dict[str, Any]:
    """What a list of reports shows of one."""
    outcome, people = data["outcome"], data["people"]
    return {
        "playbook": data["playbook"],
        "result": outcome["result"],
        "host": outcome["host"],
        "code": outcome["code"],
        "by": people["user"],
        "controller": people["controller"],
        "began": data["began"],
        "ended": data["ended"],
    }


def packed(data: Data, limit: int = CONTENT_LIMIT) -> str:
    """The report in at most ``limit`` bytes; the events go first, and are counted as left out."""
    smaller = dict(data)
    content = _fitting(smaller, limit)
    for name, nothing in _LEFT_OUT:
        if content:
            break
        if name == "events":
            known = data["left_out"]
            smaller["left_out"] = {**known, "events": known["events"] + len(data["events"])}
        smaller[name] = nothing
        content = _fitting(smaller, limit)
    if not content:
        raise FleetError(f"The report is larger than {limit} bytes even without its events.")
    return content


def _fitting(data: Data, limit: int) -> str:
    """The report, packed; empty if it is too large."""
    # Only ASCII: half a surrogate of somebody's log is no UTF-8.
    text = json.dumps(data, allow_nan=False)
    content = pack(text) if len(text) <= UNPACKED_LIMIT else ""
    return content if len(content) <= limit else ""


def unpacked(content: str) -> dict[str, Any]:
    """The report that another host kept, if it is one."""
    try:
        data = visible_all(json.loads(unpack(content), parse_constant=_no_number))
        if data["schema"] != SCHEMA:
            raise ValueError(f"it is of schema {data['schema']}, and this version knows {SCHEMA}")
        # Whatever is of another shape shows here, before a file is written.
        for show in (page, markdown, junit):
            show(data)
    except FleetError as exc:
        raise FleetError(f"What is kept is no report: {exc}.") from None
    except Exception as exc:
        # Another host made it: it may be wrong in any way.
        what = " ".join(f"{type(exc).__name__}: {exc}".split())[:200]
        raise FleetError(f"What is kept is no report that can be read: {what}") from None
    return dict(data)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")
