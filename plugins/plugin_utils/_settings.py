# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a declaration cannot say of the operator's inputs: rules over their content. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.health import header_problems
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.record import trial_of
from ansible_collections.fleetops.gunicorn.plugins.module_utils._state.fleet_reports import MOST
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._balancers import (
    NONE,
    asked_of,
    gives_shares,
    on_servers,
    reach_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.bake import seconds_of
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.metrics import metric_problems
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.ramp import ramp_problems
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._gate.tolerance import (
    tolerance_problems,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._held import held_for_problems
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._hooks import hook_problems
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.left_behind import (
    failure_limit_problems,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.waves import (
    Groups,
    wave_problems,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._plan.window import window_problems
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._probe_inputs import probe_problems
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.notification import (
    notify_problems,
)

# "rollout_wave" for "rollout_waves", "gate_soaks" for "gate_soak"; not "app_name" for "app_home".
_ALIKE = 0.88
MAX_PROGRAMS = 20
_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
# How the names of inputs begin; what is called otherwise is no slip in one of them.
_OURS = re.compile(
    r"^(?:app|check|gate|load_balancer|metrics|plan|release|report|rollout|service|status)_"
)


def settings_problems(given: Mapping[str, Any], groups: Groups) -> list[str]:
    """What is wrong with the inputs by these names; each text names its variable."""
    return [
        *tolerance_problems(
            given["gate_balancer_tolerance"], given["gate_tolerance"], given["gate_log_patterns"]
        ),
        *_metrics(given["gate_metrics"], given["gate_soak_max"]),
        *_trial(given["release_boot_test"], given["release_boot_environment"]),
        *header_problems(given["gate_health_headers"], "gate_health_headers"),
        *wave_problems(given["rollout_waves"], groups),
        *ramp_problems(given["rollout_ramp"]),
        *_keep(int(given["rollout_keep_releases"])),
        *_copies(int(given["report_copies"])),
        *_held_for(given["load_balancer_out_for"]),
        *window_problems(given["rollout_window"]),
        *failure_limit_problems(given["rollout_max_failures"]),
        *_programs(given),
        *_duration("rollout_bake", given["rollout_bake"]),
        *_duration("gate_history", given["gate_history"]),
        *_wait(str(given["rollout_wait"]).lower() == "true", given["rollout_bake"]),
        *_promote(str(given["rollout_promote"]).lower() == "true", given["rollout_reason"]),
        *hook_problems(given["rollout_hooks"]),
        *notify_problems(given["rollout_notify"]),
    ]


def _metrics(metrics: Any, soak_most: Any) -> Iterable[str]:
    return metric_problems(metrics, float(soak_most)) if metrics else []


def _trial(test: Any, environment: Mapping[str, Any]) -> Iterable[str]:
    try:
        trial_of(test)
    except FleetError as error:
        yield str(error)
    for name, value in environment.items():
        if not _VARIABLE.match(str(name)) or not isinstance(value, (str, int, float)):
            yield (
                f"release_boot_environment: {name!r} is no variable with one value: give names of"
                " letters, digits and underscores, and text."
            )


def _programs(given: Mapping[str, Any]) -> Iterable[str]:
    names = [str(each) for each in given.get("app_programs") or []]
    if not names:
        return
    if str(given["app_program"]) in names:
        yield (
            f"app_programs names {given['app_program']}, which is app_program: that is switched"
            " anyway. Leave it out there."
        )
    for name in sorted({name for name in names if names.count(name) > 1 or not name.strip()}):
        yield f"app_programs names {name!r}: each is a name, and there once."
    if len(names) > MAX_PROGRAMS:
        yield f"app_programs has {len(names)} names; {MAX_PROGRAMS} are the most."
    out = ("load_balancer_drain_timeout", "service_start_timeout", "service_programs_stable_for")
    needs = sum(float(given[name]) for name in out) + 2 * float(given["service_stop_timeout"])
    lease = float(given["load_balancer_lease"])
    if 0 < lease <= needs and given["load_balancer_provider"] != NONE:
        yield (
            f"load_balancer_lease is {lease:g} s, but with app_programs a server may be out for"
            f" {needs:g} s ({', '.join(out)}, and service_stop_timeout twice), and would be put"
            " back in the middle of its switch. Give the lease more."
        )


def _keep(releases: int) -> Iterable[str]:
    if releases not in (0, *range(2, releases + 1)):
        yield (
            f"rollout_keep_releases is {releases}: the active release and the one before it, the"
            " way back, always stay. Give 2 or more, or 0 to keep all."
        )


def _copies(reports: int) -> Iterable[str]:
    if not 0 <= reports <= MOST:
        yield f"report_copies is {reports}: give 0, for none, to {MOST}."


def _duration(name: str, duration: Any) -> Iterable[str]:
    try:
        seconds_of(duration)
    except FleetError as error:
        yield f"{name}: {error}"


def _held_for(duration: Any) -> Iterable[str]:
    wrong = list(_duration("load_balancer_out_for", duration))
    return wrong or held_for_problems(seconds_of(duration))


def _wait(wait: bool, bake: Any) -> Iterable[str]:
    if wait and not list(_duration("", bake)) and seconds_of(bake):
        yield (
            f"rollout_wait is true and rollout_bake is {bake}: whoever lets others follow a canary"
            " comes back for it. Leave one of them out."
        )


def _promote(promote: bool, reason: str) -> Iterable[str]:
    if promote and not reason:
        yield (
            "rollout_promote is true and rollout_reason is empty: say why, with -e"
            ' \'{"rollout_reason": "..."}\'. It is recorded.'
        )


def misspelt(names: Iterable[str], options: Iterable[str]) -> list[str]:
    """Name the variables that nobody reads and that look like one that is read.

    ``options`` are the names of all inputs. A name that does not begin as one is passed over.
    """
    ours = set(options)
    told = []
    for name in sorted({name for name in names if _OURS.match(name)} - ours):
        alike = get_close_matches(name, sorted(ours), n=1, cutoff=_ALIKE)
        if alike:
            told.append(
                f"{name} is set, and nothing reads it: is it {alike[0]}? Correct it, or give a"
                " variable of your own another name."
            )
    return told


def no_balancer(given: Mapping[str, Any], groups: Groups, host: str) -> list[str]:
    """What is wrong with inputs by which nothing could take ``host`` out of rotation."""
    provider = str(given["load_balancer_provider"])
    if provider == NONE:
        return _no_provider(given, host)
    if on_servers(provider):
        return [*_no_share(given), *probe_problems(given, host)]
    group = str(given["load_balancer_group"])
    if groups.get(group):
        return []
    return [
        f"The inventory has no host in group {group}, so {host} cannot be taken out of rotation."
        " Put the load balancers into that group, or name theirs in load_balancer_group. Where"
        f" there is none, say load_balancer_provider: {NONE}."
    ]


def _no_provider(given: Mapping[str, Any], host: str) -> list[str]:
    told = []
    if str(given["rollout_accept_outage"]).lower() != "true":
        told.append(
            f"load_balancer_provider is {NONE}, and rollout_accept_outage is false: {host} refuses"
            " its users' requests from its stop to its start. If that may be, set"
            " rollout_accept_outage: true; the plan tells how long it is."
        )
    return [*told, *_no_share(given)]


def _no_share(given: Mapping[str, Any]) -> Iterable[str]:
    provider = str(given["load_balancer_provider"])
    if given["rollout_ramp"] and not gives_shares(provider):
        yield (
            f"rollout_ramp is {list(given['rollout_ramp'])}, and load_balancer_provider is"
            f" {provider}: nobody gives a server a share. Leave one of them out."
        )


def of_host(given: Mapping[str, Any], groups: Groups, host: str = "") -> dict[str, Any]:
    """Of a host's inputs those by which the balancers are asked about it and others.

    ``reach`` has the inputs that only the provider reads, by their names.
    """
    provider = str(given["load_balancer_provider"])
    none = provider == NONE
    balancers = groups.get(str(given["load_balancer_group"])) or []
    return {
        "server": str(given["load_balancer_server"]),
        "balancers": asked_of(provider, balancers, host),
        "provider": provider,
        "reach": {} if none else reach_of(given),
        "backends": [str(name) for name in given["load_balancer_backends"]],
        "min_available": str(given["rollout_min_available"]),
        "lease_directory": str(given["load_balancer_lease_directory"]),
    }
