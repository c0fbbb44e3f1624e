# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/known-problems.md says what the table of hazards says.

When this fails, copy what it prints between the two marks.
"""

from pathlib import Path

from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.diagnosis import (
    versions,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.table import (
    HAZARDS,
    SIGNS,
    Hazard,
)
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._known_problems.versions import (
    python_floor,
)

DOCS = Path(__file__).resolve().parents[3] / "docs"


def render(hazard: Hazard) -> str:
    groups = [", ".join(f"`{sign}`" for sign in group) for group in hazard.evidence]
    signs = ", and ".join(f"one of {each}" if "," in each else each for each in groups)
    python = f" (needs Python {python_floor(hazard.cured_in)})" if hazard.cured_in else ""
    cure = f"a stage of {hazard.cured_in} or newer{python}" if hazard.cured_in else hazard.cure
    return "\n".join(
        [
            f"### `{hazard.name}`",
            "",
            f"gunicorn {versions(hazard)}: {hazard.effect}.",
            "",
            f"- shows: {signs or 'neither in logs nor in processes'}",
            f"- today: {hazard.today}",
            f"- cure: {cure}",
            f"- source: {hazard.source}",
        ]
    )


def test_the_page_is_the_table():
    text = (DOCS / "known-problems.md").read_text()
    told = text.partition("<!-- problems -->\n")[2].partition("\n<!-- end -->")[0]
    table = "\n\n".join(render(hazard) for hazard in HAZARDS)
    assert told == table, f"\n{table}\n"


def test_the_page_explains_the_signs_that_are_no_events():
    text = (DOCS / "known-problems.md").read_text()
    assert all(f"`{sign}`" in text.partition("<!-- problems -->")[0] for sign in SIGNS)
