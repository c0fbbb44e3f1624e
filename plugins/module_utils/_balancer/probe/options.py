# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a module is told of a balancer that is only seen by what it does."""

import os
import re
from typing import Any, Dict, List, NamedTuple, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.traffic import (
    Network,
    Place,
    parse_network,
    parse_place,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.health import check_headers
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.http_request import parse_url

# Of the module that changes something alone: the page that must not fail.
ORDERS: Dict[str, Dict[str, Any]] = {
    "gate_url": {"type": "str", "default": ""},
    "gate_status": {"type": "list", "elements": "int", "default": [200]},
    "gate_headers": {"type": "dict", "default": {}, "no_log": True},
}
# In the words of the documentation fragment.
ARGUMENTS: Dict[str, Dict[str, Any]] = {
    "url": {"type": "str", "required": True},
    "status": {"type": "list", "elements": "int", "default": [200]},
    "headers": {"type": "dict", "default": {}, "no_log": True},
    "timeout": {"type": "float", "default": 2},
    "others": {"type": "dict", "default": {}},
    "file": {"type": "str", "default": ""},
    "file_means": {"type": "str", "choices": ["ill", "well"], "default": "ill"},
    "ill_command": {"type": "list", "elements": "str", "default": []},
    "well_command": {"type": "list", "elements": "str", "default": []},
    "state_command": {"type": "list", "elements": "str", "default": []},
    "ports": {"type": "list", "elements": "str", "default": []},
    "ignore": {"type": "list", "elements": "str", "default": []},
    "page": {"type": "str", "default": ""},
    "page_out": {"type": "str", "default": ""},
    "page_in": {"type": "str", "default": ""},
    "page_headers": {"type": "dict", "default": {}, "no_log": True},
    "settle": {"type": "float", "default": 60},
    "settle_back": {"type": "float", "default": 60},
    "back_by": {"type": "str", "choices": ["time", "connections"], "default": "time"},
}
_HEADERS = ("headers", "page_headers", "gate_headers")


class Settings(NamedTuple):
    """How one server is made to look ill and well, and where it is seen what comes of it."""

    url: str
    status: Tuple[int, ...]
    headers: Dict[str, str]
    timeout: float
    # Name of another server to the URL of its health page; an empty one counts as DOWN.
    others: Dict[str, str]
    file: str
    file_means: str
    ill_command: Tuple[str, ...]
    well_command: Tuple[str, ...]
    state_command: Tuple[str, ...]
    ports: Tuple[Place, ...]
    ignore: Tuple[Network, ...]
    page: str
    page_out: str
    page_in: str
    page_headers: Dict[str, str]
    settle: float
    settle_back: float
    back_by: str
    # What gates ask while the server is ill; empty for nobody.
    gate_url: str
    gate_status: Tuple[int, ...]
    gate_headers: Dict[str, str]
    directory: str


def settings_of(params: Dict[str, Any]) -> Settings:
    """The same, checked."""
    params = dict({name: each["default"] for name, each in ORDERS.items()}, **params)
    problems = list(way_problems(params))
    for name in ("settle", "settle_back"):
        if params[name] < 0:
            problems.append(f"{name} is in seconds and may not be below 0.")
    if params["timeout"] <= 0:
        problems.append("timeout is in seconds and must be above 0.")
    if problems:
        raise FleetError(" ".join(problems))
    parse_url(params["url"])
    for url in [params["page"], params["gate_url"], *params["others"].values()]:
        if url:
            parse_url(str(url))
    for name in ("page_out", "page_in"):
        try:
            re.compile(params[name])
        except re.error as exc:
            raise FleetError(
                f"{name} is {params[name]!r}, which is no regular expression ({exc}): correct it."
            ) from None
    names = [*ARGUMENTS, *ORDERS]
    given = {name: params[name] for name in names if name not in _HEADERS}
    for name in ("status", "gate_status", "ill_command", "well_command", "state_command"):
        given[name] = tuple(given[name])
    given.update(
        others={str(name): str(url) for name, url in params["others"].items()},
        ports=tuple(parse_place(each) for each in params["ports"]),
        ignore=tuple(parse_network(each) for each in params["ignore"]),
        directory=params["lease_directory"],
        **{name: check_headers(params[name], name) for name in _HEADERS},
    )
    return Settings(**given)


def way_problems(given: Dict[str, Any], prefix: str = "") -> List[str]:
    """Why nothing can be done or seen with these options; ``prefix`` is how they are called."""
    told = []
    file, ill, well = given["file"], given["ill_command"], given["well_command"]
    if bool(file) == bool(ill or well):
        told.append(
            f"Say how a server is made to look ill: either {prefix}file, or {prefix}ill_command and"
            f" {prefix}well_command."
        )
    elif file and (not os.path.isabs(file) or file.endswith("/")):
        told.append(f"{prefix}file is {file!r}. Give the whole path of a file.")
    elif bool(ill) != bool(well):
        told.append(
            f"{prefix}{'ill' if ill else 'well'}_command is given without the other one. What is"
            " done must be undone: give both."
        )
    if given["state_command"] and file:
        told.append(f"{prefix}state_command goes with commands: what a file says is seen.")
    if not given["ports"] and not given["page_out"]:
        told.append(
            f"Say where it is seen that nobody comes any more: {prefix}ports (443, 8000), or"
            f" {prefix}page with {prefix}page_out."
        )
    if (given["page_out"] or given["page_in"]) and not given["page"]:
        told.append(f"{prefix}page_out and {prefix}page_in are texts of {prefix}page: name it.")
    if given["page"] and not (given["page_out"] or given["page_in"]):
        told.append(f"{prefix}page is given without what it says: name {prefix}page_out.")
    if given["back_by"] == "connections" and not given["ports"]:
        told.append(f"{prefix}back_by is connections, and {prefix}ports is empty.")
    return told
