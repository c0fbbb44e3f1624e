# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which providers of load balancers there are, and which of the operator's inputs reach each.

A provider has two modules, ``<name>_server`` and ``<name>_server_info``. What they take beside the
options that all of them have comes from inputs, each of which a balancer's host may have its own
value of. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

# No balancer at all: nobody is asked, and nobody is told.
NONE = "none"
# What is not kept with a question: headers may hold secrets, and what is of every host's others
# would be as large as the square of the fleet.
_NOT_KEPT = ("_headers", "_others")


class Provider(NamedTuple):
    """Of one kind of balancer: option of a module to the name of the input that it is given."""

    both: Mapping[str, str]
    orders: Mapping[str, str]
    """Of the module that changes something alone."""
    on_servers: bool = False
    """Whether its modules run on each server itself, and not on the balancers' hosts."""
    shares: bool = True
    """Whether it can give a server a part of its traffic."""


def _named(provider: str, *options: str) -> dict[str, str]:
    return {option: f"load_balancer_{provider}_{option}" for option in options}


PROVIDERS: Mapping[str, Provider] = {
    "haproxy": Provider({"socket": "load_balancer_socket"}, {}),
    "nginx": Provider(
        _named(
            "nginx",
            "conf", "pid_file", "probe", "probe_status", "probe_headers", "probe_timeout",
        ),
        _named("nginx", "test_command", "reload_command", "reload_timeout"),
    ),
    "probe": Provider(
        _named(
            "probe",
            "url", "status", "headers", "timeout", "others",
            "file", "file_means", "ill_command", "well_command", "state_command",
            "ports", "ignore", "page", "page_out", "page_in", "page_headers",
            "settle", "settle_back", "back_by",
        ),
        {
            "gate_url": "app_health_url",
            "gate_status": "gate_health_status",
            "gate_headers": "gate_health_headers",
        },
        on_servers=True,
        shares=False,
    ),
}  # fmt: skip


def on_servers(provider: str) -> bool:
    """Whether a server itself is asked and told, rather than the hosts of the balancers."""
    return provider in PROVIDERS and PROVIDERS[provider].on_servers


def gives_shares(provider: str) -> bool:
    return provider in PROVIDERS and PROVIDERS[provider].shares


def asked_of(provider: str, balancers: Iterable[Any], host: str) -> list[str]:
    """Whom a host's orders and questions go to: each balancer, or the host itself, or nobody."""
    if provider == NONE:
        return []
    return [host] if on_servers(provider) else [str(name) for name in balancers]


def inputs_of(provider: str, orders: bool) -> dict[str, str]:
    """Option of the provider's module to the name of its input."""
    known = PROVIDERS[provider]
    return {**known.both, **(known.orders if orders else {})}


def reach_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Of one host's inputs those by which its balancers are looked at, kept with a question."""
    names = inputs_of(str(given["load_balancer_provider"]), orders=False).values()
    return {name: given[name] for name in names if not name.endswith(_NOT_KEPT)}


def module_of(provider: str, orders: bool) -> str:
    return f"fleetops.gunicorn.{provider}_server{'' if orders else '_info'}"


def options_for(
    provider: str,
    orders: bool,
    balancer: Mapping[str, Any],
    reach: Mapping[str, Any],
    own: Callable[[str], Any],
) -> dict[str, Any]:
    """What the provider's module is given beside the options that all providers have.

    ``balancer`` are the variables of the balancer's host, which come first; then ``reach``, what a
    question for many hosts brings along; then what ``own`` says of an input by its name.
    """
    found = {}
    for option, name in inputs_of(provider, orders).items():
        if name in balancer:
            found[option] = balancer[name]
        else:
            found[option] = reach[name] if name in reach else own(name)
    return found
