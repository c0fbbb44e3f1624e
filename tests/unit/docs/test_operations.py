# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/operations.md has an entry for every way to stop, with its words, and for no other."""

import re
from pathlib import Path

import pytest
from ansible_collections.fleetops.gunicorn.plugins.plugin_utils._story.stop_codes import (
    OTHER,
    STOPS,
)

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE = (DOCS / "operations.md").read_text()
ALL = (*STOPS, OTHER)


def test_every_code_has_an_entry_and_every_entry_a_code():
    assert re.findall(r"(?m)^### (F-\w+)$", PAGE) == [stop.code for stop in ALL]


@pytest.mark.parametrize("stop", ALL, ids=lambda stop: stop.code)
def test_an_entry_says_what_the_table_says(stop):
    entry = PAGE.partition(f"### {stop.code}\n\n")[2].partition("\n\n")[0]
    assert entry == f"{stop.means[0].upper()}{stop.means[1:]}. **{stop.do}**"
    assert f"| [{stop.code}](#{stop.code.lower()}) | {stop.means} |\n" in PAGE


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_links_between_the_pages_lead_somewhere(page):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        name, _hash, anchor = target.partition("#")
        if name.startswith(("http:", "https:")):
            continue
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def anchors(page):
    titles = re.findall(r"(?m)^#+ (.*)$", page.read_text())
    # As GitHub makes them.
    return [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
