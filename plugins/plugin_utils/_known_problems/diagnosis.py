# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong: what was seen, joined with what is known of the versions that really run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fleetops.gunicorn.plugins.module_utils._logs.catalogue import EVENTS
from ansible_collections.fleetops.gunicorn.plugins.module_utils._release.stage_order import minor
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.application import (
    Application,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.reviewed import (
    VERDICTS,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.table import (
    END,
    HAZARDS,
    MISSING,
    ORPHANS,
    SIGNS,
    Hazard,
    best_cure,
    hazards_of,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.versions import (
    is_exact,
    is_python_minor,
    python_floor,
    version_key,
)

# What speaks for a known problem, the strongest first.
CONFIRMED = "confirmed"  # seen of what runs now, and these versions have it
EARLIER = "seen earlier"  # seen wholly or in part of what ran before, perhaps other versions
POSSIBLE = "possible"  # these versions have it; it would show, and was not seen
UNSEEN = "not looked for"  # these versions have it; it might show, but could not be looked for
KNOWN = "known"  # these versions have it; neither logs nor processes would show it
STATES = (CONFIRMED, EARLIER, UNSEEN, POSSIBLE, KNOWN)

_SIGN_MEANINGS = {
    ORPHANS: "Workers outlived their arbiter; they may hold the port and answer with old code.",
    MISSING: "Fewer workers are alive than are asked for.",
}
# The only event whose cause outside of gunicorn is worth a guess.
_HINTS = {
    "reentrant": "code of yours that logs in a signal handler or in a child_exit hook does the same"
}

Counts = Mapping[str, int]


def diagnose(
    runs: Mapping[str, str | None],
    seen: Counts,
    earlier: Counts,
    stages: Iterable[Mapping[str, Any]] = (),
    looked: bool = True,
    application: Application | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """Return ``{"known", "unexplained"}`` for a host.

    ``runs`` has ``gunicorn`` and ``python``, either may be None; ``seen`` are the incidents and
    signs by name of what runs now, ``earlier`` those from before; ``stages`` is rollout_stages;
    ``looked`` says whether logs and processes could be looked at; ``application`` is what is known
    of how gunicorn is used: what does not concern it is left out.

    ``known`` are the known problems of these versions with their ``state`` (STATES) and the
    ``evidence``, ``unexplained`` what was seen and no known problem of these versions explains.
    """
    gunicorn, python = runs.get("gunicorn"), runs.get("python")
    seen, earlier = _counted(seen), _counted(earlier)
    hazards = hazards_of(gunicorn, python, application) if gunicorn and python else []
    steps = list(stages)
    known = [
        _known(
            hazard,
            seen,
            earlier,
            _cured_by(hazard, gunicorn or "", python or "", steps),
            best_cure(hazard, gunicorn or "", python or "", application, list(VERDICTS)),
        )
        for hazard in hazards
    ]
    for problem in known:
        if problem["state"] == POSSIBLE and not looked:
            problem["state"] = UNSEEN
    known.sort(key=lambda problem: STATES.index(problem["state"]))
    explained = {
        event
        for problem in known
        if problem["state"] in (CONFIRMED, EARLIER)
        for event in problem["evidence"]
    }
    return {
        "known": known,
        "unexplained": [
            _unexplained(event, seen, earlier, gunicorn)
            for event in sorted({*seen, *earlier} - explained)
        ],
    }


def _counted(counts: Counts) -> dict[str, int]:
    """What happened, without what is no trouble in itself, such as a worker of a reload."""
    return {
        event: count
        for event, count in counts.items()
        if count and (event not in EVENTS or EVENTS[event].severity != "notice")
    }


def _known(
    hazard: Hazard, seen: Counts, earlier: Counts, cured_by: str, cured_in: str
) -> dict[str, Any]:
    state, counts = _state(hazard, seen, earlier)
    told = {event for group in hazard.evidence for event in group} if counts else set()
    return {
        "name": hazard.name,
        "state": state,
        "evidence": {event: counts[event] for event in sorted(told) if counts.get(event)},
        "effect": hazard.effect,
        "versions": versions(hazard),
        "today": hazard.today,
        "cure": hazard.cure,
        "cured_in": cured_in,
        "cured_in_python": python_floor(cured_in) if cured_in else "",
        "cured_by": cured_by,
        "source": hazard.source,
    }


def _state(hazard: Hazard, seen: Counts, earlier: Counts) -> tuple[str, dict[str, int]]:
    """How sure it is, and the counts that speak for it."""
    if not hazard.evidence:
        return KNOWN, {}
    if _shows(hazard, seen):
        return CONFIRMED, dict(seen)
    # The arbiter that died of it wrote before the one that runs: part of a proof may be older.
    both = {name: seen.get(name, 0) + earlier.get(name, 0) for name in {*seen, *earlier}}
    return (EARLIER, both) if _shows(hazard, both) else (POSSIBLE, {})


def _shows(hazard: Hazard, counts: Counts) -> bool:
    return all(any(counts.get(event) for event in group) for group in hazard.evidence)


def _unexplained(event: str, seen: Counts, earlier: Counts, gunicorn: str | None) -> dict[str, Any]:
    others = [
        f"{hazard.name} of gunicorn {versions(hazard)}"
        for hazard in HAZARDS
        if event in {name for group in hazard.evidence for name in group}
    ]
    told = EVENTS.get(event)
    words = [told.meaning if told else _SIGN_MEANINGS.get(event, "A pattern of your own.")]
    if not gunicorn:
        words.append("Which gunicorn runs could not be told.")
    elif event in SIGNS:
        words.append(f"That alone speaks for no known problem of gunicorn {gunicorn}.")
    elif others:
        words.append(
            f"It is a sign of {', '.join(others)}, which alone does not explain it with gunicorn"
            f" {gunicorn}: another version may have written it."
        )
    else:
        words.append(f"No known problem of gunicorn {gunicorn} explains it.")
    if event in _HINTS:
        words.append(f"{_HINTS[event][0].upper()}{_HINTS[event][1:]}.")
    return {
        "event": event,
        "count": seen.get(event, 0),
        "earlier": earlier.get(event, 0),
        "meaning": " ".join(words),
    }


def _cured_by(
    hazard: Hazard, gunicorn: str, python: str, stages: Iterable[Mapping[str, Any]]
) -> str:
    """The first stage of the operator's plan without this problem; empty if none is."""
    if not hazard.cured_in:
        return ""
    for number, stage in enumerate(stages, 1):
        wanted = stage.get("gunicorn")
        if not is_exact(wanted) or version_key(str(wanted)) < version_key(gunicorn):
            continue
        # An interpreter's path does not tell its version.
        target = stage.get("python")
        python = str(target) if is_python_minor(target) else minor(python)
        if hazard.name not in {other.name for other in hazards_of(str(wanted), python)}:
            return f"stage {number} (gunicorn {wanted})"
    return ""


def versions(hazard: Hazard) -> str:
    """Return ``"20.1 up to before 24.0, on Python 3.9 or newer"``."""
    since, before = hazard.since, hazard.before
    text = f"{since} and newer" if before == END else f"{since} up to before {before}"
    text = text.removeprefix("0 up to ")
    if version_key(hazard.python_since) > version_key("3.0"):
        text += f", on Python {hazard.python_since} or newer"
    if hazard.when:
        text += f", {hazard.when.words}"
    return text
