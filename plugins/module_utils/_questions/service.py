# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs as a program, and all around it."""

from typing import Any, Dict, List

from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.config_file import (
    settings_seen,
    unseen,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.options import split_words
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.origin import Run
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.snapshot import (
    Observation,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._host.processes import (
    gunicorn_arguments,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.launch import arguments_at
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.managers import (
    SITE_OPTIONS,
    Params,
    open_sites,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.programs import (
    look_at,
    report,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.site import Site

OPTIONS: Dict[str, Dict[str, Any]] = dict(SITE_OPTIONS)


def settings_of(seen: Observation) -> Dict[str, Any]:
    """How gunicorn is used, as far as that can be seen; a rewritten title shows nothing of it."""
    if not seen.arbiter:
        return unseen("gunicorn does not run")
    arguments = gunicorn_arguments(seen.arbiter.cmdline)
    if not arguments:
        words = split_words(seen.program["command"])
        at = arguments_at(words)
        if at is None:
            return unseen("how gunicorn is started cannot be seen")
        arguments = tuple(words[at:])
    return settings_seen(arguments, seen.environ, seen.arbiter.cwd)


def programs_of(others: List[Site], seen: Observation) -> List[Dict[str, Any]]:
    """The programs that are switched with it, in the order of their start."""
    taken = [each.address for each in seen.listeners]
    found = []
    for site in others:
        look = look_at(site)
        found.append(report(site, look, taken))
        taken += [each.address for each in look.seen.listeners]
    return found


def ask(params: Params, run: Run) -> Dict[str, Any]:
    """Return what module ``gunicorn_info`` does. ``run`` starts a command on this host."""
    site, others = open_sites(params, run)
    seen = site.observe()
    told = dict(site.report(seen), settings=settings_of(seen))
    return dict(told, programs=programs_of(others, seen))
