# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changes among the packages, said only as far as it is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Tools that install are no part of what an application runs on; a release has none.
TOOLS = ("distribute", "pip", "pkg-resources", "setuptools", "wheel")


def difference(
    now: Mapping[str, str], expected: Mapping[str, Any], gunicorn: str
) -> dict[str, Any]:
    """Compare what runs now with what module ``plan_info`` knows of a release.

    What is ``undecided`` runs now, and whether the release will hold it is not known before it is
    built.
    """
    after = {name: version for name, version in expected["packages"].items() if name not in TOOLS}
    if expected["known"] != "nothing":
        # The stage's gunicorn wins over every pin.
        after.setdefault("gunicorn", gunicorn)
    before = {name: version for name, version in now.items() if name not in TOOLS}
    dropped = {line.partition("==")[0] for line in expected["dropped"]}
    gone = sorted(before.keys() - after.keys())
    whole = expected["known"] == "all"
    return {
        "known": expected["known"],
        "source": expected["source"],
        "added": {name: after[name] for name in sorted(after.keys() - before.keys())},
        "removed": {name: before[name] for name in gone if whole or name in dropped},
        "changed": {
            name: [before[name], after[name]]
            for name in sorted(before.keys() & after.keys())
            if before[name] != after[name]
        },
        "kept": sum(before[name] == after[name] for name in before.keys() & after.keys()),
        "undecided": [name for name in gone if not whole and name not in dropped],
        "may_move": bool(expected["may_move"]),
        "error": expected["error"],
    }


def unknown(why: str) -> dict[str, Any]:
    """Stand for a release of which nothing is known."""
    told = {"known": "nothing", "source": "", "packages": {}, "dropped": [], "may_move": False}
    return {**told, "error": why}


def built(now: Mapping[str, str], packages: Mapping[str, str], gunicorn: str) -> dict[str, Any]:
    """Compare what runs now with a release that is there."""
    there = {"known": "all", "source": "", "packages": packages, "dropped": [], "may_move": False}
    return difference(now, {**there, "error": ""}, gunicorn)
