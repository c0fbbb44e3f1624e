# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules over the inputs for a balancer that only asks a health page. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._balancer.probe.options import (
    ARGUMENTS,
    settings_of,
    way_problems,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.http_request import (
    Target,
    parse_url,
)

PREFIX = "load_balancer_probe_"


def probe_problems(given: Mapping[str, Any], host: str) -> list[str]:
    """What is wrong with ``load_balancer_probe_*`` of one host, by the names of the inputs."""
    options = {name: given[PREFIX + name] for name in ARGUMENTS}
    if not options["url"]:
        return [
            f"load_balancer_provider is probe, and load_balancer_probe_url of {host} is empty. Give"
            " the health page that the balancer asks, as the servers reach each other, such as"
            " http://{{ ansible_host }}:8000/lb."
        ]
    told = [*_name(given, host), *way_problems(options, PREFIX)]
    if told:
        return told
    numbers = {name: float(options[name]) for name in ("timeout", "settle", "settle_back")}
    try:
        settings_of({**options, **numbers, "lease_directory": ""})
    except FleetError as error:
        return [f"{PREFIX}*: {error}"]
    return list(_same_page(given))


def _name(given: Mapping[str, Any], host: str) -> Iterable[str]:
    if given["load_balancer_server"] != host:
        yield (
            f"load_balancer_server is {given['load_balancer_server']} and load_balancer_provider is"
            f" probe, which calls servers by their names in the inventory ({host}). Leave it out."
        )


def _same_page(given: Mapping[str, Any]) -> Iterable[str]:
    """A gate asks the server while it is made ill: that page must still answer."""
    try:
        health = parse_url(str(given["app_health_url"]))
    except FleetError:
        return
    probe = parse_url(str(given[PREFIX + "url"]))
    by_file = bool(given[PREFIX + "file"])
    if _alike(health, probe, by_file):
        yield (
            f"app_health_url and load_balancer_probe_url are one page, {probe.path}: it fails while"
            " the server is out, and then the gate would find every release ill. Give the gate"
            " another page, such as one that does not look at the file"
            " (load_balancer_probe_file), or the application itself behind what is stopped."
        )


def _alike(health: Target, probe: Target, by_file: bool) -> bool:
    # The balancer's way to the page and the server's own may differ, by address or by a socket.
    if by_file:
        return health.path == probe.path
    return (health.port, health.path) == (probe.port, probe.path)
