# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What there is to see of a new generation that failed its proof."""

from typing import Any, Dict, List, Optional

from ansible_collections.fleetops.gunicorn.plugins.module_utils._activation.plan import Plan
from ansible_collections.fleetops.gunicorn.plugins.module_utils._errors import FleetError
from ansible_collections.fleetops.gunicorn.plugins.module_utils._gunicorn.snapshot import (
    Observation,
)
from ansible_collections.fleetops.gunicorn.plugins.module_utils._redact import redact
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.manager import Mark
from ansible_collections.fleetops.gunicorn.plugins.module_utils._service.site import Site
from ansible_collections.fleetops.gunicorn.plugins.module_utils._visible import visible

LOG_BYTES = 1 << 16
LOG_LINES = 30


class Evidence(FleetError):
    """A new generation failed its proof; carries what there is to see."""

    def __init__(self, text: str, details: Dict[str, Any]) -> None:
        super().__init__(text)
        self.details = details


def left(
    manager: str, release: str, before: Optional[str], name: str, state: str, advise: bool
) -> str:
    """How a failed switch leaves the program; ``advise`` is for who goes back by hand."""
    if not advise:
        return f"Release {release} is switched on, and {manager} calls {name} {state}."
    return (
        f"Release {release} is switched on and {name} is left as it is ({state}) for you to look"
        f" at; to go back, activate {before or 'another release'}."
    )


def gather_evidence(
    site: Site, exc: Exception, plan: Plan, mark: Mark, advise: bool = True
) -> Evidence:
    """What an operator needs at 3 a.m., from the program as it was left."""
    program: Dict[str, Any] = {}
    lines: List[str] = []
    seen: Optional[Observation] = None
    try:
        lines = digest(site.manager.said_since(mark, LOG_BYTES))
        seen = site.observe()
        program = seen.program
    except FleetError as trouble:
        lines.append(f"(more evidence could not be had: {trouble})")
    state = str(program.get("said", "unknown"))
    text = f"{exc} {left(site.manager.word, plan.release, plan.before, site.name, state, advise)}"
    if lines:
        text += " Last lines of its log:\n" + "\n".join("| " + line for line in lines)
    evidence = {
        "state": program.get("state"),
        "pid": program.get("pid"),
        "exitstatus": program.get("exitstatus"),
        "spawnerr": program.get("spawnerr"),
        "orphans": [each.process.pid for each in seen.orphans] if seen else [],
        "log": lines,
    }
    return Evidence(text, {"evidence": evidence, "release": plan.release, "previous": plan.before})


def digest(log: str) -> List[str]:
    """The end of a log, redacted; of a traceback only its end, so that the reasons are in it."""
    kept: List[str] = []
    frames: List[str] = []
    # Not splitlines: what else it takes for an end of a line is none in a log.
    for line in log.replace("\r\n", "\n").split("\n"):
        if not line.startswith("  "):
            kept += frames[-2:]
            frames = []
            if line.strip() and (not kept or line != kept[-1]):
                kept.append(line)
        elif line.strip(" ^~"):
            frames.append(line)
    shown = [visible(line)[:2000] for line in (kept + frames[-2:])[-LOG_LINES:]]
    # As a whole: a secret may have several lines.
    return [line[:300] for line in redact("\n".join(shown)).split("\n") if line]
