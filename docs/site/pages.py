# Copyright (c) 2026 The fleetops.gunicorn authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lay out the pages that people wrote for Sphinx: ``pages.py DIRECTORY``.

In the repository a link leads to a file. On the site it leads to the page made of that file, else
to the file in the repository. A link to what is not there is an error. What is behind ``#`` Sphinx
checks.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
# Their names on the site, where it is another one than that of the file.
NAMED = {
    "README.md": "overview.md",
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "code-of-conduct.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
}
_LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
_FENCE = re.compile(r"^ *```", re.M)


class DeadLinkError(Exception):
    """A page names a file that is not there."""


def pages(root: Path) -> dict[str, str]:
    """Each page's path in the repository with its name on the site."""
    found = {f"docs/{path.name}": path.name for path in sorted(root.glob("docs/*.md"))}
    for path in sorted(root.glob("roles/*/README.md")):
        found[str(path.relative_to(root))] = f"role-{path.parent.name}.md"
    return {**found, **NAMED}


def on_site(text: str, page: str, known: Mapping[str, str], root: Path, repository: str) -> str:
    """A page's text with its links as on the site; ``page`` is its path in the repository."""

    def link(match: re.Match[str]) -> str:
        path, mark, anchor = match.group(1).partition("#")
        if not path or re.match(r"[a-z]+:", path):
            return match.group(1)
        file = os.path.normpath(os.path.join(os.path.dirname(page), path))
        if file in known:
            return known[file] + mark + anchor
        if not (root / file).exists():
            raise DeadLinkError(f"{page}: there is no {file}, to which it links as {path}")
        if file.endswith((".png", ".svg")):
            return "images/" + os.path.basename(file)
        return (
            f"{repository}/{'tree' if (root / file).is_dir() else 'blob'}/main/{file}{mark}{anchor}"
        )

    # Every other part is between fences.
    parts = _FENCE.split(text)
    return "```".join(part if n % 2 else _LINK.sub(link, part) for n, part in enumerate(parts))


def lay_out(directory: Path) -> None:
    """Write all pages, and what they show, into a directory."""
    repository = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["repository"]
    known = pages(ROOT)
    directory.mkdir(parents=True, exist_ok=True)
    for page, name in known.items():
        text = on_site((ROOT / page).read_text(encoding="utf-8"), page, known, ROOT, repository)
        (directory / name).write_text(text, encoding="utf-8")
    shutil.copytree(ROOT / "docs/images", directory / "images", dirs_exist_ok=True)
    shutil.copy(ROOT / "docs/site/index.rst", directory)


if __name__ == "__main__":
    try:
        lay_out(Path(sys.argv[1]))
    except DeadLinkError as error:
        sys.exit(f"docs: {error}")
