# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where links lead on the site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.site.pages import ROOT, DeadLinkError, on_site, pages

FORGE = "https://forge.example/us"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("docs/a.md", "docs/b.md", "docs/images/x.png", "roles/r/README.md", "demo/d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("page", "link", "leads_to"),
    [
        ("docs/a.md", "b.md", "b.md"),
        ("docs/a.md", "b.md#there", "b.md#there"),
        ("docs/a.md", "#here", "#here"),
        ("docs/a.md", "../README.md#x", "overview.md#x"),
        ("docs/a.md", "../roles/r/README.md", "role-r.md"),
        ("docs/a.md", "../demo/d.py", f"{FORGE}/blob/main/demo/d.py"),
        ("docs/a.md", "../demo", f"{FORGE}/tree/main/demo"),
        ("docs/a.md", "images/x.png", "images/x.png"),
        ("README.md", "docs/images/x.png", "images/x.png"),
        ("README.md", "docs/a.md", "a.md"),
        ("roles/r/README.md", "../../docs/a.md", "a.md"),
        ("docs/a.md", "https://elsewhere.example/b.md", "https://elsewhere.example/b.md"),
    ],
)
def test_a_link(root: Path, page: str, link: str, leads_to: str) -> None:
    text = on_site(f"See [it]({link}), and more.", page, pages(root), root, FORGE)
    assert text == f"See [it]({leads_to}), and more."


def test_a_link_to_nothing_names_page_and_file(root: Path) -> None:
    with pytest.raises(DeadLinkError, match=r"docs/a\.md: there is no docs/c\.md"):
        on_site("[c](c.md)", "docs/a.md", pages(root), root, FORGE)


def test_code_stays_as_it_is(root: Path) -> None:
    text = "```md\n[c](c.md)\n```\n"
    assert on_site(text, "docs/a.md", pages(root), root, FORGE) == text


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (ROOT / "docs/site/index.rst").read_text()
    listed = set(re.findall(r"^   (?:.* <)?([\w-]+)>?$", index, re.M))
    ours = {Path(name).stem for name in pages(ROOT).values()}
    assert {name for name in ours if not name.startswith("role-")} <= listed
