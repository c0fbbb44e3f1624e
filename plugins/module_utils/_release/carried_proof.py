# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prove that what was carried over by name and version is what runs.

In the order of what it costs:

1. the files in the new release are those that run;
2. they are what an earlier stage of ours was proved with (its record has a hash of them);
3. for another Python, for which a package may be built otherwise or had to move: the very
   version is installed once more for the Python in place, and compared with what runs;
4. its files are in the source archive of that version, from which an old pip may have built it.
"""

import os
from contextlib import suppress
from typing import Callable, Dict, Mapping, Optional, Set, Tuple

from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.provenance import (
    Archive,
    Difference,
    by_archive,
    compare,
    contents,
    digest,
    files_of,
    refusal,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.requirements import (
    canonical,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.site_files import Owner
from ansible_collections.fleetops.gunicorn.plugins.module_utils._packages.venv import (
    minor,
    read_sites,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.build_plan import Plan
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.record import is_release_id
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.store import (
    read_record,
    why_not_believed,
)

# name -> (its directory of packages, the package)
Packages = Dict[str, Tuple[str, Owner]]
# Pins -> (a virtualenv of the Python in place with them, or nothing; why some are not in it).
Fetch = Callable[[Mapping[str, str]], Tuple[str, Dict[str, str]]]
# (name, version) -> its source archive, if one can be had.
Sources = Callable[[str, str], Optional[Archive]]


def packages_of(venv: str) -> Packages:
    """Every package of a virtualenv, with where it lies."""
    found: Packages = {}
    for site in read_sites(venv, False):
        for owner in site.owners:
            found.setdefault(owner.name, (site.path, owner))
    return found


def prove_carried(plan: Plan, place: str, fetch: Fetch, sources: Sources) -> Dict[str, str]:
    """What was proved: "name==version" -> hash of the files that run.

    FleetError for what is not so.
    """
    if plan.carried is None:
        return {}
    source = plan.order.carry_from
    live, new = packages_of(source), packages_of(place)
    trusted = {canonical(name) for name in plan.order.trust}
    names = [
        name
        for name, version in plan.carried.pins
        if name in live
        and name in new
        and name not in trusted
        # A release of ours may hold another version than the one that it was carried over from.
        and live[name][1].version in (version, new[name][1].version)
    ]
    proved: Dict[str, str] = {}
    open_: Dict[str, Difference] = {}
    for name in names:
        site, owner = live[name]
        if owner.version == new[name][1].version:
            difference, held = compare(live[name], new[name])
            if difference is None:
                if held:
                    proved[name] = digest(held)
                continue
            open_[name] = difference
        else:
            open_[name] = Difference(name, owner.version, (), (), ())
    if open_:
        _by_earlier_stages(plan, live, new, open_, proved)
    unseen: Dict[str, str] = {}
    if open_ and minor(source) != plan.interpreter.minor:
        unseen = _by_the_python_in_place(live, open_, proved, fetch)
    for name in sorted(open_):
        _by_the_sources(live[name], open_, proved, sources)
    if open_ or unseen:
        raise FleetError(
            "pins carried over: "
            + refusal(source, _place(plan), [open_[n] for n in sorted(open_)], unseen)
        )
    return {f"{name}=={live[name][1].version}": proved[name] for name in sorted(proved)}


def _place(plan: Plan) -> str:
    house = plan.order.source.wheelhouse
    return "the wheelhouse " + house if house else "the package index"


def _by_earlier_stages(
    plan: Plan,
    live: Packages,
    new: Packages,
    open_: Dict[str, Difference],
    proved: Dict[str, str],
) -> None:
    """Settle what another release of this home was proved with."""
    known = _known_from(os.path.dirname(plan.path))
    for name in sorted(open_):
        site, owner = live[name]
        held = contents(site, files_of(owner, new[name][1], site) or ())
        if held and (f"{name}=={owner.version}", digest(held)) in known:
            proved[name] = digest(held)
            del open_[name]


def _known_from(releases: str) -> Set[Tuple[str, str]]:
    known: Set[Tuple[str, str]] = set()
    for name in sorted(os.listdir(releases)):
        path = os.path.join(releases, name)
        if not is_release_id(name):
            continue
        with suppress(FleetError):
            record = read_record(path) or {}
            told = record.get("proved")
            if isinstance(told, dict) and told and not why_not_believed(path):
                known.update((str(pin), str(value)) for pin, value in told.items())
    return known


def _by_the_sources(
    live: Tuple[str, Owner],
    open_: Dict[str, Difference],
    proved: Dict[str, str],
    sources: Sources,
) -> None:
    """Settle what was built from the source archive, if that is another than the wheel's."""
    site, owner = live
    found = open_[owner.name]
    if owner.files is None or not (found.changed or found.only_live or found.only_index):
        return
    held = contents(site, owner.files)
    archive = sources(owner.name, owner.version)
    if archive is None:
        return
    left = by_archive(found, held, archive)
    if left.changed or left.only_live:
        open_[owner.name] = left
    else:
        del open_[owner.name]
        proved[owner.name] = digest(held)


def _by_the_python_in_place(
    live: Packages, open_: Dict[str, Difference], proved: Dict[str, str], fetch: Fetch
) -> Dict[str, str]:
    """Settle the rest with the same versions for the Python in place; what could not be seen."""
    pins = {name: live[name][1].version for name in open_}
    venv, unseen = fetch(pins)
    there = packages_of(venv) if venv else {}
    for name in sorted(open_):
        if name in unseen:
            del open_[name]
            continue
        if name not in there or there[name][1].version != pins[name]:
            unseen[name] = f"version {pins[name]} did not come"
            del open_[name]
            continue
        difference, held = compare(live[name], there[name])
        if difference is None:
            del open_[name]
            if held:
                proved[name] = digest(held)
        else:
            open_[name] = difference
    return unseen
